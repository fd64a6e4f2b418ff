// SPDX-License-Identifier: Apache-2.0
#include "bench/key_versions.hpp"

#include "tests/support/catch.hpp"

using varve::bench::KeyVersions;

TEST_CASE("a reader may see what was acknowledged, what is being written, and nothing else",
          "[bench][versions]") {
  KeyVersions versions(2);
  CHECK(versions.may_be_read(1, versions.acknowledged(1), 0));
  CHECK_FALSE(versions.may_be_read(1, versions.acknowledged(1), 1));

  const std::uint8_t oldest = versions.acknowledged(1);
  const std::uint8_t version = versions.begin(1);
  CHECK(version == 1);
  CHECK(versions.may_be_read(1, oldest, 0));
  CHECK(versions.may_be_read(1, oldest, 1));
  CHECK_FALSE(versions.may_be_read(1, oldest, 2));
  CHECK_FALSE(versions.may_be_read(0, versions.acknowledged(0), 1));

  versions.acknowledge(1, version);
  CHECK(versions.may_be_read(1, oldest, 0));  // Of a read that began before.
  CHECK_FALSE(versions.may_be_read(1, versions.acknowledged(1), 0));
  CHECK(versions.may_be_read(1, versions.acknowledged(1), 1));
}

TEST_CASE("versions begin anew after 255", "[bench][versions]") {
  KeyVersions versions(1);
  for (int i = 0; i < 255; ++i) versions.acknowledge(0, versions.begin(0));
  REQUIRE(versions.acknowledged(0) == 255);
  CHECK(versions.begin(0) == 0);
  CHECK(versions.may_be_read(0, 255, 255));
  CHECK(versions.may_be_read(0, 255, 0));
  CHECK_FALSE(versions.may_be_read(0, 255, 1));
  CHECK_FALSE(versions.may_be_read(0, 255, 254));
}

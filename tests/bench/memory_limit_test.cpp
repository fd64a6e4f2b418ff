// SPDX-License-Identifier: Apache-2.0
// A directory of files stands for a cgroup, as making real ones is not a test's right. What the
// kernel makes of the figures is not tested here.
#include "bench/memory_limit.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using varve::bench::MemoryCgroup;
using varve::test::TemporaryDirectory;

TEST_CASE("a cgroup that cannot be limited is an error and leaves nothing", "[bench][memory]") {
  const TemporaryDirectory temporary;
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path(), "child", 1 << 20),
                    Catch::StartsWith("cannot write ") && Catch::Contains("memory.max"));
  CHECK(std::filesystem::is_empty(temporary.path()));
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path() / "absent", "child", 1 << 20),
                    Catch::StartsWith("cannot create "));
}

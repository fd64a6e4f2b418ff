// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/reducer.hpp"

#include <algorithm>
#include <string>

#include "tests/metamorphic/generator.hpp"
#include "tests/support/catch.hpp"

namespace varve::test::metamorphic {
namespace {

std::size_t count_of(const Operations& operations, Kind kind) {
  return static_cast<std::size_t>(
      std::count_if(operations.begin(), operations.end(),
                    [kind](const Operation& operation) { return operation.kind == kind; }));
}

// An erase of a key, behind a flush that is behind a put of it.
bool erases_what_was_flushed(const Operations& operations) {
  for (auto put = operations.begin(); put != operations.end(); ++put) {
    if (put->kind != Kind::Put) continue;
    const auto flush = std::find_if(put, operations.end(), [](const Operation& operation) {
      return operation.kind == Kind::Flush;
    });
    if (std::any_of(flush, operations.end(), [&](const Operation& operation) {
          return operation.kind == Kind::Erase && operation.keys == put->keys;
        })) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a list is reduced to the operations that matter", "[metamorphic][reducer]") {
  const Operations whole = generated(4, 1500);
  REQUIRE(erases_what_was_flushed(whole));
  const Reduced reduced = reduce(whole, erases_what_was_flushed);
  CHECK_FALSE(reduced.gave_up);
  CHECK(to_text(reduced.operations) == "put \"a\" 0:0 0\nflush\nerase \"a\" 0\n");
}

TEST_CASE("what must be many stays as many", "[metamorphic][reducer]") {
  const auto fails = [](const Operations& operations) {
    return count_of(operations, Kind::Get) >= 7 && count_of(operations, Kind::Flush) >= 1;
  };
  const Operations whole = generated(2, 1500);
  REQUIRE(fails(whole));
  const Operations reduced = reduce(whole, fails).operations;
  CHECK(reduced.size() == 8);
  CHECK(fails(reduced));
}

TEST_CASE("values, numbers and the parts of batches become small, keys short",
          "[metamorphic][reducer]") {
  const auto fails = [](const Operations& operations) {
    return std::any_of(operations.begin(), operations.end(), [](const Operation& operation) {
      return std::any_of(operation.parts.begin(), operation.parts.end(), [](const auto& part) {
        return part.kind == Kind::Put && part.values[0].size >= 77 && part.keys[0].size() >= 2;
      });
    });
  };
  const Operations reduced = reduce(generated(2, 1500), fails).operations;
  REQUIRE(reduced.size() == 1);
  REQUIRE(reduced[0].parts.size() == 1);
  CHECK(reduced[0].numbers[0] == 0);
  CHECK(reduced[0].parts[0].values[0] == Value{77, 0});
  CHECK(reduced[0].parts[0].keys[0].size() <= 3);

  const auto wide_scan = [](const Operations& operations) {
    return std::any_of(operations.begin(), operations.end(), [](const Operation& operation) {
      return operation.kind == Kind::Seek && operation.numbers[1] >= 3;
    });
  };
  CHECK(to_text(reduce(generated(2, 1500), wide_scan).operations) == "seek \"a\" 0 3\n");
}

TEST_CASE("a reduction ends at its limit, with a list that fails", "[metamorphic][reducer]") {
  const Operations whole = generated(4, 1500);
  const Reduced reduced = reduce(whole, erases_what_was_flushed, {.tried_count_max = 10});
  CHECK(reduced.gave_up);
  CHECK(reduced.tried_count == 10);
  CHECK(reduced.operations.size() < whole.size());
  CHECK(erases_what_was_flushed(reduced.operations));
  const Reduced at_once =
      reduce(whole, erases_what_was_flushed, {.time_max = std::chrono::seconds(0)});
  CHECK(at_once.gave_up);
  CHECK(at_once.operations == whole);
}

}  // namespace varve::test::metamorphic

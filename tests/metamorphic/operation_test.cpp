// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/operation.hpp"

#include <set>
#include <stdexcept>
#include <string>

#include "directory/checksum.hpp"
#include "tests/metamorphic/generator.hpp"
#include "tests/support/catch.hpp"

namespace varve::test::metamorphic {

TEST_CASE("a list of operations is the same after printing and parsing", "[metamorphic]") {
  std::set<Kind> kinds;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    const Operations operations = generated(seed, 1500);
    REQUIRE(operations.size() == 1500);
    for (const Operation& operation : operations) kinds.insert(operation.kind);
    REQUIRE(parse_operations(to_text(operations)) == operations);
  }
  CHECK(kinds.size() == kKindCount);  // Each kind is drawn.
}

TEST_CASE("every byte of a key survives printing", "[metamorphic]") {
  Operations operations;
  for (int byte = 0; byte < 256; ++byte) {
    for (const std::size_t size : {1, 3, 40}) {
      operations.push_back(
          {.kind = Kind::Get, .keys = {std::string(size, static_cast<char>(byte))}});
    }
  }
  operations.push_back({.kind = Kind::Get, .keys = {std::string()}});
  CHECK(parse_operations(to_text(operations)) == operations);
  CHECK(key_text("a\"\\\n") == R"("a\"\\\x0a")");
  CHECK(key_text(std::string(20, 'q') + "b") == R"("\*20;qb")");
}

TEST_CASE("text that is no list of operations is refused", "[metamorphic]") {
  for (const char* text :
       {"pot \"k\" 1:1 0", "put \"k\" 1:1", "put \"k\" 1:1 0 0", "put k 1:1 0", "put \"k 1:1 0",
        "get \"\\q\"", "get \"\\x0g\"", "get \"\\*5a\"", "get \"\\*99999999;a\"", "get \"\\",
        "  put \"k\" 1:1", "flush\n  put \"k\" 1:1", "batch 0\n  flush",
        "batch 0\n  put \"k\" 1:1 0", "multi_get", "seek \"k\" 0 -1",
        "seek \"k\" 0 99999999999999999999", "put \"k\" :1 0"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_operations(text), std::invalid_argument);
  }
  CHECK(parse_operations("# a comment\n\nflush\n").size() == 1);
}

// So that a seed in a report means the same list to whoever reads it. A change of the generator
// changes the number, and the meaning of all seeds that were ever reported.
TEST_CASE("a seed means one list of operations, on every machine", "[metamorphic][reproducible]") {
  std::uint64_t hash = 0;
  for (std::uint64_t seed = 1; seed <= Workload::kShapes.size(); ++seed) {
    const std::string text = to_text(generated(seed, 1500));
    REQUIRE(text == to_text(generated(seed, 1500)));
    CHECK(text != to_text(generated(seed + Workload::kShapes.size(), 1500)));
    hash = directory::hash64(text, hash);
  }
  CHECK(hash == 0x2c3a02c1bf687160);
}

}  // namespace varve::test::metamorphic

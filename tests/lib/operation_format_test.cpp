// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>

#include "lib/log_format.hpp"
#include "tests/support/catch.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

TEST_CASE("operations beyond the limits of keys do not parse", "[lib][log_format][hostile]") {
  const auto parses = [](OperationKind kind, std::size_t key_size, std::size_t value_size) {
    std::string bytes;
    append_operation(bytes, kind, std::string(key_size, 'k'), std::string(value_size, 'v'));
    OperationReader reader(bytes);
    Operation operation;
    const bool parsed = reader.next(operation);
    CHECK(parsed == reader.ok());
    CHECK_FALSE(reader.next(operation));  // The end, or no more of what does not parse.
    return parsed;
  };
  using enum OperationKind;
  CHECK(parses(Put, kKeySizeMax, 0));
  CHECK(parses(Erase, kKeySizeMax, 0));
  CHECK(parses(EraseRange, kKeySizeMax, kKeySizeMax));
  CHECK(parses(EraseRange, 0, 0));
  CHECK_FALSE(parses(Put, 0, 0));
  CHECK_FALSE(parses(Put, kKeySizeMax + 1, 0));
  CHECK_FALSE(parses(Erase, 0, 0));
  CHECK_FALSE(parses(Erase, kKeySizeMax + 1, 0));
  CHECK_FALSE(parses(EraseRange, kKeySizeMax + 1, 0));
  CHECK_FALSE(parses(EraseRange, 0, kKeySizeMax + 1));
}

TEST_CASE("a range erase behind other operations has the next sequence", "[lib][log_format]") {
  OperationSequencer sequencer(7);
  CHECK(sequencer.next(OperationKind::EraseRange) == 7);
  CHECK(sequencer.next(OperationKind::Put) == 7);
  CHECK(sequencer.next(OperationKind::EraseRange) == 8);
  CHECK(sequencer.next(OperationKind::Erase) == 8);
  CHECK(sequencer.last() == 8);
}

}  // namespace varve::internal

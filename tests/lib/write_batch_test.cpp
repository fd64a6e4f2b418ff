// SPDX-License-Identifier: Apache-2.0
#include "varve/write_batch.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "lib/log_format.hpp"
#include "tests/support/catch.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve {
namespace {

using internal::Operation;
using internal::OperationKind;
using internal::OperationReader;

template <typename Call>
void check_refused(WriteBatch& batch, const Call& call) {
  const std::string before(batch.encoded());
  const std::size_t count = batch.count();
  try {
    call();
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::InvalidArgument);
  }
  CHECK(batch.encoded() == before);
  CHECK(batch.count() == count);
}

TEST_CASE("a batch holds its operations in the order of the calls", "[lib][write_batch]") {
  WriteBatch batch;
  CHECK(batch.empty());
  batch.put("k", "v");
  batch.erase("gone");
  batch.erase_range("a", "b");
  batch.erase_range("", "");
  batch.put(std::string("\0\xff", 2), "");
  CHECK(batch.count() == 5);
  CHECK(batch.size() == batch.encoded().size());

  OperationReader reader(batch.encoded());
  Operation operation;
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == OperationKind::Put);
  CHECK(operation.key == "k");
  CHECK(operation.value == "v");
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == OperationKind::Erase);
  CHECK(operation.key == "gone");
  CHECK(operation.value.empty());
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == OperationKind::EraseRange);
  CHECK(operation.key == "a");
  CHECK(operation.value == "b");
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == OperationKind::EraseRange);
  CHECK(operation.key.empty());
  CHECK(operation.value.empty());
  REQUIRE(reader.next(operation));
  CHECK(operation.key == std::string("\0\xff", 2));
  CHECK_FALSE(reader.next(operation));
  CHECK(reader.ok());

  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.size() == 0);
}

TEST_CASE("a range that ends at or before its first key adds nothing", "[lib][write_batch]") {
  WriteBatch batch;
  batch.erase_range("b", "b");
  batch.erase_range("c", "b");
  CHECK(batch.empty());
}

TEST_CASE("sizes up to the limits are accepted, one byte more is refused and changes nothing",
          "[lib][write_batch][limits]") {
  const std::string longest(kKeySizeMax, 'k');
  const std::string too_long(kKeySizeMax + 1, 'k');
  WriteBatch batch;
  batch.put("k", "");
  batch.put(longest, "v");
  batch.erase(longest);
  batch.erase_range(longest, longest + "");
  batch.erase_range("a", longest);
  check_refused(batch, [&] { batch.put("", "v"); });
  check_refused(batch, [&] { batch.erase(""); });
  check_refused(batch, [&] { batch.put(too_long, "v"); });
  check_refused(batch, [&] { batch.erase(too_long); });
  check_refused(batch, [&] { batch.erase_range(too_long, ""); });
  check_refused(batch, [&] { batch.erase_range("a", too_long); });
  // A view of that size is never read when it is refused.
  const std::string_view too_large(longest.data(), kValueSizeMax + 1);
  check_refused(batch, [&] { batch.put("k", too_large); });
}

TEST_CASE("operations that do not parse are told from the end", "[lib][log_format][hostile]") {
  std::string sound;
  append_operation(sound, OperationKind::Put, "key", "value");
  append_operation(sound, OperationKind::Erase, "key", {});
  append_operation(sound, OperationKind::EraseRange, "a", "b");
  const std::vector<std::size_t> ends = {0, 11, 16, 21};
  CHECK(sound.size() == ends.back());
  for (std::size_t size = 0; size <= sound.size(); ++size) {
    OperationReader reader(std::string_view(sound).substr(0, size));
    std::size_t count = 0;
    for (Operation operation; reader.next(operation);) ++count;
    const bool whole = std::find(ends.begin(), ends.end(), size) != ends.end();
    INFO(size);
    CHECK(reader.ok() == whole);
    CHECK(reader.offset() == ends[count]);
  }
  for (const std::string& hostile :
       {std::string("\0\1k", 3), std::string("\4\1k", 3), std::string("\1\0\0", 3),
        std::string("\2\0", 2), std::string("\2\x81\0k", 4),
        std::string("\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1k", 12),
        "\2" + std::string("\x81\x80\x04") + std::string(kKeySizeMax + 1, 'k')}) {
    OperationReader reader(hostile);
    Operation operation;
    CHECK_FALSE(reader.next(operation));
    CHECK_FALSE(reader.ok());
    CHECK_FALSE(reader.next(operation));
  }
}

}  // namespace
}  // namespace varve

// SPDX-License-Identifier: Apache-2.0
// Invariants: operations that parse are accepted by a WriteBatch (but empty ranges, which it leaves
// out) and are encoded to the same bytes; parsing never leaves its input.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "directory/check.hpp"
#include "lib/log_format.hpp"
#include "varve/write_batch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve::internal;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  OperationReader reader(bytes);
  std::string all, without_empty_ranges;
  varve::WriteBatch batch;
  for (Operation operation; reader.next(operation);) {
    append_operation(all, operation.kind, operation.key, operation.value);
    bool is_empty = false;
    switch (operation.kind) {
      case OperationKind::Put:
        batch.put(operation.key, operation.value);
        break;
      case OperationKind::Erase:
        batch.erase(operation.key);
        break;
      case OperationKind::EraseRange:
        is_empty = !operation.value.empty() && operation.key >= operation.value;
        batch.erase_range(operation.key, operation.value);
        break;
    }
    if (is_empty) continue;
    append_operation(without_empty_ranges, operation.kind, operation.key, operation.value);
  }
  VARVE_CHECK(all == bytes.substr(0, reader.offset()));
  VARVE_CHECK(reader.ok() == (reader.offset() == bytes.size()));
  VARVE_CHECK(batch.encoded() == without_empty_ranges);
  return 0;
}

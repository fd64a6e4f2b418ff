// SPDX-License-Identifier: Apache-2.0
// Strategy: what `varve load` reads, in the format of the first byte. Invariants: reading ends,
// with entries inside the limits and BadLine as the only failure, which leaves the next line to be
// read; an entry that was read is written so that it is read again.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "directory/check.hpp"
#include "tools/entry_format.hpp"
#include "varve/limits.hpp"

namespace {

using namespace varve::tools;

// False: the next line is none, as the exception told.
bool read_next(EntryReader& reader, bool& at_end) {
  try {
    at_end = !reader.next();
    return !at_end;
  } catch (const BadLine& error) {
    VARVE_CHECK(!std::string(error.what()).empty());
    return false;
  }
}

void check_written(EntryFormat format, const std::string& key, const std::string& value) {
  std::string text;
  append_entry(text, format, key, value);
  std::istringstream in(text);
  EntryReader reader(in, format, "written");
  VARVE_CHECK(reader.next() && reader.key() == key && reader.value() == value);
  VARVE_CHECK(!reader.next());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto format = static_cast<EntryFormat>(data[0] % 3);
  const bool keys_only = (data[0] & 0x80U) != 0;
  std::istringstream in(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  EntryReader reader(in, format, "input", keys_only);
  std::uint64_t line = 0;
  // Each call reads a byte at least, or is the last one.
  for (std::size_t calls = 0; calls <= size; ++calls) {
    bool at_end = false;
    if (read_next(reader, at_end)) {
      VARVE_CHECK(reader.line() > line && reader.bytes_read() <= size);
      line = reader.line();
      VARVE_CHECK(!reader.key().empty() && reader.key().size() <= varve::kKeySizeMax);
      VARVE_CHECK(reader.value().size() <= varve::kValueSizeMax);
      if (!keys_only) check_written(format, reader.key(), reader.value());
    }
    if (at_end) return 0;
  }
  VARVE_CHECK(false);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "tools/command.hpp"

namespace varve::tools {

// How entries are written as text, for load, dump, scan and get. Any bytes survive each of them.
enum class EntryFormat : std::uint8_t {
  Tsv,        // key TAB value, with \t \n \r \\ \xHH; the value goes to the end of the line.
  JsonLines,  // {"key":"..","value":".."}; "key_hex", "value_hex" for what is no UTF-8.
  Nul,        // key NUL value NUL, as they are: for bytes without zeros, such as paths.
};
// "tsv", "jsonl" or "nul". Errors: UsageError.
[[nodiscard]] EntryFormat parse_entry_format(std::string_view name);
// By the file's extension; nullopt: by that nothing is known.
[[nodiscard]] std::optional<EntryFormat> entry_format_of(const std::filesystem::path& file);

// One line (or NUL record) that is no entry: where, and what was expected there.
class BadLine : public UsageError {
 public:
  using UsageError::UsageError;
};

// Reads entries, or keys alone, one after the other.
// Thread-safety: none. Errors: BadLine, after which the next call goes on with the next line;
// varve::Error{Io} when the stream cannot be read.
class EntryReader {
 public:
  // `name` is for messages. `keys_only`: lines hold a key and no value.
  EntryReader(std::istream& in, EntryFormat format, std::string name, bool keys_only = false);

  // False: the end. The views are valid until the next call.
  [[nodiscard]] bool next();
  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  // Of the entry that was read last, from 1.
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

 private:
  [[nodiscard]] bool read_line(std::string& line);
  void parse_tsv();
  void parse_tsv_field(std::string_view text, std::size_t offset, std::string& to) const;
  void parse_json();
  void check_sizes() const;
  // `offset` is in the line, from 0.
  [[noreturn]] void refuse(std::size_t offset, std::string_view what) const;

  std::istream& in_;
  const EntryFormat format_;
  const std::string name_;
  const bool keys_only_;
  std::string text_, key_, value_;
  std::string chunk_;
  std::uint64_t line_ = 0, bytes_read_ = 0;
  bool terminated_ = true;  // The line that was read last had its end.
};

// Appends one entry in a form that EntryReader reads.
// Errors: UsageError for a zero byte in EntryFormat::Nul.
void append_entry(std::string& to, EntryFormat format, std::string_view key,
                  std::string_view value);

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#include "tools/entry_format.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <istream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "tools/text.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::tools {

namespace {

constexpr std::size_t kChunkSize = std::size_t{64} << 10;
// The longest line that can be an entry: JSON may spell a byte with six.
constexpr std::size_t kLineSizeMax = 6 * (kKeySizeMax + kValueSizeMax) + 1024;

using Json = nlohmann::json;

// A field of a JSON line, as text or in hexadecimal. False: neither is there.
bool take_json_field(const Json& object, const std::string& name, std::string& to,
                     std::string& error) {
  const auto text = object.find(name), coded = object.find(name + "_hex");
  if ((text == object.end()) == (coded == object.end())) {
    error = fmt::format("either \"{0}\" or \"{0}_hex\" expected{1}", name,
                        text == object.end() ? ", neither found" : ", both found");
    return false;
  }
  const auto& field = text != object.end() ? text : coded;
  if (!field->is_string()) {
    error = fmt::format("\"{}\": a string expected, {} found", field.key(), field->type_name());
    return false;
  }
  const std::string& content = field->get_ref<const std::string&>();
  std::size_t error_offset = 0;
  if (text != object.end()) {
    to = content;
  } else if (!unhex(content, to, error_offset)) {
    error = fmt::format("\"{}\": pairs of hexadecimal digits expected, {} found at digit {}",
                        field.key(), in_quotes(std::string_view(content).substr(error_offset, 8)),
                        error_offset + 1);
    return false;
  }
  return true;
}

}  // namespace

EntryFormat parse_entry_format(std::string_view name) {
  if (name == "tsv") return EntryFormat::Tsv;
  if (name == "jsonl" || name == "json") return EntryFormat::JsonLines;
  if (name == "nul") return EntryFormat::Nul;
  throw UsageError(fmt::format("--format: tsv, jsonl or nul expected, {} found", in_quotes(name)));
}

std::optional<EntryFormat> entry_format_of(const std::filesystem::path& file) {
  const std::string extension = file.extension().string();
  if (extension == ".tsv" || extension == ".txt") return EntryFormat::Tsv;
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") {
    return EntryFormat::JsonLines;
  }
  if (extension == ".nul") return EntryFormat::Nul;
  return std::nullopt;
}

EntryReader::EntryReader(std::istream& in, EntryFormat format, std::string name, bool keys_only)
    : in_(in),
      format_(format),
      name_(std::move(name)),
      keys_only_(keys_only),
      chunk_(kChunkSize, '\0') {}

bool EntryReader::read_line(std::string& line) {
  const char end = format_ == EntryFormat::Nul ? '\0' : '\n';
  line.clear();
  while (true) {
    errno = 0;
    in_.getline(chunk_.data(), static_cast<std::streamsize>(chunk_.size()), end);
    const int error_number = errno;
    const auto size = static_cast<std::size_t>(in_.gcount());
    bytes_read_ += size;
    if (in_.bad()) {
      throw Error(ErrorCode::Io, "cannot read " + name_, {},
                  std::error_code(error_number, std::generic_category()));
    }
    if (in_.eof()) {
      line.append(chunk_, 0, size);
      terminated_ = false;
      return !line.empty();
    }
    if (!in_.fail()) {  // The end was found; it is counted and not stored.
      line.append(chunk_, 0, size - 1);
      terminated_ = true;
      return true;
    }
    in_.clear();  // The chunk is full, the line goes on.
    if (line.size() + size > kLineSizeMax) refuse(line.size(), "no line of an entry is so long");
    line.append(chunk_, 0, size);
  }
}

bool EntryReader::next() {
  ++line_;
  if (!read_line(text_)) return false;
  key_.clear();
  value_.clear();
  switch (format_) {
    case EntryFormat::Tsv:
      parse_tsv();
      break;
    case EntryFormat::JsonLines:
      parse_json();
      break;
    case EntryFormat::Nul:
      key_ = text_;
      // Without its NUL it is the beginning of a field, of a file that was cut.
      if (!terminated_) refuse(0, "a NUL after the key expected, the data ends");
      if (!keys_only_ && (!read_line(value_) || !terminated_)) {
        refuse(0, "a value and a NUL after the key expected, the data ends");
      }
      break;
  }
  check_sizes();
  return true;
}

void EntryReader::parse_tsv() {
  if (!text_.empty() && text_.back() == '\r') {
    refuse(text_.size() - 1, "a carriage return ends the line: convert the file, or write \\r");
  }
  const std::size_t tab = text_.find('\t');
  if (keys_only_) {
    if (tab != std::string::npos) refuse(tab, "one key a line expected, a tab found");
    parse_tsv_field(text_, 0, key_);
    return;
  }
  if (tab == std::string::npos) {
    refuse(text_.size(), "KEY, a tab and VALUE expected, no tab found");
  }
  const std::string_view text = text_;
  parse_tsv_field(text.substr(0, tab), 0, key_);
  parse_tsv_field(text.substr(tab + 1), tab + 1, value_);
}

void EntryReader::parse_tsv_field(std::string_view text, std::size_t offset,
                                  std::string& to) const {
  std::size_t error_offset = 0;
  if (unescape(text, to, error_offset)) return;
  refuse(offset + error_offset, fmt::format("\\t \\n \\r \\\\ or \\xHH expected, {} found",
                                            in_quotes(text.substr(error_offset, 4))));
}

void EntryReader::parse_json() {
  const auto refuse_json = [this](std::size_t offset, const std::string& what) {
    const std::size_t colon = what.find(": ");
    refuse(offset,
           fmt::format("a JSON object expected: {}",
                       escaped(colon == std::string::npos ? what : what.substr(colon + 2))));
  };
  Json object;
  try {
    object = Json::parse(text_);
  } catch (const Json::parse_error& error) {
    refuse_json(error.byte > 0 ? error.byte - 1 : 0, error.what());
  } catch (const Json::exception& error) {  // A number that no double can hold.
    refuse_json(0, error.what());
  }
  std::string error;
  if (!object.is_object()) {
    refuse(0, fmt::format("a JSON object expected, {} found", object.type_name()));
  }
  if (!take_json_field(object, "key", key_, error)) refuse(0, error);
  if (!keys_only_ && !take_json_field(object, "value", value_, error)) refuse(0, error);
}

void EntryReader::check_sizes() const {
  if (key_.size() < kKeySizeMin || key_.size() > kKeySizeMax) {
    refuse(0, fmt::format("a key of {} to {} bytes expected, {} found", kKeySizeMin, kKeySizeMax,
                          key_.size()));
  }
  if (value_.size() > kValueSizeMax) {
    refuse(0, fmt::format("a value of at most {} bytes expected, {} found", kValueSizeMax,
                          value_.size()));
  }
}

void EntryReader::refuse(std::size_t offset, std::string_view what) const {
  if (format_ == EntryFormat::Nul) {
    throw BadLine(fmt::format("{}: entry {}: {}", name_, line_, what));
  }
  throw BadLine(fmt::format("{}: line {}, column {}: {}", name_, line_, offset + 1, what));
}

void append_entry(std::string& to, EntryFormat format, std::string_view key,
                  std::string_view value) {
  switch (format) {
    case EntryFormat::Tsv:
      append_escaped(to, key);
      to.push_back('\t');
      append_escaped(to, value);
      to.push_back('\n');
      return;
    case EntryFormat::JsonLines:
      to.push_back('{');
      append_json_bytes(to, "key", key);
      to.push_back(',');
      append_json_bytes(to, "value", value);
      to.append("}\n");
      return;
    case EntryFormat::Nul:
      if (key.find('\0') != std::string_view::npos || value.find('\0') != std::string_view::npos) {
        throw UsageError(
            fmt::format("the entry of key {} holds a zero byte, which the format nul "
                        "cannot tell from an end: use jsonl or tsv",
                        in_quotes(key)));
      }
      to.append(key).push_back('\0');
      to.append(value).push_back('\0');
      return;
  }
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <istream>
#include <iterator>
#include <ostream>
#include <system_error>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/entry_format.hpp"
#include "tools/output.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

constexpr std::size_t kKeysPerGet = 256;

struct GetArguments {
  std::string key, keys_file, format = "tsv";
  bool raw = false;
  Spelling spelling;
};

void print_value(const GetArguments& get, bool json, const std::string& key,
                 const std::string& value, std::ostream& out) {
  Output output(out);
  std::string& text = output.buffer();
  if (json) {
    text += "{\"schema\":1,";
    append_json_bytes(text, "key", key);
    text += ",";
    append_json_bytes(text, "value", value);
    text += "}\n";
  } else if (get.spelling.hex) {
    append_hex(text, value);
    text += '\n';
  } else if (get.raw) {
    text = value;
  } else if (get.spelling.escaped || is_terminal(out)) {
    append_escaped(text, value);  // A value's control bytes must not reach a terminal.
    text += '\n';
  } else {
    text = value;
    text += '\n';
  }
  output.flush();
}

// Looks up every key of a file; prints the entries found in the order asked for.
int get_many(const SegmentIndex& index, const GetArguments& get, bool json, std::istream& in,
             std::ostream& out, std::ostream& err) {
  const EntryFormat format = json ? EntryFormat::JsonLines : parse_entry_format(get.format);
  std::ifstream file;
  const bool is_standard_input = get.keys_file == "-";
  if (!is_standard_input) {
    file.open(get.keys_file, std::ios::binary);
    if (!file) {
      throw Error(ErrorCode::Io, "cannot open the file " + get.keys_file, {},
                  std::error_code(errno, std::generic_category()));
    }
  }
  EntryReader reader(is_standard_input ? in : file, format,
                     is_standard_input ? "standard input" : get.keys_file, true);
  Output output(out);
  std::uint64_t found_count = 0, absent_count = 0;
  std::vector<std::string> keys;
  const auto look_up = [&] {
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const std::vector<std::optional<std::string>> values = index.multi_get(views);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) {
        ++absent_count;
        err << "absent: " << in_quotes(keys[i]) << '\n';
        continue;
      }
      ++found_count;
      append_entry(output.buffer(), format, keys[i], *values[i]);
      output.written();
    }
    keys.clear();
  };
  while (reader.next()) {
    keys.push_back(reader.key());
    if (keys.size() == kKeysPerGet) look_up();
  }
  look_up();
  output.flush();
  err << fmt::format("found {} of {} keys\n", human_count(found_count),
                     human_count(found_count + absent_count));
  return absent_count == 0 ? kExitOk : kExitNo;
}

// An index that is opened for writing and may be made by it: says so.
SegmentIndex open_to_put(const CommandLine& line, std::ostream& err) {
  const bool is_new = lock_status(line.directory()).state == LockState::NotInitialized;
  SegmentIndex index = SegmentIndex::open(line.directory(), line.write_options(true));
  if (is_new) err << "made the index " << line.directory().string() << '\n';
  return index;
}

struct DelArguments {
  std::vector<std::string> range;
  std::string key, prefix;
  bool all = false, dry_run = false;
  Spelling spelling;
};

// The one thing to delete besides single keys.
struct DelRange {
  bool given = false;
  std::string from, to, prefix;
};

DelRange del_range(const DelArguments& del, bool has_key, bool has_prefix) {
  const int kinds =
      (has_key ? 1 : 0) + (del.range.empty() ? 0 : 1) + (has_prefix ? 1 : 0) + (del.all ? 1 : 0);
  if (kinds != 1) {
    throw UsageError("del: one of KEY, --prefix P, --range FROM TO or --all expected");
  }
  DelRange range;
  range.given = !has_key;
  if (has_prefix) {
    range.prefix = del.spelling.bytes(del.prefix, "--prefix");
    if (range.prefix.empty()) {
      throw UsageError("--prefix: an empty prefix would delete everything; if so, use --all");
    }
  } else if (!del.range.empty()) {
    range.from = del.spelling.bytes(del.range[0], "--range");
    range.to = del.spelling.bytes(del.range[1], "--range");
    if (range.from.empty() && range.to.empty()) {
      throw UsageError("--range: without bounds it would delete everything; if so, use --all");
    }
    if (!range.to.empty() && range.from >= range.to) {
      throw UsageError(fmt::format("--range: FROM below TO expected, {} and {} found",
                                   in_quotes(range.from), in_quotes(range.to)));
    }
  }
  return range;
}

int print_what_del_would_do(const CommandLine& line, const std::string& key, const DelRange& range,
                            std::ostream& out) {
  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  std::uint64_t count = 0;
  if (range.given) {
    Cursor cursor = index.scan({.from = range.from, .to = range.to, .prefix = range.prefix});
    while (cursor.next()) ++count;
  } else {
    count = index.contains(key) ? 1 : 0;
  }
  Output(out).finish_with(fmt::format("would delete {} entries\n", count));
  return kExitOk;
}

}  // namespace

int get_command(const Arguments& arguments, std::istream& in, std::ostream& out,
                std::ostream& err) {
  GetArguments get;
  CommandLine line("get", "Prints the value of KEY and a newline; status 1 when it is absent.");
  line.with_wait().with_untrusted().with_json();
  CLI::App& app = line.app();
  CLI::Option* key = app.add_option("KEY", get.key);
  CLI::Option* keys =
      app.add_option("--keys", get.keys_file,
                     "looks up every key of this file (-: the standard input) and prints entries");
  app.add_option("--format", get.format,
                 "of --keys and of what is printed then: tsv, jsonl or nul; default: tsv");
  app.add_flag("--raw", get.raw, "the value's bytes and nothing else");
  get.spelling.add_to(app, true);
  line.parse(arguments);
  if ((key->count() > 0) == (keys->count() > 0)) {
    throw UsageError("get: KEY or --keys FILE expected");
  }
  const std::string key_bytes = get.spelling.bytes(get.key, "KEY");
  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  if (keys->count() > 0) return get_many(index, get, line.json(), in, out, err);
  const std::optional<std::string> value = index.get(key_bytes);
  if (!value) {
    err << "absent: " << in_quotes(key_bytes) << '\n';
    if (line.json()) {
      std::string text = "{\"schema\":1,";
      append_json_bytes(text, "key", key_bytes);
      Output(out).finish_with(text + ",\"absent\":true}\n");
    }
    return kExitNo;
  }
  print_value(get, line.json(), key_bytes, *value, out);
  return kExitOk;
}

int put_command(const Arguments& arguments, std::istream& in, std::ostream&, std::ostream& err) {
  std::string key, value;
  Spelling spelling;
  CommandLine line("put", "Puts one entry into an index, which is made if absent.");
  line.with_wait().with_writing();
  line.app().add_option("KEY", key)->required();
  line.app().add_option("VALUE", value, "- is the standard input, byte by byte")->required();
  spelling.add_to(line.app(), false);
  line.parse(arguments);
  const std::string key_bytes = spelling.bytes(key, "KEY");
  std::string value_bytes;
  if (value == "-") {
    value_bytes.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  } else {
    value_bytes = spelling.bytes(value, "VALUE");
  }
  SegmentIndex index = open_to_put(line, err);
  index.put(key_bytes, value_bytes);
  index.close();
  return kExitOk;
}

int del_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream&) {
  DelArguments del;
  CommandLine line("del",
                   "Deletes a key, or every key of a range, at once. Deleting what is absent is no "
                   "error.");
  line.with_wait().with_writing();
  CLI::App& app = line.app();
  // One key: CLI11 takes bracketed values apart where an option holds any number of them.
  CLI::Option* key = app.add_option("KEY", del.key);
  CLI::Option* prefix = app.add_option("--prefix", del.prefix, "every key that begins so");
  app.add_option("--range", del.range, "every key from FROM on, up to but without TO")
      ->type_size(1)
      ->expected(2)
      ->allow_extra_args(false);
  app.add_flag("--all", del.all, "every key");
  app.add_flag("--dry-run", del.dry_run, "only counts what would be deleted");
  del.spelling.add_to(app, false);
  line.parse(arguments);
  const DelRange range = del_range(del, key->count() > 0, prefix->count() > 0);
  const std::string key_bytes = del.spelling.bytes(del.key, "KEY");
  if (del.dry_run) return print_what_del_would_do(line, key_bytes, range, out);
  SegmentIndex index = SegmentIndex::open(line.directory(), line.write_options(false));
  if (!range.given) {
    index.erase(key_bytes);
  } else if (!range.prefix.empty()) {
    index.erase_prefix(range.prefix);
  } else {
    index.erase_range(range.from, range.to);
  }
  index.close();
  return kExitOk;
}

}  // namespace varve::tools

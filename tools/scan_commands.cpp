// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>
#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/entry_format.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

// --from, --to and --prefix, and the bytes that they name.
struct RangeArguments {
  std::string from, to, prefix;
  Spelling spelling;

  void add_to(CLI::App& app) {
    app.add_option("--from", from, "first key, itself included");
    app.add_option("--to", to, "end, itself not included");
    app.add_option("--prefix", prefix, "only keys that begin so");
  }
  void spell() {
    from = spelling.bytes(from, "--from");
    to = spelling.bytes(to, "--to");
    prefix = spelling.bytes(prefix, "--prefix");
  }
};

struct ScanArguments {
  RangeArguments range;
  std::string resume;
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  bool reverse = false, keys_only = false, raw = false;
};

// One entry in the form that the options ask for.
void append_scanned(std::string& to, const ScanArguments& scan, bool json, const Entry& entry) {
  if (json) {
    to.push_back('{');
    append_json_bytes(to, "key", entry.key);
    if (!scan.keys_only) {
      to.push_back(',');
      append_json_bytes(to, "value", entry.value);
    }
    to.append("}\n");
    return;
  }
  const auto append = [&](std::string_view bytes) {
    if (scan.raw) {
      to.append(bytes);
    } else if (scan.range.spelling.hex) {
      append_hex(to, bytes);
    } else {
      append_escaped(to, bytes);
    }
  };
  append(entry.key);
  if (!scan.keys_only) {
    to.push_back('\t');
    append(entry.value);
  }
  to.push_back('\n');
}

}  // namespace

int scan_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  ScanArguments scan;
  CommandLine line("scan",
                   "Prints entries in key order, a line each: key, a tab, value, with \\t \\n \\r "
                   "\\\\ \\xHH.");
  line.with_wait().with_untrusted().with_json("JSON lines; the last one says why the scan ended");
  CLI::App& app = line.app();
  scan.range.add_to(app);
  app.add_flag("--reverse", scan.reverse, "in descending order");
  app.add_option("--limit", scan.limit, "at most so many entries");
  app.add_flag("--keys-only", scan.keys_only, "no values");
  app.add_option("--resume", scan.resume, "goes on where a scan with --limit ended");
  app.add_flag("--raw", scan.raw, "bytes as they are");
  scan.range.spelling.add_to(app, true);
  line.parse(arguments);
  scan.range.spell();

  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  Cursor cursor = index.scan({.from = scan.range.from,
                              .to = scan.range.to,
                              .prefix = scan.range.prefix,
                              .reverse = scan.reverse,
                              .limit = scan.limit,
                              .resume = scan.resume});
  Output output(out);
  std::uint64_t count = 0;
  try {
    for (; cursor.next(); ++count) {
      append_scanned(output.buffer(), scan, line.json(), cursor.entry());
      output.written();
    }
  } catch (const Error&) {
    output.flush();  // What could be read is worth having.
    throw;
  }
  const bool more = cursor.end_reason() == ScanEnd::Limit;
  const std::string token = more ? cursor.resume_token() : std::string();
  if (line.json()) {
    output.buffer() += fmt::format("{{\"schema\":1,\"end\":\"{}\",\"count\":{}{}}}\n",
                                   to_string(cursor.end_reason()), count,
                                   more ? fmt::format(",\"resume\":\"{}\"", token) : "");
  } else if (more) {
    err << "there may be more: --resume " << token << '\n';
  }
  output.flush();
  return kExitOk;
}

int dump_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  RangeArguments range;
  std::string format_name = "tsv";
  CommandLine line("dump", "Prints all entries in a form that load reads again, byte for byte.");
  bool json = false;
  line.with_wait().with_untrusted().with_no_progress();
  range.add_to(line.app());
  range.spelling.add_to(line.app(), false);
  line.app().add_option("--format", format_name, "tsv, jsonl or nul; default: tsv");
  line.app().add_flag("--json", json, "as --format jsonl");
  line.parse(arguments);
  range.spell();
  const EntryFormat format = json ? EntryFormat::JsonLines : parse_entry_format(format_name);

  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  Cursor cursor = index.scan({.from = range.from, .to = range.to, .prefix = range.prefix});
  Output output(out);
  // A bar would be drawn between the data where both go to one terminal.
  Progress progress(err, !line.no_progress() && !is_terminal(out), "entries");
  std::uint64_t count = 0;
  try {
    while (cursor.next()) {
      append_entry(output.buffer(), format, cursor.key(), cursor.value());
      output.written();
      progress.update(0, 0, ++count);
    }
  } catch (const OutputFailure&) {
    throw;
  } catch (const std::exception&) {
    output.flush();
    progress.clear();
    err << "varve: the dump is not complete: it ends after " << count << " entries\n";
    throw;
  }
  output.flush();
  return kExitOk;
}

}  // namespace varve::tools

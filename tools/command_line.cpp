// SPDX-License-Identifier: Apache-2.0
#include "tools/command_line.hpp"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <limits>
#include <optional>

#include "tools/text.hpp"

namespace varve::tools {

namespace {

std::size_t size_option(std::string_view option, const std::string& text, std::size_t otherwise) {
  if (text.empty()) return otherwise;
  const std::optional<std::uint64_t> size = parse_size(text);
  if (!size || *size > std::numeric_limits<std::size_t>::max()) {
    throw UsageError(
        fmt::format("{}: a size such as 64MiB expected, {} found", option, in_quotes(text)));
  }
  return static_cast<std::size_t>(*size);
}

Durability parse_durability(const std::string& text) {
  if (text == "buffered") return Durability::Buffered;
  if (text == "process") return Durability::Process;
  if (text == "synced") return Durability::Synced;
  throw UsageError(
      fmt::format("--durability: buffered, process or synced expected, {} found", in_quotes(text)));
}

Access parse_access(const std::string& text) {
  if (text == "bare") return Access::Bare;
  if (text == "synchronized") return Access::Synchronized;
  if (text == "concurrent") return Access::Concurrent;
  throw UsageError(fmt::format("--access: bare, synchronized or concurrent expected, {} found",
                               in_quotes(text)));
}

// CLI11 lists what it could not place, options and values alike, in its own order.
std::string unexpected_text(const CLI::App& app, const Arguments& arguments) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (const std::string& name : option->get_snames()) known.push_back("-" + name);
  }
  const std::vector<std::string> left = app.remaining();
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() < 2 || argument[0] != '-') continue;
    if (std::find(left.begin(), left.end(), argument) == left.end()) continue;
    const std::string name = argument.substr(0, argument.find('='));
    const std::optional<std::string> meant = nearest(name, known);
    return fmt::format("unknown option {}{}", name,
                       meant ? fmt::format(": did you mean {}?", *meant)
                             : std::string(" (put -- before a key that begins with -)"));
  }
  return fmt::format("unexpected argument {}", in_quotes(left.empty() ? "" : left.front()));
}

}  // namespace

CommandLine::CommandLine(std::string_view name, std::string_view summary)
    : name_(name), app_(std::string(summary), "varve " + name_) {
  app_.allow_extras();  // We say ourselves what is wrong with them.
  app_.set_help_flag("-h,--help", "prints this");
  app_.add_option("DIR", directory_text_, "the index's directory")->required();
}

CommandLine& CommandLine::with_wait() {
  app_.add_option("--wait", wait_text_,
                  "how long to wait for an index that another process has: 250ms, 30s, 2m "
                  "(default: 250ms)");
  return *this;
}

CommandLine& CommandLine::with_untrusted() {
  app_.add_flag("--untrusted", untrusted_,
                "for files of unknown origin: verifies all of them first, with lower limits");
  return *this;
}

CommandLine& CommandLine::with_json(std::string_view help) {
  app_.add_flag("--json", json_, std::string(help));
  return *this;
}

CommandLine& CommandLine::with_no_progress() {
  app_.add_flag("--no-progress", no_progress_, "no progress on the standard error");
  return *this;
}

CommandLine& CommandLine::with_writing() {
  app_.add_option("--durability", durability_text_,
                  "what a write has survived when it is acknowledged: buffered (nothing), process "
                  "(the end of the process), synced (power loss); default: process");
  app_.add_option("--access", access_text_, "bare, synchronized or concurrent; default: bare");
  app_.add_option("--segment-size", segment_size_text_,
                  "size at which a segment splits, 64KiB to 16GiB; default: 64MiB");
  app_.add_option("--memory-budget", memory_budget_text_,
                  "memory for writes that are not in runs yet; default: 128MiB");
  app_.add_option("--memory-limit", memory_limit_text_,
                  "for all memory of the index, of which writes get what is left; default: none");
  return *this;
}

void CommandLine::parse(const Arguments& arguments) {
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app_.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    throw HelpAsked(app_.help());
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{}: {}; see varve {} --help", name_, error.what(), name_));
  }
  if (app_.remaining_size() > 0) {
    throw UsageError(
        fmt::format("{}: {}; see varve {} --help", name_, unexpected_text(app_, arguments), name_));
  }
  if (directory_text_.empty()) throw UsageError(name_ + ": DIR is empty");
  directory_ = directory_text_;
  if (!wait_text_.empty()) {
    const std::optional<std::chrono::milliseconds> wait = parse_duration(wait_text_);
    if (!wait) {
      throw UsageError(fmt::format("--wait: a duration such as 250ms, 30s or 2m expected, {} found",
                                   in_quotes(wait_text_)));
    }
    wait_ = *wait;
  }
  writing_.durability = parse_durability(durability_text_);
  writing_.access = parse_access(access_text_);
  writing_.tuning.segment_size =
      size_option("--segment-size", segment_size_text_, writing_.tuning.segment_size);
  writing_.memory_budget =
      size_option("--memory-budget", memory_budget_text_, writing_.memory_budget);
  writing_.memory_limit = size_option("--memory-limit", memory_limit_text_, writing_.memory_limit);
}

Options CommandLine::read_options() const {
  Options options;
  options.access = Access::Bare;
  options.read_only = true;
  options.create_if_missing = false;
  options.lock_wait = wait_;
  options.untrusted = untrusted_;
  return options;
}

Options CommandLine::write_options(bool create_if_missing) const {
  Options options = writing_;
  options.create_if_missing = create_if_missing;
  options.lock_wait = wait_;
  return options;
}

void Spelling::add_to(CLI::App& app, bool also_printed) {
  CLI::Option* as_hex = app.add_flag("--hex", hex,
                                     also_printed ? "keys and values are hexadecimal, given and "
                                                    "printed"
                                                  : "keys and values are given in hexadecimal");
  app.add_flag("--escaped", escaped, "keys and values are given with \\t \\n \\r \\\\ \\xHH")
      ->excludes(as_hex);
}

std::string Spelling::bytes(std::string_view text, std::string_view what) const {
  std::string bytes;
  std::size_t error_offset = 0;
  if (hex && !unhex(text, bytes, error_offset)) {
    throw UsageError(fmt::format("{}: pairs of hexadecimal digits expected, {} found", what,
                                 in_quotes(text.substr(error_offset, 16))));
  }
  if (escaped && !unescape(text, bytes, error_offset)) {
    throw UsageError(fmt::format("{}: \\t \\n \\r \\\\ or \\xHH expected, {} found", what,
                                 in_quotes(text.substr(error_offset, 4))));
  }
  return hex || escaped ? bytes : std::string(text);
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#include "tools/command.hpp"

#include <fmt/format.h>

#include <array>
#include <exception>
#include <istream>
#include <new>
#include <optional>
#include <ostream>

#include "tools/command_line.hpp"
#include "tools/output.hpp"
#include "tools/text.hpp"
#include "varve/error.hpp"

namespace varve::tools {

namespace {

constexpr std::array kCommands = {
    Command{"load", "puts the entries of a file or of the standard input", load_command},
    Command{"get", "prints a key's value, or those of many keys", get_command},
    Command{"put", "puts one entry", put_command},
    Command{"del", "deletes a key, a range or a prefix", del_command},
    Command{"scan", "prints entries in key order", scan_command},
    Command{"dump", "prints all entries in a form that load reads", dump_command},
    Command{"stat", "shows segments, sizes and costs", stat_command},
    Command{"estimate", "says what memory an index will need", estimate_command},
    Command{"serve-metrics", "serves these figures to Prometheus", serve_metrics_command},
    Command{"compact", "merges every segment into one run", compact_command},
    Command{"check", "looks for damage, changes nothing", check_command},
    Command{"lock", "shows who has the index (lock status DIR)", lock_command},
    Command{"log", "verifies or prints the write-ahead log (log verify|dump DIR)", log_command},
    Command{"version", "prints the version", version_command},
};

std::string help_text() {
  std::string text =
      "varve: looks into and works on Varve indexes\n"
      "usage: varve COMMAND DIR ...     (varve COMMAND --help tells more)\n\ncommands:\n";
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<13} {}\n", command.name, command.summary);
  }
  text +=
      "\nexit status: 0 done, sound; 1 a negative answer (no such key, not locked); 2 damage "
      "found;\n"
      "             4 another process has the index; 64 wrong usage or input; 74 input/output\n"
      "             error, or no index there\n"
      "A FILE or VALUE of - is the standard input. Data goes to the standard output, all else to\n"
      "the standard error.\n";
  return text;
}

int exit_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::Locked:
      return kExitLocked;
    case ErrorCode::Corruption:
      return kExitDamage;
    case ErrorCode::InvalidArgument:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

int dispatch(const Arguments& arguments, std::istream& in, std::ostream& out, std::ostream& err) {
  if (arguments.empty()) {
    err << help_text();
    return kExitUsage;
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    Output(out).finish_with(help_text());
    return kExitOk;
  }
  if (name == "--version") return version_command({}, in, out, err);
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (command.name == name) {
      return command.function({arguments.begin() + 1, arguments.end()}, in, out, err);
    }
    names.emplace_back(command.name);
  }
  const std::optional<std::string> meant = nearest(name, names);
  throw UsageError(fmt::format("there is no command {}{}; varve --help lists them", in_quotes(name),
                               meant ? fmt::format(": did you mean {}?", *meant) : ""));
}

// An Error's sentence names its file where it can; the command always says which.
std::string error_text(const Error& error) {
  std::string message = error.what();
  const std::string path = error.path().string();
  if (path.empty() || message.find(path) != std::string::npos) return message;
  return path + ": " + message;
}

}  // namespace

std::span<const Command> commands() noexcept {
  return kCommands;
}

int run(const Arguments& arguments, std::istream& in, std::ostream& out,
        std::ostream& err) noexcept {
  try {
    std::string message;
    int status = kExitFailed;
    try {
      return dispatch(arguments, in, out, err);
    } catch (const HelpAsked& help) {
      Output(out).finish_with(help.what());
      return kExitOk;
    } catch (const UsageError& error) {
      message = error.what();
      status = kExitUsage;
    } catch (const OutputFailure& failure) {
      // Whoever read our output has seen enough: that is how `varve scan | head` ends.
      if (failure.reader_is_gone()) return kExitOk;
      message = failure.what();
    } catch (const Error& error) {
      message = error_text(error);
      status = exit_status(error.code());
    } catch (const std::bad_alloc&) {
      message = "out of memory";
    } catch (const std::exception& error) {
      message = error.what();
    }
    err << "varve: " << printable(message) << '\n';
    err.flush();
    return status;
  } catch (...) {
    return kExitFailed;  // Not even the message could be told.
  }
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace varve::tools {

// What the command's exit status says. Scripts rely on it: numbers never change their meaning.
inline constexpr int kExitOk = 0;       // Done; sound.
inline constexpr int kExitNo = 1;       // A negative answer: no such key, not locked.
inline constexpr int kExitDamage = 2;   // Data is unreadable, missing or contradictory.
inline constexpr int kExitLocked = 4;   // Another process has the index.
inline constexpr int kExitUsage = 64;   // The command line or the input is wrong.
inline constexpr int kExitFailed = 74;  // The operating system refused, or there is no index.

using Arguments = std::vector<std::string>;  // Without the command's own name.

// The arguments, or the bytes given as input, are wrong.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A command. Data goes to `out` and everything else to `err`; the result is the exit status.
// Commands throw UsageError, varve::Error, OutputFailure and std::bad_alloc: run() turns these
// into a message and a status.
using CommandFunction = int(const Arguments& arguments, std::istream& in, std::ostream& out,
                            std::ostream& err);
struct Command {
  std::string_view name;
  std::string_view summary;
  CommandFunction* function;
};
[[nodiscard]] std::span<const Command> commands() noexcept;

// `varve ARGUMENTS...`. Never throws.
int run(const Arguments& arguments, std::istream& in, std::ostream& out,
        std::ostream& err) noexcept;

CommandFunction load_command, get_command, put_command, del_command, scan_command, dump_command,
    stat_command, estimate_command, serve_metrics_command, compact_command, check_command,
    lock_command, log_command, version_command;

}  // namespace varve::tools

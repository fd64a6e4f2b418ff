// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "varve/options.hpp"

namespace varve::stress {

// How a worker ends.
enum class Ending : std::uint8_t {
  Kill,
  StopAndKill,  // Stopped first, its store copied and the copy checked.
  KillInClose,  // Asked to close, and killed a little later.
  KillInOpen,   // Killed while it opens, or soon after.
  Close,
};
[[nodiscard]] const char* to_string(Ending ending) noexcept;

// What the writes of a cycle are worth.
enum class Writes : std::uint8_t {
  Logged,    // Process, some Synced: nothing that returned may be missing.
  Buffered,  // Those after the last flush may be missing, the newest ones first.
  Mixed,     // Both at once: each key for itself.
};
[[nodiscard]] const char* to_string(Writes writes) noexcept;

// The size of a run, which the command line sets.
struct Scale {
  std::uint32_t key_count = 3000;
  std::uint32_t writer_count_max = 4;
};

// Everything that is drawn for one cycle.
struct CyclePlan {
  std::uint64_t seed = 0;
  Options options;   // Of the worker.
  Options verifier;  // Of the reopening.
  Writes writes = Writes::Logged;
  bool some_synced = true;  // Single writes may be Synced.
  std::uint32_t writer_count = 1, reader_count = 0, scanner_count = 0;
  std::uint32_t maintenance_weight = 0;  // Of 1000 steps: flush, compact, sync.
  Ending ending = Ending::Kill;
  std::uint64_t operation_count = 0;  // The end comes after so many,
  std::chrono::microseconds delay{};  // and so much later.

  [[nodiscard]] std::uint32_t thread_count() const noexcept {
    return writer_count + reader_count + scanner_count;
  }
};

// The same plan for the same arguments, in every process.
[[nodiscard]] CyclePlan draw_plan(std::uint64_t cycle_seed, const Scale& scale);
// One in which everything that is written stays in the log: for planted losses.
[[nodiscard]] CyclePlan log_only_plan(std::uint64_t cycle_seed, const Scale& scale);
// One line.
[[nodiscard]] std::string plan_text(const CyclePlan& plan);

}  // namespace varve::stress

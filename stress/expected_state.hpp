// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "stress/key_word.hpp"

namespace varve::stress {

inline constexpr std::uint32_t kKeyCountMax = 1 << 20;
inline constexpr std::uint32_t kThreadCountMax = 32;

// What a worker does, as it is counted.
enum class Kind : std::uint8_t {
  Put,
  Erase,
  EraseRange,
  Batch,
  Read,
  Scan,
  SnapshotRead,
  Flush,
  Compact,
  Sync,
  Refused,  // Writes that threw Busy: they had no effect.
};
inline constexpr std::size_t kKindCount = 11;
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;

// How far a worker is.
enum class WorkerPhase : std::uint32_t { Starting, Opened, Closing, Closed };

// One key of a write in a trace: what the key is after it.
struct TracedChange {
  std::uint64_t word;
  KeyNumber key;
};
// One write. Tickets count calls and returns over all threads: a write whose return has a lower
// ticket than another one's call comes before it in the index's history.
struct TracedWrite {
  std::uint64_t called = 0;
  std::atomic<std::uint64_t> returned = 0;  // 0: it has not.
  std::uint32_t first_change = 0, change_count = 0;
};

// The writes of one thread that a kill may yet take. Its writes [0, write_count) are there.
struct Trace {
  static constexpr std::uint32_t kWritesMax = 4096, kChangesMax = 32768;
  std::atomic<std::uint32_t> write_count = 0;
  std::array<TracedWrite, kWritesMax> writes;
  std::array<TracedChange, kChangesMax> changes;
};

// A file outside of the store that both processes map. A kill of the worker leaves it as the last
// instruction did.
//
// Invariant: at any moment the store may hold, of each key, what LegalRange{floor, word} allows.
// The worker marks a key as pending before each write, and raises word after it, then floor once
// the write survives a kill.
// Thread-safety: the atomics; a trace has one writer.
class ExpectedState {
 public:
  struct Header {
    std::uint64_t magic = 0;
    std::uint64_t seed = 0;  // Of the values.
    std::uint32_t key_count = 0;
    std::atomic<std::uint64_t> cycle = 0;
    std::atomic<WorkerPhase> phase = WorkerPhase::Starting;
    std::atomic<std::uint32_t> stop = 0;  // Asks the worker to close.
    std::atomic<std::uint64_t> ticket = 1;
    std::atomic<std::uint64_t> operation_count = 0;  // Of this cycle.
    std::array<std::atomic<std::uint64_t>, kKindCount> counts{};
    std::atomic<std::uint32_t> problem_owner = 0;  // The first problem is the one that is told.
    std::atomic<std::uint32_t> problem_told = 0;
    std::array<char, 4096> problem{};
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  // Errors: Obstacle.
  [[nodiscard]] static ExpectedState create(const std::filesystem::path& path,
                                            std::uint32_t key_count, std::uint64_t seed);
  [[nodiscard]] static ExpectedState open(const std::filesystem::path& path);
  ExpectedState(ExpectedState&& other) noexcept;
  ExpectedState& operator=(ExpectedState&&) = delete;
  ~ExpectedState();

  [[nodiscard]] Header& header() const noexcept { return *header_; }
  [[nodiscard]] std::uint32_t key_count() const noexcept { return header_->key_count; }
  [[nodiscard]] KeyWord word(KeyNumber key) const noexcept { return KeyWord(words_[key].load()); }
  void set_word(KeyNumber key, KeyWord word) const noexcept { words_[key].store(word.bits()); }
  [[nodiscard]] KeyWord floor(KeyNumber key) const noexcept { return KeyWord(floors_[key].load()); }
  // To `to`, unless the floor is there or higher.
  void raise_floor(KeyNumber key, KeyWord to) const noexcept;
  void settle(KeyNumber key, KeyWord word) const noexcept;
  [[nodiscard]] LegalRange legal(KeyNumber key) const noexcept;
  [[nodiscard]] Trace& trace(std::uint32_t thread) const noexcept { return traces_[thread]; }

  void begin_cycle(std::uint64_t cycle) const noexcept;
  void tell_problem(std::string_view text) const noexcept;
  [[nodiscard]] std::string problem() const;  // Empty: none was told.

 private:
  ExpectedState(const std::filesystem::path& path, int flags, std::uint32_t key_count);
  [[nodiscard]] static std::size_t size_of(std::uint32_t key_count) noexcept;
  void map(int fd);

  std::size_t size_ = 0;
  std::byte* memory_ = nullptr;
  Header* header_ = nullptr;
  std::atomic<std::uint64_t>* words_ = nullptr;
  std::atomic<std::uint64_t>* floors_ = nullptr;
  Trace* traces_ = nullptr;
};

}  // namespace varve::stress

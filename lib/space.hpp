// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "directory/directory.hpp"
#include "varve/error.hpp"
#include "varve/statistics.hpp"

namespace varve::internal {

// What an index knows of the room on its medium, and the room that it keeps back.
//
//   the reserve   none --take()--> whole --give_up(Job)--> its last part --give_up(Log)--> none
//   a lack        none --ran_out()--> since then, with its reason --sufficed()--> none
//
// The reserve is a file that is of no use but for its blocks. It is taken once the runs have some
// size, and grows with them. When there is no room otherwise, merges that somebody asks for and
// flushes that erases wait for get it but for its last part; that is for the log file of erases,
// since without one there is no way on. While it is not whole, that is a lack by itself: what would
// use up its blocks for good is refused.
// Thread-safety: any thread. Takes no other lock of ours.
class Space {
 public:
  using Clock = std::chrono::steady_clock;
  // What there was no room for. Each lack ends on its own.
  enum class Use : std::uint8_t { Job, Log, Reserve };

  // `reserve_size_max` 0: no reserve.
  Space(directory::Directory& directory, std::uint64_t reserve_size_max) noexcept
      : directory_(directory), reserve_size_max_(reserve_size_max) {}

  // An open found a reserve of that size.
  void adopt(std::uint64_t size) noexcept;
  // Takes the reserve that belongs to runs of that size, or more of it. That there is no room shows
  // as a lack. Errors: Io, Corruption (something else has its name).
  void take(std::uint64_t runs_size);
  // Gives the blocks that are for this use, Job or Log, back to the medium; a lack of the reserve
  // begins. False: there were none. Errors: Io.
  bool give_up(Use use);
  [[nodiscard]] bool reserves_for(Use use) const noexcept {
    return reserve_size_.load(std::memory_order_relaxed) >
           (use == Use::Job ? last_part_.load(std::memory_order_relaxed) : 0);
  }
  // What an index with runs of that size keeps back, at most `size_max`.
  [[nodiscard]] static std::uint64_t reserve_size_for(std::uint64_t runs_size,
                                                      std::uint64_t size_max) noexcept;

  [[nodiscard]] bool is_short() const noexcept {
    return lacking_.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] bool lacks(Use use) const noexcept {
    return (lacking_.load(std::memory_order_relaxed) & bit(use)) != 0;
  }
  // Whether so many bytes are free, or nobody knows. For what need not be done.
  [[nodiscard]] bool has_room_for(std::uint64_t size) const noexcept {
    return free_size().value_or(UINT64_MAX) >= size;
  }
  void ran_out(Use use, const Error& error) noexcept;
  void sufficed(Use use) noexcept;
  // Whether what failed may be tried again: there is more room than then, or some time has passed,
  // more each time. True also where nobody knows how much room there is. Whoever is told so does
  // it: the next one is told to wait. Requires: a lack of it, or the answer is worth nothing.
  [[nodiscard]] bool worth_trying(Use use) noexcept;
  [[noreturn]] void refuse() const;  // Throws NoSpace, with since when and why. Requires: is_short.
  void describe(SpaceStatistics& to) const;

 private:
  struct Lack {
    std::optional<Error> error;  // Empty: none.
    Clock::time_point since, next_try;
    Clock::duration pause{};
    std::uint64_t free_size = 0;  // At the last try.
  };
  static constexpr std::size_t kUseCount = 3;

  [[nodiscard]] static std::uint32_t bit(Use use) noexcept {
    return std::uint32_t{1} << static_cast<unsigned>(use);
  }
  [[nodiscard]] Lack& lack(Use use) noexcept { return lacks_[static_cast<std::size_t>(use)]; }
  [[nodiscard]] const Lack* oldest_lack() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> free_size() const noexcept;
  void begin(Use use, const Error& error) noexcept;
  void end(Use use) noexcept;

  directory::Directory& directory_;
  const std::uint64_t reserve_size_max_;
  mutable std::mutex mutex_;                     // Innermost.
  std::array<Lack, kUseCount> lacks_;            // Guarded by mutex_.
  std::uint64_t lack_count_ = 0;                 // Guarded by mutex_. Since open.
  std::atomic<std::uint32_t> lacking_ = 0;       // By bit(). Written under mutex_.
  std::atomic<std::uint64_t> last_part_ = 0;     // Of the reserve. Written under mutex_.
  std::atomic<std::uint64_t> reserve_size_ = 0;  // Held. Written under mutex_.
};

}  // namespace varve::internal

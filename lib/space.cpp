// SPDX-License-Identifier: Apache-2.0
#include "lib/space.hpp"

#include <algorithm>
#include <bit>
#include <exception>
#include <string>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/file_names.hpp"

namespace varve::internal {
namespace {

// The reserve is at most this part of the runs, and none where it would be too small to be of use.
constexpr std::uint64_t kReservePart = 8;
constexpr std::uint64_t kReserveSizeMin = std::uint64_t{64} << 10;
constexpr std::uint64_t kLastPart = 4;  // A quarter of it.
// So much more room is a reason to try again.
constexpr std::uint64_t kNotableSize = std::uint64_t{64} << 10;
constexpr auto kPauseMin = std::chrono::seconds(1);
constexpr auto kPauseMax = std::chrono::seconds(30);

}  // namespace

// Powers of two: the file grows a few times in all.
std::uint64_t Space::reserve_size_for(std::uint64_t runs_size, std::uint64_t size_max) noexcept {
  const std::uint64_t size = std::min(size_max, std::bit_floor(runs_size / kReservePart));
  return size < kReserveSizeMin ? 0 : size;
}

void Space::adopt(std::uint64_t size) noexcept {
  last_part_.store(size / kLastPart, std::memory_order_relaxed);
  reserve_size_.store(size, std::memory_order_relaxed);
}

void Space::take(std::uint64_t runs_size) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t held = reserve_size_.load(std::memory_order_relaxed);
  const std::uint64_t wanted = reserve_size_for(runs_size, reserve_size_max_);
  if (wanted <= held) {
    end(Use::Reserve);
    return;
  }
  try {
    if (!directory_.reserve(kReserveName, wanted)) return;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;
    // One that is only to grow is still what it was.
    if (held == 0 || lacks(Use::Reserve)) begin(Use::Reserve, error);
    return;
  }
  last_part_.store(wanted / kLastPart, std::memory_order_relaxed);
  reserve_size_.store(wanted, std::memory_order_relaxed);
  end(Use::Reserve);
}

bool Space::give_up(Use use) {
  const std::lock_guard lock(mutex_);
  if (!reserves_for(use)) return false;
  const bool keeps_part = use == Use::Job && !VARVE_MUTANT("reserve.last_part_given_up");
  const std::uint64_t left = keeps_part ? last_part_.load(std::memory_order_relaxed) : 0;
  if (left == 0) {
    directory_.remove(kReserveName);
  } else {
    directory_.reserve(kReserveName, left);
  }
  reserve_size_.store(left, std::memory_order_relaxed);
  begin(Use::Reserve,
        Error(ErrorCode::NoSpace,
              "the medium is full, and what was kept back is in use for erases and merges",
              directory_.path() / kReserveName));
  return true;
}

std::optional<std::uint64_t> Space::free_size() const noexcept {
  try {
    return directory_.free_size();
  } catch (const std::exception&) {
    return std::nullopt;  // As where the medium does not tell.
  }
}

// Requires: mutex_ is held, as for end().
void Space::begin(Use use, const Error& error) noexcept {
  Lack& lack = this->lack(use);
  const Clock::time_point now = Clock::now();
  if (!lack.error) {
    lack.since = now;
    lack.pause = kPauseMin;
    lack.next_try = now + lack.pause;
    if (!is_short()) ++lack_count_;
  }
  lack.error = error;
  lack.free_size = free_size().value_or(0);
  lacking_.fetch_or(bit(use), std::memory_order_relaxed);
}

void Space::end(Use use) noexcept {
  lack(use).error.reset();
  lacking_.fetch_and(~bit(use), std::memory_order_relaxed);
}

void Space::ran_out(Use use, const Error& error) noexcept {
  const std::lock_guard lock(mutex_);
  begin(use, error);
}

void Space::sufficed(Use use) noexcept {
  if (!lacks(use)) return;
  const std::lock_guard lock(mutex_);
  end(use);
}

bool Space::worth_trying(Use use) noexcept {
  const std::lock_guard lock(mutex_);
  Lack& lack = this->lack(use);
  const auto free = free_size();
  const Clock::time_point now = Clock::now();
  if (free && *free < lack.free_size + kNotableSize && now < lack.next_try) return false;
  if (now >= lack.next_try) lack.pause = std::min<Clock::duration>(2 * lack.pause, kPauseMax);
  lack.next_try = now + lack.pause;
  lack.free_size = free.value_or(0);
  return true;
}

// Requires: mutex_ is held.
const Space::Lack* Space::oldest_lack() const noexcept {
  const Lack* oldest = nullptr;
  for (const Lack& lack : lacks_) {
    if (lack.error && (oldest == nullptr || lack.since < oldest->since)) oldest = &lack;
  }
  return oldest;
}

void Space::refuse() const {
  const std::lock_guard lock(mutex_);
  const Lack* const lack = oldest_lack();
  if (lack == nullptr) {  // It has ended since the caller looked.
    throw Error(ErrorCode::NoSpace, "there was no space on the medium: try again",
                directory_.path());
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - lack->since);
  throw Error(ErrorCode::NoSpace,
              "no space for " + std::to_string(seconds.count()) + " s (" + lack->error->what() +
                  "): free some, or erase and compact; writes go on by themselves then",
              lack->error->path(), lack->error->system());
}

void Space::describe(SpaceStatistics& to) const {
  const std::lock_guard lock(mutex_);
  to.reserve_size = reserve_size_.load(std::memory_order_relaxed);
  to.shortage_count = lack_count_;
  const Lack* const lack = oldest_lack();
  to.is_short = lack != nullptr;
  if (lack == nullptr) return;
  to.short_microseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - lack->since).count());
  to.shortage = lack->error->what();
}

}  // namespace varve::internal

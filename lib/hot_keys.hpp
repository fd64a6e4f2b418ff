// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "segment/entry.hpp"
#include "varve/concurrent/access_tracker.hpp"
#include "varve/concurrent/epoch.hpp"
#include "varve/concurrent/thread_counters.hpp"
#include "varve/statistics.hpp"

namespace varve::internal {

// The hot path: a bounded cache of the values of the keys that are read most, in front of the
// segments. For those a get touches two or three cache lines instead of ten.
//
//   slots_   sets of four {hash, entry}, one cache line     entry   at, key, value: one allocation
//
// Validity. A get loads the published sequence, then finds its segment, then loads the segment's
// last_write(). An entry that it makes has that sequence as its `at`, and answers every get that
// finds last_write() at or below it. Segment::last_write() moves before a write becomes visible,
// and a segment that takes another one's place begins with its predecessor's: so whatever the later
// get may see above `at` has moved it, and what it may see up to `at` the entry's get has seen;
// also where that get has read in a segment that was replaced meanwhile, since writes to the
// successors are above its `at`.
//
// What goes in. A sample of the reads is recorded in an access tracker; a key that it finds warm
// is let in, and takes the place of the one of its set that is used least. A stale entry is
// replaced by the read that finds it so if it was of use since it was put in, else by the sample.
//
// When it is on. Off, a read pays for the sample alone. The sample also says what the cache would
// be worth: it goes on when the tracker knows enough of the keys in it, and off, giving its memory
// back, when too few of the reads of a window found a valid entry; the next attempt then waits
// twice as long as the one before.
//
// Thread-safety: any thread, without locks; find(), regard() and let_in() by pinned threads
// (EpochDomain), and none may be left when it is destroyed. Memory: at most the size it is given,
// but for what waits for readers; that much is counted, too. Errors: none; without memory nothing
// is let in.
class HotKeys {
 public:
  // One read of so many is regarded.
  static constexpr std::uint32_t kSampleBits = 5;
  // Reads after which the worth of the cache is judged.
  static constexpr std::uint64_t kWindowSize = std::uint64_t{1} << 17;

  // `memory_size`: bytes of everything; 0: never on.
  explicit HotKeys(std::size_t memory_size);
  HotKeys(const HotKeys&) = delete;
  HotKeys& operator=(const HotKeys&) = delete;
  ~HotKeys();

  [[nodiscard]] bool possible() const noexcept { return tracker_ != nullptr; }
  [[nodiscard]] bool on() const noexcept { return on_.load(std::memory_order_acquire); }

  // Refresh: there is a stale entry that has been of use; let_in() the answer in its place.
  enum class Look : std::uint8_t { Miss, Hit, Refresh };
  // Copies the key's value to `value` if there is a valid entry. Requires: `last_write` was loaded
  // as is said above.
  Look find(std::string_view key, std::uint64_t hash, segment::Sequence last_write,
            std::string& value) noexcept;

  // Whether a get is one of the sample. `random`: of concurrent::thread_random().
  [[nodiscard]] bool samples(std::uint64_t random) const noexcept {
    return (random & sample_mask_) == 0;
  }
  // Regards a get of the sample. True: the key may be let in.
  bool regard(std::uint64_t hash) noexcept;
  // Makes an entry of what the segments said: `at` and `last_write` as is said above.
  void let_in(std::string_view key, std::uint64_t hash, const segment::FoundEntry& found,
              segment::Sequence at, segment::Sequence last_write) noexcept;

  [[nodiscard]] HotKeyStatistics statistics() const noexcept;

 private:
  struct Entry;
  struct Slot {
    std::atomic<std::uint64_t> hash{0};  // A hint: the entry's own decides.
    std::atomic<Entry*> entry{nullptr};
  };
  static constexpr std::size_t kSetSize = 4;
  struct alignas(64) Set {
    Slot slots[kSetSize];
  };
  static constexpr std::size_t kHits = 0, kMisses = 1, kStale = 2, kCountCount = 3;

  [[nodiscard]] Set& set_of(std::uint64_t hash) const noexcept {
    return sets_[(hash >> 32) & set_mask_];
  }
  [[nodiscard]] std::size_t slots_size() const noexcept { return (set_mask_ + 1) * sizeof(Set); }
  [[nodiscard]] std::size_t room() const noexcept;  // Bytes for entries.
  [[nodiscard]] Slot* place_for(Set& set, std::string_view key, std::uint64_t hash,
                                bool takes_free) const noexcept;
  void put(Slot& slot, Entry* fresh, std::uint64_t hash) noexcept;
  void judge() noexcept;
  void switch_on() noexcept;
  void switch_off() noexcept;

  const std::size_t memory_size_;
  const bool eager_;  // For tests: see hooks::eager_hot_path.
  const std::uint64_t sample_mask_;
  std::size_t set_mask_ = 0;
  std::unique_ptr<concurrent::AccessTracker> tracker_;
  std::unique_ptr<Set[]> sets_;
  std::atomic<bool> on_ = false;
  std::atomic<std::size_t> entries_size_ = 0;  // Bytes, those that wait for readers included.
  std::atomic<std::uint64_t> entry_count_ = 0;

  concurrent::ThreadCounters<kCountCount> counters_;
  // Of the window. Who adds the last of its samples judges it.
  std::atomic<std::uint64_t> sample_count_ = 0;
  std::atomic<std::uint64_t> warm_count_ = 0;
  std::atomic<bool> judging_ = false;
  std::uint64_t hits_before_ = 0, looks_before_ = 0;  // The judge's.
  // Likewise. Windows to let pass until the next attempt, and until this one is judged.
  std::uint32_t rest_ = 0, rest_size_ = 0, grace_ = 0;
  std::atomic<std::uint64_t> switched_on_count_ = 0, switched_off_count_ = 0;

  concurrent::EpochDomain domain_;  // Destroyed first of all: it frees entries, which are counted.
};

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "varve/concurrent/thread_number.hpp"

namespace varve::concurrent {

// How often and how lately a key is used.
enum class Temperature : std::uint8_t { Cold, Warm, Hot };

struct AccessTrackerOptions {
  // Bytes, rounded down: sketch and table are powers of two of cache lines, at least one each.
  std::size_t memory_size = std::size_t{64} << 10;
  // All counts halve after so many recordings, rounded up to a power of two, at least 64. 0: about
  // a quarter of the number of counters, so that a stream of keys that never come back stays below
  // `warm_count` (it gives each counter about 2).
  std::uint64_t decay_interval = 0;
  std::uint32_t warm_count = 4;
  std::uint32_t hot_count = 8;  // At most 255.
  // record() regards one call in 2^sample_bits, by chance, at 2 ns for the others. All figures are
  // about regarded recordings. 0: every one, and then one thread's recordings have one result.
  std::uint32_t sample_bits = 0;
};

// Estimates the frequency and recency of keys, by their 64-bit hashes, in bounded memory.
//
//   sketch   blocks of one cache line; a key has 4 counters of one byte in its block, of which
//            the least counts (a count-min sketch; only the least ones are incremented)
//   table    sets of 4 candidates {hash, when, count}: keys that the sketch found warm
//
// A key is Warm from `warm_count` on, and Hot from `hot_count` on if it is also in the table and
// was recorded within the last decay interval; else Cold. A key that has the share p of all
// recordings has a count between p and 2 p decay intervals.
//
// Decay: after each interval the age goes up by one, and a block whose age is behind is halved at
// its next recording: no pause, no clock.
// Thread-safety: all methods, any thread; relaxed atomics only. Not promised: exact counts. Other
// keys of a block can raise a count (never beyond what was recorded in the block), and threads
// that record into one block at once can lose increments or, rarely, a halving.
// Cost: record() is one or two cache lines and no locked instruction, except once in 64 calls.
class AccessTracker {
 public:
  explicit AccessTracker(const AccessTrackerOptions& options = {})
      : line_count_(std::max<std::size_t>(options.memory_size / kLineSize, 2)),
        block_mask_(std::bit_floor(std::max<std::size_t>(line_count_ / 4 * 3, 1)) - 1),
        set_mask_(std::bit_floor(std::max<std::size_t>(line_count_ / 4, 1)) - 1),
        decay_bits_(bits_of(options.decay_interval != 0 ? options.decay_interval
                                                        : (block_mask_ + 1) * kCounterCount / 4)),
        warm_count_(options.warm_count),
        hot_count_(std::min(options.hot_count, kCountMax)),
        sample_bits_(std::min<std::uint32_t>(options.sample_bits, 32)),
        blocks_(std::make_unique<Block[]>(block_mask_ + 1)),
        sets_(std::make_unique<Set[]>(set_mask_ + 1)) {}

  void record(std::uint64_t hash) noexcept {
    if (sample_bits_ != 0 && thread_random() >> (64 - sample_bits_) != 0) return;
    const std::uint64_t mixed = mix(hash);
    Block& block = blocks_[mixed & block_mask_];
    catch_up(block);
    const std::uint32_t count = increment(block, mixed);
    if (count >= warm_count_) note_candidate(hash, mixed, count);
    tick();
  }

  // An estimate, at most 255: how often the key was recorded, halved at each age since.
  [[nodiscard]] std::uint32_t frequency(std::uint64_t hash) const noexcept {
    const std::uint64_t mixed = mix(hash);
    const Block& block = blocks_[mixed & block_mask_];
    std::uint32_t least = kCountMax;
    for (std::uint32_t row = 0; row < kRowCount; ++row) {
      least = std::min(least, count_at(block, counter_of(mixed, row)));
    }
    const std::uint64_t behind = age() - block.age.load(std::memory_order_relaxed);
    return behind >= kCountBits ? 0 : least >> behind;
  }

  // How many recordings, of all keys, ago this one was recorded last, to within a few hundred;
  // nullopt: it is no candidate.
  [[nodiscard]] std::optional<std::uint64_t> recency(std::uint64_t hash) const noexcept {
    const Set& set = sets_[set_of(mix(hash))];
    for (const Candidate& candidate : set.candidates) {
      const std::uint64_t note = candidate.note.load(std::memory_order_relaxed);
      if (note != 0 && candidate.hash.load(std::memory_order_relaxed) == hash) {
        return since(note);
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] Temperature classify(std::uint64_t hash) const noexcept {
    const std::uint32_t count = frequency(hash);
    if (count < warm_count_) return Temperature::Cold;
    if (count < hot_count_) return Temperature::Warm;
    const std::optional<std::uint64_t> last = recency(hash);
    return last && *last <= decay_interval() ? Temperature::Hot : Temperature::Warm;
  }

  // Calls visitor(hash) for the candidates that are Hot now. O(memory).
  template <class Visitor>
  void for_each_hot(Visitor&& visitor) const {
    for (std::size_t i = 0; i <= set_mask_; ++i) {
      for (const Candidate& candidate : sets_[i].candidates) {
        if (candidate.note.load(std::memory_order_relaxed) == 0) continue;
        const std::uint64_t hash = candidate.hash.load(std::memory_order_relaxed);
        if (classify(hash) == Temperature::Hot) visitor(hash);
      }
    }
  }

  // How often all counts were halved.
  [[nodiscard]] std::uint64_t age() const noexcept { return age_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t decay_interval() const noexcept {
    return std::uint64_t{1} << decay_bits_;
  }
  // Bytes allocated: at most what the options said, or two lines.
  [[nodiscard]] std::size_t memory_size() const noexcept {
    return (block_mask_ + 1) * sizeof(Block) + (set_mask_ + 1) * sizeof(Set);
  }

 private:
  static constexpr std::size_t kLineSize = 64;
  static constexpr std::uint32_t kCountMax = 255;
  static constexpr std::uint32_t kCountBits = 8;
  static constexpr std::uint32_t kRowCount = 4;
  static constexpr std::uint32_t kWordCount = 7;
  static constexpr std::uint32_t kCounterCount = kWordCount * 8;
  static constexpr std::uint32_t kCountersPerRow = kCounterCount / kRowCount;
  static constexpr std::uint32_t kShardCount = 8;
  // A shard hands its recordings on in portions of this size.
  static constexpr std::uint32_t kTickCount = 64;

  struct alignas(kLineSize) Block {
    std::array<std::atomic<std::uint64_t>, kWordCount> words{};  // 8 counters each.
    std::atomic<std::uint64_t> age{0};
  };
  struct Candidate {
    std::atomic<std::uint64_t> hash{0};
    std::atomic<std::uint64_t> note{0};  // Recording number << 8 | count; 0: empty.
  };
  struct alignas(kLineSize) Set {
    std::array<Candidate, 4> candidates{};
  };
  struct alignas(kLineSize) Shard {
    std::atomic<std::uint32_t> count{0};
  };

  [[nodiscard]] static std::uint32_t bits_of(std::uint64_t interval) noexcept {
    constexpr std::uint64_t kMax = std::uint64_t{1} << 48;
    return static_cast<std::uint32_t>(
        std::bit_width(std::clamp<std::uint64_t>(interval, kTickCount, kMax) - 1));
  }
  [[nodiscard]] static std::uint64_t mix(std::uint64_t hash) noexcept {
    hash = (hash ^ hash >> 32) * 0x9fb21c651e98df25;
    return hash ^ hash >> 29;
  }
  // Fourteen bits for each row, from the top; the block is chosen from the bottom.
  [[nodiscard]] static std::uint32_t counter_of(std::uint64_t mixed, std::uint32_t row) noexcept {
    const auto bits = static_cast<std::uint32_t>(mixed >> (50 - 10 * row) & 0x3fff);
    return row * kCountersPerRow + (bits * kCountersPerRow >> 14);
  }
  [[nodiscard]] std::size_t set_of(std::uint64_t mixed) const noexcept {
    return static_cast<std::size_t>(mixed * 0x9e3779b97f4a7c15 >> 32) & set_mask_;
  }
  [[nodiscard]] static std::uint32_t count_at(const Block& block, std::uint32_t counter) noexcept {
    return static_cast<std::uint32_t>(
        block.words[counter / 8].load(std::memory_order_relaxed) >> (counter % 8 * 8) & 0xff);
  }

  // Increments those of the key's counters that are least; returns the new count. Which ones these
  // are is as good as random, so nothing branches on it.
  static std::uint32_t increment(Block& block, std::uint64_t mixed) noexcept {
    std::array<std::uint32_t, kRowCount> counters{};
    std::uint32_t least = kCountMax;
    for (std::uint32_t row = 0; row < kRowCount; ++row) {
      counters[row] = counter_of(mixed, row);
      least = std::min(least, count_at(block, counters[row]));
    }
    if (least == kCountMax) return least;
    for (const std::uint32_t counter : counters) {
      std::atomic<std::uint64_t>& word = block.words[counter / 8];
      const std::uint32_t shift = counter % 8 * 8;
      // Loaded again, since rows may share a word. The count is below 255: nothing is carried.
      const std::uint64_t value = word.load(std::memory_order_relaxed);
      const std::uint64_t one = (value >> shift & 0xff) == least ? 1 : 0;
      word.store(value + (one << shift), std::memory_order_relaxed);
    }
    return least + 1;
  }

  void catch_up(Block& block) noexcept {
    const std::uint64_t now = age();
    std::uint64_t then = block.age.load(std::memory_order_relaxed);
    if (then >= now || !block.age.compare_exchange_strong(then, now, std::memory_order_relaxed)) {
      return;
    }
    const std::uint64_t behind = std::min<std::uint64_t>(now - then, kCountBits);
    const std::uint64_t kept = (std::uint64_t{0xff} >> behind) * 0x0101010101010101;
    for (std::atomic<std::uint64_t>& word : block.words) {
      word.store(word.load(std::memory_order_relaxed) >> behind & kept, std::memory_order_relaxed);
    }
  }

  void note_candidate(std::uint64_t hash, std::uint64_t mixed, std::uint32_t count) noexcept {
    const std::uint64_t note = (recorded_.load(std::memory_order_relaxed) + 1) << 8 | count;
    Set& set = sets_[set_of(mixed)];
    for (Candidate& candidate : set.candidates) {
      if (candidate.hash.load(std::memory_order_relaxed) != hash) continue;
      const std::uint64_t old = candidate.note.load(std::memory_order_relaxed);
      if (old == 0) continue;
      // Once a tick is enough, and leaves the line to the other threads that use the key.
      if (old >> 8 != note >> 8) candidate.note.store(note, std::memory_order_relaxed);
      return;
    }
    Candidate* victim = nullptr;
    std::uint32_t victim_count = count;
    for (Candidate& candidate : set.candidates) {
      const std::uint32_t now = count_now(candidate.note.load(std::memory_order_relaxed));
      if (now >= victim_count) continue;
      victim = &candidate;
      victim_count = now;
    }
    // Every candidate is at least as good: the key comes again when it is better.
    if (victim == nullptr) return;
    victim->hash.store(hash, std::memory_order_relaxed);
    victim->note.store(note, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t since(std::uint64_t note) const noexcept {
    const std::uint64_t then = note >> 8, now = recorded_.load(std::memory_order_relaxed) + 1;
    return now > then ? now - then : 0;
  }
  // A candidate's count as it has decayed since it was noted; an empty one's is 0.
  [[nodiscard]] std::uint32_t count_now(std::uint64_t note) const noexcept {
    const std::uint64_t ages = since(note) >> decay_bits_;
    return ages >= kCountBits ? 0 : static_cast<std::uint32_t>(note & 0xff) >> ages;
  }

  void tick() noexcept {
    std::atomic<std::uint32_t>& shard = shards_[thread_number() % kShardCount].count;
    // Threads of one shard may lose a count: decay is then late by it.
    const std::uint32_t count = shard.load(std::memory_order_relaxed) + 1;
    if (count < kTickCount) {
      shard.store(count, std::memory_order_relaxed);
      return;
    }
    shard.store(0, std::memory_order_relaxed);
    const std::uint64_t before = recorded_.fetch_add(kTickCount, std::memory_order_relaxed);
    if (before >> decay_bits_ != (before + kTickCount) >> decay_bits_) {
      age_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  const std::size_t line_count_;
  const std::size_t block_mask_;
  const std::size_t set_mask_;
  const std::uint32_t decay_bits_;
  const std::uint32_t warm_count_;
  const std::uint32_t hot_count_;
  const std::uint32_t sample_bits_;
  const std::unique_ptr<Block[]> blocks_;
  const std::unique_ptr<Set[]> sets_;
  // Lines of their own: the age is read by every recording and written rarely.
  alignas(kLineSize) std::atomic<std::uint64_t> age_{0};
  alignas(kLineSize) std::atomic<std::uint64_t> recorded_{0};
  std::array<Shard, kShardCount> shards_;
};

}  // namespace varve::concurrent

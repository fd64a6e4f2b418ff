// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "segment/view.hpp"
#include "varve/concurrent/latency_histogram.hpp"
#include "varve/concurrent/thread_counters.hpp"
#include "varve/statistics.hpp"

namespace varve::internal {

// Kinds of calls that are counted and timed.
enum class CallKind : std::uint8_t {
  Get,
  Put,
  Erase,
  MultiGet,
  Batch,
  EraseRange,
  Scan,
  Sync,
  Flush,
  Compact
};

// Counts and times the calls on one index, the same in all access modes: SegmentIndex passes
// each through record_call(). Counts are additions to the thread's own shard. Latencies are
// sampled: of about every 64th call of a thread, of longer calls more often, of rare ones always.
// Thread-safety: any thread.
class CallRecorder {
 public:
  // What a call did besides ending well.
  enum class Amount : std::uint8_t {
    UserBytes,       // Keys and values written.
    GetHits,         // Gets that found their key.
    MultiGetKeys,    // Asked for.
    MultiGetHits,    // Of these, found.
    BatchPuts,       // Operations of batches.
    BatchErases,     // Range erases included.
    ScannedEntries,  // Given to cursors.
    EndedScans       // Whose cursors are destroyed.
  };

  void add(Amount amount, std::uint64_t count) noexcept {
    counters_.mine().add(index_of(amount), count);
  }
  // A cursor is destroyed that has given so many entries.
  void scan_ended(std::uint64_t entry_count) noexcept {
    auto& shard = counters_.mine();
    shard.add(index_of(Amount::ScannedEntries), entry_count);
    shard.add(index_of(Amount::EndedScans), 1);
  }
  void add_filter_tally(const segment::FilterTally& tally) noexcept;
  // Fills in what `figures` says of calls.
  void describe(Statistics& figures) const;

 private:
  template <CallKind>
  friend class SkippedCall;
  template <CallKind>
  friend class TimedCall;
  template <CallKind kKind, typename Work, typename... Arguments>
  friend auto record_call(CallRecorder& recorder, Work work, Arguments... arguments);
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kKindCount = 10, kAmountCount = 8;
  static constexpr std::size_t kFilterProbes = 2 * kKindCount + kAmountCount,
                               kFilterNegatives = kFilterProbes + 1,
                               kFilterFalsePositives = kFilterProbes + 2,
                               kCounterCount = kFilterProbes + 3;
  using Counters = concurrent::ThreadCounters<kCounterCount>;

  // What single gets and writes count lies in the shard's first cache line.
  [[nodiscard]] static constexpr std::size_t success_of(CallKind kind) noexcept {
    const auto i = static_cast<std::size_t>(kind);
    return i < 3 ? i : i + 2;
  }
  [[nodiscard]] static constexpr std::size_t index_of(Amount amount) noexcept {
    const auto i = static_cast<std::size_t>(amount);
    return i < 2 ? 3 + i : kKindCount + i;
  }
  [[nodiscard]] static constexpr std::size_t failure_of(CallKind kind) noexcept {
    return kKindCount + kAmountCount + static_cast<std::size_t>(kind);
  }
  // Of 64 calls, how many are timed; 64: all.
  [[nodiscard]] static constexpr std::int32_t weight_of(CallKind kind) noexcept {
    if (kind <= CallKind::Erase) return 1;
    return kind <= CallKind::Scan ? 4 : 64;
  }

  [[nodiscard]] concurrent::OperationSnapshot snapshot(CallKind kind) const;

  Counters counters_;
  std::array<concurrent::LatencyHistogram, kKindCount> latencies_;
};

// A call that is counted and not timed, by a thread with a shard of its own: nearly every get and
// put. From its construction to succeeded(), or else to its destruction: then the call has thrown.
template <CallKind kKind>
class SkippedCall {
 public:
  using Amount = CallRecorder::Amount;
  explicit SkippedCall(CallRecorder::Counters::Shard& shard) noexcept : shard_(shard) {}
  SkippedCall(const SkippedCall&) = delete;
  SkippedCall& operator=(const SkippedCall&) = delete;
  // Inlined also where a call throws: an object whose address nobody takes stays in registers.
  [[gnu::always_inline]] ~SkippedCall() {
    if (!succeeded_) shard_.add_alone(CallRecorder::failure_of(kKind));
  }
  void add(Amount amount, std::uint64_t count) noexcept {
    shard_.add_alone(CallRecorder::index_of(amount), count);
  }
  void succeeded() noexcept {
    succeeded_ = true;
    shard_.add_alone(CallRecorder::success_of(kKind));
  }
  void succeeded(bool found) noexcept {  // Of a get, which counts as one or the other.
    succeeded_ = true;
    shard_.add_alone(found ? CallRecorder::index_of(Amount::GetHits)
                           : CallRecorder::success_of(kKind));
  }
  [[nodiscard]] static constexpr bool deserves_a_closer_look() noexcept { return false; }

 private:
  CallRecorder::Counters::Shard& shard_;
  bool succeeded_ = false;
};

// Any other call.
template <CallKind kKind>
class TimedCall {
 public:
  using Amount = CallRecorder::Amount;
  explicit TimedCall(CallRecorder& recorder) noexcept
      : recorder_(recorder), shard_(recorder.counters_.mine()) {
    constexpr std::int32_t kWeight = CallRecorder::weight_of(kKind);
    is_timed_ = kWeight >= 64 || shard_.draw_sample(kWeight);
    if (is_timed_) begin_ = Clock::now();
  }
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;
  ~TimedCall() {
    if (!succeeded_) end(CallRecorder::failure_of(kKind));
  }
  void add(Amount amount, std::uint64_t count) noexcept {
    shard_.add(CallRecorder::index_of(amount), count);
  }
  void succeeded() noexcept {
    succeeded_ = true;
    end(CallRecorder::success_of(kKind));
  }
  void succeeded(bool found) noexcept {
    succeeded_ = true;
    end(found ? CallRecorder::index_of(Amount::GetHits) : CallRecorder::success_of(kKind));
  }
  // Of about one call in 1,000 by chance: it may cost as much again for a closer look.
  [[nodiscard]] bool deserves_a_closer_look() const noexcept {
    return is_timed_ && concurrent::thread_random() >> 60 == 0;
  }

 private:
  using Clock = CallRecorder::Clock;
  void end(std::size_t counter) noexcept {
    shard_.add(counter);
    if (!is_timed_) return;
    recorder_.latencies_[static_cast<std::size_t>(kKind)].record(Clock::now() - begin_);
  }

  CallRecorder& recorder_;
  CallRecorder::Counters::Shard& shard_;
  bool is_timed_ = false, succeeded_ = false;
  Clock::time_point begin_;
};

template <CallKind kKind, typename Work, typename... Arguments>
[[gnu::noinline]] auto record_timed_call(CallRecorder& recorder, Arguments... arguments) {
  TimedCall<kKind> call(recorder);
  return Work()(call, arguments...);
}

// Does work(call, arguments...), which ends with call.succeeded() unless it throws, and records it.
// `work` captures nothing, and the arguments fit into registers, so that the common case stays in
// them: it costs about twenty instructions.
template <CallKind kKind, typename Work, typename... Arguments>
auto record_call(CallRecorder& recorder, Work work, Arguments... arguments) {
  constexpr std::int32_t kWeight = CallRecorder::weight_of(kKind);
  if constexpr (kWeight < 64) {
    CallRecorder::Counters::Shard& shard = recorder.counters_.mine();
    if (shard.skips_sample(kWeight)) [[likely]] {
      SkippedCall<kKind> call(shard);
      return work(call, arguments...);
    }
  }
  return record_timed_call<kKind, Work>(recorder, arguments...);
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "segment/delta.hpp"
#include "segment/entry.hpp"
#include "segment/read_debt.hpp"
#include "segment/run.hpp"
#include "segment/run_record.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::segment {

// One run of a view.
struct RunLayer {
  RunRecord record;
  std::shared_ptr<const Run> run;
};

// What filters said, and whether it was true.
struct FilterTally {
  std::uint64_t probe_count = 0, negative_count = 0, false_positive_count = 0;
};

// What readers of a segment see: its deltas and runs, newest first, as of one publication. The set
// is immutable; only the active delta grows, by the segment's writer.
//
//   active -> frozen[0..] -> runs[0..] (delta runs, then the main run as the last one)
//
// Lifetime: counted. The segment holds one reference to its current view; whoever keeps a view for
// longer than a call (a cursor, a job) holds its own. A view that was replaced can be handed to an
// EpochDomain, which then holds the segment's reference.
// Thread-safety: all const; acquire() and release() from any thread.
class View : public concurrent::EpochDomain::Retired {
 public:
  std::shared_ptr<Delta> active;
  std::vector<std::shared_ptr<const Delta>> frozen;
  std::vector<RunLayer> runs;
  std::vector<RangeTombstone> range_tombstones;  // Ascending sequence.

  // Null without a main run.
  [[nodiscard]] const RunLayer* main_run() const noexcept {
    return !runs.empty() && runs.back().record.kind == RunRecord::Kind::Main ? &runs.back()
                                                                             : nullptr;
  }
  [[nodiscard]] std::size_t slice_count() const noexcept {
    return runs.size() - (main_run() != nullptr ? 1 : 0);
  }
  [[nodiscard]] std::size_t memory_size() const noexcept;  // Bytes of the deltas.
  [[nodiscard]] bool has_memory() const noexcept;          // Any delta holds an entry.
  // The lowest sequence that is only in memory; kSequenceMax when none is.
  [[nodiscard]] Sequence oldest_memory_sequence() const noexcept;
  [[nodiscard]] std::uint64_t slices_size() const noexcept;  // Bytes of the delta runs.
  [[nodiscard]] std::uint64_t main_size() const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept;  // All of these together.

  // The sequence of the newest range tombstone at or below `at` that covers `key`; 0: none.
  [[nodiscard]] Sequence range_erased_at(std::string_view key, Sequence at) const noexcept {
    return range_tombstones.empty() ? 0 : range_erased_at_slow(key, at);
  }
  // The answer for `key` as of `at`: found only when it is a live value. `hash` =
  // directory::hash64(key). The value lies in the view or in `scratch`.
  [[nodiscard]] FoundEntry find(std::string_view key, std::uint64_t hash, Sequence at,
                                std::string& scratch) const;

  // The steps of find(), for callers that search for several keys at once (see find_together): each
  // asks for the memory that the next one needs.
  struct Search {
    const delta_detail::Leaf* leaf = nullptr;  // Of the active delta, if that may have the key.
    std::size_t last_leaf = 0;  // Of the sparse index of the last run, which has most keys.
    std::size_t run = 0;        // The first whose filter has the key; runs.size(): none.
    std::size_t block = 0;      // In it.
  };
  void begin_search(Search& search, std::string_view key, std::uint64_t hash) const noexcept;
  void choose_block(Search& search, std::string_view key, std::uint64_t hash) const noexcept;
  // Only where other keys are searched for meanwhile: it looks into the block twice.
  void prefetch_entry(const Search& search, std::string_view key) const noexcept;
  [[nodiscard]] FoundEntry end_search(const Search& search, std::string_view key,
                                      std::uint64_t hash, Sequence at, std::string& scratch) const;

  // Asks the filters of all runs for `key`, and looks into the runs of those that do not deny it.
  // Errors: Corruption, Io.
  [[nodiscard]] FilterTally tally_filters(std::string_view key, std::uint64_t hash,
                                          std::string& scratch) const;

  // What merging all of it costs, nanoseconds, about.
  [[nodiscard]] std::uint64_t merge_price() const noexcept;
  // A scan was in here, from a seek on, and was given so many entries; weight: of how many it is a
  // sample. True: see ReadDebt::add().
  bool note_scan(std::uint64_t entry_count, std::uint64_t weight) const noexcept;
  // Likewise `count` gets, of single keys or of several.
  bool note_gets(std::uint64_t count) const noexcept;
  // Whether reads ask for a merge of the runs into one, which pays for itself while they go on.
  //   - They have paid for the further runs what it costs, or the sixteenth of that if `idle`: it
  //     would be done by a thread that has nothing else to do.
  //   - And they will have paid all of its price by the time that writes, as fast as they were
  //     meanwhile, have brought as much as it takes away.
  // Ski rental (Karlin and others, 1988), as LevelDB counts the seeks of a table.
  [[nodiscard]] bool reads_want_merge(bool idle) const noexcept;

  void acquire() const noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  [[nodiscard]] Sequence range_erased_at_slow(std::string_view key, Sequence at) const noexcept;
  [[nodiscard]] std::size_t block_in(std::size_t run, const Search& search,
                                     std::string_view key) const noexcept;
  [[nodiscard]] std::size_t next_run(std::size_t from, std::uint64_t hash) const noexcept;
  mutable std::atomic<std::uint32_t> references_ = 1;
  mutable ReadDebt read_debt_;
};

// One of several keys that are searched for together, each in the view of its segment.
struct Lookup {
  const View* view = nullptr;
  std::string_view key;
  std::uint64_t hash = 0;  // directory::hash64(key).
  FoundEntry found;     // The answer, as View::find() gives it; it lies in the view or in scratch.
  std::string scratch;  // May be kept for the next call.
  View::Search search;
};
// Answers all of them as of `at`. The cache misses of one key are waited for while others are
// searched for; meant for groups of about eight.
// Errors: as View::find(); the first one ends the call.
void find_together(std::span<Lookup> lookups, Sequence at);

// The sequence that decides between a run's entry and a range tombstone: its own, or, where the
// run left it out, the run's last one (see RangeTombstone: a layer never straddles one unmerged).
[[nodiscard]] inline Sequence effective_sequence(Sequence own, const RunRecord& record) noexcept {
  return own != 0 ? own : record.last_sequence;
}

// A counted reference to a view.
class ViewRef {
 public:
  ViewRef() = default;
  explicit ViewRef(const View& view) noexcept : view_(&view) { view.acquire(); }
  ViewRef(ViewRef&& other) noexcept : view_(std::exchange(other.view_, nullptr)) {}
  ViewRef& operator=(ViewRef&& other) noexcept {
    std::swap(view_, other.view_);
    return *this;
  }
  ~ViewRef() {
    if (view_ != nullptr) view_->release();
  }
  [[nodiscard]] const View& operator*() const noexcept { return *view_; }
  [[nodiscard]] const View* operator->() const noexcept { return view_; }
  explicit operator bool() const noexcept { return view_ != nullptr; }

 private:
  const View* view_ = nullptr;
};

}  // namespace varve::segment

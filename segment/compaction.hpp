// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "segment/key_bytes.hpp"
#include "segment/merge.hpp"
#include "segment/view.hpp"
#include "varve/options.hpp"

namespace varve::segment {

// What a merge of a segment's layers must respect.
struct MergeRules {
  std::vector<Sequence> snapshots;  // Live ones, ascending.
  bool bottom = false;              // Nothing older lies below: tombstones need not be kept.
  const std::vector<RangeTombstone>* range_tombstones = nullptr;  // Ascending sequence; not null.
};

// The merged versions of some layers of one segment, without those that no reader can see any
// more. Keys ascending, versions newest first; sequences that no live snapshot needs are left out
// (0), so that a main run usually carries none.
//
// A version with sequence e is visible to readers at S in [e, ceiling), where ceiling is the next
// newer version of its key or the first range tombstone over it, whichever is lower. It is kept
// when that interval reaches to the present or contains a live snapshot.
// Lifetime: the layers outlive it. Thread-safety: one thread.
class PruningSource {
 public:
  // `deltas` and `runs` newest first, deltas before runs. Keys outside [lower, upper) are skipped;
  // an empty `upper` means no end.
  PruningSource(const std::vector<std::shared_ptr<const Delta>>& deltas,
                const std::vector<RunLayer>& runs, MergeRules rules, std::string_view lower,
                std::string_view upper);

  [[nodiscard]] bool valid() const noexcept { return at_ < group_.size(); }
  [[nodiscard]] const EntryView& entry() const noexcept { return group_[at_].entry; }
  // True for the first version of a key: a place where an output may be cut.
  [[nodiscard]] bool starts_key() const noexcept { return at_ == 0; }
  void next();

 private:
  struct Version {
    EntryView entry;
    Sequence effective = 0;
    Sequence ceiling = 0;  // kSequenceMax: visible today.
  };
  void load_newest();
  void load_group();
  void read_versions();
  void prune();
  [[nodiscard]] Sequence first_erasure_after(Sequence sequence) const noexcept;
  [[nodiscard]] bool seen_by_snapshot(Sequence from, Sequence to) const noexcept;
  [[nodiscard]] Sequence written_sequence(const Version& version) const noexcept;

  MergeRules rules_;
  std::string upper_;
  std::vector<Sequence> run_last_sequences_;  // By source; kSequenceMax for a delta.
  MergingSource source_;
  // Nothing but the newest version of each key is visible to anybody: no need to collect groups.
  bool newest_only_ = false;
  bool started_ = false;  // newest_only_: newest_key_ is set.
  SavedKey newest_key_;
  std::string key_;                  // Of the group.
  std::vector<std::string> values_;  // Copies, where the source's values do not last.
  std::vector<Version> group_;
  std::size_t at_ = 0;
};

// What maintenance should do with one segment next.
enum class MergeKind : std::uint8_t {
  None,
  Tier,  // Merge `count` delta runs from `first` on into one of the next tier.
  Main,  // Merge everything, memory included, into new main runs.
};
struct MergePlan {
  MergeKind kind = MergeKind::None;
  std::size_t first = 0, count = 0;
};

// Lazy levelling (docs/adr/0001): Main once the deltas reach `ratio` of the main run or the
// runs are too many; else Tier when a tier is full; else None.
[[nodiscard]] MergePlan plan_merge(const View& view, double ratio, const Tuning& tuning);
// Whether a flush of this segment's memory should go straight into the main run.
[[nodiscard]] bool flush_merges_main(const View& view, double ratio, const Tuning& tuning);

}  // namespace varve::segment

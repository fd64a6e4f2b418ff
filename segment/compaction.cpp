// SPDX-License-Identifier: Apache-2.0
#include "segment/compaction.hpp"

#include <algorithm>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"

namespace varve::segment {

PruningSource::PruningSource(const std::vector<std::shared_ptr<const Delta>>& deltas,
                             const std::vector<RunLayer>& runs, MergeRules rules,
                             std::string_view lower, std::string_view upper)
    : rules_(std::move(rules)), upper_(VARVE_MUTANT("merge.upper_bound_ignored") ? "" : upper) {
  VARVE_CHECK(rules_.range_tombstones != nullptr);
  for (const auto& delta : deltas) {
    source_.add(*delta);
    run_last_sequences_.push_back(kSequenceMax);
  }
  for (const RunLayer& layer : runs) {
    source_.add(*layer.run);
    run_last_sequences_.push_back(layer.record.last_sequence);
  }
  source_.seek(lower);
  newest_only_ = rules_.snapshots.empty() && rules_.range_tombstones->empty();
  if (newest_only_) {
    group_.resize(1);
    load_newest();
  } else {
    load_group();
  }
}

void PruningSource::next() {
  if (newest_only_) {
    source_.next();
    load_newest();
    return;
  }
  if (++at_ < group_.size()) return;
  load_group();
}

// Shows the source's entry in place, unless it is an older version of the key shown last.
void PruningSource::load_newest() {
  for (; source_.valid(); source_.next()) {
    const EntryView& entry = source_.entry();
    if (started_ && equal_keys(entry.key, newest_key_.view())) continue;
    if (!upper_.empty() && compare_keys(entry.key, upper_) >= 0) break;
    newest_key_.assign(entry.key);
    started_ = true;
    if (rules_.bottom && entry.kind == Kind::Tombstone) continue;
    group_[0].entry = entry;
    group_[0].entry.sequence = 0;
    return;
  }
  group_.clear();
}

void PruningSource::load_group() {
  at_ = 0;
  do {
    group_.clear();
    if (!source_.valid()) return;
    if (!upper_.empty() && source_.entry().key >= upper_) return;
    read_versions();
    prune();
  } while (group_.empty());
}

// Reads all versions of the next key, and leaves the source behind them.
void PruningSource::read_versions() {
  key_.assign(source_.entry().key);
  values_.clear();
  Sequence newer = kSequenceMax;
  while (source_.valid() && source_.entry().key == key_) {
    const EntryView& entry = source_.entry();
    const Sequence last = run_last_sequences_[source_.current()];
    const Sequence effective = entry.sequence != 0 ? entry.sequence : last;
    Version version{entry, effective, std::min(newer, first_erasure_after(effective))};
    version.entry.key = key_;
    newer = entry.sequence;  // 0 (old for everybody) hides all that is older.
    if (!source_.values_are_stable()) values_.emplace_back(entry.value);
    group_.push_back(version);
    source_.next();
  }
  if (!source_.values_are_stable()) {
    for (std::size_t i = 0; i < group_.size(); ++i) group_[i].entry.value = values_[i];
  }
}

void PruningSource::prune() {
  std::erase_if(group_, [this](const Version& version) {
    // A version is visible from its own sequence on; one that carries none, to everybody.
    return version.ceiling != kSequenceMax &&
           !seen_by_snapshot(version.entry.sequence, version.ceiling);
  });
  // At the bottom, a tombstone with nothing under it hides nothing.
  while (rules_.bottom && !group_.empty() && group_.back().entry.kind == Kind::Tombstone) {
    group_.pop_back();
  }
  for (Version& version : group_) version.entry.sequence = written_sequence(version);
}

// The lowest range tombstone over the current key that is newer than `sequence`.
Sequence PruningSource::first_erasure_after(Sequence sequence) const noexcept {
  for (const RangeTombstone& tombstone : *rules_.range_tombstones) {
    if (tombstone.sequence > sequence && tombstone.covers(key_)) return tombstone.sequence;
  }
  return kSequenceMax;
}

bool PruningSource::seen_by_snapshot(Sequence from, Sequence to) const noexcept {
  const auto it =
      std::lower_bound(rules_.snapshots.begin(), rules_.snapshots.end(),
                       VARVE_MUTANT("merge.snapshot_at_version_missed") ? from + 1 : from);
  return it != rules_.snapshots.end() && *it < to;
}

Sequence PruningSource::written_sequence(const Version& version) const noexcept {
  const Sequence own = version.entry.sequence;
  // Under a range tombstone the sequence must stay explicit: without one, the output's last
  // sequence would speak for it and lift it above the tombstone. A version that carried none was
  // written by the oldest snapshot at the latest, and after every range erase up to its run's last
  // sequence that covers it. Not all of these are among our tombstones: a segment that is yet to
  // become one with this one may still have some. So it gets the highest sequence that it can have.
  if (first_erasure_after(version.effective) != kSequenceMax) {
    if (own != 0) return own;
    VARVE_CHECK(!rules_.snapshots.empty());  // Else nobody would see it.
    return std::max<Sequence>(1, std::min(version.effective, rules_.snapshots.front()));
  }
  const bool old_for_everybody = rules_.snapshots.empty() || own <= rules_.snapshots.front() ||
                                 VARVE_MUTANT("merge.sequence_dropped_early");
  return old_for_everybody ? 0 : own;
}

bool flush_merges_main(const View& view, double ratio, const Tuning& tuning) {
  const double deltas =
      static_cast<double>(view.memory_size()) + static_cast<double>(view.slices_size());
  return view.slice_count() + 1 > tuning.delta_runs_max ||
         deltas >= ratio * static_cast<double>(view.main_size());
}

MergePlan plan_merge(const View& view, double ratio, const Tuning& tuning) {
  const auto slices_size = static_cast<double>(view.slices_size());
  const auto main_size = static_cast<double>(view.main_size());
  const std::size_t slices = view.slice_count();
  if (slices > 0 && (slices_size >= ratio * main_size || slices > tuning.delta_runs_max)) {
    return {MergeKind::Main, 0, 0};
  }
  // A tier merge just before the main merge would write its bytes for nothing.
  if (slices_size >= 0.8 * ratio * main_size) return {};
  for (std::size_t first = 0; first < slices;) {
    std::size_t end = first;
    while (end < slices && view.runs[end].record.tier == view.runs[first].record.tier) ++end;
    if (end - first >= tuning.tier_fanout) return {MergeKind::Tier, first, end - first};
    first = end;
  }
  return {};
}

}  // namespace varve::segment

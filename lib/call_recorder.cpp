// SPDX-License-Identifier: Apache-2.0
#include "lib/call_recorder.hpp"

#include <algorithm>

namespace varve::internal {

void CallRecorder::add_filter_tally(const segment::FilterTally& tally) noexcept {
  auto& shard = counters_.mine();
  shard.add(kFilterProbes, tally.probe_count);
  shard.add(kFilterNegatives, tally.negative_count);
  shard.add(kFilterFalsePositives, tally.false_positive_count);
}

concurrent::OperationSnapshot CallRecorder::snapshot(CallKind kind) const {
  concurrent::OperationSnapshot found;
  found.success_count = counters_.sum(success_of(kind));
  found.failure_count = counters_.sum(failure_of(kind));
  latencies_[static_cast<std::size_t>(kind)].describe(found);
  return found;
}

void CallRecorder::describe(Statistics& figures) const {
  OperationsByKind& calls = figures.operations;
  calls.get = snapshot(CallKind::Get);
  calls.multi_get = snapshot(CallKind::MultiGet);
  calls.put = snapshot(CallKind::Put);
  calls.erase = snapshot(CallKind::Erase);
  calls.erase_range = snapshot(CallKind::EraseRange);
  calls.batch = snapshot(CallKind::Batch);
  calls.scan = snapshot(CallKind::Scan);
  calls.sync = snapshot(CallKind::Sync);
  calls.flush = snapshot(CallKind::Flush);
  calls.compact = snapshot(CallKind::Compact);
  const auto sum = [this](Amount amount) { return counters_.sum(index_of(amount)); };
  calls.get.success_count += sum(Amount::GetHits);
  figures.put_count = calls.put.success_count + sum(Amount::BatchPuts);
  figures.erase_count =
      calls.erase.success_count + calls.erase_range.success_count + sum(Amount::BatchErases);
  figures.get_count = calls.get.success_count + sum(Amount::MultiGetKeys);
  figures.get_hit_count = sum(Amount::GetHits) + sum(Amount::MultiGetHits);
  figures.scan_count = calls.scan.success_count;
  figures.scanned_entry_count = sum(Amount::ScannedEntries);
  figures.user_bytes_written = sum(Amount::UserBytes);
  figures.filters.probe_count = counters_.sum(kFilterProbes);
  figures.filters.negative_count = counters_.sum(kFilterNegatives);
  figures.filters.false_positive_count = counters_.sum(kFilterFalsePositives);
  const std::uint64_t ended_count = std::min(sum(Amount::EndedScans), figures.scan_count);
  figures.open_scan_count = figures.scan_count - ended_count;
  figures.memory.cursors_size = figures.open_scan_count * figures.memory.cursor_size;
  figures.memory.statistics_size = sizeof *this - sizeof counters_ + counters_.memory_size();
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#include "tools/statistics_json.hpp"

#include <utility>

#include "tools/run_figures.hpp"
#include "tools/text.hpp"

namespace varve::tools {

namespace {

using nlohmann::ordered_json;

// Times in nanoseconds.
ordered_json operation_json(const concurrent::OperationSnapshot& figures) {
  return {{"success_count", figures.success_count}, {"failure_count", figures.failure_count},
          {"latency_count", figures.latency_count}, {"mean_ns", figures.mean.count()},
          {"p50_ns", figures.p50.count()},          {"p90_ns", figures.p90.count()},
          {"p99_ns", figures.p99.count()},          {"p99_9_ns", figures.p99_9.count()},
          {"max_ns", figures.max.count()}};
}

ordered_json operations_json(const OperationsByKind& figures) {
  ordered_json json;
  for_each_operation(figures, [&](std::string_view name, const auto& operation) {
    json[std::string(name)] = operation_json(operation);
  });
  return json;
}

// Times in nanoseconds.
ordered_json locks_json(const LockReport& report) {
  ordered_json json = ordered_json::array();
  for (const LockClassReport& one : report.classes) {
    json.push_back({{"name", one.name},
                    {"acquisition_count", one.acquisition_count},
                    {"wait_count", one.wait.count},
                    {"wait_p50_ns", one.wait.p50.count()},
                    {"wait_p99_ns", one.wait.p99.count()},
                    {"wait_max_ns", one.wait.max.count()},
                    {"hold_p50_ns", one.hold.p50.count()},
                    {"hold_p99_ns", one.hold.p99.count()},
                    {"hold_max_ns", one.hold.max.count()},
                    {"timeout_count", one.timeout_count},
                    {"deadlock_count", one.deadlock_count},
                    {"is_contention_high", one.is_contention_high}});
  }
  return json;
}

ordered_json since_open_json(const Statistics& figures) {
  return {{"put_count", figures.put_count},
          {"erase_count", figures.erase_count},
          {"get_count", figures.get_count},
          {"get_hit_count", figures.get_hit_count},
          {"scan_count", figures.scan_count},
          {"scanned_entry_count", figures.scanned_entry_count},
          {"user_bytes_written", figures.user_bytes_written},
          {"log_bytes_written", figures.log_bytes_written},
          {"run_bytes_written", figures.run_bytes_written},
          {"manifest_bytes_written", figures.manifest_bytes_written},
          {"flush_count", figures.flush_count},
          {"compaction_count", figures.compaction_count},
          {"split_count", figures.split_count},
          {"merge_count", figures.merge_count},
          {"log_sync_count", figures.log_sync_count},
          {"paced_write_count", figures.paced_write_count},
          {"paced_microseconds", figures.paced_microseconds},
          {"stalled_write_count", figures.stalled_write_count},
          {"stalled_microseconds_max", figures.stalled_microseconds_max},
          {"failed_job_count", figures.failed_job_count},
          {"space_shortage_count", figures.space.shortage_count}};
}

ordered_json segment_json(const SegmentStatistics& segment) {
  ordered_json one = {{"id", segment.id}, {"version", segment.version}};
  const bool is_text = is_utf8(segment.first_key);
  one[is_text ? "first_key" : "first_key_hex"] =
      is_text ? segment.first_key : hex(segment.first_key);
  one["main_run_size"] = segment.main_run_size;
  one["delta_run_count"] = segment.delta_run_count;
  one["delta_runs_size"] = segment.delta_runs_size;
  one["run_entry_count"] = segment.run_entry_count;
  one["memory_size"] = segment.memory_size;
  one["memory_entry_count"] = segment.memory_entry_count;
  one["range_tombstone_count"] = segment.range_tombstone_count;
  return one;
}

}  // namespace

ordered_json memory_json(const MemoryStatistics& figures) {
  ordered_json json = {{"total_size", figures.total_size()}};
  for_each_memory_owner(figures, [&json](const char* owner, std::uint64_t size) {
    json[std::string(owner) + "_size"] = size;
  });
  json["pool_size"] = figures.pool_size;  // Of owners above; and what is nobody's memory.
  json["cursor_size"] = figures.cursor_size;
  json["mapped_runs_size"] = figures.mapped_runs_size;
  json["mapped_log_size"] = figures.mapped_log_size;
  return json;
}

ordered_json statistics_json(const Statistics& figures, bool with_segments) {
  ordered_json json = {{"uuid", is_utf8(figures.uuid) ? figures.uuid : hex(figures.uuid)},
                       {"writer_epoch", figures.writer_epoch},
                       {"manifest_edit", figures.manifest_edit},
                       {"last_sequence", figures.last_sequence},
                       {"memory_entry_count", figures.runs.memory_entry_count},
                       {"memory_size", figures.memory_size},
                       {"memory_budget", figures.memory_budget},
                       {"memory_limit", figures.memory_limit},
                       {"table_memory_size", figures.table_memory_size},
                       {"disk_size", figures.disk_size},
                       {"log_disk_size", figures.log_disk_size},
                       {"open_scan_count", figures.open_scan_count},
                       {"live_snapshot_count", figures.live_snapshot_count},
                       {"oldest_snapshot_microseconds", figures.oldest_snapshot_microseconds},
                       {"aged_reader_count", figures.aged_reader_count},
                       {"write_amplification", figures.write_amplification()},
                       {"recovered_after_crash", figures.recovered_after_crash},
                       {"recovered_operation_count", figures.recovered_operation_count},
                       {"recovery_microseconds", figures.recovery_microseconds}};
  add_run_figures(json, figures.runs);
  json["memory"] = memory_json(figures.memory);
  json["compaction"] = {{"due_segment_count", figures.compaction.due_segment_count},
                        {"due_size", figures.compaction.due_size},
                        {"unmerged_size", figures.compaction.unmerged_size}};
  json["log"] = {{"live_size", figures.log.live_size},
                 {"unsynced_size", figures.log.unsynced_size},
                 {"device_flush", operation_json(figures.log.device_flush)}};
  json["filters"] = {{"sampled_probe_count", figures.filters.probe_count},
                     {"negative_count", figures.filters.negative_count},
                     {"false_positive_count", figures.filters.false_positive_count},
                     {"false_positive_rate", figures.filters.false_positive_rate()}};
  const varve::HotKeyStatistics& hot_path = figures.hot_path;
  json["hot_path"] = {{"on", hot_path.on},
                      {"hit_count", hot_path.hit_count},
                      {"miss_count", hot_path.miss_count},
                      {"stale_count", hot_path.stale_count},
                      {"hit_rate", hot_path.hit_rate()},
                      {"entry_count", hot_path.entry_count},
                      {"memory_size", hot_path.memory_size},
                      {"switched_on_count", hot_path.switched_on_count},
                      {"switched_off_count", hot_path.switched_off_count}};
  json["since_open"] = since_open_json(figures);
  json["operations"] = operations_json(figures.operations);
  if (!figures.locks.classes.empty()) json["locks"] = locks_json(figures.locks);
  if (!with_segments) return json;
  json["segments"] = ordered_json::array();
  for (const SegmentStatistics& segment : figures.segments) {
    json["segments"].push_back(segment_json(segment));
  }
  return json;
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#include "tools/statistics_json.hpp"

#include <algorithm>

#include "tools/text.hpp"

namespace varve::tools {

SegmentTotals segment_totals(const Statistics& figures) {
  SegmentTotals totals;
  for (const SegmentStatistics& segment : figures.segments) {
    const std::uint32_t runs = segment.delta_run_count + (segment.main_run_size > 0 ? 1 : 0);
    totals.run_count += runs;
    totals.run_count_max = std::max(totals.run_count_max, runs);
    totals.delta_run_count += segment.delta_run_count;
    totals.main_runs_size += segment.main_run_size;
    totals.delta_runs_size += segment.delta_runs_size;
    totals.run_entry_count += segment.run_entry_count;
    totals.memory_entry_count += segment.memory_entry_count;
  }
  return totals;
}

double read_amplification(const Statistics& figures) {
  if (figures.segments.empty()) return 0;
  return static_cast<double>(segment_totals(figures).run_count) /
         static_cast<double>(figures.segments.size());
}

double space_amplification(const Statistics& figures) {
  const SegmentTotals totals = segment_totals(figures);
  if (totals.main_runs_size == 0) return 0;
  return static_cast<double>(totals.main_runs_size + totals.delta_runs_size) /
         static_cast<double>(totals.main_runs_size);
}

nlohmann::ordered_json statistics_json(const Statistics& figures, bool with_segments) {
  const SegmentTotals totals = segment_totals(figures);
  nlohmann::ordered_json json = {{"uuid", is_utf8(figures.uuid) ? figures.uuid : hex(figures.uuid)},
                                 {"writer_epoch", figures.writer_epoch},
                                 {"manifest_edit", figures.manifest_edit},
                                 {"last_sequence", figures.last_sequence},
                                 {"segment_count", figures.segments.size()},
                                 {"run_count", totals.run_count},
                                 {"run_count_max", totals.run_count_max},
                                 {"delta_run_count", totals.delta_run_count},
                                 {"main_runs_size", totals.main_runs_size},
                                 {"delta_runs_size", totals.delta_runs_size},
                                 {"run_entry_count", totals.run_entry_count},
                                 {"memory_entry_count", totals.memory_entry_count},
                                 {"memory_size", figures.memory_size},
                                 {"table_memory_size", figures.table_memory_size},
                                 {"disk_size", figures.disk_size},
                                 {"log_disk_size", figures.log_disk_size},
                                 {"read_amplification", read_amplification(figures)},
                                 {"space_amplification", space_amplification(figures)},
                                 {"write_amplification", figures.write_amplification()},
                                 {"recovered_after_crash", figures.recovered_after_crash},
                                 {"recovered_operation_count", figures.recovered_operation_count},
                                 {"recovery_microseconds", figures.recovery_microseconds}};
  json["since_open"] = {{"put_count", figures.put_count},
                        {"erase_count", figures.erase_count},
                        {"get_count", figures.get_count},
                        {"get_hit_count", figures.get_hit_count},
                        {"scan_count", figures.scan_count},
                        {"user_bytes_written", figures.user_bytes_written},
                        {"log_bytes_written", figures.log_bytes_written},
                        {"run_bytes_written", figures.run_bytes_written},
                        {"manifest_bytes_written", figures.manifest_bytes_written},
                        {"flush_count", figures.flush_count},
                        {"compaction_count", figures.compaction_count},
                        {"split_count", figures.split_count},
                        {"merge_count", figures.merge_count},
                        {"log_sync_count", figures.log_sync_count}};
  if (!with_segments) return json;
  json["segments"] = nlohmann::ordered_json::array();
  for (const SegmentStatistics& segment : figures.segments) {
    nlohmann::ordered_json one = {{"id", segment.id}, {"version", segment.version}};
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
    json["segments"].push_back(std::move(one));
  }
  return json;
}

}  // namespace varve::tools

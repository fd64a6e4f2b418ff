// SPDX-License-Identifier: Apache-2.0
#include "varve/prometheus.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <span>
#include <utility>

namespace varve {
namespace {

using concurrent::OperationSnapshot;

// Counts are exact, everything else a double.
class Number {
 public:
  Number(std::uint64_t count) { write("%" PRIu64, count); }       // NOLINT: it is a number.
  Number(std::uint32_t count) : Number(std::uint64_t{count}) {}   // NOLINT: likewise.
  Number(bool truth) : Number(std::uint64_t{truth ? 1U : 0U}) {}  // NOLINT: likewise.
  Number(double value) { write("%.9g", value); }                  // NOLINT: likewise.
  Number(std::chrono::nanoseconds time)                           // NOLINT: likewise.
      : Number(static_cast<double>(time.count()) / 1e9) {}
  [[nodiscard]] std::string_view text() const noexcept { return text_.data(); }

 private:
  template <typename Value>
  void write(const char* format, Value value) {
    std::snprintf(text_.data(), text_.size(), format, value);
  }
  std::array<char, 32> text_{};
};

double seconds_of_microseconds(std::uint64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

// The value of a label: any bytes, but those that the format escapes.
std::string escaped_label(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? "\\n" : std::string(1, c);
  }
  return text;
}

// The text as it grows: a family of samples after the other.
class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    append("# HELP varve_", name, " ", help, "\n# TYPE varve_", name, " ", type, "\n");
  }
  // `labels` without braces; empty: none.
  void sample(std::string_view suffix, std::string_view labels, const Number& value) {
    append("varve_", name_, suffix);
    if (!labels.empty()) append("{", labels, "}");
    append(" ", value.text(), "\n");
  }
  [[nodiscard]] std::string take() noexcept { return std::move(text_); }

 private:
  template <typename... Parts>
  void append(const Parts&... parts) {
    (text_.append(parts), ...);
  }
  std::string text_;
  std::string_view name_;
};

std::string joined(std::string_view labels, std::string_view more) {
  std::string all(labels);
  if (!labels.empty() && !more.empty()) all += ',';
  return all.append(more);
}

std::string index_label(std::string_view name) {
  return name.empty() ? std::string() : "index=\"" + escaped_label(name) + "\"";
}

template <typename Figures>
struct Metric {
  std::string_view name, type, help;
  Number (*value)(const Figures& figures);
};
constexpr std::string_view kGauge = "gauge", kCounter = "counter";

// What both a running index and its files tell.
constexpr Metric<RunStatistics> kRunMetrics[] = {
    {"segments", kGauge, "Segments.", [](const auto& f) { return Number(f.segment_count); }},
    {"runs", kGauge, "Runs of all segments.", [](const auto& f) { return Number(f.run_count); }},
    {"delta_runs", kGauge, "Runs that are not merged into a main run.",
     [](const auto& f) { return Number(f.delta_run_count); }},
    {"segment_runs_max", kGauge, "Runs of the segment that has most.",
     [](const auto& f) { return Number(f.run_count_max); }},
    {"main_runs_bytes", kGauge, "Size of the main runs.",
     [](const auto& f) { return Number(f.main_runs_size); }},
    {"delta_runs_bytes", kGauge, "Size of the delta runs.",
     [](const auto& f) { return Number(f.delta_runs_size); }},
    {"run_entries", kGauge, "Versions and tombstones in runs.",
     [](const auto& f) { return Number(f.run_entry_count); }},
    {"range_tombstones", kGauge, "Range erases that merges have yet to apply.",
     [](const auto& f) { return Number(f.range_tombstone_count); }},
    {"read_amplification", kGauge, "Runs per segment.",
     [](const auto& f) { return Number(f.read_amplification()); }},
    {"space_amplification", kGauge, "Size of all runs over that of the main runs; 0: none yet.",
     [](const auto& f) { return Number(f.space_amplification()); }},
};

constexpr Metric<Statistics> kCallMetrics[] = {
    {"keys_put_total", kCounter, "Keys put, in single calls and in batches.",
     [](const auto& f) { return Number(f.put_count); }},
    {"keys_erased_total", kCounter, "Keys and ranges erased, in single calls and in batches.",
     [](const auto& f) { return Number(f.erase_count); }},
    {"keys_asked_total", kCounter, "Keys asked for by get, contains and multi_get.",
     [](const auto& f) { return Number(f.get_count); }},
    {"keys_found_total", kCounter, "Of the keys asked for, those that were there.",
     [](const auto& f) { return Number(f.get_hit_count); }},
    {"scanned_entries_total", kCounter, "Entries given by scans that have ended.",
     [](const auto& f) { return Number(f.scanned_entry_count); }},
    {"user_bytes_written_total", kCounter, "Keys and values written.",
     [](const auto& f) { return Number(f.user_bytes_written); }},
    {"write_amplification", kGauge, "Bytes written to files over user bytes, since open.",
     [](const auto& f) { return Number(f.write_amplification()); }},
    {"paced_writes_total", kCounter, "Writes that were slowed, as memory was filling up.",
     [](const auto& f) { return Number(f.paced_write_count); }},
    {"paced_seconds_total", kCounter, "By how much writes were slowed.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.paced_microseconds)); }},
    {"stalled_writes_total", kCounter, "Writes that waited until a job had made room.",
     [](const auto& f) { return Number(f.stalled_write_count); }},
    {"stalled_seconds_max", kGauge, "The longest such wait since open.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.stalled_microseconds_max)); }},
    {"filter_sampled_probes_total", kCounter, "Filters asked for the sample.",
     [](const auto& f) { return Number(f.filters.probe_count); }},
    {"filter_sampled_negatives_total", kCounter, "Of these, those that denied the key.",
     [](const auto& f) { return Number(f.filters.negative_count); }},
    {"filter_sampled_false_positives_total", kCounter,
     "Of these, those that let pass a key that was not there.",
     [](const auto& f) { return Number(f.filters.false_positive_count); }},
    {"hot_path_on", kGauge, "1: the cache of the keys read most is in use.",
     [](const auto& f) { return Number(std::uint64_t{f.hot_path.on ? 1U : 0U}); }},
    {"hot_path_hits_total", kCounter, "Gets that it answered.",
     [](const auto& f) { return Number(f.hot_path.hit_count); }},
    {"hot_path_misses_total", kCounter, "Gets of keys that were not in it.",
     [](const auto& f) { return Number(f.hot_path.miss_count); }},
    {"hot_path_stale_total", kCounter, "Gets of keys whose segment had been written to since.",
     [](const auto& f) { return Number(f.hot_path.stale_count); }},
    {"hot_path_entries", kGauge, "Keys in it.",
     [](const auto& f) { return Number(f.hot_path.entry_count); }},
    {"hot_path_switched_on_total", kCounter, "How often it was found to pay.",
     [](const auto& f) { return Number(f.hot_path.switched_on_count); }},
    {"hot_path_switched_off_total", kCounter, "How often it was found not to pay.",
     [](const auto& f) { return Number(f.hot_path.switched_off_count); }},
};

constexpr Metric<Statistics> kMemoryMetrics[] = {
    {"memory_bytes", kGauge, "What the index has taken, all owners together.",
     [](const auto& f) { return Number(f.memory.total_size()); }},
    {"memory_limit_bytes", kGauge, "What it may take; 0: no limit.",
     [](const auto& f) { return Number(f.memory_limit); }},
    {"memory_budget_bytes", kGauge, "What deltas may take.",
     [](const auto& f) { return Number(f.memory_budget); }},
    {"active_deltas_bytes", kGauge, "Memory of deltas that are written to.",
     [](const auto& f) { return Number(f.memory.active_deltas_size); }},
    {"frozen_deltas_bytes", kGauge, "Memory of deltas that wait to be flushed.",
     [](const auto& f) { return Number(f.memory.frozen_deltas_size); }},
    {"held_deltas_bytes", kGauge, "Memory of flushed deltas that readers still hold.",
     [](const auto& f) { return Number(f.memory.held_by_readers_size); }},
    {"delta_pool_bytes", kGauge, "Memory obtained from the system for deltas.",
     [](const auto& f) { return Number(f.memory.pool_size); }},
    {"sparse_indexes_bytes", kGauge, "Memory of the runs' sparse indexes.",
     [](const auto& f) { return Number(f.memory.sparse_indexes_size); }},
    {"hot_path_bytes", kGauge, "Memory of the cache of the keys read most.",
     [](const auto& f) { return Number(f.hot_path.memory_size); }},
    {"filters_bytes", kGauge, "Memory of the runs' filters.",
     [](const auto& f) { return Number(f.memory.filters_size); }},
    {"delta_pool_free_bytes", kGauge, "Of the memory obtained for deltas, what none uses.",
     [](const auto& f) { return Number(f.memory.pool_free_size); }},
    {"held_runs_bytes", kGauge, "Sparse indexes and filters of replaced runs that are still read.",
     [](const auto& f) { return Number(f.memory.held_runs_size); }},
    {"tables_free_bytes", kGauge, "Obtained for sparse indexes and filters, and used by none.",
     [](const auto& f) { return Number(f.memory.tables_free_size); }},
    {"jobs_memory_bytes", kGauge, "What flushes and merges in progress write with.",
     [](const auto& f) { return Number(f.memory.jobs_size); }},
    {"cursors_bytes", kGauge, "Memory of open scans.",
     [](const auto& f) { return Number(f.memory.cursors_size); }},
    {"open_scans", kGauge, "Scans whose cursors are not destroyed.",
     [](const auto& f) { return Number(f.open_scan_count); }},
    {"snapshots_bytes", kGauge, "Where snapshots are noted.",
     [](const auto& f) { return Number(f.memory.snapshots_size); }},
    {"log_buffer_bytes", kGauge, "Memory of a record on its way to the log.",
     [](const auto& f) { return Number(f.memory.log_buffer_size); }},
    {"structure_bytes", kGauge, "Memory of segments, views, routes and the manifest.",
     [](const auto& f) { return Number(f.memory.structure_size); }},
    {"statistics_bytes", kGauge, "Memory of what counts the calls.",
     [](const auto& f) { return Number(f.memory.statistics_size); }},
    {"mapped_log_bytes", kGauge, "Address space of the mapped log.",
     [](const auto& f) { return Number(f.memory.mapped_log_size); }},
    {"mapped_runs_bytes", kGauge, "Address space of mapped runs.",
     [](const auto& f) { return Number(f.memory.mapped_runs_size); }},
    {"memory_entries", kGauge, "Versions and tombstones in deltas.",
     [](const auto& f) { return Number(f.runs.memory_entry_count); }},
    {"retired_views", kGauge, "Views that readers may still be in.",
     [](const auto& f) { return Number(f.retired_view_count); }},
    {"oldest_reader_seconds", kGauge, "How long one read has been keeping them.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.oldest_reader_microseconds)); }},
    {"live_snapshots", kGauge, "Snapshots and snapshot scans.",
     [](const auto& f) { return Number(f.live_snapshot_count); }},
    {"oldest_snapshot_seconds", kGauge, "How long the oldest of them has been there.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.oldest_snapshot_microseconds)); }},
    {"aged_readers", kGauge, "Reads, snapshots and snapshot scans beyond the age limit.",
     [](const auto& f) { return Number(f.aged_reader_count); }},
};

constexpr Metric<Statistics> kFileMetrics[] = {
    {"disk_bytes", kGauge, "Size of all files.", [](const auto& f) { return Number(f.disk_size); }},
    {"log_disk_bytes", kGauge, "Size of the log files.",
     [](const auto& f) { return Number(f.log_disk_size); }},
    {"log_live_bytes", kGauge, "What a recovery would read.",
     [](const auto& f) { return Number(f.log.live_size); }},
    {"log_unsynced_bytes", kGauge, "Appended, and not on the device yet.",
     [](const auto& f) { return Number(f.log.unsynced_size); }},
    {"log_bytes_written_total", kCounter, "Records appended to the log.",
     [](const auto& f) { return Number(f.log_bytes_written); }},
    {"log_failed_flushes_total", kCounter, "Device flushes of the log that failed.",
     [](const auto& f) { return Number(f.log.device_flush.failure_count); }},
    {"run_bytes_written_total", kCounter, "Runs written by flushes and merges.",
     [](const auto& f) { return Number(f.run_bytes_written); }},
    {"manifest_bytes_written_total", kCounter, "Manifests written.",
     [](const auto& f) { return Number(f.manifest_bytes_written); }},
    {"manifest_edits", kGauge, "How often the structure has ever changed.",
     [](const auto& f) { return Number(f.manifest_edit); }},
    {"last_sequence", kGauge, "Number of the newest write.",
     [](const auto& f) { return Number(f.last_sequence); }},
    {"writer_epoch", kGauge, "How often the index was opened for writing.",
     [](const auto& f) { return Number(f.writer_epoch); }},
    {"flushes_total", kCounter, "Jobs that wrote deltas to a file.",
     [](const auto& f) { return Number(f.flush_count); }},
    {"compactions_total", kCounter, "Jobs that merged runs.",
     [](const auto& f) { return Number(f.compaction_count); }},
    {"splits_total", kCounter, "Merges that split a segment.",
     [](const auto& f) { return Number(f.split_count); }},
    {"segment_merges_total", kCounter, "Jobs that made one segment of two.",
     [](const auto& f) { return Number(f.merge_count); }},
    {"failed_jobs_total", kCounter, "Jobs that were not done.",
     [](const auto& f) { return Number(f.failed_job_count); }},
    {"job_failing", kGauge, "1: there is a failed job that is still to be tried again.",
     [](const auto& f) { return Number(!f.last_job_failure.empty()); }},
    {"short_of_space", kGauge, "1: there is no space for a job, a log file or the reserve.",
     [](const auto& f) { return Number(f.space.is_short); }},
    {"short_of_space_seconds", kGauge, "For how long there has been none.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.space.short_microseconds)); }},
    {"space_shortages_total", kCounter, "Times that it ran out.",
     [](const auto& f) { return Number(f.space.shortage_count); }},
    {"reserve_bytes", kGauge, "Kept back for erases and compactions without space.",
     [](const auto& f) { return Number(f.space.reserve_size); }},
    {"due_segments", kGauge, "Segments with a merge that should run now.",
     [](const auto& f) { return Number(f.compaction.due_segment_count); }},
    {"due_merge_bytes", kGauge, "What these merges have to read.",
     [](const auto& f) { return Number(f.compaction.due_size); }},
    {"recovered_operations", kGauge, "Operations that this open replayed from the log.",
     [](const auto& f) { return Number(f.recovered_operation_count); }},
    {"recovery_seconds", kGauge, "How long this open took, from lock to ready.",
     [](const auto& f) { return Number(seconds_of_microseconds(f.recovery_microseconds)); }},
};

constexpr Metric<FileStatistics> kLookMetrics[] = {
    {"held", kGauge, "1: a process has the index open.",
     [](const auto& f) {
       return Number(f.lock.state == LockState::LockedByOther ||
                     f.lock.state == LockState::LockedByUs);
     }},
    {"disk_bytes", kGauge, "Size of all files.", [](const auto& f) { return Number(f.disk_size); }},
    {"log_disk_bytes", kGauge, "Size of the log files.",
     [](const auto& f) { return Number(f.log_disk_size); }},
    {"live_logs", kGauge, "Logs that a recovery would read.",
     [](const auto& f) { return Number(f.live_log_count); }},
    {"manifest_edits", kGauge, "How often the structure has ever changed.",
     [](const auto& f) { return Number(f.manifest_edit); }},
    {"last_sequence", kGauge, "Number of the newest write, as of the last change of structure.",
     [](const auto& f) { return Number(f.last_sequence); }},
    {"writer_epoch", kGauge, "How often the index was opened for writing.",
     [](const auto& f) { return Number(f.writer_epoch); }},
};

// Calls visit(labels, figures) for every index and kind of operation.
template <typename Visit>
void for_each_kind(std::span<const NamedStatistics> indexes, const Visit& visit) {
  for (const NamedStatistics& index : indexes) {
    for_each_operation(index.figures->operations,
                       [&](std::string_view name, const OperationSnapshot& figures) {
                         std::string own("operation=\"");
                         own.append(name).append("\"");
                         visit(joined(index_label(index.name), own), figures);
                       });
  }
}
template <typename Visit>
void for_each_log(std::span<const NamedStatistics> indexes, const Visit& visit) {
  for (const NamedStatistics& index : indexes) {
    visit(index_label(index.name), index.figures->log.device_flush);
  }
}

void add_buckets(Exposition& text, const std::string& labels, const OperationSnapshot& figures) {
  for (std::size_t i = 0; i < OperationSnapshot::kBelowCount; ++i) {
    const std::chrono::nanoseconds below(std::int64_t{1} << (OperationSnapshot::kBelowBitsMin + i));
    std::string le("le=\"");
    le.append(Number(below).text()).append("\"");
    text.sample("_bucket", joined(labels, le), figures.latencies_below[i]);
  }
  text.sample("_bucket", joined(labels, "le=\"+Inf\""), figures.latency_count);
  text.sample("_sum", labels, figures.sum);
  text.sample("_count", labels, figures.latency_count);
}

void add_quantiles(Exposition& text, const std::string& labels, const OperationSnapshot& figures) {
  text.sample("", joined(labels, "quantile=\"0.5\""), figures.p50);
  text.sample("", joined(labels, "quantile=\"0.9\""), figures.p90);
  text.sample("", joined(labels, "quantile=\"0.99\""), figures.p99);
  text.sample("", joined(labels, "quantile=\"0.999\""), figures.p99_9);
  text.sample("", joined(labels, "quantile=\"1\""), figures.max);
}

void add_latencies(Exposition& text, std::span<const NamedStatistics> indexes) {
  text.family("operation_latency_seconds", "histogram", "Time inside a call, of a sample of them.");
  for_each_kind(indexes, [&](const auto& labels, const auto& figures) {
    add_buckets(text, labels, figures);
  });
  text.family("operation_latency_quantile_seconds", kGauge,
              "The same, as quantiles since open; 1 is the maximum of the sample.");
  for_each_kind(indexes, [&](const auto& labels, const auto& figures) {
    add_quantiles(text, labels, figures);
  });
  text.family("log_flush_latency_seconds", "histogram", "Device flushes of the log.");
  for_each_log(indexes, [&](const auto& labels, const auto& figures) {
    add_buckets(text, labels, figures);
  });
  text.family("log_flush_latency_quantile_seconds", kGauge,
              "The same, as quantiles since open; 1 is the maximum.");
  for_each_log(indexes, [&](const auto& labels, const auto& figures) {
    add_quantiles(text, labels, figures);
  });
}

void add_operations(Exposition& text, std::span<const NamedStatistics> indexes) {
  text.family("operations_total", kCounter, "Calls on the index; failed: they threw.");
  for_each_kind(indexes, [&](const auto& labels, const auto& figures) {
    text.sample("", joined(labels, "result=\"ok\""), figures.success_count);
    text.sample("", joined(labels, "result=\"failed\""), figures.failure_count);
  });
}

constexpr Metric<LockClassReport> kLockMetrics[] = {
    {"lock_acquisitions_total", kCounter, "Estimated from a sample.",
     [](const auto& f) { return Number(f.acquisition_count); }},
    {"lock_waits_total", kCounter, "Acquisitions that had to wait.",
     [](const auto& f) { return Number(f.wait.count); }},
    {"lock_timeouts_total", kCounter, "Waits that ended without the lock.",
     [](const auto& f) { return Number(f.timeout_count); }},
    {"lock_deadlocks_total", kCounter, "Locks that waited for each other in a circle.",
     [](const auto& f) { return Number(f.deadlock_count); }},
    {"lock_contention_high", kGauge, "1: a threshold of the options is crossed.",
     [](const auto& f) { return Number(f.is_contention_high); }},
};

// Calls visit(labels, class) for every index and class of watched locks.
template <typename Visit>
void for_each_lock(std::span<const NamedStatistics> indexes, const Visit& visit) {
  for (const NamedStatistics& index : indexes) {
    for (const LockClassReport& one : index.figures->locks.classes) {
      visit(joined(index_label(index.name), "lock=\"" + escaped_label(one.name) + "\""), one);
    }
  }
}

void add_lock_times(Exposition& text, std::span<const NamedStatistics> indexes,
                    std::string_view name, std::string_view help,
                    LockTimes LockClassReport::*times) {
  text.family(name, kGauge, help);
  for_each_lock(indexes, [&](const auto& labels, const auto& one) {
    text.sample("", joined(labels, "quantile=\"0.5\""), (one.*times).p50);
    text.sample("", joined(labels, "quantile=\"0.99\""), (one.*times).p99);
    text.sample("", joined(labels, "quantile=\"1\""), (one.*times).max);
  });
}

// Nothing where no index watches its locks.
void add_locks(Exposition& text, std::span<const NamedStatistics> indexes) {
  if (std::all_of(indexes.begin(), indexes.end(),
                  [](const auto& index) { return index.figures->locks.classes.empty(); })) {
    return;
  }
  for (const auto& metric : kLockMetrics) {
    text.family(metric.name, metric.type, metric.help);
    for_each_lock(indexes, [&](const auto& labels, const auto& one) {
      text.sample("", labels, metric.value(one));
    });
  }
  add_lock_times(text, indexes, "lock_wait_quantile_seconds", "Waits for a lock, since open.",
                 &LockClassReport::wait);
  add_lock_times(text, indexes, "lock_hold_quantile_seconds",
                 "How long a lock was held, of a sample, since open.", &LockClassReport::hold);
}

}  // namespace

std::string to_prometheus(std::span<const NamedStatistics> indexes) {
  Exposition text;
  text.family("index_info", kGauge, "Always 1.");
  for (const NamedStatistics& index : indexes) {
    const std::string uuid = "uuid=\"" + escaped_label(index.figures->uuid) + "\"";
    text.sample("", joined(index_label(index.name), uuid), std::uint64_t{1});
  }
  const auto add = [&](const auto& metrics, const auto& figures_of) {
    for (const auto& metric : metrics) {
      text.family(metric.name, metric.type, metric.help);
      for (const NamedStatistics& index : indexes) {
        text.sample("", index_label(index.name), metric.value(figures_of(*index.figures)));
      }
    }
  };
  const auto all = [](const Statistics& figures) -> const Statistics& { return figures; };
  add_operations(text, indexes);
  add_latencies(text, indexes);
  add(kCallMetrics, all);
  add(kMemoryMetrics, all);
  add(
      kRunMetrics, [](const Statistics& figures) -> const auto& { return figures.runs; });
  add(kFileMetrics, all);
  add_locks(text, indexes);
  return text.take();
}

std::string to_prometheus(const Statistics& figures, std::string_view name) {
  const NamedStatistics one{name, &figures};
  return to_prometheus(std::span(&one, 1));
}

std::string to_prometheus(const FileStatistics& figures, std::string_view name) {
  Exposition text;
  const std::string labels = index_label(name);
  text.family("index_info", kGauge, "Always 1.");
  text.sample("", joined(labels, "uuid=\"" + escaped_label(figures.uuid) + "\""), std::uint64_t{1});
  for (const auto& metric : kRunMetrics) {
    text.family(metric.name, metric.type, metric.help);
    text.sample("", labels, metric.value(figures.runs));
  }
  for (const auto& metric : kLookMetrics) {
    text.family(metric.name, metric.type, metric.help);
    text.sample("", labels, metric.value(figures));
  }
  return text.take();
}

}  // namespace varve

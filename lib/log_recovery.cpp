// SPDX-License-Identifier: Apache-2.0
#include "lib/log_recovery.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/in_parallel.hpp"
#include "lib/maintenance.hpp"
#include "lib/memory_model.hpp"
#include "lib/read_limits.hpp"
#include "lib/recovery.hpp"
#include "varve/error.hpp"

namespace varve::internal {

namespace {

constexpr bool kKeepOlder = false;  // No snapshot outlives its process.
constexpr std::size_t kGroupCountMax = 4;
constexpr std::uint64_t kSizePerDelta = std::uint64_t{8} << 10;  // Of a segment, in a group's logs.
// To begin another thread takes as long as to read so many bytes of logs, about.
constexpr std::uint64_t kSizePerThread = std::uint64_t{4} << 20;

// Into `buffer` where there is no mapping that may be used.
std::string_view log_bytes(const Core& core, const directory::ImmutableFile& file,
                           std::string& buffer) {
  const bool untrusted = core.options.untrusted;
  const std::uint64_t size_max = read_limits(untrusted).log_size_max;
  if (file.size() > size_max) {
    throw Error(ErrorCode::LimitExceeded,
                file.name() + ": a log of at most " + std::to_string(size_max) +
                    " bytes expected, " + std::to_string(file.size()) + " found",
                core.directory->path() / file.name());
  }
  if (!untrusted) {
    if (const std::string_view mapped = file.map(); !mapped.empty()) return mapped;
  }
  buffer.resize(file.size());
  file.read(0, buffer);
  return buffer;
}

std::shared_ptr<const directory::ImmutableFile> open_log(const Core& core,
                                                         const LogRecordEntry& entry) {
  const std::string name = log_file_name(entry.number);
  try {
    return core.directory->open(name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NotFound) throw;
    throw Error(ErrorCode::Corruption, name + ": the manifest names this log, but it is missing",
                core.directory->path() / name);
  }
}

// Hands the records of one live log to `visit`. Errors: Corruption where recovery must not go on.
LogScan read_log(const Core& core, const LogRecordEntry& entry, std::string_view bytes,
                 const std::function<void(const LogRecordView&)>& visit) {
  const std::filesystem::path path = core.directory->path() / log_file_name(entry.number);
  LogScan scan = scan_log(bytes,
                          {.uuid = core.manifest()->uuid,
                           .number = entry.number,
                           .sealed_end = entry.sealed_end,
                           .synced_end = entry.synced_end,
                           .boot_id = core.directory->boot_id()},
                          path.string(), visit);
  if (scan.tail == LogScan::Tail::Damaged && !VARVE_MUTANT("replay.damage_is_the_end"))
    throw Error(ErrorCode::Corruption, scan.message, path);
  return scan;
}

}  // namespace

// Errors: as read(). In the order of the logs.
void LogRecovery::open_logs() {
  const auto& entries = manifest_->logs;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].sealed_end == 0 && i + 1 != entries.size()) {
      throw Error(ErrorCode::Corruption,
                  log_file_name(entries[i].number) +
                      ": the manifest says that it is still being written, but lists a later log",
                  core_.directory->path() / kManifestName);
    }
    logs_.push_back({entries[i], open_log(core_, entries[i]), {}, {}});
  }
}

// Twice as many as threads, as later logs have more that no run has. Each group adds a delta to the
// segments that it has something for, so they are few, and fewer still where these would be small.
std::vector<LogRecovery::Group> LogRecovery::make_groups(std::uint64_t logs_size) const {
  const std::size_t thread_count = maintenance_thread_count(core_.options);
  const std::uint64_t worth = logs_size / (kSizePerDelta * core_.routes().size());
  const std::size_t wanted = thread_count == 1 ? 1 : std::min(2 * thread_count, kGroupCountMax);
  const auto count = static_cast<std::size_t>(std::min(
      {std::uint64_t{logs_.size()}, std::uint64_t{wanted}, std::max(worth, std::uint64_t{1})}));
  std::vector<Group> groups(count);
  for (std::size_t i = 0; i < count; ++i) {
    groups[i].begin = logs_.size() * i / count;
    groups[i].end = logs_.size() * (i + 1) / count;
    groups[i].fillers.resize(core_.routes().size());
  }
  return groups;
}

// Up to where logs that are read fill the memory: what it held when the process died is what they
// bring back. With a limit for all of it, it has to be what writers leave when they are in no
// hurry.
bool LogRecovery::takes_no_more() const noexcept {
  const MemoryBudget& budget = core_.memory_budget;
  const std::size_t size_max = budget.is_limited() ? budget.paced_from() : budget.deltas();
  return !core_.options.read_only &&
         core_.flushable_size() + noted_size_.load(std::memory_order_relaxed) >= size_max;
}

// As full as writers leave it when they are not in a hurry: they shall not have to wait at once.
bool LogRecovery::is_memory_full() const noexcept {
  return !core_.options.read_only && core_.flushable_size() >= core_.memory_budget.paced_from();
}

namespace {

// Hands to `visit` what of the record no run has yet: operation, sequence, index of the segment,
// the first one for a range, and where in the record's operations it begins. Returns the last
// sequence of the record.
template <typename Visit>
Sequence visit_unflushed(const Core& core, const Manifest& manifest, const LogRecordView& record,
                         const Visit& visit) {
  OperationReader reader(record.operations);
  OperationSequencer sequencer(record.sequence);
  Operation operation;
  std::size_t end = 0;
  while (reader.next(operation)) {
    const std::size_t begin = std::exchange(end, reader.offset());
    const Sequence sequence = sequencer.next(operation.kind);
    if (sequence > record.sequence && VARVE_MUTANT("replay.batch_cut_short")) break;
    const std::size_t index = core.routes().index_of(operation.key);
    const Sequence flushed = manifest.segments[index].flushed_sequence;
    const bool is_flushed = sequence <= flushed + (VARVE_MUTANT("replay.one_too_few") ? 1 : 0);
    if (!is_flushed || operation.kind == OperationKind::EraseRange) {
      visit(operation, sequence, index, begin);
    }
  }
  return sequencer.last();
}

}  // namespace

// For the group's own deltas. Range erases wait until these are the segments'.
void LogRecovery::note(const LogRecordView& record, const std::shared_ptr<const LogBytes>& log,
                       Group& group) {
  // Not each time, as others count, too; what they do not know of yet is little of the budget.
  const std::size_t shared_from = core_.memory_budget.deltas() / 64;
  const auto begin = static_cast<std::size_t>(record.operations.data() - log->bytes.data());
  group.last_replayed = visit_unflushed(
      core_, *manifest_, record,
      [&](const Operation& operation, Sequence sequence, std::size_t index, std::size_t from) {
        ++group.operation_count;
        if (operation.kind == OperationKind::EraseRange) {
          group.range_erases.push_back(
              {std::string(operation.key), std::string(operation.value), sequence});
          return;
        }
        std::unique_ptr<LogFiller>& filler = group.fillers[index];
        if (filler == nullptr) filler = std::make_unique<LogFiller>(core_.pool);
        const std::size_t before = filler->delta_size();
        filler->add(log, begin + from, operation, sequence);
        group.noted_size += filler->delta_size() - before;
      });
  if (group.noted_size >= shared_from) noted_size_ += std::exchange(group.noted_size, 0);
}

// Records are noted as they are checked, so that they are not gone through twice for it: what is
// found to be wrong with a later one costs the memory of this attempt and nothing else.
void LogRecovery::read_group(Group& group) {
  const bool only_checks = core_.options.untrusted;  // All of it is verified before any is used.
  if (only_checks) group.left_from = {group.begin, 0};
  for (std::size_t i = group.begin; i < group.end; ++i) {
    LiveLog& log = logs_[i];
    const auto bytes = std::make_shared<LogBytes>();
    bytes->file = log.file;
    bytes->bytes = log_bytes(core_, *log.file, bytes->buffer);
    log.scan = read_log(core_, log.entry, bytes->bytes, [&](const LogRecordView& record) {
      if (!log.first) log.first = {record.offset, record.size, record.sequence, {}};
      if (!group.left_from && takes_no_more()) group.left_from = {i, record.offset};
      if (!group.left_from) note(record, bytes, group);
    });
  }
}

// Errors: Corruption.
void LogRecovery::check_order() const {
  Sequence last = 0;
  for (const LiveLog& log : logs_) {
    if (log.first && log.first->sequence <= last) {
      const std::filesystem::path path = core_.directory->path() / log_file_name(log.entry.number);
      throw Error(ErrorCode::Corruption,
                  path.string() + ", log at byte " + std::to_string(log.first->offset) +
                      ": a first sequence above " + std::to_string(last) + " expected, " +
                      std::to_string(log.first->sequence) +
                      " found: it begins before the log before it ends",
                  path);
    }
    last = std::max(last, log.scan.last_operation_sequence);
  }
}

// The deltas of a segment are made one behind the other, so that their memory is: who fills one of
// them has the kernel clear the same large page for the others. Where the logs are not to be read
// later on, or not there, they are filled now.
void LogRecovery::give_deltas(std::span<Group> groups) {
  std::vector<std::shared_ptr<const segment::Delta>> unmapped;
  for (std::size_t i = 0; i < core_.routes().size(); ++i) {
    std::vector<std::shared_ptr<const segment::Delta>> deltas;  // Newest first.
    for (Group& group : groups) {
      if (group.fillers[i] == nullptr) continue;
      const bool is_mapped = core_.options.reads == Reads::Mapped && group.fillers[i]->is_mapped();
      auto delta = core_.make_unfilled_delta(std::move(group.fillers[i]));
      if (!is_mapped) unmapped.push_back(delta);
      deltas.insert(VARVE_MUTANT("replay.group_shown_as_oldest") ? deltas.end() : deltas.begin(),
                    std::move(delta));
    }
    if (deltas.empty()) continue;
    segment::Segment& segment = *core_.routes().at(i);
    segment.note_write(deltas.front()->last_sequence());
    core_.publish(segment, [&](segment::View& view) { view.frozen = std::move(deltas); });
  }
  const std::size_t thread_count = maintenance_thread_count(core_.options);
  in_parallel(unmapped.size(), std::min(thread_count, unmapped.size()),
              [&](std::size_t i) { unmapped[i]->fill(); });
}

// Gives the segments what the groups have for them, up to the first record that was left out.
void LogRecovery::take_groups(std::span<Group> groups) {
  const auto left = std::find_if(groups.begin(), groups.end(),
                                 [](const Group& group) { return group.left_from.has_value(); });
  if (left != groups.end()) {
    left_from_ = left->left_from;
    groups = {groups.begin(), std::next(left)};
  }
  give_deltas(groups);
  for (const Group& group : groups) {
    for (const RangeErase& erase : group.range_erases) {
      apply_range_erase(core_, erase.from, erase.to, erase.sequence, true);
    }
    core_.counters.recovered_operations += group.operation_count;
    if (group.last_replayed != 0) core_.set_recovered_sequence(group.last_replayed);
  }
}

void LogRecovery::read() {
  manifest_ = core_.manifest();
  open_logs();
  std::uint64_t size = 0;
  for (const LiveLog& log : logs_) size += log.file->size();
  std::vector<Group> groups = make_groups(size);
  const std::size_t thread_count = static_cast<std::size_t>(
      std::min<std::uint64_t>(maintenance_thread_count(core_.options), size / kSizePerThread + 1));
  in_parallel(groups.size(), thread_count, [&](std::size_t i) { read_group(groups[i]); });
  check_order();
  // While replaying, "the last sequence" is that of the record replayed last: a flush in between
  // must not claim to have what is still to come.
  core_.set_recovered_sequence(manifest_->checkpoint);
  take_groups(groups);
}

// A process of this machine run left all that it had stored: what is behind the last record is
// nothing, or a part of one that was never acknowledged, and may be written over.
bool LogRecovery::can_resume(const LiveLog& log) const {
  const std::string boot_id = core_.directory->boot_id();
  if (log.entry.sealed_end != 0 || core_.options.untrusted || boot_id.empty()) return false;
  return log.scan.header.boot_id == boot_id || VARVE_MUTANT("recovery.log_resumed_after_reboot");
}

// The last one is gone on with where that is possible. Else, after power loss above all, it is cut
// to what was recovered, durably: nothing may follow what was not.
//
// Before there is a flush: that syncs the log first. What the segments have that are flushed must
// not outlast what came before it in others (docs/adr/0007).
void LogRecovery::take_over() {
  auto log = std::make_unique<WriteLog>(*core_.directory, manifest_->uuid,
                                        core_.options.tuning.log_file_size, core_.locks.log_sync);
  const LiveLog* resumed = nullptr;
  std::vector<RecoveredLog> recovered;
  for (const LiveLog& live : logs_) {
    if (can_resume(live)) {
      resumed = &live;  // The last one, for only that can be unsealed.
    } else if (live.entry.sealed_end != 0) {
      recovered.push_back({live.entry, live.scan.last_operation_sequence});
    } else {
      std::string buffer;
      recovered.push_back(seal_recovered_log(*core_.directory, log_bytes(core_, *live.file, buffer),
                                             live.scan, live.entry.synced_end));
    }
  }
  log->adopt(recovered);
  if (resumed != nullptr) log->resume(resumed->entry, resumed->scan);
  core_.take_log(std::move(log));
}

// Without space it stays in memory: what the logs hold was in memory before, about.
void LogRecovery::flush_replayed() {
  if (core_.space.lacks(Space::Use::Job)) return;
  try {
    while (is_memory_full() && flush_for_memory(core_)) {
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;
    core_.space.ran_out(Space::Use::Job, error);
  }
  manifest_ = core_.manifest();
}

// Puts the record into the segments that have not flushed it.
void LogRecovery::replay(const LogRecordView& record, SegmentQueue& queue) {
  const Sequence last = visit_unflushed(
      core_, *manifest_, record,
      [&](const Operation& operation, Sequence sequence, std::size_t index, std::size_t /*begin*/) {
        ++core_.counters.recovered_operations;
        if (operation.kind == OperationKind::EraseRange) {
          queue.finish();
          apply_range_erase(core_, operation.key, operation.value, sequence, true);
        } else {
          queue.add(*core_.routes().at(index), entry_kind(operation.kind), operation.key,
                    operation.value, sequence);
        }
      });
  core_.set_recovered_sequence(last);
}

// What fits into memory is left to the jobs that come after opening.
void LogRecovery::finish() {
  for (std::size_t i = left_from_ ? left_from_->log : logs_.size(); i < logs_.size(); ++i) {
    const LiveLog& log = logs_[i];
    std::string buffer;
    const std::string_view bytes = log_bytes(core_, *log.file, buffer);
    SegmentQueue queue(kKeepOlder);
    static_cast<void>(read_log(core_, log.entry, bytes, [&](const LogRecordView& record) {
      if (i == left_from_->log && record.offset < left_from_->offset) return;  // Was replayed.
      if (is_memory_full()) {
        queue.finish();
        flush_replayed();
      }
      replay(record, queue);
    }));
    queue.finish();
  }
  core_.set_recovered_sequence(std::max(core_.last_sequence(), core_.manifest()->last_sequence));
}

}  // namespace varve::internal

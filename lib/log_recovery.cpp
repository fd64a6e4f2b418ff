// SPDX-License-Identifier: Apache-2.0
#include "lib/log_recovery.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/maintenance.hpp"
#include "lib/read_limits.hpp"
#include "lib/recovery.hpp"
#include "varve/error.hpp"

namespace varve::internal {

namespace {

constexpr bool kKeepOlder = false;  // No snapshot outlives its process.

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

void LogRecovery::fail_as_overlapping(const LiveLog& log, const LogRecordView& first,
                                      Sequence last) const {
  const std::filesystem::path path = core_.directory->path() / log_file_name(log.entry.number);
  throw Error(ErrorCode::Corruption,
              path.string() + ", log at byte " + std::to_string(first.offset) +
                  ": a first sequence above " + std::to_string(last) + " expected, " +
                  std::to_string(first.sequence) +
                  " found: it begins before the log before it ends",
              path);
}

// As full as writers leave it when they are not in a hurry: they shall not have to wait at once.
bool LogRecovery::is_memory_full() const noexcept {
  return !core_.options.read_only && core_.flushable_size() >= core_.memory_budget.paced_from();
}

// Puts the record into the segments that have not flushed it.
void LogRecovery::replay(const LogRecordView& record, InsertionQueue& queue) {
  OperationReader reader(record.operations);
  OperationSequencer sequencer(record.sequence);
  Operation operation;
  while (reader.next(operation)) {
    const Sequence sequence = sequencer.next(operation.kind);
    if (sequence > record.sequence && VARVE_MUTANT("replay.batch_cut_short")) break;
    if (operation.kind == OperationKind::EraseRange) {
      queue.finish();
      apply_range_erase(core_, operation.key, operation.value, sequence, true);
      ++core_.counters.recovered_operations;
      continue;
    }
    const std::size_t index = core_.routes().index_of(operation.key);
    const Sequence flushed = manifest_->segments[index].flushed_sequence;
    if (sequence <= flushed + (VARVE_MUTANT("replay.one_too_few") ? 1 : 0)) continue;
    ++core_.counters.recovered_operations;
    queue.add(*core_.routes().at(index), entry_kind(operation.kind), operation.key, operation.value,
              sequence);
  }
  core_.set_recovered_sequence(sequencer.last());
}

// What is replayed is also what takes long, so the records are not gone through twice for it: what
// is found to be wrong with a later one costs the memory of this attempt and nothing else.
void LogRecovery::read() {
  manifest_ = core_.manifest();
  const auto& entries = manifest_->logs;
  stopped_ = core_.options.untrusted;  // All of the index is verified before any of it is used.
  // While replaying, "the last sequence" is that of the record replayed last: a flush in between
  // must not claim to have what is still to come.
  core_.set_recovered_sequence(manifest_->checkpoint);
  Sequence last = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].sealed_end == 0 && i + 1 != entries.size()) {
      throw Error(ErrorCode::Corruption,
                  log_file_name(entries[i].number) +
                      ": the manifest says that it is still being written, but lists a later log",
                  core_.directory->path() / kManifestName);
    }
    LiveLog log{entries[i], open_log(core_, entries[i]), {}};
    std::string buffer;
    const std::string_view bytes = log_bytes(core_, *log.file, buffer);
    InsertionQueue queue(kKeepOlder);
    log.scan = read_log(core_, log.entry, bytes, [&](const LogRecordView& record) {
      if (record.sequence <= last) fail_as_overlapping(log, record, last);
      if (!stopped_ && is_memory_full()) {
        stopped_ = true;
        stopped_in_ = i;
        stopped_at_ = record.offset;
      }
      if (!stopped_) replay(record, queue);
    });
    queue.finish();
    last = std::max(last, log.scan.last_operation_sequence);
    logs_.push_back(std::move(log));
  }
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

// What fits into memory is left to the jobs that come after opening.
void LogRecovery::finish() {
  for (std::size_t i = stopped_in_; stopped_ && i < logs_.size(); ++i) {
    const LiveLog& log = logs_[i];
    std::string buffer;
    const std::string_view bytes = log_bytes(core_, *log.file, buffer);
    InsertionQueue queue(kKeepOlder);
    static_cast<void>(read_log(core_, log.entry, bytes, [&](const LogRecordView& record) {
      if (i == stopped_in_ && record.offset < stopped_at_) return;
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

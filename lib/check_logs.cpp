// SPDX-License-Identifier: Apache-2.0
#include "lib/check_logs.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "lib/file_names.hpp"

namespace varve::internal {

void LogChecker::check(std::size_t position) {
  const LogRecordEntry& entry = manifest_.logs[position];
  const std::string name = log_file_name(entry.number);
  const bool last = position + 1 == manifest_.logs.size();
  if (entry.sealed_end == 0 && !last) {
    findings_.damage(std::string(kManifestName), 0,
                     "it says that " + name + " is still being written, but lists a later log");
  }
  std::string bytes;
  if (!read(name, entry, bytes)) {
    skip();
    return;
  }
  scan(name, entry, bytes, last);
}

bool LogChecker::read(const std::string& name, const LogRecordEntry& entry, std::string& bytes) {
  try {
    const std::shared_ptr<const directory::ImmutableFile> file = directory_.open(name);
    std::uint64_t size = file->size();
    if (entry.sealed_end != 0)
      size = std::min(size, std::max<std::uint64_t>(entry.sealed_end, kLogHeaderSize));
    if (size > size_max_) {
      CheckFinding& finding = findings_.damage(name, 0, "the log is longer than it may be");
      finding.expected = std::to_string(size_max_) + " bytes at most";
      finding.found = std::to_string(size) + " bytes";
      return false;
    }
    bytes.resize(static_cast<std::size_t>(size));
    file->read(0, bytes);
    return true;
  } catch (const Error& error) {
    findings_.damage(name, 0, error);
  } catch (const std::bad_alloc&) {
    CheckFinding& finding = findings_.damage(name, 0, "there is not enough memory to read the log");
    finding.advice = "check it on a machine with more memory";
  }
  return false;
}

void LogChecker::scan(const std::string& name, const LogRecordEntry& entry,
                      const std::string& bytes, bool last) {
  std::exception_ptr visitor_failure;
  const std::string path = (directory_.path() / name).string();
  try {
    const LogScan result = scan_log(bytes,
                                    {.uuid = manifest_.uuid,
                                     .number = entry.number,
                                     .sealed_end = entry.sealed_end,
                                     .synced_end = entry.synced_end,
                                     .boot_id = directory_.boot_id()},
                                    path, [&](const LogRecordView& record) {
                                      try {
                                        count(entry, record);
                                      } catch (...) {
                                        visitor_failure = std::current_exception();
                                        throw;
                                      }
                                    });
    ++totals_.log_count;
    totals_.size += result.end;
    previous_last_ = std::max(previous_last_, totals_.last_sequence);
    if (result.tail == LogScan::Tail::Clean) return;
    std::string message = result.message;
    if (message.starts_with(path + ", ")) message.erase(0, path.size() + 2);
    const bool torn = result.tail == LogScan::Tail::Torn && last;
    CheckFinding& finding = findings_.from_message(torn ? Severity::Warning : Severity::Damage,
                                                   name, result.end, std::move(message));
    finding.advice = torn ? "nothing: it is what a crash leaves, and will be truncated at the next "
                            "open; see what is kept with: varve log dump DIR"
                          : advice_restore(name);
  } catch (const Error& error) {
    if (visitor_failure) throw;
    findings_.damage(name, 0, error);
    skip();
  }
}

void LogChecker::count(const LogRecordEntry& entry, const LogRecordView& record) {
  if (record.offset == kLogHeaderSize && record.sequence <= previous_last_) {
    CheckFinding& finding = findings_.damage(internal::log_file_name(entry.number), record.offset,
                                             "the log begins before the log before it ends");
    finding.expected = "a first sequence above " + std::to_string(previous_last_);
    finding.found = std::to_string(record.sequence);
  }
  LogRecordInfo info;
  info.log_number = entry.number;
  info.offset = record.offset;
  info.size = record.size;
  info.sequence = record.sequence;
  info.operations = record.operations;
  OperationReader reader(record.operations);
  OperationSequencer sequencer(record.sequence);
  for (Operation operation; reader.next(operation); ++info.operation_count) {
    static_cast<void>(sequencer.next(operation.kind));
  }
  if (totals_.record_count == 0) totals_.first_sequence = record.sequence;
  ++totals_.record_count;
  totals_.operation_count += info.operation_count;
  totals_.last_sequence = sequencer.last();
  if (visit_) visit_(info);
}

}  // namespace varve::internal

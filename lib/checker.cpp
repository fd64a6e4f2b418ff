// SPDX-License-Identifier: Apache-2.0
#include "lib/checker.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/check_files.hpp"
#include "lib/check_logs.hpp"
#include "lib/check_runs.hpp"
#include "lib/read_limits.hpp"
#include "segment/block.hpp"

namespace varve {

std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::Note:
      return "Note";
    case Severity::Warning:
      return "Warning";
    case Severity::Damage:
      return "Damage";
  }
  return "Unknown";
}

namespace internal {

namespace {

// The runs of one file, in the order of their offsets.
struct RunFile {
  std::vector<PlacedRun> runs;
  std::uint64_t entry_count = 0;
};

std::map<std::string, RunFile> files_of(const Manifest& manifest) {
  std::map<std::string, RunFile> files;
  for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
    const SegmentRecord& segment = manifest.segments[i];
    const std::string_view upper =
        i + 1 < manifest.segments.size() ? manifest.segments[i + 1].fence : std::string_view();
    const auto place = [&](const RunRecord& record) {
      RunFile& file = files[run_file_name(record)];
      file.runs.push_back({&record, segment.fence, upper});
      file.entry_count += record.entry_count;
    };
    if (segment.main) place(*segment.main);
    for (const RunRecord& slice : segment.slices) place(slice);
  }
  for (auto& [name, file] : files) {
    std::sort(file.runs.begin(), file.runs.end(), [](const PlacedRun& a, const PlacedRun& b) {
      return a.record->offset < b.record->offset;
    });
  }
  return files;
}

class Checker {
 public:
  Checker(directory::Directory& directory, const CheckOptions& options, Holder holder)
      : options_(options),
        findings_(report_.findings),
        index_(directory, options, holder, report_.findings) {}

  CheckReport run() {
    report_.file_count = index_.file_count();
    if (index_.manifest()) check(*index_.manifest());
    index_.report_rest();
    return std::move(report_);
  }

 private:
  void check(const Manifest& manifest) {
    report_.size += index_.manifest_size();
    report_.segment_count = manifest.segments.size();
    report_.writer_epoch = manifest.writer_epoch;
    report_.manifest_edit = manifest.edit;
    const std::map<std::string, RunFile> files = files_of(manifest);
    for (const auto& [name, file] : files) total_size_ += index_.size_of(name);
    for (const LogRecordEntry& log : manifest.logs) {
      total_size_ += index_.size_of(log_file_name(log.number));
    }
    RunChecker runs(manifest, options_.deep, read_limits(options_.untrusted).run, report_);
    for (const auto& [name, file] : files) check_file(name, file, runs);
    check_logs(manifest);
  }

  void check_file(const std::string& name, const RunFile& expected, RunChecker& runs) {
    if (index_.expect(name, expected.entry_count)) {
      std::shared_ptr<const directory::ImmutableFile> file;
      try {
        file = index_.directory().open(name);
      } catch (const Error& error) {
        findings_.damage(name, 0, error).entry_count = expected.entry_count;
      }
      if (file != nullptr && has_length(*file, expected)) {
        for (const PlacedRun& run : expected.runs) {
          runs.check(file, run);
          if (run.record->kind == RunRecord::Kind::Slice) runs.check_padding(*file, *run.record);
          progress(name, std::min(run.record->offset + run.record->size, file->size()));
        }
      }
    }
    end_file(name);
  }

  // False: it is too short for any of its runs. A delta file may have dead slices behind its last
  // live one, so its exact length is not known, only that it ends with a run or its padding; each
  // slice then looks whether it is there.
  bool has_length(const directory::ImmutableFile& file, const RunFile& expected) {
    const RunRecord& last = *expected.runs.back().record;
    const std::uint64_t end = last.offset + last.size;
    const bool is_main = last.kind == RunRecord::Kind::Main;
    const bool may_be_longer = !is_main && file.size() % segment::kBlockUnit == 0;
    if (file.size() == end || (may_be_longer && file.size() > end)) return true;
    const bool cut_off = file.size() < end;
    CheckFinding& finding = findings_.damage(
        file.name(), std::min(file.size(), end),
        cut_off ? "the file is cut off" : "bytes behind the end of the file's run");
    finding.expected = std::to_string(end) + (is_main ? " bytes" : " bytes at least");
    finding.found = std::to_string(file.size()) + " bytes";
    if (is_main && cut_off) finding.entry_count = expected.entry_count;
    return !(is_main && cut_off);
  }

  void check_logs(const Manifest& manifest) {
    LogChecker logs(index_.directory(), manifest, read_limits(options_.untrusted).log_size_max,
                    report_.findings, {});
    for (std::size_t i = 0; i < manifest.logs.size(); ++i) {
      const std::string name = log_file_name(manifest.logs[i].number);
      if (index_.expect(name, 0)) {
        logs.check(i);
      } else {
        logs.skip();
      }
      end_file(name);
    }
    report_.log_record_count = logs.totals().record_count;
    report_.size += logs.totals().size;
  }

  void end_file(const std::string& name) {
    progress(name, index_.size_of(name));
    done_size_ += index_.size_of(name);
  }
  // `size`: bytes of this file that are done.
  void progress(std::string_view file, std::uint64_t size) const {
    if (!options_.progress) return;
    options_.progress({.file = file,
                       .done_size = std::min(done_size_ + size, total_size_),
                       .total_size = total_size_});
  }

  const CheckOptions& options_;
  CheckReport report_;
  Findings findings_;
  CheckedDirectory index_;
  std::uint64_t done_size_ = 0, total_size_ = 0;  // Bytes, as listed; done: whole files.
};

}  // namespace

CheckReport check_directory(directory::Directory& directory, const CheckOptions& options,
                            Holder holder) {
  return Checker(directory, options, holder).run();
}

LogReport check_directory_log(directory::Directory& directory,
                              const std::function<void(const LogRecordInfo&)>& visit,
                              const CheckOptions& options) {
  LogReport report;
  CheckedDirectory index(directory, options, Holder::Check, report.findings);
  if (!index.manifest()) return report;
  const Manifest& manifest = *index.manifest();
  LogChecker logs(directory, manifest, read_limits(options.untrusted).log_size_max, report.findings,
                  visit);
  for (std::size_t i = 0; i < manifest.logs.size(); ++i) {
    if (index.expect(log_file_name(manifest.logs[i].number), 0)) {
      logs.check(i);
    } else {
      logs.skip();
    }
  }
  const LogChecker::Totals& totals = logs.totals();
  report.log_count = totals.log_count;
  report.record_count = totals.record_count;
  report.operation_count = totals.operation_count;
  report.size = totals.size;
  report.first_sequence = totals.first_sequence;
  report.last_sequence = totals.last_sequence;
  return report;
}

}  // namespace internal

CheckReport check(const std::filesystem::path& directory, const CheckOptions& options) {
  return internal::check_directory(
      *directory::make_posix_directory(directory, {.allow_network_file_system = true}), options);
}

LogReport check_log(const std::filesystem::path& directory,
                    const std::function<void(const LogRecordInfo&)>& visit,
                    const CheckOptions& options) {
  return internal::check_directory_log(
      *directory::make_posix_directory(directory, {.allow_network_file_system = true}), visit,
      options);
}

}  // namespace varve

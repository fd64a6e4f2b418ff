// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/directory_lock.hpp"

namespace varve {

enum class Severity : std::uint8_t {
  Note,     // Worth knowing; nothing is wrong (a foreign file, a leftover *.tmp).
  Warning,  // Will be put right at the next open without loss (a torn log tail after a crash).
  Damage,   // Data is unreadable, missing or contradictory.
};
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Severity severity) noexcept;

// One finding. `file` is relative to the index directory; offsets are bytes from its start.
struct CheckFinding {
  Severity severity = Severity::Note;
  std::string file;
  std::uint64_t offset = 0;
  std::string what;      // One sentence.
  std::string expected;  // Empty where it does not apply.
  std::string found;
  std::string first_key, last_key;  // Keys concerned, both inclusive; empty: none or unknown.
  std::uint64_t entry_count = 0;    // Entries concerned, where known.
  std::string advice;               // What to do next.
};

struct CheckProgress {
  std::string_view file;
  std::uint64_t done_size = 0, total_size = 0;  // Bytes.
};

struct CheckOptions {
  // False: manifest, lock, file lengths, log records, run footers, sparse indexes and filters.
  // True: also every block, key order, fences, filter membership of every key, routes.
  bool deep = false;
  // As Options::untrusted: lower limits on the memory that a file may demand. What is beyond them
  // is reported as damage and not read.
  bool untrusted = false;
  std::chrono::milliseconds lock_wait = kOpenWaitDefault;
  std::function<void(const CheckProgress&)> progress = {};  // Called now and then; must not throw.
};

struct CheckReport {
  std::vector<CheckFinding> findings;
  std::uint64_t file_count = 0, segment_count = 0, run_count = 0, block_count = 0;
  std::uint64_t entry_count = 0;  // In runs; shadowed versions and tombstones included.
  std::uint64_t log_record_count = 0;
  std::uint64_t size = 0;  // Bytes read and verified.
  std::uint64_t writer_epoch = 0, manifest_edit = 0;
  [[nodiscard]] bool sound() const noexcept {
    for (const CheckFinding& finding : findings) {
      if (finding.severity == Severity::Damage) return false;
    }
    return true;
  }
};

// Reads the index in `directory` and reports what is wrong with it. Takes the shared lock where
// the medium allows, changes nothing, never stops at the first finding, never trusts a size that
// it read.
// Errors: NotFound (no index there), Locked (a writer has it open), Io (the medium refused a read;
// damage is a finding, never an Error).
[[nodiscard]] VARVE_EXPORT CheckReport check(const std::filesystem::path& directory,
                                             const CheckOptions& options = {});

// One valid record of a log file, for `varve log dump`.
struct LogRecordInfo {
  std::uint64_t log_number = 0, offset = 0, size = 0, sequence = 0, operation_count = 0;
  std::string_view operations;  // WriteBatch::encoded() form; valid during the call.
};
struct LogReport {
  std::vector<CheckFinding> findings;
  std::uint64_t log_count = 0, record_count = 0, operation_count = 0, size = 0;
  std::uint64_t first_sequence = 0, last_sequence = 0;
  [[nodiscard]] bool sound() const noexcept {
    for (const CheckFinding& finding : findings) {
      if (finding.severity == Severity::Damage) return false;
    }
    return true;
  }
};
// Reads every live log record in order and hands it to `visit` (may be empty). As check(), it
// changes nothing. Of the options only `untrusted` and `lock_wait` matter. Errors: as check(); what
// `visit` throws passes through.
VARVE_EXPORT LogReport check_log(const std::filesystem::path& directory,
                                 const std::function<void(const LogRecordInfo&)>& visit = {},
                                 const CheckOptions& options = {});

}  // namespace varve

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/check_report.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"

namespace varve::internal {

// Reads the live logs of a manifest in order, as recovery would, and changes nothing.
// Thread-safety: one thread. Errors: only what `visit` throws.
class LogChecker {
 public:
  using Visitor = std::function<void(const LogRecordInfo&)>;
  struct Totals {
    std::uint64_t log_count = 0, record_count = 0, operation_count = 0, size = 0;
    std::uint64_t first_sequence = 0, last_sequence = 0;
  };
  LogChecker(const directory::Directory& directory, const Manifest& manifest,
             std::uint64_t size_max, std::vector<CheckFinding>& findings, Visitor visit)
      : directory_(directory),
        manifest_(manifest),
        size_max_(size_max),
        findings_(findings),
        visit_(std::move(visit)) {}

  // The log at `position` of Manifest::logs. Requires: called in order.
  void check(std::size_t position);
  // In place of check() for a log that is no file: the next one cannot be compared with it.
  void skip() noexcept { previous_last_ = 0; }
  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }

 private:
  [[nodiscard]] bool read(const std::string& name, const LogRecordEntry& entry, std::string& bytes);
  void scan(const std::string& name, const LogRecordEntry& entry, const std::string& bytes,
            bool last);
  void count(const LogRecordEntry& entry, const LogRecordView& record);

  const directory::Directory& directory_;
  const Manifest& manifest_;
  const std::uint64_t size_max_;  // A log of more bytes is not read into memory.
  Findings findings_;
  const Visitor visit_;  // May be empty.
  Totals totals_;
  Sequence previous_last_ = 0;  // Of the last operation in the logs before; 0: unknown.
};

}  // namespace varve::internal

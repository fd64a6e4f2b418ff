// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "lib/check_report.hpp"
#include "lib/file_names.hpp"
#include "lib/manifest.hpp"
#include "varve/check.hpp"

namespace varve::internal {

// Who holds the directory while it is checked.
enum class Holder : std::uint8_t {
  Check,   // Takes the shared lock where that is possible.
  Caller,  // Has it already.
};

// The directory of an index as the checks see it: held while that is possible, its entries listed
// once, its manifest read. Nothing but regular files is ever opened.
// Thread-safety: one thread.
class CheckedDirectory {
 public:
  // Errors: NotFound when nothing here is an index or the rest of one; Locked; Io when the
  // directory cannot be read.
  CheckedDirectory(directory::Directory& directory, const CheckOptions& options, Holder holder,
                   std::vector<CheckFinding>& findings);

  [[nodiscard]] directory::Directory& directory() noexcept { return directory_; }
  // Nothing when it is missing or damaged, which is a finding already.
  [[nodiscard]] const std::optional<Manifest>& manifest() const noexcept { return manifest_; }
  [[nodiscard]] std::uint64_t manifest_size() const noexcept { return manifest_size_; }
  [[nodiscard]] std::uint64_t file_count() const noexcept { return files_.size(); }
  // Bytes as listed; 0 when it is not there.
  [[nodiscard]] std::uint64_t size_of(const std::string& name) const noexcept;

  // True when `name`, which the manifest names, is a regular file; a finding otherwise. Takes it
  // out of report_rest().
  bool expect(const std::string& name, std::uint64_t entry_count);
  // What the manifest does not name: leftovers of ours and what is foreign.
  void report_rest();

 private:
  void acquire(std::chrono::milliseconds lock_wait);
  void list();
  void load_manifest(std::uint64_t size_max);
  void check_permissions();
  void report_headless(const std::string& advice);
  void check_last_close();
  void check_epoch();
  void report_stray(const directory::FileInfo& file, FileName::Type type);

  directory::Directory& directory_;
  std::vector<CheckFinding>& all_;
  Findings findings_;
  LockStatus status_;  // As before we took the lock.
  std::unique_ptr<directory::Ownership> ownership_;
  std::map<std::string, directory::FileInfo> files_;
  std::set<std::string> expected_;
  std::optional<Manifest> manifest_;
  std::uint64_t manifest_size_ = 0;
};

}  // namespace varve::internal

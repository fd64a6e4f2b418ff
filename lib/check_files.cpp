// SPDX-License-Identifier: Apache-2.0
#include "lib/check_files.hpp"

#include <algorithm>
#include <utility>

#include "directory/lock_record.hpp"
#include "lib/read_limits.hpp"

namespace varve::internal {

namespace {

const std::string kManifest(kManifestName);
const std::string kLock("LOCK");

const char* text_of(directory::FileKind kind) noexcept {
  switch (kind) {
    case directory::FileKind::Regular:
      return "a regular file";
    case directory::FileKind::Directory:
      return "a directory";
    case directory::FileKind::Symlink:
      return "a symbolic link";
    case directory::FileKind::Other:
      return "a special file";
  }
  return "something unknown";
}

bool holds_data(FileName::Type type) noexcept {
  return type == FileName::Type::Log || type == FileName::Type::Delta ||
         type == FileName::Type::Main;
}

}  // namespace

CheckedDirectory::CheckedDirectory(directory::Directory& directory, const CheckOptions& options,
                                   Holder holder, std::vector<CheckFinding>& findings)
    : directory_(directory), all_(findings), findings_(findings) {
  if (holder == Holder::Check) acquire(options.lock_wait);
  list();
  check_permissions();
  load_manifest(read_limits(options.untrusted).manifest_size_max);
  check_last_close();
  check_epoch();
}

// Without a lock the check goes on: what it reads may then change under it, which it says.
void CheckedDirectory::acquire(std::chrono::milliseconds lock_wait) {
  try {
    status_ = directory_.lock_status();
    ownership_ = directory_.acquire(LockMode::Shared, lock_wait, false);
  } catch (const Error& error) {
    switch (error.code()) {
      case ErrorCode::Unsupported:
      case ErrorCode::ReadOnly:
        findings_.note(kLock,
                       "the directory cannot be locked here; a writer elsewhere could make "
                       "findings appear that are none: " +
                           std::string(error.what()));
        return;
      case ErrorCode::Corruption:
        findings_.damage(kLock, 0, error).advice =
            "remove it while no process uses the index; the next open makes a new one";
        return;
      case ErrorCode::Io:
        if (error.path().filename() != kLock) throw;
        findings_.damage(kLock, 0, error).advice =
            "it holds no data; look for what else the device has lost";
        return;
      case ErrorCode::NotFound:  // Perhaps runs without LOCK and MANIFEST: list() decides.
        return;
      default:
        throw;
    }
  }
}

void CheckedDirectory::list() {
  bool any_of_ours = false;
  for (directory::FileInfo& file : directory_.list()) {
    const auto name = parse_file_name(file.name);
    any_of_ours =
        any_of_ours || (name && (holds_data(name->type) || name->type == FileName::Type::Manifest));
    std::string key = file.name;
    files_.emplace(std::move(key), std::move(file));
  }
  if (any_of_ours) return;
  throw Error(ErrorCode::NotFound, "there is no index in " + directory_.path().string(),
              directory_.path());
}

void CheckedDirectory::check_permissions() {
  if (!directory_.is_writable_by_others()) return;
  findings_.note("", "others than the owner may write in the directory, and so replace any file")
      .advice = "chmod go-w the directory, unless they are trusted as much as the owner";
}

void CheckedDirectory::load_manifest(std::uint64_t size_max) {
  const auto it = files_.find(kManifest);
  if (it == files_.end()) {
    findings_.damage(kManifest, 0, "MANIFEST is missing, but there are files of an index");
    report_headless("restore the whole directory from a backup");
    return;
  }
  if (!expect(kManifest, 0)) {
    report_headless("restore the whole directory from a backup");
    return;
  }
  try {
    const std::string bytes = directory_.read_all(kManifestName, size_max);
    manifest_ = decode_manifest(bytes, (directory_.path() / kManifestName).string());
    manifest_size_ = bytes.size();
  } catch (const Error& error) {
    CheckFinding& finding = findings_.damage(kManifest, 0, error);
    if (error.code() == ErrorCode::Corruption) finding.advice = kAdviceSalvage;
    report_headless("it can be checked once there is a sound MANIFEST");
  }
}

// What is there, for whoever has to restore it.
void CheckedDirectory::report_headless(const std::string& advice) {
  for (const auto& [name, file] : files_) {
    const auto parsed = parse_file_name(name);
    if (!parsed || !holds_data(parsed->type)) continue;
    expected_.insert(name);
    CheckFinding& finding =
        findings_.note(name, std::string(text_of(file.kind)) + " of " + std::to_string(file.size) +
                                 " bytes, which without a manifest cannot be checked");
    finding.advice = advice;
  }
}

void CheckedDirectory::check_last_close() {
  const bool unclean = manifest_ && !manifest_->closed_cleanly;
  if (!unclean && !status_.left_open) return;
  CheckFinding& finding = findings_.add(
      Severity::Warning, unclean ? kManifest : kLock, 0,
      "the last writer did not close the index; the next open recovers what its log holds");
  finding.advice = "nothing, or see what will be recovered with: varve log dump DIR";
}

// LOCK decides nothing, but it outlives a restored MANIFEST.
void CheckedDirectory::check_epoch() {
  const auto it = files_.find(kLock);
  if (!manifest_ || it == files_.end() || it->second.kind != directory::FileKind::Regular) return;
  try {
    const auto record =
        directory::decode_lock_record(directory_.read_all(kLock, directory::kLockRecordSize));
    // An open writes the new epoch to LOCK first.
    if (!record || record->writer_epoch <= manifest_->writer_epoch + 1) return;
    CheckFinding& finding = findings_.note(
        kManifest, "it is older than the last writer that LOCK tells of, as after a restore");
    finding.expected = "writer epoch " + std::to_string(record->writer_epoch);
    finding.found = std::to_string(manifest_->writer_epoch);
    finding.advice = "make sure that the whole directory was restored, not MANIFEST alone";
  } catch (const Error&) {
    // Nobody depends on the record.
  }
}

std::uint64_t CheckedDirectory::size_of(const std::string& name) const noexcept {
  const auto it = files_.find(name);
  return it == files_.end() ? 0 : it->second.size;
}

bool CheckedDirectory::expect(const std::string& name, std::uint64_t entry_count) {
  const bool first = expected_.insert(name).second;
  const auto it = files_.find(name);
  if (it != files_.end() && it->second.kind == directory::FileKind::Regular) return true;
  if (!first) return false;
  const bool missing = it == files_.end();
  CheckFinding& finding = findings_.damage(
      name, 0,
      missing ? "the manifest names this file, but it is missing"
              : "the name of a file of the index is taken by something else, which was not opened");
  finding.expected = "a regular file";
  finding.found = missing ? "nothing" : text_of(it->second.kind);
  finding.entry_count = entry_count;
  return false;
}

void CheckedDirectory::report_rest() {
  for (const auto& [name, file] : files_) {
    if (expected_.contains(name)) continue;
    const auto parsed = parse_file_name(name);
    if (parsed && parsed->type == FileName::Type::Lock) continue;
    const bool regular = file.kind == directory::FileKind::Regular;
    if (parsed && parsed->type == FileName::Type::Reserve && regular) continue;  // Holds nothing.
    if (parsed) {
      report_stray(file, parsed->type);
    } else {
      findings_.note(name, std::string(text_of(file.kind)) +
                               " that does not belong to the index; Varve leaves it alone");
    }
  }
}

void CheckedDirectory::report_stray(const directory::FileInfo& file, FileName::Type type) {
  const bool removable =
      file.kind == directory::FileKind::Regular ||
      (file.kind == directory::FileKind::Symlink && type == FileName::Type::Temporary);
  if (!removable) {
    CheckFinding& finding = findings_.note(
        file.name, std::string(text_of(file.kind)) + " by a name of ours, which was not opened");
    finding.advice = "move it away: the index may need the name";
    return;
  }
  if (manifest_) {
    findings_.note(file.name, "left over by a crash, the manifest does not name it").advice =
        "nothing: the next open removes it";
    return;
  }
  findings_.note(file.name, "left over by a crash").advice = "keep it until the index is restored";
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#include "directory/file_replacer.hpp"

#include "directory/check.hpp"
#include "directory/file_name.hpp"
#include "directory/mutant.hpp"

namespace varve::directory {

FileReplacer::FileReplacer(FileSystem& file_system, std::string_view name)
    : file_system_(file_system), name_(name), tmp_name_(name_ + std::string(kTemporarySuffix)) {
  if (file_system_.exists(tmp_name_)) file_system_.remove(tmp_name_);
  tmp_ = file_system_.create(tmp_name_);
}

FileReplacer::~FileReplacer() {
  if (renamed_) return;
  tmp_.reset();
  try {
    file_system_.remove(tmp_name_);
  } catch (...) {
    // It stays, as after a crash, and goes the same way.
  }
}

void FileReplacer::append(std::string_view bytes) {
  tmp_->write(size_, bytes);
  size_ += bytes.size();
}

void FileReplacer::start_write_back() {
  tmp_->start_write_back(write_back_from_, size_ - write_back_from_);
  write_back_from_ = size_;
}

void FileReplacer::commit() {
  commit_by(&FileSystem::rename);
}

void FileReplacer::commit_new() {
  commit_by(&FileSystem::rename_new);
}

void FileReplacer::commit_by(Rename rename) {
  VARVE_CHECK(!renamed_);
  if (VARVE_MUTANT("file.named_before_sync")) (file_system_.*rename)(tmp_name_, name_);
  if (!VARVE_MUTANT("file.not_synced")) sync_or_doubt(*tmp_);
  if (!VARVE_MUTANT("file.named_before_sync")) (file_system_.*rename)(tmp_name_, name_);
  renamed_ = true;
  if (!VARVE_MUTANT("file.name_not_synced")) sync_or_doubt(file_system_);
}

}  // namespace varve::directory

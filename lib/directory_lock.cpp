// SPDX-License-Identifier: Apache-2.0
#include "varve/directory_lock.hpp"

#include <string>
#include <utility>

#include "directory/fork_marker.hpp"
#include "directory/ownership.hpp"
#include "varve/error.hpp"

namespace varve {

std::string_view to_string(LockState state) noexcept {
  switch (state) {
    case LockState::NotInitialized:
      return "NotInitialized";
    case LockState::LockedByOther:
      return "LockedByOther";
    case LockState::Unlocked:
      return "Unlocked";
    case LockState::LockedByUs:
      return "LockedByUs";
  }
  return "Unknown";
}

LockStatus lock_status(const std::filesystem::path& directory) {
  return directory::posix_lock_status(directory);
}

struct DirectoryLock::Impl {
  explicit Impl(const std::filesystem::path& directory)
      : path(std::filesystem::absolute(directory)) {}

  void refuse_in_child() const {
    if (!marker.forked()) return;
    throw Error(ErrorCode::ForkedHandle,
                "the lock object of " + path.string() + " belongs to the parent process", path);
  }
  // True: held already, in that mode.
  [[nodiscard]] bool is_held(LockMode mode) const {
    if (ownership == nullptr) return false;
    if (ownership->mode() == mode) return true;
    throw Error(ErrorCode::InvalidArgument,
                path.string() + " is locked in the other mode by this object: unlock it first",
                path);
  }
  [[nodiscard]] directory::OwnershipRequest request(LockMode mode) const {
    directory::OwnershipRequest made;
    made.mode = mode;
    made.create_lock_file = true;
    return made;
  }

  const std::filesystem::path path;  // Absolute: a later chdir() does not move the lock.
  const directory::ForkMarker marker;
  std::unique_ptr<directory::Ownership> ownership;  // Null while we hold nothing.
};

namespace {

template <typename Impl>
Impl& checked(const std::unique_ptr<Impl>& impl) {
  if (impl == nullptr) throw Error(ErrorCode::Closed, "the lock object was moved from");
  impl->refuse_in_child();
  return *impl;
}

}  // namespace

DirectoryLock::DirectoryLock(std::filesystem::path directory)
    : impl_(std::make_unique<Impl>(std::move(directory))) {
  std::error_code system;
  if (std::filesystem::is_directory(impl_->path, system)) return;
  const bool absent = !system || system == std::errc::no_such_file_or_directory ||
                      system == std::errc::not_a_directory;
  throw Error(absent ? ErrorCode::NotFound : ErrorCode::Io,
              "cannot lock " + impl_->path.string() + ": " +
                  (system ? system.message() : std::string("it is not a directory")),
              impl_->path, system);
}
DirectoryLock::DirectoryLock(DirectoryLock&&) noexcept = default;
DirectoryLock& DirectoryLock::operator=(DirectoryLock&&) noexcept = default;
DirectoryLock::~DirectoryLock() = default;

LockStatus DirectoryLock::status() const {
  const Impl& impl = checked(impl_);
  LockStatus status = directory::posix_lock_status(impl.path);
  if (status.state == LockState::LockedByUs && impl.ownership == nullptr) {
    status.state = LockState::LockedByOther;  // By another handle of this process.
  }
  return status;
}

void DirectoryLock::lock(std::chrono::milliseconds wait, LockMode mode) {
  Impl& impl = checked(impl_);
  if (impl.is_held(mode)) return;
  directory::OwnershipRequest request = impl.request(mode);
  request.wait = wait;
  impl.ownership = directory::acquire_posix_ownership(impl.path, request);
}

bool DirectoryLock::try_lock(LockMode mode) {
  Impl& impl = checked(impl_);
  if (impl.is_held(mode)) return true;
  impl.ownership = directory::try_acquire_posix_ownership(impl.path, impl.request(mode));
  return impl.ownership != nullptr;
}

void DirectoryLock::unlock() {
  checked(impl_).ownership.reset();
}

}  // namespace varve

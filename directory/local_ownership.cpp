// SPDX-License-Identifier: Apache-2.0
#include "directory/local_ownership.hpp"

#include <unistd.h>

#include <utility>

#include "varve/error.hpp"

namespace varve::directory {

class LocalOwnership::Held final : public Ownership {
 public:
  Held(std::shared_ptr<LocalOwnership> of, LockMode mode, bool recovered_stale)
      : of_(std::move(of)), mode_(mode), recovered_stale_(recovered_stale) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() override { release_once(); }
  [[nodiscard]] LockMode mode() const noexcept override { return mode_; }
  [[nodiscard]] bool recovered_stale() const noexcept override { return recovered_stale_; }
  void verify() const override {}
  [[nodiscard]] bool forked() const noexcept override { return ::getpid() != pid_; }
  void set_phase(bool healthy, std::uint64_t writer_epoch) override {
    of_->set_phase(healthy, writer_epoch);
  }
  void release() noexcept override { release_once(); }

 private:
  void release_once() noexcept {
    if (!std::exchange(released_, true)) of_->release(mode_);
  }
  const std::shared_ptr<LocalOwnership> of_;
  const LockMode mode_;
  const bool recovered_stale_;
  const pid_t pid_ = ::getpid();
  bool released_ = false;
};

std::unique_ptr<Ownership> LocalOwnership::acquire(LockMode mode, std::chrono::milliseconds wait,
                                                   bool may_create,
                                                   const std::filesystem::path& path) {
  std::unique_lock lock(mutex_);
  if (!ever_owned_ && !may_create) {
    throw Error(ErrorCode::NotFound, "cannot own " + path.string() + ": there is no index in it",
                path);
  }
  const auto is_free = [&] {
    return !exclusive_ && (mode == LockMode::Shared || shared_count_ == 0);
  };
  if (!released_.wait_for(lock, wait, is_free)) {
    throw Error(ErrorCode::Locked,
                "cannot own " + path.string() + ": another handle of this process owns it " +
                    (exclusive_ ? "exclusively" : "as a reader"),
                path);
  }
  const bool stale = recovery_due_;
  auto held = std::make_unique<Held>(shared_from_this(), mode, stale);
  if (mode == LockMode::Exclusive) {
    exclusive_ = true;
    settled_ = !recovery_due_;
    if (!frozen_) recovery_due_ = true;
  } else {
    ++shared_count_;
  }
  ever_owned_ = true;
  return held;
}

LockStatus LocalOwnership::status(bool index_present) const {
  const std::lock_guard lock(mutex_);
  LockStatus status;
  if (exclusive_ || shared_count_ > 0) {
    status.state = LockState::LockedByUs;
    LockHolder holder;
    holder.pid = ::getpid();
    holder.writer_epoch = writer_epoch_;
    holder.mode = exclusive_ ? LockMode::Exclusive : LockMode::Shared;
    status.holder = std::move(holder);
  } else if (ever_owned_ || index_present) {
    status.state = LockState::Unlocked;
    status.left_open = recovery_due_;
  }
  status.healthy = healthy_;
  return status;
}

void LocalOwnership::freeze() {
  const std::lock_guard lock(mutex_);
  frozen_ = true;
}

std::shared_ptr<LocalOwnership> LocalOwnership::after_crash() const {
  auto next = std::make_shared<LocalOwnership>();
  const std::lock_guard lock(mutex_);
  next->ever_owned_ = ever_owned_;
  next->recovery_due_ = recovery_due_;
  next->healthy_ = healthy_;
  next->writer_epoch_ = writer_epoch_;
  return next;
}

void LocalOwnership::release(LockMode mode) noexcept {
  const std::lock_guard lock(mutex_);
  if (mode == LockMode::Exclusive) {
    exclusive_ = false;
    if (!frozen_ && settled_) {
      recovery_due_ = false;
      healthy_ = true;
    }
  } else {
    --shared_count_;
  }
  released_.notify_all();
}

void LocalOwnership::set_phase(bool healthy, std::uint64_t writer_epoch) {
  const std::lock_guard lock(mutex_);
  if (frozen_) return;
  healthy_ = healthy;
  settled_ = settled_ || healthy;
  writer_epoch_ = writer_epoch;
}

}  // namespace varve::directory

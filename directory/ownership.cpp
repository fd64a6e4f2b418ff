// SPDX-License-Identifier: Apache-2.0
#include "directory/ownership.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "directory/lock_file.hpp"
#include "directory/lock_holder.hpp"
#include "directory/lock_record.hpp"
#include "directory/lock_registry.hpp"
#include "directory/mutant.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBackOffMin{1};
constexpr milliseconds kBackOffMax{50};
constexpr milliseconds kWaitMax{std::chrono::hours{24 * 365}};  // Keeps deadlines from overflowing.
// How often LOCK or the directory may be replaced under one attempt before it counts as an error.
constexpr int kReplacedMax = 100;

// Thread-safety: mutex_ guards what release() closes, so verify() never sees a recycled descriptor.
// A forked child never takes mutex_, which another thread of the parent may have held at the fork.
class PosixOwnership final : public Ownership {
 public:
  PosixOwnership(std::filesystem::path path, LockMode mode, KernelLocks locks, bool created)
      : path_(std::move(path)), mode_(mode), locks_(std::move(locks)) {
    LockRegistry& registry = LockRegistry::of_this_process();
    record_ = registry.this_process();
    record_.mode = mode;
    record_.since_unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count();
    if (mode == LockMode::Exclusive) {
      take_over_record(created);
      if (!VARVE_MUTANT("lock.record_not_written")) write_record(locks_.file(), record_, path_);
    } else if (created) {
      write_closed_record();
    }
    registry.add(this, key_of(locks_.directory(), path_), record_);
  }
  PosixOwnership(const PosixOwnership&) = delete;
  PosixOwnership& operator=(const PosixOwnership&) = delete;
  ~PosixOwnership() override { release(); }

  [[nodiscard]] LockMode mode() const noexcept override { return mode_; }
  [[nodiscard]] bool recovered_stale() const noexcept override { return recovered_stale_; }
  [[nodiscard]] bool forked() const noexcept override { return locks_.forked(); }

  void verify() const override {
    refuse_in_child();
    const std::lock_guard lock(mutex_);
    refuse_when_released();
    if (!lost_) lost_ = !are_locks_held(locks_, path_);
    if (!lost_) return;
    throw Error(ErrorCode::ReadOnly,
                "ownership of " + path_.string() +
                    " is lost: somebody replaced LOCK or unlocked the directory; nothing more is "
                    "written, open the index again",
                path_);
  }

  void set_phase(bool healthy, std::uint64_t writer_epoch) override {
    refuse_in_child();
    const std::lock_guard lock(mutex_);
    refuse_when_released();
    if (mode_ == LockMode::Shared) {
      throw Error(ErrorCode::InvalidArgument,
                  "a shared owner of " + path_.string() + " has no phase to note", path_);
    }
    LockRecord next = record_;
    next.healthy = healthy;
    next.writer_epoch = writer_epoch;
    ++next.write_number;
    write_record(locks_.file(), next, path_);
    record_ = std::move(next);
    if (healthy) recovery_due_ = false;
    LockRegistry::of_this_process().update(this, record_);
  }

  void release() noexcept override {
    if (locks_.forked()) {
      locks_.release();  // Closes only.
      return;
    }
    const std::lock_guard lock(mutex_);
    if (released_) return;
    released_ = true;
    // Who came after a crash and never reported healthy leaves the record open for the next.
    const bool clean = !recovery_due_ || VARVE_MUTANT("lock.recovery_forgotten");
    if (mode_ == LockMode::Exclusive && clean) write_closed_record();
    locks_.release();
    LockRegistry::of_this_process().remove(this);
  }

 private:
  // What the last owner left decides recovered_stale_; its numbers are carried on.
  void take_over_record(bool created) {
    const std::optional<LockRecord> old = read_record(locks_.file());
    recovered_stale_ = !created && (!old || old->state == LockRecord::State::Open);
    recovery_due_ = recovered_stale_;
    record_.healthy = !recovered_stale_;
    if (old) {
      record_.write_number = old->write_number + 1;
      record_.writer_epoch = old->writer_epoch;
    }
  }

  // A failure leaves the record open: the next owner looks closer than it would have to.
  void write_closed_record() noexcept {
    try {
      LockRecord closed = record_;
      closed.state = LockRecord::State::Closed;
      closed.healthy = true;
      ++closed.write_number;
      write_record(locks_.file(), closed, path_);
    } catch (const std::exception&) {
    }
  }

  void refuse_in_child() const {
    if (!locks_.forked()) return;
    throw Error(ErrorCode::ForkedHandle,
                path_.string() + " is owned by the parent process, not by this forked child",
                path_);
  }
  void refuse_when_released() const {
    if (!released_) return;
    throw Error(ErrorCode::Closed, "ownership of " + path_.string() + " was released", path_);
  }

  const std::filesystem::path path_;
  const LockMode mode_;
  bool recovered_stale_ = false;  // Constant after construction.
  mutable std::mutex mutex_;
  KernelLocks locks_;          // Guarded by mutex_, but for forked().
  LockRecord record_;          // As written last. Guarded by mutex_.
  bool recovery_due_ = false;  // Guarded by mutex_.
  bool released_ = false;      // Guarded by mutex_.
  mutable bool lost_ = false;  // Latched: what was lost once stays lost. Guarded by mutex_.
};

void refuse_network_file_system(int directory, const std::filesystem::path& path) {
  const std::uint64_t type = file_system_type(directory, path);
  if (!is_network_file_system(type)) return;
  throw Error(ErrorCode::Unsupported,
              path.string() +
                  " is on a network or FUSE file system, where directory locks may "
                  "not exclude other machines; allow it explicitly if you know that they do",
              path);
}

// Null: busy. Everything begins anew when LOCK or the directory was replaced meanwhile.
std::unique_ptr<Ownership> try_once(const std::filesystem::path& path,
                                    const OwnershipRequest& request) {
  const bool may_create = request.create_directory || request.create_lock_file;
  const bool made = request.create_directory && make_directory(path);
  for (int attempt = 0; attempt < kReplacedMax; ++attempt) {
    KernelLocks locks(open_directory(path, Access::Lock));
    if (!request.allow_network_file_system) refuse_network_file_system(locks.directory(), path);
    if (request.mode == LockMode::Shared && is_writer_pending(locks.directory())) return nullptr;
    if (!locks.lock_directory(request.mode, path)) return nullptr;

    const bool has_manifest = is_present(locks.directory(), kManifestFileName);
    if (!may_create && !has_manifest && !is_present(locks.directory(), kLockFileName)) {
      throw Error(ErrorCode::NotFound, "there is no index in " + path.string(), path);
    }
    // A reader makes no LOCK for an index that lost it: an owner with other rights could not use
    // it then, and the directory's lock is enough.
    const bool create = may_create || request.mode == LockMode::Exclusive;
    LockFile file = open_lock_file(locks.directory(), request.mode, create, path);
    const bool created = file.created;
    if (file.descriptor.is_open()) {
      if (!locks.lock_byte(std::move(file.descriptor), request.mode, path)) return nullptr;
      if (!is_still_linked(locks.directory(), locks.file()) &&
          !VARVE_MUTANT("lock.file_not_rechecked")) {
        continue;
      }
    } else if (request.mode == LockMode::Exclusive) {
      continue;
    }
    if (!is_still_at(locks.directory(), path)) continue;
    // Also for a directory that was there: whoever made it may have died before it synced.
    if (may_create && !has_manifest) sync_creation(locks.directory(), made, path);
    return std::make_unique<PosixOwnership>(path, request.mode, std::move(locks), created);
  }
  throw Error(ErrorCode::Io,
              "cannot lock " + path.string() + ": somebody keeps replacing LOCK in it", path);
}

[[noreturn]] void throw_locked(const std::filesystem::path& path, milliseconds waited) {
  std::string message = describe(path, posix_lock_status(path));
  if (waited.count() > 0) message += "; gave up after " + std::to_string(waited.count()) + " ms";
  throw Error(ErrorCode::Locked, message, path,
              std::error_code(EWOULDBLOCK, std::system_category()));
}

// The present owner's record: open, exclusive, the same in two readings, and not contradicted by
// the kernel's own word on who called flock. (Between locking and writing its record, a new owner
// stands beside the record of its predecessor.)
std::optional<LockRecord> read_owner_record(int file, const std::optional<FlockHolder>& holder,
                                            const LockRecord& this_process) {
  std::optional<LockRecord> record = read_record(file);
  if (!record || record != read_record(file)) return std::nullopt;
  if (record->state != LockRecord::State::Open || record->mode != LockMode::Exclusive) {
    return std::nullopt;
  }
  const bool same_numbers = record->boot_id == this_process.boot_id &&
                            record->pid_namespace == this_process.pid_namespace;
  if (same_numbers && holder && holder->pid > 0 && holder->pid != record->pid) return std::nullopt;
  return record;
}

LockStatus describe_held(int file, LockMode mode, const std::optional<FlockHolder>& holder) {
  LockStatus status;
  status.state = LockState::LockedByOther;
  const LockRecord& this_process = LockRegistry::of_this_process().this_process();
  std::optional<LockRecord> record;
  if (file >= 0 && mode == LockMode::Exclusive) {
    record = read_owner_record(file, holder, this_process);
  }
  if (record) {
    status.holder = to_holder(*record);
    status.healthy = record->healthy;
    status.orphaned = is_gone(*record, this_process);
  } else if (holder && holder->pid > 0) {
    status.holder = describe_process(*holder, this_process, status.orphaned);
  }
  return status;
}

}  // namespace

bool is_network_file_system(std::uint64_t file_system_type) noexcept {
  static constexpr std::array<std::uint64_t, 14> kTypes = {
      0x6969,      // NFS
      0x517b,      // SMB
      0xfe534d42,  // SMB 2
      0xff534d42,  // CIFS
      0x01021997,  // 9P
      0x65735546,  // FUSE: sshfs, s3fs, virtiofs and the like
      0x00c36400,  // Ceph
      0x5346414f,  // OpenAFS
      0x6b414653,  // AFS of the kernel
      0x73757245,  // Coda
      0x564c,      // NCP
      0x0bd00bd0,  // Lustre
      0x7461636f,  // OCFS2
      0x786f4256,  // VirtualBox shared folders
  };
  return std::find(kTypes.begin(), kTypes.end(), file_system_type) != kTypes.end();
}

std::unique_ptr<Ownership> try_acquire_posix_ownership(const std::filesystem::path& directory,
                                                       const OwnershipRequest& request) {
  return try_once(directory, request);
}

std::unique_ptr<Ownership> acquire_posix_ownership(const std::filesystem::path& directory,
                                                   const OwnershipRequest& request) {
  const milliseconds wait = std::clamp(request.wait, milliseconds{0}, kWaitMax);
  const Clock::time_point deadline = Clock::now() + wait;
  std::minstd_rand jitter(static_cast<unsigned>(Clock::now().time_since_epoch().count()));
  milliseconds back_off = kBackOffMin;
  PendingWriter pending;
  for (;;) {
    if (auto ownership = try_once(directory, request)) return ownership;
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) throw_locked(directory, wait);
    if (request.mode == LockMode::Exclusive) pending.show(directory);
    // Between one and two back-offs, so that waiters do not wake in step.
    std::uniform_int_distribution<std::int64_t> extra(0, back_off.count() * 1000);
    const auto pause = back_off + std::chrono::microseconds(extra(jitter));
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, left));
    back_off = std::min(back_off * 2, kBackOffMax);
  }
}

std::unique_ptr<Ownership> acquire_posix_ownership(const std::filesystem::path& directory,
                                                   LockMode mode, milliseconds wait, bool create,
                                                   bool allow_network_file_system) {
  OwnershipRequest request;
  request.mode = mode;
  request.wait = wait;
  request.create_directory = create;
  request.allow_network_file_system = allow_network_file_system;
  return acquire_posix_ownership(directory, request);
}

LockStatus posix_lock_status(const std::filesystem::path& path) {
  LockStatus status;
  Descriptor directory;
  try {
    directory = open_directory(path, Access::Look);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::NotFound) return status;
    throw;
  }
  const DirectoryKey key = key_of(directory.number(), path);
  if (const auto ours = LockRegistry::of_this_process().find(key)) {
    status.state = LockState::LockedByUs;
    status.holder = to_holder(*ours);
    status.healthy = ours->healthy;
    return status;
  }
  if (!is_present(directory.number(), kLockFileName) &&
      !is_present(directory.number(), kManifestFileName)) {
    return status;
  }
  const Descriptor file = open_lock_file_to_look(directory.number());
  std::optional<LockMode> held;
  if (file.is_open()) held = query_byte(file.number(), path);
  // Without LOCK, or with one that replaced the owner's, only the directory's lock tells.
  const std::optional<FlockHolder> holder = find_flock_holder(key.device, key.inode);
  if (!held && holder) held = holder->mode;
  if (held) return describe_held(file.number(), *held, holder);

  status.state = LockState::Unlocked;
  if (!file.is_open()) return status;
  const std::optional<LockRecord> record = read_record(file.number());
  status.left_open = !record || record->state == LockRecord::State::Open;
  status.healthy = !status.left_open;
  return status;
}

}  // namespace varve::directory

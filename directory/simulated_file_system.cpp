// SPDX-License-Identifier: Apache-2.0
#include "directory/simulated_file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <numeric>
#include <utility>

#include "directory/check.hpp"
#include "directory/local_ownership.hpp"
#include "directory/simulated_medium.hpp"
#include "directory/system_failure.hpp"

namespace varve::directory {
namespace {

constexpr std::array<std::string_view, 15> kOperationNames = {
    "create",  "write",  "allocate",           "truncate", "punch", "sync",
    "rename",  "remove", "sync the directory", "open",     "read",  "list",
    "examine", "map",    "map for writing"};
static_assert(kOperationNames.size() == static_cast<std::size_t>(Operation::MapWritable) + 1);

}  // namespace

std::string_view to_string(Operation operation) noexcept {
  return kOperationNames[static_cast<std::size_t>(operation)];
}

std::vector<RebootPolicy> reboot_policies(std::uint64_t seed_count) {
  using Data = RebootPolicy::Data;
  using Names = RebootPolicy::Names;
  using Fill = RebootPolicy::Fill;
  constexpr std::array kFills = {Fill::Garbage, Fill::Zeros, Fill::Stale};
  std::vector<RebootPolicy> policies;
  for (const Names names : {Names::Lost, Names::Kept}) {
    policies.push_back({.data = Data::Lost, .names = names});
    policies.push_back({.data = Data::Kept, .names = names});
    for (const Fill fill : kFills) {
      policies.push_back({.data = Data::SizeOnly, .names = names, .fill = fill});
    }
  }
  for (std::uint64_t seed = 0; seed < seed_count; ++seed) {
    policies.push_back({.data = seed % 8 == 7 ? Data::Lost : Data::Mixed,
                        .names = seed % 4 == 3 ? Names::Prefix : Names::Mixed,
                        .fill = kFills[seed % kFills.size()],
                        .seed = seed + 1,
                        .sector_size = seed % 5 < 3 ? std::size_t{512} : std::size_t{4096}});
  }
  return policies;
}

// Guarded by `mutex` but for `label`.
struct SimulatedFileSystem::Core {
  struct Planned {
    Fault fault;
    std::uint64_t matched = 0;
    std::uint64_t fired = 0;
    bool active = true;
  };

  explicit Core(std::string name) : label(std::move(name)) {}

  // Every call comes through here first: counts it, cuts the power when its step has come, and
  // returns the fault that must be acted out, or null.
  const Fault* begin(Operation operation, std::string_view name, std::string_view other = {}) {
    if (power_cut) throw PowerCut();
    std::string step_before;
    if (recording || !faults.empty()) step_before = steps.empty() ? std::string() : steps.back();
    if (recording) recorded_calls.push_back({operation, std::string(name), step_before});
    if (is_step(operation)) {
      if (watcher) watcher(steps.size());
      if (steps.size() == cut_at) {
        cut_power();
        throw PowerCut();
      }
      std::string step(to_string(operation));
      if (!name.empty()) step.append(" ").append(name);
      if (!other.empty()) step.append(" ").append(other);
      steps.push_back(std::move(step));
    }
    ++call_counts[static_cast<std::size_t>(operation)];
    const Fault* hit = nullptr;
    for (Planned& planned : faults) {
      const Fault& fault = planned.fault;
      if (!planned.active || (fault.operation.has_value() && fault.operation != operation) ||
          (name.find(fault.name_part) == std::string_view::npos &&
           other.find(fault.name_part) == std::string_view::npos)) {
        continue;
      }
      const std::uint64_t number = planned.matched++;
      if (number != fault.nth && !(fault.sticky && number > fault.nth)) continue;
      ++planned.fired;
      if (hit != nullptr) continue;
      hit = &fault;
      FaultedCall call;
      static_cast<RecordedCall&>(call) = {operation, std::string(name), std::move(step_before)};
      call.fault_id = static_cast<std::size_t>(&planned - faults.data());
      faulted_calls.push_back(std::move(call));
    }
    return hit;
  }
  void begin_or_fail(Operation operation, std::string_view name, std::string_view other = {}) {
    if (const Fault* fault = begin(operation, name, other)) fail(*fault, operation, name);
  }
  [[noreturn]] void fail(const Fault& fault, Operation operation, std::string_view name) const {
    VARVE_CHECK(fault.error_number != 0);
    throw system_failure(fault.error_number, to_string(operation),
                         std::filesystem::path(label) / name);
  }
  [[noreturn]] void fail_for_space(Operation operation, std::string_view name) const {
    throw system_failure(ENOSPC, to_string(operation), std::filesystem::path(label) / name);
  }
  // What the medium held is kept aside, because stores into mappings cannot be stopped.
  void cut_power() {
    if (power_cut) return;
    power_cut = true;
    at_cut = medium.clone();
    ownership->freeze();
  }
  [[nodiscard]] const SimulatedMedium& relevant_medium() const {
    return power_cut ? at_cut : medium;
  }

  const std::string label;
  std::recursive_mutex mutex;  // The watcher of steps calls back.
  SimulatedMedium medium;
  SimulatedMedium at_cut;
  bool power_cut = false;
  bool mappable = true;
  std::uint64_t boot = 0;
  std::uint64_t cut_at = ~std::uint64_t{0};
  std::vector<std::string> steps;
  std::array<std::uint64_t, kOperationCount> call_counts{};  // By Operation.
  std::vector<Planned> faults;
  std::vector<FaultedCall> faulted_calls;
  bool recording = false;
  std::vector<RecordedCall> recorded_calls;
  std::function<void(std::uint64_t)> watcher;
  std::shared_ptr<LocalOwnership> ownership = std::make_shared<LocalOwnership>();
};

class SimulatedFileSystem::OpenFile final : public File {
 public:
  // Requires: core->mutex is held during construction.
  OpenFile(std::shared_ptr<Core> core, std::string_view name, std::shared_ptr<SimulatedInode> inode)
      : core_(std::move(core)), name_(name), inode_(std::move(inode)) {
    ++inode_->user_count;
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() override {
    const std::lock_guard lock(core_->mutex);
    --inode_->user_count;
  }

  [[nodiscard]] std::uint64_t size() const override {
    const std::lock_guard lock(core_->mutex);
    if (core_->power_cut) throw PowerCut();
    return inode_->current->size();
  }
  [[nodiscard]] std::size_t read(std::uint64_t offset, std::span<char> out) const override {
    const std::lock_guard lock(core_->mutex);
    const Fault* const fault = core_->begin(Operation::Read, name_);
    if (fault != nullptr && fault->error_number != 0) {
      throw system_failure(fault->error_number, "read byte " + std::to_string(offset) + " of",
                           std::filesystem::path(core_->label) / name_);
    }
    const std::string& bytes = *inode_->current;
    if (offset >= bytes.size() || out.empty()) return 0;
    std::size_t size = std::min(out.size(), bytes.size() - static_cast<std::size_t>(offset));
    if (fault != nullptr) size = std::min<std::size_t>(size, fault->partial_size);
    std::memcpy(out.data(), bytes.data() + offset, size);
    return size;
  }
  void write(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(core_->mutex);
    const Fault* const fault = core_->begin(Operation::Write, name_);
    if (fault != nullptr) bytes = bytes.substr(0, fault->partial_size);
    const std::size_t wanted = bytes.size();
    bytes = bytes.substr(0, core_->medium.room_for(*inode_, offset, wanted));
    if (!bytes.empty()) {
      inode_->resize(std::max<std::uint64_t>(inode_->current->size(), offset + bytes.size()));
      // What is there already is not stored: through mappings, others may be reading it.
      char* const to = inode_->current->data() + offset;
      if (std::memcmp(to, bytes.data(), bytes.size()) != 0) {
        std::memcpy(to, bytes.data(), bytes.size());
      }
      inode_->fill_holes(offset, bytes.size());
      inode_->dirty_again(static_cast<std::size_t>(offset), bytes.size());
    }
    if (fault != nullptr) core_->fail(*fault, Operation::Write, name_);
    if (bytes.size() < wanted) core_->fail_for_space(Operation::Write, name_);
  }
  void allocate(std::uint64_t size) override {
    const std::lock_guard lock(core_->mutex);
    core_->begin_or_fail(Operation::Allocate, name_);
    if (core_->medium.room_for(*inode_, 0, size) < size) {
      core_->fail_for_space(Operation::Allocate, name_);
    }
    inode_->fill_holes(0, size);
    inode_->resize(std::max<std::uint64_t>(inode_->current->size(), size));
  }
  void truncate(std::uint64_t size) override {
    const std::lock_guard lock(core_->mutex);
    core_->begin_or_fail(Operation::Truncate, name_);
    inode_->resize(size);
  }
  void punch(std::uint64_t offset, std::uint64_t size) override {
    const std::lock_guard lock(core_->mutex);
    core_->begin_or_fail(Operation::Punch, name_);
    inode_->punch(offset, size);
  }
  void start_write_back(std::uint64_t /*offset*/, std::uint64_t /*size*/) override {
    const std::lock_guard lock(core_->mutex);
    if (core_->power_cut) throw PowerCut();
  }
  void sync() override {
    const std::lock_guard lock(core_->mutex);
    if (const Fault* fault = core_->begin(Operation::Sync, name_)) {
      if (fault->drop_unsynced) inode_->drop_unsynced();
      core_->fail(*fault, Operation::Sync, name_);
    }
    inode_->sync();
  }
  [[nodiscard]] std::unique_ptr<WritableMapping> map_writable() override {
    const std::lock_guard lock(core_->mutex);
    if (!may_map(Operation::MapWritable)) return nullptr;
    return std::make_unique<Writable>(core_, inode_);
  }
  [[nodiscard]] std::unique_ptr<ReadableMapping> map_readable() const override {
    const std::lock_guard lock(core_->mutex);
    if (!may_map(Operation::MapReadable)) return nullptr;
    return std::make_unique<Readable>(core_, inode_);
  }

 private:
  class Readable final : public ReadableMapping {
   public:
    // Requires: core->mutex is held during construction.
    Readable(std::shared_ptr<Core> core, std::shared_ptr<SimulatedInode> inode)
        : core_(std::move(core)), inode_(std::move(inode)), bytes_(inode_->current) {
      ++inode_->user_count;
    }
    Readable(const Readable&) = delete;
    Readable& operator=(const Readable&) = delete;
    ~Readable() override {
      const std::lock_guard lock(core_->mutex);
      --inode_->user_count;
    }
    [[nodiscard]] std::string_view bytes() const noexcept override { return *bytes_; }

   private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<SimulatedInode> inode_;
    const std::shared_ptr<const std::string> bytes_;
  };
  // Requires: core->mutex is held during construction.
  class Writable final : public WritableMapping {
   public:
    Writable(std::shared_ptr<Core> core, std::shared_ptr<SimulatedInode> inode)
        : core_(std::move(core)), inode_(std::move(inode)), bytes_(inode_->current) {
      ++inode_->writable_mapping_count;
      ++inode_->user_count;
    }
    Writable(const Writable&) = delete;
    Writable& operator=(const Writable&) = delete;
    ~Writable() override {
      const std::lock_guard lock(core_->mutex);
      --inode_->writable_mapping_count;
      --inode_->user_count;
    }
    [[nodiscard]] char* data() noexcept override { return bytes_->data(); }
    [[nodiscard]] std::size_t size() const noexcept override { return bytes_->size(); }
    void populate(std::size_t /*offset*/, std::size_t /*size*/) noexcept override {}
    void let_go(std::size_t /*from*/, std::size_t /*to*/) noexcept override {}
    void prefer_huge_pages(std::size_t /*from*/, bool /*wanted*/) noexcept override {}

   private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<SimulatedInode> inode_;
    const std::shared_ptr<std::string> bytes_;
  };

  [[nodiscard]] bool may_map(Operation operation) const {
    const Fault* const fault = core_->begin(operation, name_);
    if (fault != nullptr && fault->error_number != 0) core_->fail(*fault, operation, name_);
    return fault == nullptr && core_->mappable && !inode_->current->empty();
  }

  const std::shared_ptr<Core> core_;
  const std::string name_;
  const std::shared_ptr<SimulatedInode> inode_;
};

SimulatedFileSystem::SimulatedFileSystem(std::string label)
    : core_(std::make_shared<Core>(std::move(label))) {}
SimulatedFileSystem::SimulatedFileSystem(std::shared_ptr<Core> core) : core_(std::move(core)) {}
SimulatedFileSystem::~SimulatedFileSystem() = default;

void SimulatedFileSystem::cut_power_at(std::uint64_t step) {
  const std::lock_guard lock(core_->mutex);
  core_->cut_at = step;
}
void SimulatedFileSystem::cut_power() {
  const std::lock_guard lock(core_->mutex);
  core_->cut_power();
}
bool SimulatedFileSystem::power_is_cut() const {
  const std::lock_guard lock(core_->mutex);
  return core_->power_cut;
}
std::uint64_t SimulatedFileSystem::step_count() const {
  const std::lock_guard lock(core_->mutex);
  return core_->steps.size();
}
void SimulatedFileSystem::watch_steps(std::function<void(std::uint64_t)> watcher) {
  const std::lock_guard lock(core_->mutex);
  core_->watcher = std::move(watcher);
}
std::vector<std::string> SimulatedFileSystem::steps() const {
  const std::lock_guard lock(core_->mutex);
  return core_->steps;
}

std::shared_ptr<SimulatedFileSystem> SimulatedFileSystem::after_reboot(
    const RebootPolicy& policy) const {
  auto next = std::make_shared<Core>(core_->label);
  const std::lock_guard lock(core_->mutex);
  next->medium = core_->relevant_medium().after_power_loss(policy);
  next->boot = core_->boot + 1;
  next->mappable = core_->mappable;
  next->ownership = core_->ownership->after_crash();
  return std::shared_ptr<SimulatedFileSystem>(new SimulatedFileSystem(std::move(next)));
}
std::shared_ptr<SimulatedFileSystem> SimulatedFileSystem::after_kill() const {
  auto next = std::make_shared<Core>(core_->label);
  const std::lock_guard lock(core_->mutex);
  next->medium = core_->relevant_medium().clone();
  next->boot = core_->boot;
  next->mappable = core_->mappable;
  next->ownership = core_->ownership->after_crash();
  return std::shared_ptr<SimulatedFileSystem>(new SimulatedFileSystem(std::move(next)));
}

std::string SimulatedFileSystem::boot_id() const {
  return "boot " + std::to_string(core_->boot);
}

std::size_t SimulatedFileSystem::add_fault(Fault fault) {
  const std::lock_guard lock(core_->mutex);
  core_->faults.push_back({.fault = std::move(fault)});
  return core_->faults.size() - 1;
}
std::uint64_t SimulatedFileSystem::fired(std::size_t fault_id) const {
  const std::lock_guard lock(core_->mutex);
  return core_->faults.at(fault_id).fired;
}
void SimulatedFileSystem::clear_faults() {
  const std::lock_guard lock(core_->mutex);
  for (Core::Planned& planned : core_->faults) planned.active = false;
}
std::vector<FaultedCall> SimulatedFileSystem::faulted_calls() const {
  const std::lock_guard lock(core_->mutex);
  return core_->faulted_calls;
}
void SimulatedFileSystem::record_calls() {
  const std::lock_guard lock(core_->mutex);
  core_->recording = true;
}
std::vector<RecordedCall> SimulatedFileSystem::recorded_calls() const {
  const std::lock_guard lock(core_->mutex);
  return core_->recorded_calls;
}
std::uint64_t SimulatedFileSystem::call_count() const {
  const std::lock_guard lock(core_->mutex);
  return std::accumulate(core_->call_counts.begin(), core_->call_counts.end(), std::uint64_t{0});
}
std::uint64_t SimulatedFileSystem::call_count(Operation operation) const {
  const std::lock_guard lock(core_->mutex);
  return core_->call_counts.at(static_cast<std::size_t>(operation));
}
void SimulatedFileSystem::set_mappable(bool mappable) {
  const std::lock_guard lock(core_->mutex);
  core_->mappable = mappable;
}

void SimulatedFileSystem::set_capacity(std::uint64_t size) {
  const std::lock_guard lock(core_->mutex);
  core_->medium.set_capacity(size);
}
std::uint64_t SimulatedFileSystem::used_size() const {
  const std::lock_guard lock(core_->mutex);
  return core_->medium.used_size();
}
std::optional<std::uint64_t> SimulatedFileSystem::free_size() const {
  const std::lock_guard lock(core_->mutex);
  return core_->medium.free_size();
}

std::optional<std::string> SimulatedFileSystem::peek(std::string_view name) const {
  const std::lock_guard lock(core_->mutex);
  const auto inode = core_->medium.find(name);
  if (inode == nullptr) return std::nullopt;
  return *inode->current;
}
void SimulatedFileSystem::plant(std::string_view name, std::string_view bytes) {
  const std::lock_guard lock(core_->mutex);
  core_->medium.plant(name, std::string(bytes));
}

SimulatedFileSystem::Fingerprint SimulatedFileSystem::fingerprint() const {
  const std::lock_guard lock(core_->mutex);
  return core_->medium.fingerprint();
}

std::string SimulatedFileSystem::path() const {
  return core_->label;
}
std::unique_ptr<File> SimulatedFileSystem::create(std::string_view name) {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Create, name);
  if (core_->medium.find(name) != nullptr) {
    throw system_failure(EEXIST, "create", std::filesystem::path(core_->label) / name);
  }
  return std::make_unique<OpenFile>(core_, name, core_->medium.create(name));
}
std::unique_ptr<File> SimulatedFileSystem::open(std::string_view name, bool /*writable*/) {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Open, name);
  auto inode = core_->medium.find(name);
  if (inode == nullptr) {
    throw system_failure(ENOENT, "open", std::filesystem::path(core_->label) / name);
  }
  return std::make_unique<OpenFile>(core_, name, std::move(inode));
}
void SimulatedFileSystem::rename(std::string_view from, std::string_view to) {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Rename, from, to);
  if (core_->medium.find(from) == nullptr) {
    throw system_failure(ENOENT, "rename", std::filesystem::path(core_->label) / from);
  }
  core_->medium.rename(from, to);
}
void SimulatedFileSystem::rename_new(std::string_view from, std::string_view to) {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Rename, from, to);
  if (core_->medium.find(from) == nullptr) {
    throw system_failure(ENOENT, "rename", std::filesystem::path(core_->label) / from);
  }
  if (core_->medium.find(to) != nullptr) {
    throw taken_name(std::filesystem::path(core_->label) / to);
  }
  core_->medium.rename(from, to);
}
void SimulatedFileSystem::remove(std::string_view name) {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Remove, name);
  if (core_->medium.find(name) == nullptr) {
    throw system_failure(ENOENT, "remove", std::filesystem::path(core_->label) / name);
  }
  core_->medium.remove(name);
}
bool SimulatedFileSystem::exists(std::string_view name) const {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::Exists, name);
  return core_->medium.find(name) != nullptr;
}
std::vector<FileInfo> SimulatedFileSystem::list() const {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::List, {});
  std::vector<FileInfo> entries;
  for (const auto& [name, inode] : core_->medium.names()) {
    entries.push_back({.name = name,
                       .size = inode->current->size(),
                       .allocated_size = inode->page_count() * SimulatedMedium::kPageSize,
                       .kind = FileKind::Regular});
  }
  return entries;
}
void SimulatedFileSystem::sync() {
  const std::lock_guard lock(core_->mutex);
  core_->begin_or_fail(Operation::SyncDirectory, {});
  core_->medium.sync_names();
}
std::shared_ptr<LocalOwnership> SimulatedFileSystem::local_ownership() const {
  const std::lock_guard lock(core_->mutex);
  return core_->ownership;
}

}  // namespace varve::directory

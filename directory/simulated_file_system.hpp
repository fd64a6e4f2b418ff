// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/file_system.hpp"

namespace varve::directory {

// Thrown by every call after the power was cut. Not an Error: nobody may handle it as one.
class PowerCut final : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the simulated power is off"; }
};

// Which of the states that power loss may legally leave is wanted.
struct RebootPolicy {
  // Of bytes that were not synced, by sectors of `sector_size`:
  enum class Data : std::uint8_t {
    Lost,      // None reached the medium.
    Kept,      // All did.
    SizeOnly,  // Files have their new size, but what was added to them is `fill`.
    Mixed,     // Each sector is old, new, or torn between the two; sizes likewise.
  };
  // Of creations, renames and removals since the directory was synced:
  enum class Names : std::uint8_t {
    Lost,
    Kept,
    Prefix,  // The first few reached the medium, as with a journal.
    Mixed,   // Any did, but none without the earlier ones that it builds upon.
  };
  // What is in the part of a file that has its size but not its bytes.
  enum class Fill : std::uint8_t {
    Zeros,
    Stale,    // What files of ours hold or held at the same offset: valid looking, of another time.
    Garbage,  // Stale or random, by sectors.
  };
  Data data = Data::Lost;
  Names names = Names::Lost;
  Fill fill = Fill::Zeros;
  std::uint64_t seed = 0;
  std::size_t sector_size = 512;  // What the device writes at once, or tears.
};
// Every combination that needs no seed, then `seed_count` mixed ones.
[[nodiscard]] std::vector<RebootPolicy> reboot_policies(std::uint64_t seed_count);

enum class Operation : std::uint8_t {
  Create,
  Write,
  Allocate,
  Truncate,
  Punch,
  Sync,
  Rename,
  Remove,
  SyncDirectory,
  // The steps end here; what follows changes nothing.
  Open,
  Read,
  List,
  Exists,
  MapReadable,
  MapWritable,
};
inline constexpr std::size_t kOperationCount = 15;
[[nodiscard]] constexpr bool is_step(Operation operation) noexcept {
  return operation <= Operation::SyncDirectory;
}
[[nodiscard]] std::string_view to_string(Operation operation) noexcept;

// A call that is to fail.
struct Fault {
  std::optional<Operation> operation = {};  // None: any.
  std::string name_part = {};               // The file's name contains it; for Rename, either name.
  std::uint64_t nth = 0;                    // Counted from 0 over the calls that match.
  bool sticky = false;                      // So do all matching calls after the nth.
  // errno of the Error. 0: Map* return null, Read comes up short; not for other operations.
  int error_number = 5;  // EIO
  // Write: how many bytes are written before it fails. Read with error_number 0: how many are read.
  std::uint64_t partial_size = 0;
  // Sync: the unsynced bytes count as clean afterwards, so that no later sync writes them, while
  // reads go on showing them; what Linux does.
  bool drop_unsynced = false;
};

struct RecordedCall {
  Operation operation = Operation::Open;
  std::string name;
  std::string step_before;  // As steps() has it.
};
// A call that a planned fault refused.
struct FaultedCall : RecordedCall {
  std::size_t fault_id = 0;
};

// A FileSystem in memory that remembers what a real one would lose: power loss at any step, in
// any legal outcome, the death of the process at any step, and refused calls.
//
//   construct --run something--> after_reboot(policy) | after_kill() --run recovery--> ...
//
// A step is a call that changes something; steps are numbered from 0. Bytes survive power loss
// after File::sync(), names after FileSystem::sync(); a file's sync does not keep its name. Stores
// through a writable mapping are unsynced writes.
// Thread-safety: any method, any thread; power should be cut while no thread stores into a mapping.
class SimulatedFileSystem final : public FileSystem {
 public:
  static constexpr std::size_t kSectorSize = 512;

  explicit SimulatedFileSystem(std::string label = "simulated");
  ~SimulatedFileSystem() override;

  // The power fails instead of step `step`; from then on every call throws PowerCut.
  void cut_power_at(std::uint64_t step);
  void cut_power();  // Now.
  [[nodiscard]] bool power_is_cut() const;
  [[nodiscard]] std::uint64_t step_count() const;
  // Calls `watcher` with the number of each step before it is taken, while all other calls wait. It
  // may call step_count(), steps(), after_reboot(), after_kill() and plant(), and nothing else of
  // this object.
  void watch_steps(std::function<void(std::uint64_t step)> watcher);
  // Every step so far, e.g. "rename MANIFEST.tmp MANIFEST": a protocol as plain text.
  [[nodiscard]] std::vector<std::string> steps() const;

  // A machine that has come up again, in one of the states that power loss now (or when it was
  // cut) may leave; or, after_kill(), the same machine after the process alone has died. Both are
  // independent of this object: full power, no faults, no steps, owned by nobody.
  [[nodiscard]] std::shared_ptr<SimulatedFileSystem> after_reboot(const RebootPolicy& policy) const;
  [[nodiscard]] std::shared_ptr<SimulatedFileSystem> after_kill() const;

  // Plans a fault; returns its id.
  std::size_t add_fault(Fault fault);
  [[nodiscard]] std::uint64_t fired(std::size_t fault_id) const;  // How many calls it refused.
  void clear_faults();                                            // Keeps the counts.
  [[nodiscard]] std::vector<FaultedCall> faulted_calls() const;   // Of all faults, in their order.
  // Every call from record_calls() on, refused or not, for running once per call.
  void record_calls();
  [[nodiscard]] std::vector<RecordedCall> recorded_calls() const;
  // How many calls `fault` could have hit so far.
  [[nodiscard]] std::uint64_t call_count(Operation operation) const;
  [[nodiscard]] std::uint64_t call_count() const;  // Of any kind.
  void set_mappable(bool mappable);                // False: both kinds of mapping are null.
  // A medium of that many bytes; 0, as at first: without end. Files take whole pages, those without
  // a name as long as somebody has them open or mapped. A write that does not fit writes what does
  // and fails with ENOSPC; an allocation does nothing then.
  void set_capacity(std::uint64_t size);
  [[nodiscard]] std::uint64_t used_size() const;

  // For tests: the file as it is, past all counting and faults; and a durable file of these bytes.
  [[nodiscard]] std::optional<std::string> peek(std::string_view name) const;
  void plant(std::string_view name, std::string_view bytes);
  // Of the names, and of the bytes as they are read: equal media have equal ones, and others do not
  // for all that a test can do. Not made with any checksum of the formats.
  using Fingerprint = std::array<std::uint64_t, 2>;
  [[nodiscard]] Fingerprint fingerprint() const;

  [[nodiscard]] std::string path() const override;
  [[nodiscard]] std::unique_ptr<File> create(std::string_view name) override;
  [[nodiscard]] std::unique_ptr<File> open(std::string_view name, bool writable) override;
  void rename(std::string_view from, std::string_view to) override;
  void rename_new(std::string_view from, std::string_view to) override;
  void remove(std::string_view name) override;
  [[nodiscard]] bool exists(std::string_view name) const override;
  [[nodiscard]] std::vector<FileInfo> list() const override;
  void sync() override;
  [[nodiscard]] std::string boot_id() const override;
  [[nodiscard]] std::shared_ptr<LocalOwnership> local_ownership() const override;
  [[nodiscard]] std::optional<std::uint64_t> free_size() const override;  // None: no capacity set.

 private:
  struct Core;  // Shared with the open files, which may outlive us.
  class OpenFile;
  explicit SimulatedFileSystem(std::shared_ptr<Core> core);
  const std::shared_ptr<Core> core_;
};

}  // namespace varve::directory

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/simulated_file_system.hpp"
#include "tests/crash/write_plan.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {

// One line of a scenario: a call on the index, or `count` of them.
struct Step {
  enum class Kind : std::uint8_t {
    // Writes. `size`: of values.
    Load,        // Puts new keys, scattered over the key space.
    Append,      // Puts new keys, each above all before.
    Overwrite,   // Puts keys that were there before.
    Erase,       // Keys that were there before.
    Batch,       // Batches of puts and erases over the whole key space, some with a range erase.
    EraseRange,  // Ranges of about an eighth of the key space.
    EraseAll,    // One range over everything.
    // Everything else.
    Sync,
    Flush,
    Compact,
    Maintain,      // Until nothing is due.
    Read,          // Gets, both scans.
    HoldSnapshot,  // Until DropSnapshot.
    DropSnapshot,
    HoldCursor,  // Opens one and takes a few entries.
    DropCursor,  // Takes the rest.
    Reopen,      // close() and open(), with the scenario's other options, or back.
    Check,       // close(), the deep check, open().
    ReadOnly,    // close(), open() read-only, read everything, close(), open().
    SetCodecs,
  };
  Kind kind = Kind::Load;
  std::uint32_t count = 1;
  std::uint32_t size = 40;
  Durability durability = Durability::Process;
};

// What a scenario did, so that a test can tell that it did what its name says.
enum class Figure : std::uint8_t {
  Flushes,
  Compactions,
  Splits,
  Merges,
  TierMerges,  // Delta files that no flush wrote, at least.
  MainRuns,    // Main files written.
  LogFiles,    // Created.
  RecycledLogs,
  LogSyncs,
  RemovedFiles,
  Punches,
  Replayed,         // Operations, over all opens.
  RecoveryFlushes,  // Delta files and main runs written by opens.
  SegmentsMax,
  RangeTombstonesMax,
  KeptVersions,  // Entries that a merge kept for a snapshot's sake: those in runs beyond the keys.
  StalledWrites,
  Opens,
};
[[nodiscard]] std::string_view to_string(Figure figure) noexcept;
using Figures = std::map<Figure, std::uint64_t>;

struct Expectation {
  Figure figure;
  std::uint64_t least = 1;
  std::uint64_t most = UINT64_MAX;
};

// What the scenario begins with: the medium after these steps and a crash that loses nothing.
struct Before {
  std::vector<Step> steps;
  bool power_loss = false;  // Of the machine, which had written everything; else of the process.
};

// A run of the engine as data. The writes are the same in every run of it.
struct Scenario {
  std::string name;
  std::function<void(Options&)> options = {};  // Changes tiny ones.
  // After the first, third... Reopen, and after `before`; none: the same.
  std::function<void(Options&)> other_options = {};
  std::vector<Step> steps;
  std::optional<Before> before = {};
  std::vector<Expectation> expectations = {};
  bool mappable = true;  // False: the file system cannot map.
};
[[nodiscard]] Options options_of(const Scenario& scenario, bool other = false);

// A scenario with its writes made out: the same calls in every run.
class Script {
 public:
  explicit Script(Scenario scenario, std::uint64_t seed = 1);
  [[nodiscard]] const Scenario& scenario() const noexcept { return scenario_; }
  [[nodiscard]] const LegalStates& states() const noexcept { return *states_; }
  [[nodiscard]] static bool is_write(Step::Kind kind) noexcept { return kind < Step::Kind::Sync; }
  // One per call; the nth that writes is the nth of states().writes().
  [[nodiscard]] const std::vector<Step::Kind>& calls_before() const noexcept { return before_; }
  [[nodiscard]] const std::vector<Step::Kind>& calls() const noexcept { return calls_; }

 private:
  Scenario scenario_;
  std::vector<Step::Kind> before_, calls_;
  std::unique_ptr<const LegalStates> states_;
};

using Medium = std::shared_ptr<directory::SimulatedFileSystem>;
[[nodiscard]] SegmentIndex open_on(const Medium& medium, const Options& options);

// One execution of a script on a medium.
// Thread-safety: progress() and medium() from any thread; the rest one thread.
class ScriptRun {
 public:
  explicit ScriptRun(const Script& script);  // On a new medium, or on what Scenario::before left.
  ~ScriptRun();
  ScriptRun(const ScriptRun&) = delete;
  ScriptRun& operator=(const ScriptRun&) = delete;

  [[nodiscard]] const Medium& medium() const noexcept { return medium_; }
  // Any thread. What the medium held before the call has at least acked, durable and flushed; what
  // it held at the return, no more than issued.
  [[nodiscard]] Progress progress() const noexcept;
  [[nodiscard]] bool is_open() const noexcept { return index_.has_value(); }
  [[nodiscard]] SegmentIndex& index() { return *index_; }
  void open();
  void perform(Step::Kind call);  // What the call throws passes through.
  void close();
  // All of the above: open(), every call, close(). `between` is called after each.
  void run(const std::function<void()>& between = {});
  // What reads must show, where that is not all writes so far: some have failed.
  void expect(std::function<Model()> expected) { expected_ = std::move(expected); }
  // As the death of the process: nothing more reaches the medium, and the handles go.
  void abandon();

  [[nodiscard]] Figures figures() const;  // Of the run, once closed.

 private:
  [[nodiscard]] Model expected() const {
    return expected_ ? expected_() : script_.states().model_after(acked_);
  }
  void open_as(bool read_only);
  void write();
  void read_everything();
  void hold_cursor();
  void drop_cursor();
  void drop_snapshot();
  void check();
  void all_durable() noexcept;
  void collect();
  void raise(Figure figure, std::uint64_t value);
  [[nodiscard]] std::uint64_t count_steps(std::string_view prefix, std::size_t from = 0) const;

  const Script& script_;
  Medium medium_;
  std::atomic<std::size_t> issued_ = 0, acked_ = 0, durable_ = 0, flushed_ = 0;  // See Progress.
  Figures figures_;
  std::function<Model()> expected_;
  bool other_options_ = false;
  std::optional<SegmentIndex> index_;
  std::optional<Snapshot> snapshot_;
  Model snapshot_model_;
  std::optional<Cursor> cursor_;
  Model cursor_rest_;
};

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/scenario.hpp"
#include "varve/check.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {

// Who allocates, and when.
enum class AllocationMode : std::uint8_t {
  Bare,              // The caller.
  Synchronized,      // The caller, behind the lock.
  ConcurrentByHand,  // The caller, in the concurrent engine: maintenance is left to calls.
  Concurrent,        // The caller and the threads of the index, in an order that no two runs share.
};
[[nodiscard]] std::string_view to_string(AllocationMode mode) noexcept;

// One run of a script in which an allocation fails, and the judgement of it; see allocation_sweep.
class AllocationRun {
 public:
  // `path`: what Scenario::before left, if there is such a thing.
  AllocationRun(const Script& script, AllocationMode mode, std::filesystem::path path,
                std::uint64_t nth, bool sticky);
  AllocationRun(const AllocationRun&) = delete;
  AllocationRun& operator=(const AllocationRun&) = delete;
  ~AllocationRun();

  void run();

  std::string problem;  // Empty: none.
  bool fired = false, threw = false, latched = false;
  std::uint64_t allocation_count = 0;

 private:
  bool attempt(const std::function<void()>& work);
  void note_failure(const std::string& what, bool must_work);
  void must_not_fail();
  [[nodiscard]] bool failed_now() const;
  void open(bool closed);
  bool close();
  void reopen(bool checked);
  void write(const Write& write);
  void look(const std::string& what);
  void perform(Step::Kind call);
  void call_index(Step::Kind call);
  void read();
  void drop_snapshot();
  void drop_cursor();
  void judge(const CheckReport& report);
  void look_at_the_files(bool closed);
  [[nodiscard]] bool is_legal(const Model& found, bool closed) const;

  const Script& script_;
  const AllocationMode mode_;
  const std::filesystem::path path_;
  const Options options_;
  const bool sticky_;
  std::optional<SegmentIndex> index_;
  std::optional<Snapshot> snapshot_;
  std::optional<Cursor> cursor_;
  Model base_;   // What the last open found.
  Model model_;  // And what was written since.
  Model snapshot_model_, cursor_model_;
  std::vector<std::string_view> keys_;  // Of model_.
  std::vector<const Write*> happened_;  // Since the last open.
  std::size_t number_ = 0;              // Of the next write.
  std::size_t flushed_ = 0;             // Of happened_.
  const Write* doubtful_ = nullptr;
  std::string unexpected_;  // What the last call said that should have worked.
};

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/metamorphic/configuration.hpp"
#include "tests/metamorphic/medium.hpp"
#include "tests/metamorphic/subject.hpp"
#include "tests/support/eager_hot_path.hpp"
#include "varve/segment_index.hpp"

namespace varve::test::metamorphic {

// What happened inside of indexes, over all of their lives.
struct Events {
  std::uint64_t flush_count = 0, compaction_count = 0, split_count = 0, neighbour_merge_count = 0;
  std::uint64_t tier_merge_seen_count = 0;  // Times that a run of a higher tier was found.
  std::uint64_t log_rotation_count = 0;
  std::uint64_t fault_count = 0, retry_count = 0, crash_count = 0, hot_path_hit_count = 0;
  void add(const Events& other);
};

// An index in one configuration. A call that is refused for a reason that the configuration brings
// about (a full medium, a used up memory budget) is made again once the reason is gone, so that the
// answers are those of every other configuration.
class IndexSubject : public Subject {
 public:
  // `start`: see Medium.
  explicit IndexSubject(const Configuration& configuration,
                        const std::shared_ptr<directory::SimulatedFileSystem>& start = nullptr);
  IndexSubject(const IndexSubject&) = delete;
  IndexSubject& operator=(const IndexSubject&) = delete;
  ~IndexSubject() override = default;

  [[nodiscard]] std::string apply(const Operation& operation) override;
  // Closes the index; what happened over its lives. Empty text: nothing went wrong.
  [[nodiscard]] std::string finish();
  [[nodiscard]] const Events& events() const noexcept { return events_; }
  [[nodiscard]] const Medium& medium() const noexcept { return medium_; }
  // The message of the last Error; for reports.
  [[nodiscard]] const std::string& last_message() const noexcept { return last_message_; }

 protected:
  // Does the operation, without what is done between operations.
  [[nodiscard]] virtual std::string perform(const Operation& operation);

 private:
  [[nodiscard]] std::optional<std::string> perform_write(const Operation& operation);
  [[nodiscard]] std::optional<std::string> perform_read(const Operation& operation);
  [[nodiscard]] std::optional<std::string> perform_held(const Operation& operation);
  [[nodiscard]] std::optional<std::string> perform_snapshot(const Operation& operation);
  [[nodiscard]] std::string perform_other(const Operation& operation);

  [[nodiscard]] WriteOptions write_options(std::uint64_t durability);
  [[nodiscard]] std::string put(const Operation& operation);
  [[nodiscard]] std::string put_in_time(const Operation& operation);
  [[nodiscard]] std::string batch(const Operation& operation);
  [[nodiscard]] std::string exclusive_write(const Operation& operation);
  [[nodiscard]] std::string fail_fast_write(const Operation& operation);
  [[nodiscard]] std::string scan_into(std::size_t slot, const ScanOptions& options);
  [[nodiscard]] std::string fail_fast_scan(const Operation& operation);
  [[nodiscard]] std::string window_scan(const Operation& operation);
  [[nodiscard]] std::string typed(const Operation& operation);
  [[nodiscard]] std::string open_cursor(const Operation& operation);
  [[nodiscard]] std::string step_cursor(std::size_t slot, std::uint64_t count);
  [[nodiscard]] std::string seek_cursor(std::size_t slot, std::string_view key);
  [[nodiscard]] std::string figures() const;
  [[nodiscard]] std::string invalid_call(std::uint64_t number);
  [[nodiscard]] std::string cancelled_compaction();
  [[nodiscard]] std::string flush_or_sync(const std::function<void()>& call);

  [[nodiscard]] std::string reopen(const Options& options);
  [[nodiscard]] std::string visit_read_only(const Operation& operation);
  [[nodiscard]] std::string die(const Operation& operation);
  [[nodiscard]] std::string check_files();
  void open(const Options& options);
  void make_durable();
  [[nodiscard]] std::string close();
  void let_go();

  // "ok", or the code of the Error. retried(): after what makes its success possible.
  [[nodiscard]] std::string outcome(const std::function<void()>& call);
  [[nodiscard]] std::string retried(const std::function<void()>& call);
  [[nodiscard]] bool may_retry(const Error& error);

  const Configuration configuration_;
  Options options_;  // In force.
  const EagerHotPath eager_hot_path_;
  Medium medium_;
  SegmentIndex index_;
  std::array<std::optional<Snapshot>, kSlotCount> snapshots_;
  std::array<std::optional<Cursor>, kSlotCount> cursors_;  // Before index_ in destruction.
  std::array<std::optional<std::string>, kSlotCount> tokens_;
  std::uint64_t operation_count_ = 0;
  bool unlogged_ = false;  // There may be writes that a kill would lose.
  std::uint64_t first_log_number_ = 0;
  Events events_;
  std::string last_message_;
};

}  // namespace varve::test::metamorphic

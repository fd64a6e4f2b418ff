// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/concurrent_index/workout_keys.hpp"
#include "tests/support/atomicity.hpp"
#include "tests/support/call_history.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {

// One thread of a workout: random calls on a shared index, chosen by a seed alone, and a log of
// them for the checkers. What can be told wrong from one call is told here.
// Thread-safety: one thread; the index is shared. The log outlives it.
class WorkoutThread {
 public:
  WorkoutThread(SegmentIndex& index, CallLog& log, std::uint64_t seed);
  // Makes `call_count` calls, or fewer when the index is closed meanwhile or something is wrong.
  void run(std::uint64_t call_count) noexcept;

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }  // Empty: none.
  [[nodiscard]] bool found_closed() const noexcept { return found_closed_; }
  [[nodiscard]] const std::vector<View>& views() const noexcept { return views_; }
  [[nodiscard]] std::uint64_t call_count() const noexcept { return call_count_; }
  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }
  [[nodiscard]] std::uint64_t invalidated_count() const noexcept { return invalidated_count_; }

  // From now on all calls meet on a few keys and one group, and no write has a deadline.
  void focus() noexcept { focused_ = true; }
  // Gives every key a value: the singles by one batch, each group by another.
  void fill();
  // One call each, with keys of its own choice. Errors: what the index throws, Busy excepted.
  void put();
  void erase();
  void erase_range();
  void write_singles();
  void write_group();
  void get();
  void contains();
  void multi_get();
  void scan();
  void scan_all() { scan_range(0, kKeyCount, {}); }
  void take_snapshot();
  void read_snapshot();
  void let_go() { held_.reset(); }  // Of the snapshot.
  void flush();
  void compact();
  void sync();
  void look_around();
  // Reads everything: every key by itself, then by a scan.
  void read_all();

 private:
  struct HeldSnapshot {
    Snapshot snapshot;
    Moment invoked, returned;
    std::vector<std::pair<KeyNumber, ValueNumber>> seen;
  };
  struct Choice;
  static const std::array<Choice, 15> kChoices;

  void step();
  // Makes a write of the index; `call` has noted what it writes.
  template <typename Write>
  void write(CallLog::Call& call, Write&& write);

  void read_own_write(KeyNumber key);
  void get_key(KeyNumber key);
  void multi_get_keys(const std::vector<KeyNumber>& keys);
  void scan_range(KeyNumber first, KeyNumber end, const ScanOptions& how);
  // The entries of a cursor over keys [first, end), absent keys included. False: invalidated.
  bool take_entries(Cursor& cursor, KeyNumber first, KeyNumber end, const ScanOptions& how,
                    std::vector<std::pair<KeyNumber, ValueNumber>>& seen);
  void note_scan(const View& view, const ScanOptions& how);
  void check_held_off(const View& view);

  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  [[nodiscard]] bool one_in(std::uint64_t count) { return below(count) == 0; }
  [[nodiscard]] KeyNumber single_key();  // In no group; every second time one of a few hot ones.
  [[nodiscard]] KeyNumber any_key();
  [[nodiscard]] const KeyGroup& any_group() { return groups_[focused_ ? 0 : below(kGroupCount)]; }
  [[nodiscard]] ValueNumber next_value() { return thread_value(log_.thread(), next_value_++); }
  [[nodiscard]] WriteOptions write_options();
  // The number of the value found at `key`; notes a problem when the bytes are not its own.
  [[nodiscard]] ValueNumber seen_value(KeyNumber key, std::string_view bytes);
  [[nodiscard]] ValueNumber seen_value(KeyNumber key, const std::optional<std::string>& found);
  void note(const std::string& problem);

  SegmentIndex& index_;
  CallLog& log_;
  const std::vector<KeyGroup> groups_ = key_groups();
  std::mt19937_64 random_;
  std::uint32_t next_value_ = 0;
  std::vector<View> views_;
  std::optional<HeldSnapshot> held_;
  std::string problem_;
  bool found_closed_ = false;
  bool focused_ = false;
  std::uint64_t call_count_ = 0, refused_count_ = 0, invalidated_count_ = 0;
};

}  // namespace varve::test

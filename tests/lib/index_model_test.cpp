// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/eager_hot_path.hpp"
#include "tests/support/model.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

enum class Medium { Memory, Posix, Simulated };

// One index, the model of it, and the snapshots and cursors that are held open meanwhile with what
// they must go on showing. Every operation is done on both sides.
class Run {
 public:
  Run(Medium medium, Workload::Shape shape, std::uint64_t seed, const Options& options)
      : medium_(medium), options_(options), workload_(shape, seed) {
    if (medium == Medium::Posix) temporary_.emplace();
    if (medium == Medium::Simulated) disk_ = std::make_shared<SimulatedFileSystem>();
    if (medium == Medium::Memory) directory_ = directory::make_memory_directory();
    open();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void step() {
    const std::uint64_t choice = workload_.below(1000);
    if (choice < 520) {
      put();
    } else if (choice < 660) {
      erase();
    } else if (choice < 668) {
      erase_some_range();
    } else if (choice < 672) {
      erase_some_prefix();
    } else if (choice < 740) {
      write_batch();
    } else if (choice < 850) {
      read_point();
    } else if (choice < 920) {
      scan_something();
    } else if (choice < 950) {
      hold_something();
    } else if (choice < 990) {
      check_held();
    } else {
      rare();
    }
  }
  void check_everything() {
    ScanOptions reverse;
    reverse.reverse = true;
    REQUIRE(difference(scan_all(index_), model_.scan()) == "");
    REQUIRE(difference(scan_all(index_, reverse), model_.scan(reverse)) == "");
    for (const auto& [key, value] : model_.entries()) REQUIRE(index_.get(key) == value);
    while (!held_.empty()) check_held();
  }
  void reopen() {
    const std::uint64_t sequence = index_.statistics().last_sequence;
    let_go();
    index_.close();
    open();
    REQUIRE(index_.statistics().last_sequence == sequence);
    check_everything();
  }
  // The process dies and another one opens what it left.
  void die() {
    let_go();
    disk_ = disk_->after_kill();
    SegmentIndex dead = std::move(index_);
    open();
    check_everything();
  }
  [[nodiscard]] SegmentIndex& index() { return index_; }
  [[nodiscard]] std::uint64_t splits() const { return splits_; }
  void count() {
    const Statistics statistics = index_.statistics();
    splits_ += statistics.split_count;
    merges_ += statistics.merge_count;
  }
  [[nodiscard]] std::uint64_t merges() const { return merges_; }

 private:
  struct Held {
    Model model;
    std::optional<Snapshot> snapshot;
    std::optional<Cursor> cursor;
    Entries expected;
    std::size_t position = 0;
    bool reverse = false;
  };

  void open() {
    if (medium_ == Medium::Posix) directory_ = directory::make_posix_directory(temporary_->path());
    if (medium_ == Medium::Simulated) directory_ = directory::make_posix_directory(disk_);
    index_ = SegmentIndexAccess::open(directory_, options_);
  }
  void let_go() {
    count();
    held_.clear();
  }
  WriteOptions write_options() {
    WriteOptions options;
    if (medium_ == Medium::Memory && workload_.one_in(10)) {
      options.durability = workload_.one_in(2) ? Durability::Buffered : Durability::Synced;
    }
    return options;
  }
  void put() {
    const std::string key = workload_.key(), value = workload_.value();
    index_.put(key, value, write_options());
    model_.put(key, value);
  }
  std::string known_key() {
    if (model_.entries().empty() || workload_.one_in(4)) return workload_.key();
    const auto it = model_.entries().lower_bound(workload_.key());
    return it == model_.entries().end() ? model_.entries().begin()->first : it->first;
  }
  void erase() {
    const std::string key = known_key();
    index_.erase(key, write_options());
    model_.erase(key);
  }
  // Mostly a narrow one; now and then to the end, from the start, or the wrong way round.
  std::pair<std::string, std::string> some_range() {
    std::string from = known_key(), to = known_key();
    if (from > to && !workload_.one_in(20)) std::swap(from, to);
    if (!workload_.one_in(5)) {
      auto it = model_.entries().lower_bound(from);
      for (std::uint64_t i = workload_.below(30); i > 0 && it != model_.entries().end(); --i) ++it;
      if (it != model_.entries().end()) to = it->first;
    }
    if (workload_.one_in(25)) from.clear();
    if (workload_.one_in(25)) to.clear();
    return {from, to};
  }
  std::string some_prefix() {
    std::string prefix = known_key();
    prefix.resize(prefix.size() - workload_.below(std::min<std::size_t>(prefix.size(), 3)));
    return prefix;
  }
  void erase_some_range() {
    const auto [from, to] = some_range();
    index_.erase_range(from, to, write_options());
    model_.erase_range(from, to);
  }
  void erase_some_prefix() {
    const std::string prefix = some_prefix();
    index_.erase_prefix(prefix, write_options());
    model_.erase_prefix(prefix);
  }
  // Few keys, so that operations of one batch meet on the same ones.
  void write_batch() {
    std::vector<std::string> keys(1 + workload_.below(6));
    for (std::string& key : keys) key = known_key();
    WriteBatch batch;
    for (std::uint64_t i = workload_.below(20); i > 0; --i) {
      const std::string& key = keys[workload_.below(keys.size())];
      const std::uint64_t choice = workload_.below(20);
      if (choice < 12) {
        const std::string value = workload_.value();
        batch.put(key, value);
        model_.put(key, value);
      } else if (choice < 18) {
        batch.erase(key);
        model_.erase(key);
      } else {
        const std::string end = workload_.one_in(2) ? key + "~" : keys.front();
        batch.erase_range(key, end);
        model_.erase_range(key, end);
      }
    }
    index_.write(batch, write_options());
  }
  void read_point() {
    const std::string key = known_key();
    REQUIRE(index_.get(key) == model_.get(key));
    REQUIRE(index_.contains(key) == model_.get(key).has_value());
    const std::vector<std::string> keys = {known_key(), key, workload_.key()};
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const auto found = index_.multi_get(views);
    for (std::size_t i = 0; i < keys.size(); ++i) REQUIRE(found[i] == model_.get(keys[i]));
    for (const Held& held : held_) {
      if (held.snapshot) REQUIRE(index_.get(key, &*held.snapshot) == held.model.get(key));
    }
  }
  void scan_something() {
    const auto [from, to] = some_range();
    const std::string prefix = workload_.one_in(3) ? some_prefix() : "";
    ScanOptions options{.from = from, .to = to, .prefix = prefix};
    options.reverse = workload_.one_in(2);
    if (workload_.one_in(2)) options.limit = workload_.below(40);
    // Background jobs end fail-fast scans, and move the cuts of windows, whenever they like.
    const bool jobs_come = options_.access == Access::Concurrent;
    options.isolation =
        !jobs_come && workload_.one_in(3) ? Isolation::FailFast : Isolation::Snapshot;
    const Model* model = &model_;
    if (!held_.empty() && held_.front().snapshot && workload_.one_in(2)) {
      options.isolation = Isolation::Snapshot;
      options.snapshot = &*held_.front().snapshot;
      model = &held_.front().model;
    }
    Cursor cursor = index_.scan(options);
    REQUIRE(difference(take_all(cursor), model->scan(options)) == "");
    if (cursor.end_reason() == ScanEnd::Limit) check_resume(cursor, options, *model);
    if (!jobs_come && workload_.one_in(4)) check_windows(options, *model);
  }
  void check_resume(const Cursor& cursor, const ScanOptions& options, const Model& model) {
    const std::string token = cursor.resume_token();
    ScanOptions all = options;
    all.limit = ScanOptions().limit;
    Entries rest = model.scan(all);
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(options.limit));
    ScanOptions resumed;
    resumed.resume = token;
    resumed.snapshot = options.snapshot;
    REQUIRE(difference(scan_all(index_, resumed), rest) == "");
  }
  void check_windows(ScanOptions options, const Model& model) {
    options.limit = ScanOptions().limit;
    const std::size_t size = 1 + workload_.below(3);
    const std::size_t count = index_.statistics().segments.size();
    Entries found;
    for (std::size_t offset = 0; offset < count; offset += size) {
      options.window = {.offset = offset, .limit = size};
      Entries part = scan_all(index_, options);
      // Windows count in key order, whichever way each is read.
      found.insert(options.reverse ? found.begin() : found.end(), part.begin(), part.end());
    }
    REQUIRE(difference(found, model.scan(options)) == "");
  }
  void hold_something() {
    if (held_.size() >= 4) held_.pop_back();
    Held held;
    held.model = model_;
    if (workload_.one_in(2)) {
      held.snapshot.emplace(index_.snapshot());
    } else {
      ScanOptions options;
      options.reverse = workload_.one_in(2);
      held.expected = model_.scan(options);
      held.reverse = options.reverse;
      held.cursor.emplace(index_.scan(options));
    }
    held_.push_front(std::move(held));
  }
  // Looks at the oldest; a cursor is moved on, and let go at its end.
  void check_held() {
    if (held_.empty()) return;
    Held held = std::move(held_.back());
    held_.pop_back();
    if (held.snapshot) {
      ScanOptions options;
      options.snapshot = &*held.snapshot;
      REQUIRE(difference(scan_all(index_, options), held.model.scan()) == "");
      return;
    }
    CAPTURE(held.reverse, held.position);
    for (std::uint64_t i = workload_.below(300); i > 0; --i) {
      if (!held.cursor->next()) {
        REQUIRE(held.position == held.expected.size());
        REQUIRE(held.cursor->end_reason() == ScanEnd::End);
        return;
      }
      REQUIRE(held.position < held.expected.size());
      REQUIRE(held.cursor->key() == held.expected[held.position].first);
      REQUIRE(held.cursor->value() == held.expected[held.position].second);
      ++held.position;
    }
    held_.push_back(std::move(held));
  }
  void rare() {
    switch (workload_.below(8)) {
      case 0:
      case 1:
        index_.flush();
        break;
      case 2: {
        const auto [from, to] = some_range();
        index_.compact({.from = from, .to = to});
        break;
      }
      case 3:
        index_.compact();
        break;
      case 4:
        static_cast<void>(index_.maintain());
        break;
      case 5:
        index_.sync();
        break;
      case 6:
        if (workload_.one_in(2)) reopen();
        break;
      default:
        if (medium_ == Medium::Simulated) die();
        break;
    }
  }

  const Medium medium_;
  Options options_;
  Workload workload_;
  std::optional<TemporaryDirectory> temporary_;
  std::shared_ptr<SimulatedFileSystem> disk_;
  std::shared_ptr<directory::Directory> directory_;
  SegmentIndex index_;
  Model model_;
  std::deque<Held> held_;  // Newest first. Before index_ in destruction.
  std::uint64_t splits_ = 0, merges_ = 0;
};

std::string shape_name(Workload::Shape shape) {
  constexpr const char* kNames[] = {"short",  "decimal",   "shared prefix",
                                    "binary", "ascending", "mixed"};
  return kNames[static_cast<std::size_t>(shape)];
}

}  // namespace

// Method: random operations on an index and on a std::map, with budgets so tiny that flushes,
// compactions, splits and merges of neighbours happen all the time; everything read is compared.
TEST_CASE("an index answers as a map does, whatever is done to it", "[lib][model]") {
  const auto shape = GENERATE(from_range(Workload::kShapes));
  const auto seed = GENERATE(range<std::uint64_t>(1, 5));
  CAPTURE(shape_name(shape), seed);
  Options options = tiny_options();
  options.access = static_cast<Access>(seed % 3);
  options.reads = seed % 3 == 0 ? Reads::Buffered : Reads::Mapped;
  if (seed == 4) options.tuning.filter_bits_per_key = 0;
  const EagerHotPath eager;
  Run run(Medium::Memory, shape, seed, options);
  for (int i = 0; i < 4000; ++i) {
    CAPTURE(i);
    run.step();
  }
  run.check_everything();
  run.reopen();
}

TEST_CASE("an index answers as a map does after its process was killed", "[lib][model]") {
  const auto shape = GENERATE(from_range(Workload::kShapes));
  const auto seed = GENERATE(range<std::uint64_t>(11, 13));
  CAPTURE(shape_name(shape), seed);
  Options options = tiny_options();
  options.reads = seed % 2 == 0 ? Reads::Buffered : Reads::Mapped;
  const EagerHotPath eager(seed % 2 == 0);
  Run run(Medium::Simulated, shape, seed, options);
  for (int i = 0; i < 2500; ++i) {
    CAPTURE(i);
    run.step();
  }
  run.die();
  run.reopen();
}

TEST_CASE("an index in files answers as a map does", "[lib][model][posix]") {
  const auto reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(to_string(reads));
  Options options = tiny_options();
  options.reads = reads;
  options.access = Access::Bare;
  Run run(Medium::Posix, Workload::Shape::Decimal, 21, options);
  for (int i = 0; i < 1500; ++i) {
    CAPTURE(i);
    run.step();
  }
  run.check_everything();
  run.reopen();
}

TEST_CASE("growing splits segments and erasing merges neighbours", "[lib][model]") {
  const auto shape = GENERATE(Workload::Shape::Decimal, Workload::Shape::Ascending);
  CAPTURE(shape_name(shape));
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  Model model;
  Workload workload(shape, 31);
  const std::string filler(300, 'v');
  for (int i = 0; i < 4000; ++i) {
    const std::string key = workload.key();
    index.put(key, filler);
    model.put(key, filler);
  }
  index.compact();
  const std::size_t grown = index.statistics().segments.size();
  CHECK(grown >= 4);
  CHECK(index.statistics().split_count > 0);
  REQUIRE(difference(scan_all(index), model.scan()) == "");
  int n = 0;
  for (const auto& [key, value] : model.scan()) {
    if (++n % 40 == 0) continue;
    index.erase(key);
    model.erase(key);
  }
  index.compact();
  CHECK(index.statistics().segments.size() < grown);
  CHECK(index.statistics().merge_count > 0);
  REQUIRE(difference(scan_all(index), model.scan()) == "");
}

}  // namespace varve::test

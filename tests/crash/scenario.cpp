// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/scenario.hpp"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

#include "directory/directory.hpp"
#include "lib/checker.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/error.hpp"

namespace varve::test {
namespace {

std::string key_of(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  switch (number % 3) {
    case 0:
      return "user:" + std::string(6 - digits.size(), '0') + digits;
    case 1:
      return std::string("b\0", 2) + digits;
    default:
      return "https://example.org/a/rather/long/path/" + digits;
  }
}

// Makes the writes of a scenario, one step after the other.
class WriteMaker {
 public:
  explicit WriteMaker(std::uint64_t seed) : random_(seed) {}

  void make(const Step& step, std::vector<Write>& to) {
    Write write;
    write.durability = step.durability;
    write.batch = step.kind == Step::Kind::Batch;
    number_ = to.size();
    if (write.batch) {
      make_batch(step, write);
    } else {
      write.changes.push_back(make_change(step.kind, step));
    }
    to.push_back(std::move(write));
  }

 private:
  void make_batch(const Step& step, Write& write) {
    const std::uint64_t count = 2 + below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t kind = below(12);
      write.changes.push_back(make_change(kind < 4   ? Step::Kind::Load
                                          : kind < 8 ? Step::Kind::Overwrite
                                                     : Step::Kind::Erase,
                                          step));
    }
    if (below(4) == 0) write.changes.push_back(make_change(Step::Kind::EraseRange, step));
  }

  Change make_change(Step::Kind kind, const Step& step) {
    switch (kind) {
      case Step::Kind::Append: {
        const std::string digits = std::to_string(appended_++);
        return put("z" + std::string(8 - digits.size(), '0') + digits, step);
      }
      case Step::Kind::Overwrite:
        return put(known(), step);
      case Step::Kind::Erase:
        return {Change::Kind::Erase, known(), {}};
      case Step::Kind::EraseRange: {
        const std::size_t from = below(keys_.size() + 1);
        const std::size_t to = from + 1 + keys_.size() / 8;
        const auto key_at = [this](std::size_t at) {
          return *std::next(keys_.begin(), static_cast<std::ptrdiff_t>(at));
        };
        if (from >= keys_.size()) return {Change::Kind::EraseRange, "c", "d"};  // Nothing.
        return {Change::Kind::EraseRange, key_at(from), to < keys_.size() ? key_at(to) : ""};
      }
      case Step::Kind::EraseAll:
        return {Change::Kind::EraseRange, "a", ""};
      default:
        // A permutation: each new key somewhere between the others.
        return put(key_of(loaded_++ * 7919 % 99991), step);
    }
  }

  Change put(std::string key, const Step& step) {
    keys_.insert(key);
    std::string value = std::to_string(number_) + ':';
    value.append(step.size, static_cast<char>('a' + below(26)));
    return {Change::Kind::Put, std::move(key), std::move(value)};
  }
  std::string known() {
    if (keys_.empty()) return "user:000000";
    return *std::next(keys_.begin(), static_cast<std::ptrdiff_t>(below(keys_.size())));
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  std::mt19937_64 random_;
  std::set<std::string> keys_;  // That were ever put.
  std::uint64_t loaded_ = 0, appended_ = 0;
  std::size_t number_ = 0;
};

void make_calls(const std::vector<Step>& steps, WriteMaker& maker, std::vector<Step::Kind>& calls,
                std::vector<Write>& writes) {
  for (const Step& step : steps) {
    for (std::uint32_t i = 0; i < step.count; ++i) {
      calls.push_back(step.kind);
      if (Script::is_write(step.kind)) maker.make(step, writes);
    }
  }
}

void require(bool condition, const std::string& what) {
  if (!condition) throw std::logic_error(what);
}

}  // namespace

std::string_view to_string(Figure figure) noexcept {
  switch (figure) {
    case Figure::Flushes:
      return "flushes";
    case Figure::Compactions:
      return "compactions";
    case Figure::Splits:
      return "splits";
    case Figure::Merges:
      return "neighbour merges";
    case Figure::TierMerges:
      return "tier merges";
    case Figure::MainRuns:
      return "main files";
    case Figure::LogFiles:
      return "logs created";
    case Figure::RecycledLogs:
      return "logs recycled";
    case Figure::LogSyncs:
      return "log syncs";
    case Figure::RemovedFiles:
      return "files removed";
    case Figure::Punches:
      return "punches";
    case Figure::Replayed:
      return "operations replayed";
    case Figure::RecoveryFlushes:
      return "flushes in recovery";
    case Figure::SegmentsMax:
      return "segments at most";
    case Figure::RangeTombstonesMax:
      return "range tombstones at most";
    case Figure::KeptVersions:
      return "versions kept";
    case Figure::StalledWrites:
      return "writes that did maintenance";
    case Figure::Opens:
      return "opens";
  }
  return "unknown";
}

Options options_of(const Scenario& scenario, bool other) {
  Options options = tiny_options();
  options.access = Access::Bare;
  options.tuning.compaction_ratio = 1;
  if (scenario.options) scenario.options(options);
  if (other && scenario.other_options) scenario.other_options(options);
  return options;
}

Script::Script(Scenario scenario, std::uint64_t seed) : scenario_(std::move(scenario)) {
  std::vector<Write> writes;
  WriteMaker maker(seed);
  if (scenario_.before) make_calls(scenario_.before->steps, maker, before_, writes);
  make_calls(scenario_.steps, maker, calls_, writes);
  states_ = std::make_unique<const LegalStates>(std::move(writes));
}

SegmentIndex open_on(const Medium& medium, const Options& options) {
  return internal::SegmentIndexAccess::open(directory::make_posix_directory(medium), options);
}

ScriptRun::ScriptRun(const Script& script)
    : script_(script), medium_(std::make_shared<directory::SimulatedFileSystem>()) {
  const Scenario& scenario = script.scenario();
  medium_->set_mappable(scenario.mappable);
  if (!scenario.before) return;
  open();
  for (const Step::Kind call : script.calls_before()) perform(call);
  abandon();
  figures_.clear();
  other_options_ = static_cast<bool>(scenario.other_options);
  if (!scenario.before->power_loss) {
    medium_ = medium_->after_kill();
    return;
  }
  using Policy = directory::RebootPolicy;
  medium_ = medium_->after_reboot({.data = Policy::Data::Kept, .names = Policy::Names::Kept});
  durable_ = acked_.load();
}

ScriptRun::~ScriptRun() {
  abandon();
}

void ScriptRun::abandon() {
  medium_->cut_power();
  cursor_.reset();
  snapshot_.reset();
  index_.reset();  // Its close() finds no power, and says so to nobody.
}

void ScriptRun::open_as(bool read_only) {
  Options options = options_of(script_.scenario(), other_options_);
  options.read_only = read_only;
  const std::size_t first_step = medium_->step_count();
  index_.emplace(open_on(medium_, options));
  ++figures_[Figure::Opens];
  figures_[Figure::Replayed] += index_->statistics().recovered_operation_count;
  figures_[Figure::RecoveryFlushes] +=
      count_steps("rename delta-", first_step) + count_steps("rename main-", first_step);
}

void ScriptRun::open() {
  open_as(false);
}

void ScriptRun::close() {
  cursor_.reset();
  snapshot_.reset();
  collect();
  const Statistics all = index_->statistics();
  figures_[Figure::Flushes] += all.flush_count;
  figures_[Figure::Compactions] += all.compaction_count;
  figures_[Figure::Splits] += all.split_count;
  figures_[Figure::Merges] += all.merge_count;
  figures_[Figure::LogSyncs] += all.log_sync_count;
  figures_[Figure::StalledWrites] += all.stalled_write_count;
  SegmentIndex closing = std::move(*index_);
  index_.reset();
  closing.close();
  all_durable();
}

void ScriptRun::all_durable() noexcept {
  durable_ = acked_.load();
  flushed_ = acked_.load();
}

Progress ScriptRun::progress() const noexcept {
  Progress now;
  now.flushed = flushed_;
  now.durable = durable_;
  now.acked = acked_;
  now.issued = issued_;  // Last: the others are at most what they were when it was that.
  return now;
}

void ScriptRun::run(const std::function<void()>& between) {
  const auto tell = [&] {
    if (between) between();
  };
  open();
  tell();
  for (const Step::Kind call : script_.calls()) {
    perform(call);
    tell();
  }
  close();
  tell();
}

void ScriptRun::perform(Step::Kind call) {
  if (Script::is_write(call)) return write();
  switch (call) {
    case Step::Kind::Sync:
      index_->sync();
      all_durable();  // Where every write has a record, `flushed` says no more than `durable`.
      break;
    case Step::Kind::Flush:
      index_->flush();
      all_durable();
      break;
    case Step::Kind::Compact:
      index_->compact();
      break;
    case Step::Kind::Maintain:
      while (index_->maintain()) {
      }
      break;
    case Step::Kind::Read:
      read_everything();
      break;
    case Step::Kind::HoldSnapshot:
      snapshot_.emplace(index_->snapshot());
      snapshot_model_ = expected();
      break;
    case Step::Kind::DropSnapshot:
      drop_snapshot();
      break;
    case Step::Kind::HoldCursor:
      hold_cursor();
      break;
    case Step::Kind::DropCursor:
      drop_cursor();
      break;
    case Step::Kind::Reopen:
      close();
      other_options_ = !other_options_;
      open();
      break;
    case Step::Kind::Check:
      check();
      break;
    case Step::Kind::ReadOnly:
      close();
      open_as(true);
      read_everything();
      index_.reset();
      open();
      break;
    case Step::Kind::SetCodecs:
      index_->set_codecs("u64", "text");
      break;
    default:
      throw std::logic_error("a step of unknown kind");
  }
  if (index_) collect();
}

void ScriptRun::write() {
  const Write& write = script_.states().writes().at(issued_);
  ++issued_;
  apply(write, *index_);
  acked_ = issued_.load();
  if (write.durability == Durability::Synced) durable_ = acked_.load();
}

void ScriptRun::read_everything() {
  const Model model = expected();
  Model reverse;
  for (const auto& [key, value] : index_->scan({.reverse = true})) reverse.emplace(key, value);
  require(difference(model, model_of(*index_)).empty(), "a scan differs");
  require(difference(model, reverse).empty(), "a reverse scan differs");
  for (const auto& [key, value] : model) {
    require(index_->get(key) == value, "a get differs");
    require(index_->get(key + '\x01') == std::nullopt, "a get finds what is not there");
  }
}

void ScriptRun::hold_cursor() {
  cursor_rest_ = expected();
  cursor_.emplace(index_->scan());
  for (int i = 0; i < 3 && cursor_->next(); ++i) {
    cursor_rest_.erase(std::string(cursor_->key()));
  }
}

void ScriptRun::drop_cursor() {
  if (!cursor_) return;  // A fault kept it from being opened.
  Model found;
  while (cursor_->next()) found.emplace(cursor_->key(), cursor_->value());
  cursor_.reset();
  require(difference(cursor_rest_, found).empty(), "an open cursor differs");
}

void ScriptRun::drop_snapshot() {
  if (!snapshot_) return;
  Model found;
  for (const auto& [key, value] : index_->scan({.snapshot = &*snapshot_})) {
    found.emplace(key, value);
  }
  snapshot_.reset();
  require(difference(snapshot_model_, found).empty(), "a snapshot differs");
}

void ScriptRun::check() {
  close();
  const auto directory = directory::make_posix_directory(medium_);
  const CheckReport report = internal::check_directory(*directory, {.deep = true});
  if (!report.findings.empty()) {
    throw Error(ErrorCode::Corruption, "the check of a closed index: " + report.findings[0].what);
  }
  open();
}

void ScriptRun::raise(Figure figure, std::uint64_t value) {
  figures_[figure] = std::max(figures_[figure], value);
}

std::uint64_t ScriptRun::count_steps(std::string_view prefix, std::size_t from) const {
  const std::vector<std::string> steps = medium_->steps();
  return static_cast<std::uint64_t>(
      std::count_if(steps.begin() + static_cast<std::ptrdiff_t>(from), steps.end(),
                    [&](const std::string& step) { return step.starts_with(prefix); }));
}

// What is of the moment. Counts since open are added up when the index is closed.
void ScriptRun::collect() {
  const Statistics now = index_->statistics();
  raise(Figure::SegmentsMax, now.runs.segment_count);
  raise(Figure::RangeTombstonesMax, now.runs.range_tombstone_count);
  if (snapshot_) {
    const std::size_t keys = script_.states().model_after(acked_).size();
    const std::uint64_t entries = now.runs.run_entry_count;
    raise(Figure::KeptVersions, entries - std::min<std::uint64_t>(entries, keys));
  }
}

Figures ScriptRun::figures() const {
  Figures figures = figures_;
  figures[Figure::LogFiles] = count_steps("create log-");
  figures[Figure::RecycledLogs] = count_steps("rename log-");
  figures[Figure::MainRuns] = count_steps("rename main-");
  figures[Figure::Punches] = count_steps("punch ");
  figures[Figure::RemovedFiles] = count_steps("remove ");
  const std::uint64_t delta_files = count_steps("rename delta-");
  const std::uint64_t flushes = figures[Figure::Flushes] + figures[Figure::Opens];  // And closes.
  figures[Figure::TierMerges] = delta_files - std::min(delta_files, flushes);
  return figures;
}

}  // namespace varve::test

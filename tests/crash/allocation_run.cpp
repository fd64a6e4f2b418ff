// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/allocation_run.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "tests/crash/allocation_failure.hpp"
#include "varve/error.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;

// A wrong answer. Makes no allocation: what is compared is read while these may fail.
struct Difference {
  const char* what;
};
void require(bool condition, const char* what) {
  if (!condition) throw Difference{what};
}

Options options_for(const Scenario& scenario, AllocationMode mode) {
  Options options = options_of(scenario);
  options.access = mode == AllocationMode::Bare           ? Access::Bare
                   : mode == AllocationMode::Synchronized ? Access::Synchronized
                                                          : Access::Concurrent;
  options.tuning.inline_maintenance = mode != AllocationMode::ConcurrentByHand;
  options.tuning.maintenance_threads = 2;
  return options;
}

std::size_t write_count(const std::vector<Step::Kind>& calls) {
  return static_cast<std::size_t>(std::count_if(calls.begin(), calls.end(), Script::is_write));
}

}  // namespace

std::string_view to_string(AllocationMode mode) noexcept {
  switch (mode) {
    case AllocationMode::Bare:
      return "bare";
    case AllocationMode::Synchronized:
      return "synchronized";
    case AllocationMode::ConcurrentByHand:
      return "concurrent by hand";
    case AllocationMode::Concurrent:
      return "concurrent";
  }
  return "unknown";
}

AllocationRun::AllocationRun(const Script& script, AllocationMode mode, std::filesystem::path path,
                             std::uint64_t nth, bool sticky)
    : script_(script),
      mode_(mode),
      path_(std::move(path)),
      options_(options_for(script.scenario(), mode)),
      sticky_(sticky) {
  for (; number_ < write_count(script.calls_before()); ++number_) {
    apply(script.states().writes()[number_], base_);
  }
  model_ = base_;
  AllocationFailure::arm(nth, sticky);
}
AllocationRun::~AllocationRun() {
  AllocationFailure::disarm();
}

void AllocationRun::run() {
  open(true);
  for (const Step::Kind call : script_.calls()) {
    if (!index_ || !problem.empty()) break;
    if (Script::is_write(call)) {
      write(script_.states().writes()[number_++]);
    } else {
      perform(call);
    }
  }
  const bool closed = close();
  allocation_count = AllocationFailure::count();
  fired = AllocationFailure::fired();
  AllocationFailure::disarm();
  if (problem.empty()) look_at_the_files(closed);
}

// False: it failed for want of memory.
bool AllocationRun::attempt(const std::function<void()>& work) {
  const bool must_work = AllocationFailure::fired() && !sticky_ && !failed_now();
  try {
    const AllocationFailure::Inside inside;
    work();
    return true;
  } catch (const Error& error) {
    note_failure(error.what(), must_work);
  } catch (const std::bad_alloc&) {
    note_failure("std::bad_alloc", must_work);
  } catch (const Difference& difference) {
    problem = difference.what;
  }
  return false;
}
void AllocationRun::note_failure(const std::string& what, bool must_work) {
  threw = true;
  latched = latched || failed_now();
  unexpected_.clear();
  if (must_work && !(mode_ == AllocationMode::Concurrent && failed_now())) unexpected_ = what;
}
// The call that failed cannot have done so for what happened to a job.
void AllocationRun::must_not_fail() {
  if (!unexpected_.empty()) problem = "with memory again, a call fails: " + unexpected_;
  unexpected_.clear();
}
bool AllocationRun::failed_now() const {
  return index_ && index_->lifecycle() == Lifecycle::Failed;
}

void AllocationRun::write(const Write& write) {
  const bool failed_before = failed_now();
  bool done = attempt([&] { apply(write, *index_); });
  if (!done && !unexpected_.empty() && mode_ == AllocationMode::Concurrent) {
    // It waited for a job that had failed before.
    unexpected_.clear();
    if (!attempt([this] { index_->flush(); })) must_not_fail();
    done = attempt([&] { apply(write, *index_); });
  }
  if (!done) must_not_fail();
  if (done) {
    if (failed_before) problem = "a write returned after a failure was latched";
    happened_.push_back(&write);
    apply(write, model_);
  } else if (!failed_before && failed_now()) {
    doubtful_ = &write;
  } else if (!failed_before) {
    look("a write");
  }
}

// What failed and was not latched must have had no effect.
void AllocationRun::look(const std::string& what) {
  const std::string found = difference(model_, model_of(*index_));
  if (!found.empty()) problem = what + " that failed had an effect: " + found;
}

void AllocationRun::perform(Step::Kind call) {
  if (call == Reopen || call == Check) return reopen(call == Check);
  keys_.clear();
  for (const auto& entry : model_) keys_.push_back(entry.first);
  const bool done = attempt([&] { call_index(call); });
  if (call == HoldSnapshot) snapshot_model_ = model_;
  if (call == HoldCursor) cursor_model_ = model_;
  if (doubtful_ != nullptr) {  // What these then show is not known, as in read().
    if (call == HoldSnapshot) snapshot_.reset();
    if (call == HoldCursor) cursor_.reset();
  }
  if (call == DropSnapshot) drop_snapshot();
  if (call == DropCursor) drop_cursor();
  if (!done) must_not_fail();
  if (!done && !failed_now()) look("another call");
  if (done && (call == Flush || call == Sync)) flushed_ = happened_.size();
}
void AllocationRun::call_index(Step::Kind call) {
  switch (call) {
    case Sync:
      return index_->sync();
    case Flush:
      return index_->flush();
    case Compact:
      return index_->compact();
    case Maintain:
      while (index_->maintain()) {
      }
      return;
    case Read:
      return read();
    case HoldSnapshot:
      snapshot_.emplace(index_->snapshot());
      return;
    case HoldCursor:
      cursor_.emplace(index_->scan());
      return;
    case DropSnapshot:
    case DropCursor:
      return;
    default:
      throw std::logic_error("a step that this test does not know");
  }
}
// Makes no allocation of its own.
void AllocationRun::read() {
  const bool known = doubtful_ == nullptr;  // Else a write may be half there until the next open.
  auto next = model_.begin();
  for (const auto& entry : index_->scan()) {
    if (!known) continue;
    require(next != model_.end() && entry.key == next->first && entry.value == next->second,
            "a scan differs");
    ++next;
  }
  require(!known || next == model_.end(), "a scan ends early");
  auto last = model_.rbegin();
  for (const auto& entry : index_->scan({.reverse = true})) {
    if (!known) continue;
    require(last != model_.rend() && entry.key == last->first && entry.value == last->second,
            "a backward scan differs");
    ++last;
  }
  require(!known || last == model_.rend(), "a backward scan ends early");
  static_cast<void>(index_->get("user:000000"));
  static_cast<void>(index_->statistics());
  const auto values = index_->multi_get(keys_);
  next = model_.begin();
  for (const auto& value : values) {
    require(!known || value == next->second, "a multi_get differs");
    ++next;
  }
}
// These two hold what they found; a scan that failed for want of memory has ended.
void AllocationRun::drop_snapshot() {
  if (!snapshot_) return;
  auto next = snapshot_model_.begin();
  const bool done = attempt([&] {
    for (const auto& entry : index_->scan({.snapshot = &*snapshot_})) {
      require(
          next != snapshot_model_.end() && entry.key == next->first && entry.value == next->second,
          "a snapshot differs");
      ++next;
    }
  });
  if (done && next != snapshot_model_.end()) problem = "a snapshot ends early";
  if (!done) must_not_fail();
  snapshot_.reset();
}
void AllocationRun::drop_cursor() {
  if (!cursor_) return;
  auto next = cursor_model_.begin();
  const bool done = attempt([&] {
    for (; cursor_->next(); ++next) {
      require(next != cursor_model_.end() && cursor_->key() == next->first &&
                  cursor_->value() == next->second,
              "an open cursor differs");
    }
  });
  if (done && next != cursor_model_.end()) problem = "an open cursor ends early";
  if (!done) must_not_fail();
  cursor_.reset();
}

// False: what has no log record may be gone.
bool AllocationRun::close() {
  cursor_.reset();
  snapshot_.reset();
  if (!index_) return false;
  const bool failed = failed_now();
  const bool closed = attempt([this] { index_->close(); }) && !failed;
  if (!closed && mode_ != AllocationMode::Concurrent) must_not_fail();
  unexpected_.clear();  // Of a concurrent index, a job may have failed on its way to the close.
  latched = latched || failed;
  index_.reset();
  return closed;
}
void AllocationRun::open(bool closed) {
  bool done = attempt([this] { index_.emplace(SegmentIndex::open(path_, options_)); });
  if (!done) must_not_fail();
  if (!done && !sticky_) {
    done = attempt([this] { index_.emplace(SegmentIndex::open(path_, options_)); });
    must_not_fail();
  }
  if (!done) return;
  const Model found = model_of(*index_);
  if (!is_legal(found, closed)) {
    problem = "an open shows what is not legal: " + difference(model_, found);
  }
  base_ = model_ = found;
  happened_.clear();
  flushed_ = 0;
  doubtful_ = nullptr;
}
void AllocationRun::reopen(bool checked) {
  const bool closed = close();
  if (checked && problem.empty()) {
    std::optional<CheckReport> report;
    if (!attempt([&] { report = check(path_, {.deep = true}); })) must_not_fail();
    if (report) judge(*report);
  }
  if (problem.empty()) open(closed);
}

void AllocationRun::judge(const CheckReport& report) {
  for (const CheckFinding& finding : report.findings) {
    if (finding.severity == Severity::Damage) problem = finding.file + ": " + finding.what;
  }
}
void AllocationRun::look_at_the_files(bool closed) {
  try {
    judge(check(path_, {.deep = true}));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NotFound) throw;  // There need not be an index yet.
  }
  if (!problem.empty()) return;
  Options options = options_;
  options.access = Access::Bare;
  const Model found = model_of(SegmentIndex::open(path_, options));
  if (!is_legal(found, closed)) {
    problem = "the next open shows what is not legal: " + difference(model_, found);
  }
}

bool AllocationRun::is_legal(const Model& found, bool closed) const {
  // Without a close(), writes that have no record reach to some flush since the last one.
  for (std::size_t flushed = closed ? happened_.size() : flushed_; flushed <= happened_.size();
       ++flushed) {
    Model model = base_;
    for (std::size_t i = 0; i < happened_.size(); ++i) {
      if (i < flushed || happened_[i]->logged()) apply(*happened_[i], model);
    }
    if (found == model) return true;
    if (doubtful_ == nullptr) continue;
    apply(*doubtful_, model);
    if (found == model) return true;
  }
  return false;
}

}  // namespace varve::test

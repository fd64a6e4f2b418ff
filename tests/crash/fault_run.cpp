// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/fault_run.hpp"

#include <algorithm>
#include <exception>

#include "varve/error.hpp"

namespace varve::test {

FaultRun::FaultRun(const Script& script) : script_(script), run_(script) {
  run_.expect([this] { return seen_; });
  const Progress before = run_.progress();
  for (std::size_t i = 0; i < before.acked; ++i) {
    happened_.push_back(&script.states().writes()[i]);
    apply(*happened_.back(), model_);
  }
  seen_ = model_;
  flushed_ = before.flushed;
  durable_ = before.durable;
}

void FaultRun::problem(const std::string& what) {
  if (problem_.empty()) problem_ = what;
}

void FaultRun::run(bool close_at_end) {
  try {
    run_.open();
  } catch (const Error&) {
    ++error_count_;
    return;
  }
  for (const Step::Kind call : script_.calls()) {
    const bool reopens =
        call == Step::Kind::Reopen || call == Step::Kind::Check || call == Step::Kind::ReadOnly;
    if (latched_ && reopens) return;  // That is for whoever looks at the rest.
    const std::size_t refused = run_.medium()->faulted_calls().size();
    perform(call);
    if (refused_in_ < 0 && run_.medium()->faulted_calls().size() != refused) {
      refused_in_ = static_cast<int>(call);
    }
    refused_amid_reopening_ =
        refused_amid_reopening_ || (reopens && run_.medium()->faulted_calls().size() != refused);
    if (!run_.is_open() || !problem_.empty()) return;
  }
  if (!close_at_end) return;
  const bool failed_before = latched_;
  try {
    run_.close();
    // The close() of an index whose failure is latched gives up its locks and no more.
    closed_ = !failed_before;
  } catch (const Error&) {
    ++error_count_;
  }
}

void FaultRun::perform(Step::Kind call) {
  const std::size_t number = run_.progress().issued;
  const bool failed_before = latched_;
  try {
    run_.perform(call);
    note_success(call, number, failed_before);
  } catch (const Error&) {
    ++error_count_;
    look();
    if (!Script::is_write(call) || failed_before) return;
    settle(script_.states().writes()[number]);
  } catch (const std::exception& error) {
    problem(error.what());
  }
  look();
}

void FaultRun::note_success(Step::Kind call, std::size_t number, bool failed_before) {
  if (Script::is_write(call)) {
    if (failed_before) problem("a write returned after a failure was latched");
    const Write& write = script_.states().writes()[number];
    happened_.push_back(&write);
    apply(write, model_);
    seen_ = model_;
    if (write.durability == Durability::Synced) durable_ = happened_.size();
    went_on_ = went_on_ || error_count_ > 0;
  }
  const bool flushes = call == Step::Kind::Flush || call == Step::Kind::Sync ||
                       call == Step::Kind::Reopen || call == Step::Kind::Check ||
                       call == Step::Kind::ReadOnly;
  if (flushes) {
    if (failed_before && flushed_ < happened_.size()) {
      problem("a flush or sync returned after a failure was latched");
    }
    flushed_ = durable_ = happened_.size();
  }
}

void FaultRun::look() {
  if (!run_.is_open()) return;
  unhealthy_ = unhealthy_ || !run_.index().health();
  latched_ = run_.index().lifecycle() == Lifecycle::Failed;
  try {
    const Statistics figures = run_.index().statistics();
    unhealthy_ = unhealthy_ || figures.failed_job_count != 0 || figures.space.shortage_count != 0;
  } catch (const Error&) {
    unhealthy_ = true;  // The listing of the directory failed, and said so.
  }
}

// Whether a write that failed has happened.
void FaultRun::settle(const Write& write) {
  Model with = model_;
  apply(write, with);
  if (latched_ || !run_.is_open()) doubtful_ = &write;
  try {
    const Model found = model_of(run_.index());
    if (found == model_) return;
    if (found != with)
      return problem("after a failed write, reads show what nobody wrote: " +
                     difference(model_, found));
    seen_ = with;
    if (doubtful_ == nullptr) {
      happened_.push_back(&write);
      model_ = with;
    }
  } catch (const Error&) {
    // It cannot be read; what the next open finds is compared with both.
    doubtful_ = &write;
    run_.abandon();
  }
}

// The first `flushed` writes, those with a record up to `logged`, and perhaps the one in doubt.
Contents FaultRun::contents(std::size_t flushed, std::size_t logged, bool doubtful) const {
  Model model;
  for (std::size_t i = 0; i < happened_.size(); ++i) {
    if (i < flushed || (i < logged && happened_[i]->logged())) apply(*happened_[i], model);
  }
  if (doubtful && doubtful_ != nullptr) apply(*doubtful_, model);
  return contents_of(model);
}

bool FaultRun::allows(const Contents& found, End end) const {
  const std::size_t count = happened_.size();
  if (end == End::Closed) {
    return found == contents(count, count, false) || found == contents(count, count, true);
  }
  const std::size_t least = end == End::PowerLoss ? std::max(durable_, flushed_) : count;
  const bool unlogged = std::any_of(happened_.begin(), happened_.end(),
                                    [](const Write* write) { return !write->logged(); });
  for (std::size_t logged = count + 1; logged-- > least;) {
    for (std::size_t flushed = logged + 1; flushed-- > flushed_;) {
      if (found == contents(flushed, logged, false)) return true;
      if (doubtful_ != nullptr && logged == count && found == contents(flushed, logged, true)) {
        return true;
      }
      if (!unlogged) break;  // Then `flushed` makes no difference.
    }
  }
  return false;
}

std::string FaultRun::explain(const Model& found, End end) const {
  return "no legal state after " +
         std::string(end == End::Closed         ? "close()"
                     : end == End::ProcessDeath ? "the death of the process"
                                                : "power loss") +
         ": " + std::to_string(happened_.size()) + " writes, " + std::to_string(durable_) +
         " durable, " + std::to_string(flushed_) + " flushed" +
         (doubtful_ != nullptr ? ", one in doubt" : "") +
         "; with all of them: " + difference(model_, found);
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/interleave.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace varve::test {
namespace {

thread_local std::string thread_name;

}  // namespace

Interleave::Stop::Stop(Interleave& script, std::string hook, std::string thread, std::uint64_t pass)
    : script_(script), hook_(std::move(hook)), thread_(std::move(thread)), passes_left_(pass) {}

void Interleave::Stop::await() {
  if (!await_or_end()) {
    throw std::runtime_error((thread_.empty() ? "a thread" : thread_) +
                             " ended without a stop at " + hook_);
  }
}

bool Interleave::Stop::await_or_end() {
  std::unique_lock lock(script_.mutex_);
  const auto worker = script_.workers_.find(thread_);
  const auto missed = [&] {
    return worker != script_.workers_.end() && worker->second->ended && !reached_;
  };
  const std::string who = thread_.empty() ? "a thread" : thread_;
  script_.wait(lock, who + " at " + hook_, [&] { return reached_ || missed(); });
  return !missed();
}

void Interleave::Stop::release() {
  const std::lock_guard lock(script_.mutex_);
  state_ = State::Released;
  script_.changed_.notify_all();
}

bool Interleave::Stop::reached() const {
  const std::lock_guard lock(script_.mutex_);
  return reached_;
}

Interleave::Interleave() {
  if (internal::hooks::listener.load() != nullptr) {
    throw std::logic_error("two scripts at the same time");
  }
  internal::hooks::listen(this);
}

Interleave::~Interleave() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }
  for (auto& [name, worker] : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  internal::hooks::listen(nullptr);
}

Interleave::Stop& Interleave::stop(std::string hook, std::string thread, std::uint64_t pass) {
  const std::lock_guard lock(mutex_);
  stops_.push_back(Stop(*this, std::move(hook), std::move(thread), pass));
  return stops_.back();
}

void Interleave::begin(const std::string& thread, std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  auto& worker = workers_[thread];
  if (worker != nullptr) throw std::logic_error("two threads named " + thread);
  worker = std::make_unique<Worker>();
  worker->thread = std::thread([this, thread, &worker = *worker, work = std::move(work)] {
    thread_name = thread;
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard ending(mutex_);
    worker.failure = failure;
    worker.ended = true;
    changed_.notify_all();
  });
}

void Interleave::join(const std::string& thread) {
  std::unique_lock lock(mutex_);
  Worker& worker = *workers_.at(thread);
  wait(lock, "the end of " + thread, [&] { return worker.ended; });
  lock.unlock();
  if (worker.thread.joinable()) worker.thread.join();
  if (worker.failure != nullptr) std::rethrow_exception(std::exchange(worker.failure, nullptr));
}

bool Interleave::ended(const std::string& thread) const {
  const std::lock_guard lock(mutex_);
  return workers_.at(thread)->ended;
}

bool Interleave::ends_within(const std::string& thread, std::chrono::milliseconds limit) {
  // A planted fault shows by the end that must not come, which may come late.
  if (std::getenv("VARVE_MUTANT") != nullptr) {
    limit = std::max<std::chrono::milliseconds>(limit, kLimit);
  }
  std::unique_lock lock(mutex_);
  const Worker& worker = *workers_.at(thread);
  return changed_.wait_for(lock, limit, [&] { return worker.ended; });
}

std::vector<std::string> Interleave::reached_by(const std::string& thread) const {
  const std::lock_guard lock(mutex_);
  return workers_.at(thread)->hooks;
}

std::uint64_t Interleave::reached_count(std::string_view hook) const {
  const std::lock_guard lock(mutex_);
  const auto count = counts_.find(hook);
  return count == counts_.end() ? 0 : count->second;
}

void Interleave::reached(std::string_view hook) noexcept {
  std::unique_lock lock(mutex_);
  ++counts_[std::string(hook)];
  const auto worker = workers_.find(thread_name);
  if (worker != workers_.end()) worker->second->hooks.emplace_back(hook);
  const auto stop = std::find_if(stops_.begin(), stops_.end(), [&](Stop& candidate) {
    return candidate.state_ == Stop::State::Waiting && candidate.hook_ == hook &&
           (candidate.thread_.empty() || candidate.thread_ == thread_name) &&
           --candidate.passes_left_ == 0;
  });
  if (stop == stops_.end() || over_) return;
  stop->state_ = Stop::State::Held;
  stop->reached_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return stop->state_ == Stop::State::Released || over_; });
  stop->state_ = Stop::State::Released;
}

template <typename Condition>
void Interleave::wait(std::unique_lock<std::mutex>& lock, const std::string& what,
                      Condition&& condition) {
  if (changed_.wait_for(lock, kLimit, std::forward<Condition>(condition))) return;
  throw std::runtime_error("waited in vain for " + what);
}

}  // namespace varve::test

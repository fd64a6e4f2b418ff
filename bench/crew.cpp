// SPDX-License-Identifier: Apache-2.0
#include "bench/crew.hpp"

#include <utility>

namespace varve::bench {

Crew::Crew(std::size_t thread_count, std::function<void(std::size_t)> work)
    : work_(std::move(work)), ready_(static_cast<std::ptrdiff_t>(thread_count)) {
  for (std::size_t i = 0; i < thread_count; ++i) threads_.emplace_back(&Crew::work, this, i);
  ready_.wait();
}

Crew::~Crew() {
  if (threads_.empty()) return;
  dismissed_ = true;
  start_.count_down();
  join();
}

void Crew::run() {
  start_.count_down();
  join();
  const std::lock_guard lock(mutex_);
  if (failure_ != nullptr) std::rethrow_exception(failure_);
}

void Crew::work(std::size_t number) noexcept {
  ready_.count_down();
  start_.wait();
  if (dismissed_) return;
  try {
    work_(number);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (failure_ == nullptr) failure_ = std::current_exception();
    failed_ = true;
  }
}

void Crew::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace varve::bench

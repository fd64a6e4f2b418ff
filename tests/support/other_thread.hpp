// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace varve::test {

// A thread that does one piece of work at a time while the caller waits: for an engine inside the
// engine. The checks of lock order are by thread, and the caller may be anywhere.
// Thread-safety: one caller at a time.
class OtherThread {
 public:
  OtherThread() : thread_([this] { serve(); }) {}
  OtherThread(const OtherThread&) = delete;
  OtherThread& operator=(const OtherThread&) = delete;
  ~OtherThread() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  // Returns when `work` has. It must not throw.
  void run(const std::function<void()>& work) {
    std::unique_lock lock(mutex_);
    work_ = &work;
    changed_.notify_all();
    changed_.wait(lock, [this] { return work_ == nullptr; });
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ending_ || work_ != nullptr; });
      if (work_ == nullptr) return;
      lock.unlock();
      (*work_)();
      lock.lock();
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;  // Guarded by mutex_.
  bool ending_ = false;                          // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/hooks.hpp"

namespace varve::test {

// Scripted interleavings: threads with names, and stops at hooks of the engine.
//
//   Interleave script;
//   auto& routed = script.stop("write.routed", "writer");
//   script.begin("writer", [&] { index.put("k", "v"); });
//   routed.await();            // The writer stands between its routing and its lock,
//   index.compact();           // and now the segment that it was routed to is split.
//   routed.release();
//   script.join("writer");     // Throws what the writer threw.
//
// A wait that takes longer than kLimit throws std::runtime_error that names what was awaited: the
// script does not fit the code, or somebody waits who should not.
// Lifetime: the destructor opens all stops and joins all threads; what they use must outlive it.
// Thread-safety: the script is one thread; hooks are reached by any.
class Interleave final : private internal::HookListener {
 public:
  static constexpr std::chrono::seconds kLimit{60};

  // One thread is held once: the first that reaches the hook, or the first with the given name, at
  // the `pass`-th time (from 1).
  class Stop {
   public:
    void await();                        // Until a thread stands here.
    [[nodiscard]] bool await_or_end();   // Or has ended without: false.
    void release();                      // It goes on; or, if none stands here, none will.
    [[nodiscard]] bool reached() const;  // Has a thread stood here?

   private:
    friend class Interleave;
    enum class State : std::uint8_t { Waiting, Held, Released };
    Stop(Interleave& script, std::string hook, std::string thread, std::uint64_t pass);
    Interleave& script_;
    const std::string hook_, thread_;
    std::uint64_t passes_left_;     // Guarded by script_.mutex_, as what follows.
    State state_ = State::Waiting;  // Ends as Released.
    bool reached_ = false;
  };

  Interleave();
  Interleave(const Interleave&) = delete;
  Interleave& operator=(const Interleave&) = delete;
  ~Interleave() override;

  // A stop at `hook`; `thread` empty: for any thread. Valid as long as the script.
  Stop& stop(std::string hook, std::string thread = {}, std::uint64_t pass = 1);
  void begin(const std::string& thread, std::function<void()> work);
  // Waits until the thread has ended and throws what its work threw.
  void join(const std::string& thread);
  [[nodiscard]] bool ended(const std::string& thread) const;
  // For threads that may rightly wait for one that is held: false after `limit`, without an end.
  [[nodiscard]] bool ends_within(const std::string& thread, std::chrono::milliseconds limit);
  // How often any thread has reached the hook since the script began.
  [[nodiscard]] std::uint64_t reached_count(std::string_view hook) const;
  // The hooks that the thread with this name has reached, in order.
  [[nodiscard]] std::vector<std::string> reached_by(const std::string& thread) const;

 private:
  struct Worker {
    bool ended = false;
    std::exception_ptr failure;
    std::vector<std::string> hooks;  // Reached so far.
    std::thread thread;
  };
  void reached(std::string_view hook) noexcept override;
  // Requires: `lock` holds mutex_.
  template <typename Condition>
  void wait(std::unique_lock<std::mutex>& lock, const std::string& what, Condition&& condition);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Stop> stops_;  // A list: stops stay where they are.
  std::map<std::string, std::unique_ptr<Worker>, std::less<>> workers_;
  std::map<std::string, std::uint64_t, std::less<>> counts_;
  bool over_ = false;  // No stop holds any more.
};

}  // namespace varve::test

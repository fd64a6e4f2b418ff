// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace varve::directory {

class Mutex;
struct LockSlot;

// Who waits for whom, from one waiting thread on.
struct WaitGraph {
  bool is_deadlock = false;     // The waits end in a circle: none of its threads can go on.
  std::uint64_t circle_id = 0;  // The same for all that look at the same circle.
  // Of a circle: "thread 3 holds segment 12 waits for log; thread 5 holds log waits for segment
  // 12". Else the chain of holders in front of the lock: "thread 4 waits for segment 12; thread 3
  // holds segment 12 waits for log; thread 5 holds log".
  std::string text;
};

// Publishes for its lifetime that the calling thread waits for `mutex`, so that others find it in
// the graph; an outer one is hidden meanwhile.
class PublishedWait {
 public:
  explicit PublishedWait(const Mutex& mutex) noexcept;
  ~PublishedWait();
  PublishedWait(const PublishedWait&) = delete;
  PublishedWait& operator=(const PublishedWait&) = delete;

 private:
  LockSlot* slot_;
  const Mutex* outer_ = nullptr;
};

// The graph in front of `wanted`, for which the calling thread waits (and has published it). A
// circle is never a mistake: each of its waits is seen twice, without an end in between, and who
// waits releases nothing. It may still dissolve, when one of the waits has a deadline.
// Errors: std::bad_alloc.
[[nodiscard]] WaitGraph wait_graph(const Mutex& wanted);

}  // namespace varve::directory

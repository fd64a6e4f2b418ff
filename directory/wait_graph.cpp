// SPDX-License-Identifier: Apache-2.0
#include "directory/wait_graph.hpp"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "directory/lock_slot.hpp"
#include "directory/mutex.hpp"

namespace varve::directory {
namespace {

// A chain is at most as long as there are threads; beyond this it is not followed.
constexpr std::size_t kChainLengthMax = 4096;

// One thread of the chain. `wait_count` 0: it waits for nothing.
struct Link {
  std::uint32_t thread = 0;
  std::uint64_t wait_count = 0;
  std::string wanted;        // The lock that it waits for.
  std::uint32_t holder = 0;  // Who has that lock; 0 when nobody has.

  friend bool operator==(const Link&, const Link&) = default;
};

Link link_of(std::uint32_t thread) {
  Link link;
  link.thread = thread;
  LockSlot* slot = find_lock_slot(thread);
  if (slot == nullptr) return link;
  const std::lock_guard lock(*slot);
  if (slot->waits_for == nullptr) return link;
  const std::uint32_t holder = slot->waits_for->holder();
  if (holder == thread) return link;  // It has just got it, and is about to say so.
  link.wait_count = slot->wait_count;
  link.wanted = to_string(*slot->waits_for);
  link.holder = holder;
  return link;
}

struct Chain {
  std::vector<Link> links;
  std::size_t circle = 0;  // Where the circle begins; links.size() when there is none.

  [[nodiscard]] bool is_circle() const noexcept { return circle < links.size(); }
};

Chain follow(Link first) {
  Chain chain;
  chain.links.push_back(std::move(first));
  while (chain.links.size() < kChainLengthMax) {
    const std::uint32_t next = chain.links.back().holder;
    if (next == 0) break;
    const auto known = std::find_if(chain.links.begin(), chain.links.end(),
                                    [&](const Link& link) { return link.thread == next; });
    // Nameless threads have one number, so meeting it twice means nothing.
    if (known != chain.links.end() && next != kNamelessThread) {
      chain.circle = static_cast<std::size_t>(known - chain.links.begin());
      return chain;
    }
    chain.links.push_back(link_of(next));
  }
  chain.circle = chain.links.size();
  return chain;
}

// `held`: the lock through which the chain came to this thread; empty for the first.
void append(std::string& text, const Link& link, const std::string& held) {
  if (!text.empty()) text += "; ";
  text += link.thread == kNamelessThread ? "a thread" : "thread " + std::to_string(link.thread);
  if (!held.empty()) text += " holds " + held;
  if (!link.wanted.empty()) text += " waits for " + link.wanted;
}

}  // namespace

void LockSlot::lock() noexcept {
  while (is_locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
}

PublishedWait::PublishedWait(const Mutex& mutex) noexcept : slot_(find_lock_slot(thread_number())) {
  if (slot_ == nullptr) return;
  const std::lock_guard lock(*slot_);
  outer_ = std::exchange(slot_->waits_for, &mutex);
  ++slot_->wait_count;
}

PublishedWait::~PublishedWait() {
  if (slot_ == nullptr) return;
  const std::lock_guard lock(*slot_);
  slot_->waits_for = outer_;
}

WaitGraph wait_graph(const Mutex& wanted) {
  const auto first = [&] {
    Link link = link_of(thread_number());
    link.wanted = to_string(wanted);
    link.holder = wanted.holder();
    return link;
  };
  const Chain chain = follow(first());
  WaitGraph graph;
  graph.is_deadlock = chain.is_circle();
  if (graph.is_deadlock) {
    const Chain again = follow(first());
    graph.is_deadlock = again.links == chain.links && again.circle == chain.circle;
  }
  if (!graph.is_deadlock) {
    for (std::size_t i = 0; i < chain.links.size(); ++i) {
      append(graph.text, chain.links[i], i == 0 ? std::string() : chain.links[i - 1].wanted);
    }
    return graph;
  }
  // From its lowest thread on, so that everybody in the circle describes it alike.
  std::vector<Link> circle(chain.links.begin() + static_cast<std::ptrdiff_t>(chain.circle),
                           chain.links.end());
  std::rotate(circle.begin(),
              std::min_element(circle.begin(), circle.end(),
                               [](const Link& a, const Link& b) { return a.thread < b.thread; }),
              circle.end());
  for (std::size_t i = 0; i < circle.size(); ++i) {
    // Any mix will do: a thread's wait count never returns.
    graph.circle_id =
        (graph.circle_id ^ circle[i].thread) * 0x9E3779B97F4A7C15 + circle[i].wait_count;
    append(graph.text, circle[i], circle[(i + circle.size() - 1) % circle.size()].wanted);
  }
  return graph;
}

}  // namespace varve::directory

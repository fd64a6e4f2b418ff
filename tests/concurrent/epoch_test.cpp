// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/epoch.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::concurrent {
namespace {

// Says when it is destroyed.
struct Tracked {
  explicit Tracked(std::atomic<int>& counter) : destroyed_count(&counter) {}
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() { destroyed_count->fetch_add(1); }
  std::atomic<int>* destroyed_count;
};

// A thread that is pinned from its construction to release().
class PinnedThread {
 public:
  PinnedThread() {
    std::promise<void> pinned;
    auto is_pinned = pinned.get_future();
    thread_ = std::thread([this, &pinned] {
      const auto guard = EpochDomain::pin();
      pinned.set_value();
      released_.get_future().wait();
    });
    is_pinned.wait();
  }
  ~PinnedThread() {
    if (thread_.joinable()) release();
  }
  void release() {
    released_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> released_;
  std::thread thread_;
};

// Pins in its destructor.
struct PinsLate {
  std::set<const internal::EpochSlot*>* seen = nullptr;
  ~PinsLate() {
    if (seen == nullptr) return;
    const auto guard = EpochDomain::pin();
    seen->insert(internal::epoch_slot);
  }
};
thread_local PinsLate pins_late;

// Ends a pin in its destructor.
struct HoldsGuard {
  EpochDomain::Guard* guard = nullptr;
  std::uint64_t* pinned_count = nullptr;
  ~HoldsGuard() {
    if (guard == nullptr) return;
    EpochDomain domain;
    *pinned_count = domain.statistics().pinned_thread_count;
    delete guard;
  }
};
thread_local HoldsGuard holds_guard;

}  // namespace

TEST_CASE("what nobody can hold is freed by the next collection", "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  CHECK(domain.collect() == 0);
  domain.retire(new Tracked(destroyed));
  domain.retire(new Tracked(destroyed));
  CHECK(destroyed == 0);
  CHECK(domain.statistics().pending_count == 2);
  CHECK(domain.collect() == 2);
  CHECK(destroyed == 2);
  CHECK(domain.collect() == 0);
  const EpochDomain::Statistics statistics = domain.statistics();
  CHECK(statistics.retired_count == 2);
  CHECK(statistics.freed_count == 2);
  CHECK(statistics.pending_count == 0);
  CHECK(statistics.leaked_count == 0);
}

TEST_CASE("a reader that was pinned at the retirement keeps the object", "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  PinnedThread reader;
  domain.retire(new Tracked(destroyed));
  for (int i = 0; i < 5; ++i) CHECK(domain.collect() == 0);
  CHECK(destroyed == 0);
  reader.release();
  CHECK(domain.collect() == 1);
  CHECK(destroyed == 1);
}

TEST_CASE("a reader that pins after a collection took the object does not keep it",
          "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  PinnedThread early;
  domain.retire(new Tracked(destroyed));
  CHECK(domain.collect() == 0);
  PinnedThread late;
  domain.retire(new Tracked(destroyed));
  early.release();
  // The first object is free of `early`; the second one waits for `late`.
  CHECK(domain.collect() == 1);
  CHECK(domain.collect() == 0);
  late.release();
  CHECK(domain.collect() == 1);
}

TEST_CASE("a pinned thread keeps what it retires itself, nested pins count as one",
          "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  CHECK_FALSE(EpochDomain::pinned());
  {
    const auto outer = EpochDomain::pin();
    {
      const auto inner = EpochDomain::pin();
      domain.retire(new Tracked(destroyed));
      CHECK(domain.collect() == 0);
    }
    CHECK(EpochDomain::pinned());
    CHECK(domain.collect() == 0);
    CHECK(domain.statistics().pinned_thread_count == 1);
  }
  CHECK_FALSE(EpochDomain::pinned());
  CHECK(domain.collect() == 1);
}

TEST_CASE("retirements collect by themselves", "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  for (int i = 0; i < 1000; ++i) domain.retire(new Tracked(destroyed));
  CHECK(destroyed >= 900);
  CHECK(domain.statistics().pending_count <= 100);
}

TEST_CASE("a domain's end frees everything, also what destructors retire", "[concurrent][epoch]") {
  // Retires the next one of a chain.
  struct Link {
    EpochDomain* domain;
    std::atomic<int>* destroyed_count;
    int behind_count;
    ~Link() {
      destroyed_count->fetch_add(1);
      if (behind_count > 0) domain->retire(new Link{domain, destroyed_count, behind_count - 1});
    }
  };
  std::atomic<int> destroyed{0};
  {
    EpochDomain domain;
    domain.retire(new Link{&domain, &destroyed, 200});
    CHECK(destroyed == 0);
  }
  CHECK(destroyed == 201);
}

TEST_CASE("intrusive objects are retired without a box", "[concurrent][epoch]") {
  struct Node : EpochDomain::Retired {
    std::atomic<int>* destroyed_count = nullptr;
  };
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  auto node = std::make_unique<Node>();
  node->destroyed_count = &destroyed;
  domain.retire_intrusive(node.get(), [](EpochDomain::Retired* retired) noexcept {
    static_cast<Node*>(retired)->destroyed_count->fetch_add(1);
  });
  CHECK(domain.collect() == 1);
  CHECK(destroyed == 1);
}

TEST_CASE("synchronize waits for the pins that exist, not for later ones", "[concurrent][epoch]") {
  EpochDomain::synchronize();  // Nobody is pinned: returns.
  PinnedThread reader;
  std::atomic<bool> synchronized{false};
  std::promise<void> started;
  std::thread waiter([&] {
    started.set_value();
    EpochDomain::synchronize();
    synchronized = true;
  });
  started.get_future().wait();
  // It cannot return while the reader is pinned, however long this takes.
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::yield();
    REQUIRE_FALSE(synchronized);
  }
  // From here on there is always somebody pinned whom the waiter need not wait for: once the
  // epoch has moved.
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) const auto guard = EpochDomain::pin();
  });
  reader.release();
  waiter.join();
  CHECK(synchronized);
  stop = true;
  busy.join();
}

TEST_CASE("slots are reused after a thread's end", "[concurrent][epoch]") {
  std::set<const internal::EpochSlot*> seen;
  for (int i = 0; i < 50; ++i) {
    std::thread([&] {
      const auto guard = EpochDomain::pin();
      seen.insert(internal::epoch_slot);
    }).join();
  }
  CHECK(seen.size() == 1);
}

TEST_CASE("a thread that pins in its last destructors gives its slot back", "[concurrent][epoch]") {
  std::set<const internal::EpochSlot*> seen;
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      // Constructed before the thread's slot, so destroyed after it.
      pins_late.seen = &seen;
      const auto guard = EpochDomain::pin();
    }).join();
  }
  CHECK(seen.size() == 1);
  EpochDomain domain;
  CHECK(domain.statistics().pinned_thread_count == 0);
}

TEST_CASE("a thread that ends pinned unpins when its guard goes", "[concurrent][epoch]") {
  const internal::EpochSlot* slot = nullptr;
  std::uint64_t pinned_count = 0;
  std::thread([&] {
    holds_guard.pinned_count = &pinned_count;
    holds_guard.guard = new EpochDomain::Guard(EpochDomain::pin());
    slot = internal::epoch_slot;
  }).join();
  CHECK(pinned_count == 1);
  CHECK(slot->epoch == 0);
  CHECK_FALSE(slot->taken);
}

TEST_CASE("the age of the oldest pin and its thread are known", "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  CHECK(domain.statistics().oldest_pin_age.count() == 0);
  CHECK(domain.statistics().oldest_pin_thread_id == 0);
  const auto guard = EpochDomain::pin();
  PinnedThread other;
  // Nobody has looked yet.
  domain.retire(new Tracked(destroyed));
  CHECK(domain.collect() == 0);
  const auto first = domain.statistics();
  CHECK(first.pinned_thread_count == 2);
  CHECK(first.oldest_pin_age.count() > 0);
  CHECK(domain.collect() == 0);
  const auto second = domain.statistics();
  CHECK(second.oldest_pin_age >= first.oldest_pin_age);
  CHECK(second.aged_pin_count == 0);
  CHECK(domain.statistics(std::chrono::nanoseconds(0)).aged_pin_count == 2);
  CHECK(domain.statistics(std::chrono::hours(1)).aged_pin_count == 0);
  other.release();
  const auto third = domain.statistics();
  CHECK(third.pinned_thread_count == 1);
  CHECK(third.oldest_pin_thread_id == static_cast<std::uint64_t>(::gettid()));
}

TEST_CASE("a forked child ends although a thread of its parent is pinned", "[concurrent][epoch]") {
  std::atomic<int> destroyed{0};
  auto domain = std::make_unique<EpochDomain>();
  PinnedThread reader;
  domain->retire(new Tracked(destroyed));
  const pid_t child = ::fork();
  if (child == 0) {
    EpochDomain::synchronize();
    const bool nothing_freed = domain->collect() == 0;
    domain.reset();
    if (!nothing_freed || destroyed != 0) ::_exit(1);
    EpochDomain own;
    own.retire(new Tracked(destroyed));
    const std::uint64_t ticket = EpochDomain::begin_grace();
    const bool freed = own.collect() == 1 && destroyed == 1;
    ::_exit(freed && EpochDomain::grace_over(ticket) ? 0 : 2);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  reader.release();
  CHECK(domain->collect() == 1);
}

TEST_CASE("a grace that others began behind the mark serves as well", "[concurrent][epoch]") {
  const std::uint64_t before = EpochDomain::begin_grace();
  const std::uint64_t mark = EpochDomain::mark_unlinked();
  CHECK_FALSE(EpochDomain::grace_since(mark).has_value());
  PinnedThread reader;
  const auto begin = GENERATE(0, 1, 2);
  CAPTURE(begin);
  std::atomic<int> destroyed{0};
  EpochDomain domain;
  if (begin == 0) std::thread([] { static_cast<void>(EpochDomain::begin_grace()); }).join();
  if (begin == 1) {
    domain.retire(new Tracked(destroyed));
    CHECK(domain.collect() == 0);
  }
  if (begin == 2) {
    reader.release();
    EpochDomain::synchronize();
  }
  const auto ticket = EpochDomain::grace_since(mark);
  REQUIRE(ticket.has_value());
  CHECK(*ticket > before);
  CHECK(EpochDomain::grace_over(*ticket) == (begin == 2));
  PinnedThread later;  // Is not waited for.
  if (begin != 2) reader.release();
  CHECK(EpochDomain::grace_over(*ticket));
  CHECK_FALSE(EpochDomain::grace_since(EpochDomain::mark_unlinked()).has_value());
}

TEST_CASE("synchronizing while pinned aborts", "[concurrent][epoch]") {
  const auto dies = [](void (*action)()) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(2);
      std::signal(SIGABRT, SIG_DFL);  // Not Catch's handler.
      action();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  };
  CHECK(dies([] {
    const auto guard = EpochDomain::pin();
    EpochDomain::synchronize();
  }));
  CHECK_FALSE(dies([] { EpochDomain::synchronize(); }));
}

}  // namespace varve::concurrent

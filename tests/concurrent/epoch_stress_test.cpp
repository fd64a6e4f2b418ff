// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::concurrent {
namespace {

constexpr std::uint64_t kAlive = 0xA11CE;
constexpr std::uint64_t kDead = 0xDEAD;

// "Freed" ones are marked, not freed, so that a reader which is too late finds the mark even where
// no sanitizer watches.
struct Canary {
  std::atomic<std::uint64_t> mark{kAlive};
  std::uint64_t number = 0;
};

void destroy(void* object) noexcept {
  auto* const canary = static_cast<Canary*>(object);
  canary->number = 0;  // A plain write: a race that ThreadSanitizer sees when a reader is still in.
  canary->mark.store(kDead, std::memory_order_release);
}

void destroy_and_delete(void* object) noexcept {
  destroy(object);
  delete static_cast<Canary*>(object);
}

}  // namespace

TEST_CASE("a pin holds from its first load on", "[concurrent][epoch][stress]") {
  constexpr int kRoundCount = VARVE_THREAD_SANITIZER ? 10'000 : 40'000;
  EpochDomain domain;
  std::array<Canary, 64> canaries;
  for (Canary& canary : canaries) canary.mark = kDead;
  canaries[0].mark = kAlive;
  std::atomic<Canary*> published{&canaries[0]};
  std::atomic<bool> stop{false};
  std::uint64_t bad_count = 0;
  // Pins for one load each, so that as many pins as can be meet a collection.
  std::thread reader([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      const auto guard = EpochDomain::pin();
      const Canary* const canary = published.load(std::memory_order_acquire);
      for (int look = 0; look < 100; ++look) {
        if (canary->mark.load(std::memory_order_relaxed) != kAlive) ++bad_count;
      }
    }
  });
  while (domain.statistics().pinned_thread_count == 0) std::this_thread::yield();
  std::size_t next = 1;
  for (int round = 0; round < kRoundCount; ++round) {
    Canary& fresh = canaries[next++ % canaries.size()];
    // A reader that lost its processor while pinned keeps them all.
    while (fresh.mark.load(std::memory_order_acquire) != kDead) {
      EpochDomain::synchronize();
      domain.collect();
    }
    fresh.number = 1;
    fresh.mark.store(kAlive, std::memory_order_relaxed);
    domain.retire(published.exchange(&fresh, std::memory_order_acq_rel), destroy);
    domain.collect();
  }
  stop = true;
  reader.join();
  CHECK(bad_count == 0);
}

TEST_CASE("readers never see a freed object", "[concurrent][epoch][stress]") {
  constexpr int kRoundCount = 30'000;
  constexpr int kReaderCount = 3;
  EpochDomain domain;
  std::array<std::atomic<Canary*>, 4> published{};
  for (auto& pointer : published) pointer.store(new Canary{});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> bad_count{0}, read_count{0};

  std::vector<std::thread> readers;
  for (int i = 0; i < kReaderCount; ++i) {
    readers.emplace_back([&] {
      std::uint64_t bad = 0, read = 0, sum = 0;
      while (!stop.load(std::memory_order_relaxed) || read == 0) {
        const auto guard = EpochDomain::pin();
        for (auto& pointer : published) {
          const Canary* const canary = pointer.load(std::memory_order_acquire);
          sum += canary->number;
          if (canary->mark.load(std::memory_order_relaxed) != kAlive) ++bad;
          ++read;
        }
      }
      bad_count += bad;
      read_count += read + (sum == 1 ? 1 : 0);
    });
  }
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < 2; ++i) {
    writers.emplace_back([&, i] {
      for (std::size_t round = 0; round < kRoundCount; ++round) {
        auto* const fresh = new Canary{};
        fresh->number = round + 1;
        Canary* const old =
            published[(round + i) % published.size()].exchange(fresh, std::memory_order_acq_rel);
        domain.retire(old, destroy_and_delete);
        if (round % 5'000 == 0) EpochDomain::synchronize();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(bad_count == 0);
  CHECK(read_count > 0);
  for (auto& pointer : published) domain.retire(pointer.load(), destroy_and_delete);
  domain.collect();
  CHECK(domain.statistics().pending_count == 0);
  CHECK(domain.statistics().retired_count == 2 * kRoundCount + published.size());
}

TEST_CASE("of a light and a heavy fence one side sees the other's store",
          "[concurrent][epoch][stress]") {
  constexpr std::uint32_t kLightCount = VARVE_THREAD_SANITIZER ? 1'000'000 : 10'000'000;
  struct Look {
    std::uint32_t mine, seen;
  };
  std::atomic<std::uint32_t> light{0}, heavy{0};
  std::vector<std::uint32_t> seen_by_light(kLightCount + 2, 0);
  std::vector<Look> looks;
  std::atomic<bool> done{false};
  std::thread lights([&] {
    for (std::uint32_t number = 1; number <= kLightCount; ++number) {
      light.store(number, std::memory_order_relaxed);
      EpochDomain::light_fence();
      seen_by_light[number] = heavy.load(std::memory_order_relaxed);
    }
    done.store(true);
  });
  for (std::uint32_t number = 1; !done.load(std::memory_order_relaxed); ++number) {
    heavy.store(number, std::memory_order_relaxed);
    EpochDomain::heavy_fence();
    looks.push_back({number, light.load(std::memory_order_relaxed)});
  }
  lights.join();
  std::uint64_t lost_count = 0;
  for (const Look& look : looks) {
    // The first store that the heavy side did not see: so its thread must see the heavy one's.
    const std::uint32_t unseen = look.seen + 1;
    if (unseen <= kLightCount && seen_by_light[unseen] < look.mine) ++lost_count;
  }
  CHECK(lost_count == 0);
}

}  // namespace varve::concurrent

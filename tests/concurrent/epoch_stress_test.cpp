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

// Not a leaf of malloc: freed objects go to a pool and stay readable, so that a reader which comes
// too late finds the mark even where no sanitizer watches.
struct Canary {
  std::atomic<std::uint64_t> mark{kAlive};
  std::uint64_t number = 0;
};

void destroy(void* object) noexcept {
  auto* const canary = static_cast<Canary*>(object);
  canary->mark.store(kDead, std::memory_order_relaxed);
  canary->number = 0;  // A plain write: a race that ThreadSanitizer sees when a reader is still in.
  delete canary;
}

}  // namespace

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
        domain.retire(old, destroy);
        if (round % 5'000 == 0) EpochDomain::synchronize();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(bad_count == 0);
  CHECK(read_count > 0);
  for (auto& pointer : published) domain.retire(pointer.load(), destroy);
  domain.collect();
  CHECK(domain.statistics().pending_count == 0);
  CHECK(domain.statistics().retired_count == 2 * kRoundCount + published.size());
}

TEST_CASE("of a light and a heavy fence one side sees the other's store",
          "[concurrent][epoch][stress]") {
  constexpr std::uint64_t kRoundCount = 20'000;
  std::atomic<std::uint64_t> light{0}, heavy{0}, light_saw{0}, heavy_saw{0}, done{0};
  std::uint64_t lost_count = 0;
  std::thread other([&] {
    for (std::uint64_t round = 1; round <= kRoundCount; ++round) {
      light.store(round, std::memory_order_relaxed);
      EpochDomain::light_fence();
      light_saw.store(heavy.load(std::memory_order_relaxed), std::memory_order_relaxed);
      done.store(round, std::memory_order_release);
      while (heavy_saw.load(std::memory_order_acquire) < 2 * round) std::this_thread::yield();
    }
  });
  for (std::uint64_t round = 1; round <= kRoundCount; ++round) {
    heavy.store(round, std::memory_order_relaxed);
    EpochDomain::heavy_fence();
    const std::uint64_t saw = light.load(std::memory_order_relaxed);
    while (done.load(std::memory_order_acquire) < round) std::this_thread::yield();
    if (saw < round && light_saw.load(std::memory_order_relaxed) < round) ++lost_count;
    heavy_saw.store(2 * round, std::memory_order_release);
  }
  other.join();
  CHECK(lost_count == 0);
}

}  // namespace varve::concurrent

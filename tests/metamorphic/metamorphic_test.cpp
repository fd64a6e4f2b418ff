// SPDX-License-Identifier: Apache-2.0
// One list of operations in every configuration: all must answer as the model does, and so alike.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/metamorphic/comparison.hpp"
#include "tests/metamorphic/generator.hpp"
#include "tests/support/catch.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::test::metamorphic {
namespace {

constexpr std::uint64_t kSeedCount = VARVE_THREAD_SANITIZER ? 3 : 13;
constexpr std::size_t kListSize = 1500;
// Over all configurations: a million, but under ThreadSanitizer, which takes its time.
constexpr std::uint64_t kOperationCountMin = VARVE_THREAD_SANITIZER ? 200'000 : 1'000'000;

// A run in which hardly anything happened would be no test.
void check_events(const Comparison& comparison) {
  Events all, tiny;
  for (std::size_t i = 0; i < comparison.configurations().size(); ++i) {
    const Configuration& configuration = comparison.configurations()[i];
    const Events& events = comparison.events()[i];
    all.add(events);
    if (!configuration.tiny) continue;
    tiny.add(events);
    CAPTURE(configuration.name);
    CHECK(events.flush_count > 0);
    CHECK(events.compaction_count > 0);
    CHECK(events.split_count > 0);
    CHECK(events.neighbour_merge_count > 0);
    if (configuration.options.durability != Durability::Buffered) {
      CHECK(events.log_rotation_count > 0);
    }
  }
  CHECK(tiny.tier_merge_seen_count > 0);
  CHECK(all.crash_count > 0);
  CHECK(all.fault_count > 0);
  CHECK(all.retry_count > 0);
  CHECK(all.hot_path_hit_count > 0);
  for (const auto& [name, count] : {std::pair{"flushes", all.flush_count},
                                    {"merges", all.compaction_count},
                                    {"splits", all.split_count},
                                    {"merges of neighbours", all.neighbour_merge_count},
                                    {"higher tiers seen", all.tier_merge_seen_count},
                                    {"log rotations", all.log_rotation_count},
                                    {"crashes", all.crash_count},
                                    {"faults", all.fault_count},
                                    {"calls made again", all.retry_count},
                                    {"hot path hits", all.hot_path_hit_count}}) {
    std::printf("%llu %s\n", static_cast<unsigned long long>(count), name);
  }
}

}  // namespace

TEST_CASE("every configuration answers every list of operations as the model does",
          "[metamorphic]") {
  Comparison comparison(all_configurations());
  for (std::uint64_t seed = 1; seed <= kSeedCount; ++seed) {
    CAPTURE(seed);
    const auto failure = comparison.run(generated(seed, kListSize), "seed-" + std::to_string(seed));
    if (failure) FAIL(failure->report());
  }
  std::printf("%llu operations over %zu configurations\n",
              static_cast<unsigned long long>(comparison.operation_count()),
              comparison.configurations().size());
  CHECK(comparison.operation_count() >= kOperationCountMin);
  check_events(comparison);
}

}  // namespace varve::test::metamorphic

// SPDX-License-Identifier: Apache-2.0
#include "stress/plan.hpp"

#include <set>

#include "stress/random.hpp"
#include "tests/support/catch.hpp"
#include "varve/segment_index.hpp"

namespace varve::stress {

TEST_CASE("a cycle's seed draws the same plan every time", "[stress]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CHECK(plan_text(draw_plan(seed, {})) == plan_text(draw_plan(seed, {})));
  }
  CHECK(plan_text(draw_plan(1, {})) != plan_text(draw_plan(2, {})));
}

TEST_CASE("plans differ in everything, and the index takes all of them", "[stress]") {
  std::set<Access> access;
  std::set<Ending> endings;
  std::set<Writes> writes;
  std::set<Reads> reads;
  std::set<std::size_t> block_sizes;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const CyclePlan plan = draw_plan(mixed(1, i), {.key_count = 100, .writer_count_max = 6});
    access.insert(plan.options.access);
    endings.insert(plan.ending);
    writes.insert(plan.writes);
    reads.insert(plan.options.reads);
    block_sizes.insert(plan.options.tuning.block_size);
    CHECK(plan.writer_count >= 1);
    CHECK(plan.writer_count <= 6);
    if (plan.options.access == Access::Bare) CHECK(plan.thread_count() == 1);
    CAPTURE(plan_text(plan));
    CHECK_NOTHROW(SegmentIndex::open_in_memory(plan.options));
  }
  CHECK(access.size() == 3);
  CHECK(endings.size() == 5);
  CHECK(writes.size() == 3);
  CHECK(reads.size() == 2);
  CHECK(block_sizes.size() == 8);
}

}  // namespace varve::stress

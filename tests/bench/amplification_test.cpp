// SPDX-License-Identifier: Apache-2.0
// The model of write amplification against the engine, whose counts of bytes depend on no clock.
#include "bench/amplification.hpp"

#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::bench {
namespace {

Options small_options() {
  Options options;
  options.access = Access::Bare;
  options.memory_budget = 2 << 20;
  options.tuning.segment_size = 4 << 20;
  options.tuning.log_file_size = 4 << 20;
  return options;
}

}  // namespace

TEST_CASE("the model writes what the engine writes, to a tenth", "[bench][amplification]") {
  const PlannedLoad load{.entry_count = GENERATE(40'000ULL, 160'000ULL, 400'000ULL),
                         .order = GENERATE(LoadOrder::Random, LoadOrder::Sequential)};
  const test::TemporaryDirectory temporary;
  const AmplificationFigures model = simulate_load(load, small_options());
  const AmplificationFigures measured =
      measure_load(load, small_options(), temporary.path() / "index");
  INFO(load.entry_count << (load.order == LoadOrder::Random ? " random" : " sequential")
                        << ": simulated " << model.amplification() << ", measured "
                        << measured.amplification() << "; segments " << model.segment_count
                        << " and " << measured.segment_count);
  CHECK(model.user_size == measured.user_size);
  CHECK(std::abs(model.amplification() / measured.amplification() - 1) < 0.1);
}

TEST_CASE("the model follows the options", "[bench][amplification]") {
  const PlannedLoad load{.entry_count = 500'000};
  const Options options = small_options();
  const AmplificationFigures usual = simulate_load(load, options);
  CHECK(usual.written_size == Approx(usual.slices_size + usual.tiers_size + usual.mains_size));
  Options eager = options;
  eager.tuning.compaction_ratio = 0.1;
  CHECK(simulate_load(load, eager).amplification() > 1.5 * usual.amplification());
  Options roomy = options;
  roomy.memory_budget *= 16;
  CHECK(simulate_load(load, roomy).amplification() < usual.amplification());
  // Nothing is flushed that fits into memory.
  CHECK(simulate_load({.entry_count = 1000}, options).amplification() == 0);
}

}  // namespace varve::bench

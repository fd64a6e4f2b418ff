// SPDX-License-Identifier: Apache-2.0
// The model of write amplification against the engine, whose counts of bytes depend on no clock,
// and both against what a directory was given.
#include "bench/amplification.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <string_view>

#include "bench/data.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/lib/faulty_directory.hpp"
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

TEST_CASE("what the model and the engine say of each kind of file is what a directory gets",
          "[bench][amplification]") {
  const PlannedLoad load{.entry_count = 160'000};
  const auto directory = std::make_shared<test::FaultyDirectory>();
  SegmentIndex index = internal::SegmentIndexAccess::open(directory, small_options());
  KeyMaker keys(KeyShape::Hash16, load.entry_count);
  ValueMaker values(static_cast<std::size_t>(load.value_size));
  for (std::uint64_t i = 0; i < load.entry_count; ++i) {
    const std::string_view key = keys.present(i);
    index.put(key, values.make(key, 0));
  }
  while (index.maintain()) {
  }
  const auto deltas = static_cast<double>(directory->faults.written_sizes["delta"]);
  const auto mains = static_cast<double>(directory->faults.written_sizes["main"]);
  const auto told = static_cast<double>(index.statistics().run_bytes_written);
  INFO("directory " << deltas << " and " << mains << ", statistics " << told);
  // Slices begin at a page, which is nobody's part of the runs.
  CHECK(told <= deltas + mains);
  CHECK(told > 0.98 * (deltas + mains));
  const AmplificationFigures model = simulate_load(load, small_options());
  INFO("model " << model.slices_size << ", " << model.tiers_size << " and " << model.mains_size);
  // The model spreads a load evenly; chance makes some more slices and merges of them.
  CHECK(std::abs((model.slices_size + model.tiers_size) / deltas - 1) < 0.2);
  CHECK(std::abs(model.mains_size / mains - 1) < 0.1);
  CHECK(std::abs(model.written_size / told - 1) < 0.1);
}

TEST_CASE("the model follows the options", "[bench][amplification]") {
  const PlannedLoad load{.entry_count = 500'000};
  const Options options = small_options();
  const AmplificationFigures usual = simulate_load(load, options);
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

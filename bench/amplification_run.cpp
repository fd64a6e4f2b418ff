// SPDX-License-Identifier: Apache-2.0
#include "bench/amplification.hpp"
#include "bench/data.hpp"
#include "varve/varve.hpp"

namespace varve::bench {

AmplificationFigures measure_load(const PlannedLoad& load, Options options,
                                  const std::filesystem::path& directory) {
  options.access = Access::Bare;
  KeyMaker keys(KeyShape::Hash16, load.entry_count);
  ValueMaker values(static_cast<std::size_t>(load.value_size));
  SegmentIndex index = SegmentIndex::create(directory, options);
  for (std::uint64_t i = 0; i < load.entry_count; ++i) {
    const std::string_view key =
        load.order == LoadOrder::Random ? keys.present(i) : keys.ascending(i);
    index.put(key, values.make(key, 0));
  }
  while (index.maintain()) {
  }
  const Statistics statistics = index.statistics();
  AmplificationFigures figures;
  figures.user_size = static_cast<double>(statistics.user_bytes_written);
  figures.written_size = static_cast<double>(statistics.run_bytes_written);
  figures.segment_count = statistics.runs.segment_count;
  return figures;
}

}  // namespace varve::bench

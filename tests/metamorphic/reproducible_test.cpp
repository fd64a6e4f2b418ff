// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "directory/checksum.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/metamorphic/generator.hpp"
#include "tests/metamorphic/index_subject.hpp"
#include "tests/metamorphic/model_subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"

namespace varve::test::metamorphic {
namespace {

using directory::SimulatedFileSystem;

// An index is unlike all others by its uuid; so all runs begin on copies of one.
std::shared_ptr<SimulatedFileSystem> new_index(const Options& options) {
  auto medium = std::make_shared<SimulatedFileSystem>();
  internal::SegmentIndexAccess::open(directory::make_posix_directory(medium), options).close();
  return medium;
}

// Name and hash of every file that a run leaves.
std::map<std::string, std::uint64_t> files_after(
    const Operations& operations, const Configuration& configuration,
    const std::shared_ptr<SimulatedFileSystem>& start) {
  IndexSubject subject(configuration, start);
  const History expected = model_history(operations);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    REQUIRE(subject.apply(operations[i]) == expected[i]);
  }
  REQUIRE(subject.finish().empty());
  const SimulatedFileSystem& medium = *subject.medium().simulated();
  std::map<std::string, std::uint64_t> files;
  for (const directory::FileInfo& file : medium.list()) {
    files[file.name] = directory::hash64(medium.peek(file.name).value_or("no such file"));
  }
  return files;
}

}  // namespace

// VARVE_SWEEP_SEED=8: other operations; VARVE_SWEEP_CASES=10: ten lists of them.
TEST_CASE("the same operations leave the same bytes in every file", "[metamorphic][reproducible]") {
  const std::uint64_t first = setting("VARVE_SWEEP_SEED", 7);
  const std::uint64_t count = setting("VARVE_SWEEP_CASES", 1);
  for (const Configuration& configuration : all_configurations()) {
    const bool by_clock = configuration.options.sync_interval.count() != 0;
    if (configuration.medium != MediumKind::Simulated || by_clock ||
        configuration.options.access != Access::Bare) {
      continue;
    }
    CAPTURE(configuration.name);
    const auto start = new_index(configuration.options);
    std::map<std::string, std::uint64_t> others;
    std::size_t file_count_max = 0;  // A list may end with everything erased.
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
      CAPTURE(seed);
      const Operations operations = generated(seed, 800);
      const auto files = files_after(operations, configuration, start);
      file_count_max = std::max(file_count_max, files.size());
      CHECK(files == files_after(operations, configuration, start));
      CHECK(files != others);
      others = files;
    }
    CHECK(file_count_max >= 3);
    CHECK(others != files_after(generated(first + count, 800), configuration, start));
  }
  tell_reached(count, "seeds");
}

}  // namespace varve::test::metamorphic

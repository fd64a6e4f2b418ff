// SPDX-License-Identifier: Apache-2.0
#include "bench/amplification_command.hpp"

#include <unistd.h>

#include <cstdio>

#include "bench/amplification.hpp"
#include "bench/data.hpp"
#include "bench/scale.hpp"
#include "bench/table.hpp"

namespace varve::bench {
namespace {

// A directory of its own for one load, removed at the end.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& parent)
      : path_(parent / ("varve-bench-" + std::to_string(::getpid()) + "-amplification")) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;  // The measurement counts.
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

void print_row(const PlannedLoad& load, const AmplificationFigures& model,
               const AmplificationFigures* measured) {
  const auto times = [&](double size) { return size / model.user_size; };
  std::printf("| %s | %s | %.2f | %.2f + %.2f + %.2f | %llu |",
              count_text(load.entry_count).c_str(),
              load.order == LoadOrder::Random ? "random" : "sequential", model.amplification(),
              times(model.slices_size), times(model.tiers_size), times(model.mains_size),
              static_cast<unsigned long long>(model.segment_count));
  if (measured != nullptr) {
    std::printf(" %.2f | %llu | %+.0f %% |", measured->amplification(),
                static_cast<unsigned long long>(measured->segment_count),
                100 * (model.amplification() / measured->amplification() - 1));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

AmplificationCommand::AmplificationCommand(CLI::App& app)
    : app_(*app.add_subcommand("amplification")) {
  app_.description("What maintenance writes per byte of the user's: a model beside the measured");
  app_.option_defaults()->always_capture_default();
  app_.add_option("--entries", entries_, "Entries of each load, comma-separated")->delimiter(',');
  app_.add_option("--value", value_size_, "Bytes of a value")
      ->check(CLI::Range(ValueMaker::kSizeMin, std::size_t{1} << 20));
  app_.add_option("--memory-budget", memory_budget_, "Of deltas");
  app_.add_option("--segment-size", segment_size_, "At which a segment splits");
  app_.add_option("--dir", directory_, "Where scratch directories are made")
      ->check(CLI::ExistingDirectory);
  app_.add_flag("--simulated", simulated_only_, "The model alone: for loads of any size");
}

void AmplificationCommand::run() const {
  Options options;
  options.access = Access::Bare;
  options.memory_budget = parse_size(memory_budget_);
  options.tuning.segment_size = parse_size(segment_size_);
  std::printf("| entries | order | simulated | slices + tiers + mains | segments |%s\n",
              simulated_only_ ? "" : " measured | segments | off by |");
  std::printf("|---|---|---|---|---|%s\n", simulated_only_ ? "" : "---|---|---|");
  for (const LoadOrder order : {LoadOrder::Random, LoadOrder::Sequential}) {
    for (const std::string& count : entries_) {
      const PlannedLoad load{.entry_count = parse_count(count),
                             .key_size = 16,
                             .value_size = static_cast<double>(value_size_),
                             .order = order};
      const AmplificationFigures model = simulate_load(load, options);
      if (simulated_only_) {
        print_row(load, model, nullptr);
        continue;
      }
      const Scratch scratch(directory_);
      const AmplificationFigures measured = measure_load(load, options, scratch.path());
      print_row(load, model, &measured);
    }
  }
}

}  // namespace varve::bench

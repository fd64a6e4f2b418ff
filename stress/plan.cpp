// SPDX-License-Identifier: Apache-2.0
#include "stress/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "stress/random.hpp"

namespace varve::stress {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;

Access draw_access(Random& random) {
  const Access modes[] = {Access::Bare, Access::Synchronized, Access::Concurrent,
                          Access::Concurrent};
  return random.pick(modes);
}

// Small, so that a few thousand writes flush, merge and split.
Options draw_options(Random& random) {
  Options options;
  options.access = draw_access(random);
  options.memory_budget = (256 * kKiB) << random.below(4);
  options.reads = random.one_in(3) ? Reads::Buffered : Reads::Mapped;
  options.close = random.one_in(3) ? CloseMode::FinishJobs : CloseMode::CancelJobs;
  options.lock_health.enabled = random.one_in(4);
  options.lock_wait = std::chrono::seconds(10);  // Not what is tested, on a machine under load.
  const std::chrono::milliseconds intervals[] = {0ms, 0ms, 0ms, 1ms, 10ms, 100ms};
  options.sync_interval = random.pick(intervals);
  Tuning& tuning = options.tuning;
  tuning.segment_size = (64 * kKiB) << random.below(6);
  tuning.block_size = std::size_t{512} << random.below(8);
  const double bits[] = {0, 4, 12, 12, 20, 32};
  tuning.filter_bits_per_key = random.pick(bits);
  const double ratios[] = {0.05, 0.2, 0.5, 0.5, 1, 4};
  tuning.compaction_ratio = random.pick(ratios);
  tuning.tier_fanout = static_cast<std::uint32_t>(2 + random.below(7));
  tuning.delta_runs_max = static_cast<std::uint32_t>(random.of_any_magnitude(2, 32));
  tuning.log_file_size = (64 * kKiB) << random.below(6);
  tuning.merge_for_reads = !random.one_in(4);
  tuning.inline_maintenance = !random.one_in(8);
  tuning.maintenance_threads = static_cast<std::uint32_t>(random.below(5));
  const double shares[] = {1, 1, 0.5, 0.05};
  const std::uint32_t nices[] = {10, 10, 0, 19};
  tuning.maintenance_share = random.pick(shares);
  tuning.maintenance_nice = random.pick(nices);
  const std::size_t hot_path_sizes[] = {0, 64 * kKiB, kMiB, 4 * kMiB};
  tuning.hot_path_size = random.pick(hot_path_sizes);
  return options;
}

void draw_threads(Random& random, const Scale& scale, CyclePlan& plan) {
  if (plan.options.access == Access::Bare) return;  // One thread, which also reads and scans.
  plan.writer_count = static_cast<std::uint32_t>(1 + random.below(scale.writer_count_max));
  plan.reader_count = static_cast<std::uint32_t>(random.below(3));
  plan.scanner_count = static_cast<std::uint32_t>(random.below(3));
}

void draw_ending(Random& random, CyclePlan& plan) {
  const Ending endings[] = {Ending::Kill,        Ending::Kill,        Ending::Kill,
                            Ending::Kill,        Ending::Kill,        Ending::StopAndKill,
                            Ending::StopAndKill, Ending::KillInClose, Ending::KillInOpen,
                            Ending::Close};
  plan.ending = random.pick(endings);
  plan.operation_count = random.of_any_magnitude(32, 8192);
  plan.delay = std::chrono::microseconds(random.below(5000));
  if (plan.ending == Ending::KillInOpen) {
    plan.operation_count = 0;
    plan.delay = std::chrono::microseconds(random.of_any_magnitude(500, 50'000));
  } else if (plan.ending == Ending::KillInClose) {
    plan.delay = std::chrono::microseconds(random.of_any_magnitude(50, 20'000));
  }
}

}  // namespace

const char* to_string(Ending ending) noexcept {
  switch (ending) {
    case Ending::Kill:
      return "kill";
    case Ending::StopAndKill:
      return "stop, copy and kill";
    case Ending::KillInClose:
      return "kill in close";
    case Ending::KillInOpen:
      return "kill in open";
    case Ending::Close:
      return "close";
  }
  return "?";
}

const char* to_string(Writes writes) noexcept {
  switch (writes) {
    case Writes::Logged:
      return "logged";
    case Writes::Buffered:
      return "buffered";
    case Writes::Mixed:
      return "mixed";
  }
  return "?";
}

CyclePlan draw_plan(std::uint64_t cycle_seed, const Scale& scale) {
  Random random(cycle_seed);
  CyclePlan plan;
  plan.seed = cycle_seed;
  plan.options = draw_options(random);
  plan.verifier = draw_options(random);
  plan.verifier.read_only = random.one_in(3);
  const Writes writes[] = {Writes::Logged,   Writes::Logged, Writes::Logged, Writes::Logged,
                           Writes::Logged,   Writes::Logged, Writes::Logged, Writes::Buffered,
                           Writes::Buffered, Writes::Mixed};
  plan.writes = random.pick(writes);
  if (plan.writes == Writes::Buffered) plan.options.durability = Durability::Buffered;
  plan.some_synced = plan.writes != Writes::Buffered;
  if (plan.writes == Writes::Logged && random.one_in(8)) {
    plan.options.durability = Durability::Synced;
  }
  draw_threads(random, scale, plan);
  const std::uint32_t weights[] = {0, 2, 10, 40};
  plan.maintenance_weight = random.pick(weights);
  draw_ending(random, plan);
  return plan;
}

CyclePlan log_only_plan(std::uint64_t cycle_seed, const Scale& scale) {
  CyclePlan plan = draw_plan(cycle_seed, scale);
  plan.options.durability = Durability::Process;
  plan.options.sync_interval = 0ms;
  plan.some_synced = false;
  plan.options.memory_budget = 256 * kMiB;
  plan.options.tuning.log_file_size = 64 * kMiB;
  plan.writes = Writes::Logged;
  plan.maintenance_weight = 0;
  plan.ending = Ending::Kill;
  plan.operation_count = std::max<std::uint64_t>(plan.operation_count, 500);
  return plan;
}

std::string plan_text(const CyclePlan& plan) {
  const Options& options = plan.options;
  const Tuning& tuning = options.tuning;
  return fmt::format(
      "{}, {} writers, {} readers, {} scanners; {} writes, {} by default, sync every {} ms; {} "
      "reads; budget {} KiB, segments {} KiB, blocks {} B, filters {} bits, ratio {}, fanout {}, "
      "{} delta runs, logs {} KiB, hot path {} KiB; maintenance {}, {} threads, share {}, asked "
      "{}/1000; {} after {} operations and {} us, {}; reopened {}{}",
      varve::to_string(options.access), plan.writer_count, plan.reader_count, plan.scanner_count,
      to_string(plan.writes), varve::to_string(options.durability), options.sync_interval.count(),
      varve::to_string(options.reads), options.memory_budget / kKiB, tuning.segment_size / kKiB,
      tuning.block_size, tuning.filter_bits_per_key, tuning.compaction_ratio, tuning.tier_fanout,
      tuning.delta_runs_max, tuning.log_file_size / kKiB, tuning.hot_path_size / kKiB,
      tuning.inline_maintenance ? "by itself" : "by hand", tuning.maintenance_threads,
      tuning.maintenance_share, plan.maintenance_weight, to_string(plan.ending),
      plan.operation_count, plan.delay.count(),
      options.close == CloseMode::CancelJobs ? "jobs cancelled" : "jobs finished",
      varve::to_string(plan.verifier.access), plan.verifier.read_only ? ", read-only" : "");
}

}  // namespace varve::stress

// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/configuration.hpp"

#include <random>

#include "tests/support/tiny_options.hpp"

namespace varve::test::metamorphic {
namespace {

Configuration plain(std::string name, MediumKind medium) {
  Configuration configuration{.name = std::move(name), .medium = medium, .options = {}};
  // To allocate the default of 64 MiB at every open would take longer than all the rest.
  configuration.options.tuning.log_file_size = 1 << 20;
  return configuration;
}
Configuration tiny(std::string name, MediumKind medium) {
  Configuration configuration = plain(std::move(name), medium);
  configuration.options = tiny_options();
  configuration.tiny = true;
  return configuration;
}

void add_memory(std::vector<Configuration>& all) {
  all.push_back(plain("memory", MediumKind::Memory));
  all.push_back(tiny("memory, tiny", MediumKind::Memory));
  Configuration next = tiny("memory, tiny, no filter, read by block", MediumKind::Memory);
  next.options.reads = Reads::Buffered;
  next.options.tuning.filter_bits_per_key = 0;
  all.push_back(next);
  next = tiny("memory, tiny, merged at once", MediumKind::Memory);
  next.options.tuning.compaction_ratio = 0.05;
  next.options.tuning.tier_fanout = 2;
  next.options.tuning.delta_runs_max = 2;
  all.push_back(next);
  next = tiny("memory, tiny, merged late", MediumKind::Memory);
  next.options.tuning.compaction_ratio = 4;
  next.options.tuning.tier_fanout = 4;
  next.options.tuning.delta_runs_max = 64;
  next.options.durability = Durability::Buffered;
  all.push_back(next);
  next = tiny("memory, large blocks and filters", MediumKind::Memory);
  next.options.tuning.block_size = 64 << 10;
  next.options.tuning.filter_bits_per_key = 32;
  next.tiny = false;
  all.push_back(next);
  next = tiny("memory, tiny segments, much memory", MediumKind::Memory);
  next.options.memory_budget = 64 << 20;
  next.tiny = false;
  all.push_back(next);
}

void add_simulated(std::vector<Configuration>& all) {
  all.push_back(tiny("simulated, tiny", MediumKind::Simulated));
  Configuration next = tiny("simulated, tiny, buffered writes", MediumKind::Simulated);
  next.options.durability = Durability::Buffered;
  next.options.reads = Reads::Buffered;
  all.push_back(next);
  next = tiny("simulated, tiny, synced writes", MediumKind::Simulated);
  next.options.durability = Durability::Synced;
  next.options.tuning.hot_path_size = 0;
  all.push_back(next);
  next = tiny("simulated, tiny, full now and then", MediumKind::Simulated);
  next.fault_every = 40;
  all.push_back(next);
  next = tiny("simulated, tiny, unmappable", MediumKind::Simulated);
  next.mappable = false;
  all.push_back(next);
  next = tiny("simulated, tiny, eager hot path", MediumKind::Simulated);
  next.eager_hot_path = true;
  next.options.tuning.hot_path_size = 64 << 10;
  next.options.tuning.maintenance_threads = 4;
  all.push_back(next);
  next = tiny("simulated, maintained by hand", MediumKind::Simulated);
  next.options.tuning.inline_maintenance = false;
  next.options.memory_budget = 2 << 20;
  next.maintain_every = 100;
  next.tiny = false;
  all.push_back(next);
  next = tiny("simulated, tiny, sync interval", MediumKind::Simulated);
  next.options.sync_interval = std::chrono::milliseconds(1);
  next.options.tuning.maintenance_threads = 1;
  next.options.tuning.maintenance_share = 0.5;
  all.push_back(next);
}

void add_posix(std::vector<Configuration>& all) {
  all.push_back(plain("files", MediumKind::Posix));
  Configuration next = tiny("files, tiny", MediumKind::Posix);
  all.push_back(next);
  next = tiny("files, tiny, read by block, synced", MediumKind::Posix);
  next.options.reads = Reads::Buffered;
  next.options.durability = Durability::Synced;
  next.options.tuning.maintenance_threads = 2;
  all.push_back(next);
}

}  // namespace

std::vector<Configuration> all_configurations() {
  std::vector<Configuration> tunings;
  add_memory(tunings);
  add_simulated(tunings);
  add_posix(tunings);
  std::vector<Configuration> all;
  for (const Access access : {Access::Bare, Access::Synchronized, Access::Concurrent}) {
    for (Configuration configuration : tunings) {
      configuration.name += std::string(", ") + std::string(to_string(access));
      configuration.options.access = access;
      // So that an index that is used for milliseconds starts few threads.
      std::uint32_t& thread_count = configuration.options.tuning.maintenance_threads;
      if (thread_count == 0) thread_count = 1;
      all.push_back(std::move(configuration));
    }
  }
  return all;
}

Options varied(const Options& options, std::uint64_t number) {
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(number + 1));
  const auto below = [&](std::uint32_t bound) {
    return static_cast<std::uint32_t>(random() % bound);
  };
  Options other = options;
  other.reads = below(2) == 0 ? Reads::Mapped : Reads::Buffered;
  other.durability = static_cast<Durability>(below(3));
  Tuning& tuning = other.tuning;
  tuning.segment_size = std::size_t{64 << 10} << below(4);
  tuning.block_size = std::size_t{512} << below(8);
  tuning.filter_bits_per_key = 4.0 * below(9);
  tuning.compaction_ratio = 0.1 + 0.3 * below(8);
  tuning.tier_fanout = 2 + below(6);
  tuning.delta_runs_max = 2 + below(20);
  tuning.log_file_size = std::size_t{64 << 10} << below(4);
  return other;
}

}  // namespace varve::test::metamorphic

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bench/workload.hpp"

namespace varve::bench {

const std::vector<Workload>& workload_list() {
  using S = Session;
  static const std::vector<Workload> list = {
      {"load_seq", "ascending keys, one put per call", true, &S::load_ascending},
      {"load_random_batch1000", "random keys, batches of 1000", true, &S::load_random_batches},
      {"load_random", "random keys, one put per call", true, &S::load_random},
      {"read_hit", "get of random present keys", true, &S::read_hits},
      {"read_miss", "get of absent keys between the present ones", true, &S::read_misses},
      {"read_8020", "get of present keys, 80 % among a fifth of them", true, &S::read_skewed},
      {"multi_get", "random present keys, 32 per call; figures per key", true, &S::multi_get},
      {"seek10", "seek to a random key and 10 steps; figures per seek", true, &S::seek},
      {"scan", "all entries in order, as loaded; figures per entry", true, &S::scan},
      {"open_clean", "open after a clean close, and one get", true, &S::open_clean},
      {"overwrite", "every key once more in random order, one put per call", true, &S::overwrite},
      {"erase_random", "half of the keys in random order", true, &S::erase},
      {"synced_put", "one put per call, each synced to the device", true, &S::synced_puts},
      {"scan_compacted", "compact everything, then scan", false, &S::scan_compacted},
      {"concurrent_read", "get of random present keys, by --threads threads", false,
       &S::concurrent_reads, Threads::Listed},
      {"concurrent_mixed", "7 gets and 3 puts of existing keys in 10, by --threads threads", false,
       &S::concurrent_mix, Threads::Listed},
      {"concurrent_write", "every key once more in random order, by --threads threads", false,
       &S::concurrent_writes, Threads::Listed},
      {"read_while_writing", "a thread of gets beside one of puts, both at full speed", false,
       &S::read_while_writing, Threads::Two},
      {"synced_put_threads", "puts synced to the device, by --synced-threads threads", false,
       &S::synced_puts_by_threads, Threads::Synced},
  };
  return list;
}

std::vector<Plan> make_plans(const Settings& settings) {
  const auto names = [&](Threads threads) {
    std::vector<std::string> chosen;
    for (const Workload& workload : workload_list()) {
      const auto& wanted = settings.workloads;
      if (workload.threads == threads &&
          std::find(wanted.begin(), wanted.end(), workload.name) != wanted.end()) {
        chosen.push_back(workload.name);
      }
    }
    return chosen;
  };
  std::vector<Plan> plans = {{0, names(Threads::Unaware)}};
  for (const std::uint32_t count : settings.thread_counts) {
    plans.push_back({count, names(Threads::Listed)});
  }
  plans.push_back({2, names(Threads::Two)});
  for (const std::uint32_t count : settings.synced_thread_counts) {
    plans.push_back({count, names(Threads::Synced)});
  }
  std::erase_if(plans, [](const Plan& plan) { return plan.workloads.empty(); });
  return plans;
}

}  // namespace varve::bench

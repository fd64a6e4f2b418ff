// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>

#include "bench/session.hpp"
#include "bench/workload.hpp"

namespace varve::bench {
namespace {

using S = Session;

Workload basic(const char* name, const char* alias, const char* description,
               std::function<std::optional<Measurement>(Session&)> run) {
  return {.name = name, .alias = alias, .description = description, .run = std::move(run)};
}
Workload special(const char* name, const char* alias, const char* description,
                 std::function<std::optional<Measurement>(Session&)> run, Family family) {
  return {.name = name,
          .alias = alias,
          .description = description,
          .by_default = false,
          .run = std::move(run),
          .family = family};
}
Workload ycsb(char mix, const char* description) {
  return special((std::string("ycsb_") + static_cast<char>(mix - 'A' + 'a')).c_str(), "",
                 description, [mix](Session& session) { return session.ycsb(mix); }, Family::Ycsb);
}

std::vector<Workload> make_list() {
  std::vector<Workload> list = {
      basic("load_seq", "fillseq", "ascending keys, one put per call", &S::load_ascending),
      basic("load_seq_batch1000", "fillbatch", "ascending keys, batches of 1000",
            &S::load_ascending_batches),
      basic("load_random_batch1000", "", "random keys, batches of 1000", &S::load_random_batches),
      basic("load_random", "fillrandom", "random keys, one put per call", &S::load_random),
      basic("read_hit", "readrandom", "get of random present keys", &S::read_hits),
      basic("read_miss", "readmissing", "get of absent keys between the present ones",
            &S::read_misses),
      basic("read_8020", "", "get of present keys, 80 % among a fifth of them", &S::read_skewed),
      basic("read_hot", "readhot", "get of random keys among one in a hundred", &S::read_hot),
      basic("multi_get", "", "random present keys, 32 per call; figures per key", &S::multi_get),
      basic("seek", "seekrandom", "seek to a random present key", &S::seek),
      basic("seek10", "", "seek to a random present key and 10 steps; figures per seek",
            &S::seek_and_step),
      basic("scan", "readseq", "all entries in order, as loaded; figures per entry", &S::scan),
      basic("scan_reverse", "readreverse", "all entries in descending order, likewise",
            &S::scan_reverse),
      basic("open_clean", "", "open after a clean close, and one get", &S::open_clean),
      basic("open_killed", "", "load in a process that is killed; open, and one get",
            &S::open_killed),
      basic("overwrite", "", "every key once more in random order, one put per call",
            &S::overwrite),
      basic("erase_random", "deleterandom", "half of the keys in random order", &S::erase),
      basic("synced_put", "fillsync", "one put per call, each synced to the device",
            &S::synced_puts),
      basic("compact", "", "rewrite everything; figures per entry", &S::compact),
      special("scan_compacted", "", "compact everything, then scan", &S::scan_compacted,
              Family::Basic),
      special("concurrent_read", "", "get of random present keys, by --threads threads",
              &S::concurrent_reads, Family::Threads),
      special("concurrent_mixed", "", "7 gets and 3 puts of existing keys in 10, likewise",
              &S::concurrent_mix, Family::Threads),
      special("concurrent_write", "", "every key once more in random order, likewise",
              &S::concurrent_writes, Family::Threads),
      special("read_while_writing", "readwhilewriting",
              "a thread of gets beside one of puts, both at full speed", &S::read_while_writing,
              Family::Pair),
      special("synced_put_threads", "", "puts synced to the device, by --synced-threads threads",
              &S::synced_puts_by_threads, Family::Synced),
      special("hestia_write", "", "HestiaStore's keys and values into an empty store",
              &S::hestia_writes, Family::Hestia),
      special("hestia_read", "", "get of HestiaStore's keys, of which four in five are present",
              &S::hestia_reads, Family::Hestia),
  };
  // In the order that YCSB recommends: what inserts comes last, and each insertion reloads.
  for (Workload& workload : std::vector<Workload>{
           ycsb('A', "YCSB A: half gets, half puts, zipfian"),
           ycsb('B', "YCSB B: 95 % gets, 5 % puts, zipfian"), ycsb('C', "YCSB C: gets, zipfian"),
           ycsb('F', "YCSB F: half gets, half read-modify-writes, zipfian"),
           ycsb('D', "YCSB D: 95 % gets of the latest, 5 % inserts"),
           ycsb('E', "YCSB E: 95 % scans of 1 to 100 entries, zipfian, 5 % inserts")}) {
    list.push_back(std::move(workload));
  }
  return list;
}

}  // namespace

const std::vector<Workload>& workload_list() {
  static const std::vector<Workload> list = make_list();
  return list;
}

const std::vector<WorkloadGroup>& workload_groups() {
  static const std::vector<WorkloadGroup> groups = {
      {"threads", {Family::Threads, Family::Synced, Family::Pair}},
      {"ycsb", {Family::Ycsb}},
      {"hestia", {Family::Hestia}},
      {"all",
       {Family::Basic, Family::Threads, Family::Synced, Family::Pair, Family::Ycsb,
        Family::Hestia}},
  };
  return groups;
}

std::vector<std::string> resolve_workloads(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  const auto take = [&](auto wanted) {
    bool any = false;
    for (const Workload& workload : workload_list()) {
      if (!wanted(workload)) continue;
      any = true;
      if (std::find(names.begin(), names.end(), workload.name) == names.end()) {
        names.push_back(workload.name);
      }
    }
    return any;
  };
  if (words.empty()) take([](const Workload& workload) { return workload.by_default; });
  for (const std::string& word : words) {
    bool known =
        word == "default" && take([](const Workload& workload) { return workload.by_default; });
    known = take([&](const Workload& w) { return w.name == word || w.alias == word; }) || known;
    for (const WorkloadGroup& group : workload_groups()) {
      known = (group.name == word && take([&](const Workload& workload) {
                 return std::find(group.families.begin(), group.families.end(), workload.family) !=
                        group.families.end();
               })) ||
              known;
    }
    if (!known || word.empty()) throw std::invalid_argument("no workload is called " + word);
  }
  return names;
}

std::vector<Plan> make_plans(const Settings& settings) {
  std::vector<Plan> plans;
  const auto add = [&](std::uint32_t thread_count, Family family) {
    Plan plan{thread_count, family, {}};
    for (const Workload& workload : workload_list()) {
      const auto& wanted = settings.workloads;
      if (workload.family == family &&
          std::find(wanted.begin(), wanted.end(), workload.name) != wanted.end()) {
        plan.workloads.push_back(workload.name);
      }
    }
    if (!plan.workloads.empty()) plans.push_back(std::move(plan));
  };
  add(0, Family::Basic);
  add(0, Family::Ycsb);
  for (const std::uint32_t count : settings.thread_counts) add(count, Family::Threads);
  add(2, Family::Pair);
  for (const std::uint32_t count : settings.synced_thread_counts) add(count, Family::Synced);
  for (const std::uint32_t count : {1U, 4U}) add(count, Family::Hestia);  // As published.
  return plans;
}

}  // namespace varve::bench

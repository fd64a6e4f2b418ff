// SPDX-License-Identifier: Apache-2.0
//
// micro_engine: one index by the public API, without peers or harness: what a load, a get, a
// multi_get, a short scan and a full scan cost. CPU time per operation; under
//   valgrind --tool=callgrind micro_engine 200000 ...
// the measured_* functions carry the instructions, which repeat exactly.
//
// usage: micro_engine [entries [reads [budget in MiB [workloads, by first letter: l h m g s f r]]]]

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "bench/data.hpp"
#include "varve/varve.hpp"

namespace {

using namespace varve;

constexpr std::uint64_t kScanCount = 10;
constexpr std::size_t kMultiGetCount = 32;

double cpu_now() {  // Nanoseconds of this thread: on a busy machine, elapsed time says little.
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

std::string key_of(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bench::mix(number)));
  return text;
}

struct Data {
  std::uint64_t count = 0;
  std::vector<std::string> wanted;  // Keys of the reads, made before the clock starts.
  std::vector<std::string> absent;
};

[[gnu::noinline]] std::uint64_t measured_load(SegmentIndex& index, std::uint64_t count) {
  std::string value(100, 'v');
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t bits = bench::mix(i);
    value.replace(0, 8, reinterpret_cast<const char*>(&bits), 8);
    index.put(key_of(i), value);
  }
  while (index.maintain()) {
  }
  return count;
}

[[gnu::noinline]] std::uint64_t measured_hits(SegmentIndex& index, const Data& data) {
  std::string value;
  std::uint64_t found = 0;
  for (const std::string& key : data.wanted) found += index.get(key, value) ? 1 : 0;
  return found;
}

[[gnu::noinline]] std::uint64_t measured_misses(SegmentIndex& index, const Data& data) {
  std::string value;
  std::uint64_t found = 0;
  for (const std::string& key : data.absent) found += index.get(key, value) ? 1 : 0;
  return found;
}

[[gnu::noinline]] std::uint64_t measured_groups(SegmentIndex& index, const Data& data) {
  std::uint64_t found = 0;
  std::vector<std::string_view> keys(kMultiGetCount);
  for (std::size_t i = 0; i + kMultiGetCount <= data.wanted.size(); i += kMultiGetCount) {
    std::copy_n(data.wanted.begin() + static_cast<std::ptrdiff_t>(i), kMultiGetCount, keys.begin());
    for (const auto& value : index.multi_get(keys)) found += value ? 1 : 0;
  }
  return found;
}

[[gnu::noinline]] std::uint64_t measured_seeks(SegmentIndex& index, const Data& data,
                                               bool reverse) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < data.wanted.size() / 5; ++i) {
    const std::string_view key = data.wanted[i];
    Cursor cursor = index.scan({.from = reverse ? std::string_view() : key,
                                .to = reverse ? key : std::string_view(),
                                .reverse = reverse,
                                .limit = kScanCount});
    while (cursor.next()) bytes += cursor.key().size() + cursor.value().size();
  }
  return bytes;
}

[[gnu::noinline]] std::uint64_t measured_scan(SegmentIndex& index) {
  std::uint64_t bytes = 0;
  Cursor cursor = index.scan();
  while (cursor.next()) bytes += cursor.key().size() + cursor.value().size();
  return bytes;
}

template <typename Operation>
void report(const char* what, std::uint64_t count, Operation operation) {
  double best = 1e300;
  std::uint64_t sum = 0;
  const int rounds = count == 0 ? 0 : std::getenv("MICRO_ROUNDS") != nullptr ? 5 : 1;
  for (int round = 0; round < rounds; ++round) {
    const double start = cpu_now();
    sum = operation();
    best = std::min(best, (cpu_now() - start) / static_cast<double>(count));
  }
  std::printf("%-12s %9.1f ns   (%llu)\n", what, best, static_cast<unsigned long long>(sum));
}

struct Scratch {  // A directory of our own, gone at the end.
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "varve-micro-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "cannot create " + name);
    }
    path = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

void print_shape(const SegmentIndex& index) {
  std::uint64_t runs = 0, memory = 0;
  const Statistics figures = index.statistics();
  for (const SegmentStatistics& segment : figures.segments) {
    runs += segment.delta_run_count;
    memory += segment.memory_entry_count;
  }
  std::printf("%zu segments, %llu delta runs, %llu entries in memory\n", figures.segments.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(memory));
}

}  // namespace

int main(int argc, char** argv) {
  Data data;
  data.count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const std::uint64_t reads = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 500'000;
  Options options;
  options.durability = Durability::Process;
  options.memory_budget = (argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 128) << 20;
  const std::string_view wanted = argc > 4 ? argv[4] : "lhmgsfr";
  for (std::uint64_t i = 0; i < reads; ++i) {
    data.wanted.push_back(key_of(bench::mix(i + 1'000'000'007) % data.count));
    data.absent.push_back(data.wanted.back());
    data.absent.back().back() ^= 1;
    data.absent.back() += 'x';
  }
  const Scratch scratch;
  SegmentIndex index = SegmentIndex::open(scratch.path / "index", options);
  const auto is_wanted = [&](char workload) { return wanted.find(workload) != wanted.npos; };
  const double start = cpu_now();
  measured_load(index, data.count);
  std::printf("%-12s %9.1f ns\n", "load", (cpu_now() - start) / static_cast<double>(data.count));
  print_shape(index);
  static_cast<void>(measured_scan(index));  // Verifies checksums.
  if (is_wanted('h')) report("get, hits", reads, [&] { return measured_hits(index, data); });
  if (is_wanted('m')) report("get, misses", reads, [&] { return measured_misses(index, data); });
  if (is_wanted('g')) report("multi_get", reads, [&] { return measured_groups(index, data); });
  if (is_wanted('s')) {
    report("seek10", reads / 5, [&] { return measured_seeks(index, data, false); });
  }
  if (is_wanted('r')) {
    report("seek10 back", reads / 5, [&] { return measured_seeks(index, data, true); });
  }
  if (is_wanted('f')) report("scan", data.count, [&] { return measured_scan(index); });
  return 0;
}

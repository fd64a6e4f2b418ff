// SPDX-License-Identifier: Apache-2.0
// The shape of HestiaStore's published benchmarks: 32 upper-case hex digits as the key, as of an
// MD5 digest; one text as every value; a load in random order, then gets of which four in five hit.
#include "bench/crew.hpp"
#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kSliceCount = 100;  // Operations that a thread takes at a time.

}  // namespace

Measurement Session::hestia_writes() {
  start_empty();
  loaded_ = true;
  return write_all([this](std::uint64_t i) { return order_[i]; });
}

Measurement Session::hestia_reads() {
  require_warm();
  std::vector<Worker> workers = make_workers(plan_.thread_count);
  OperationQueue queue(settings_.read_count, kSliceCount);
  Crew crew(workers.size(), [&](std::size_t thread) {
    Worker& worker = workers[thread];
    LapTimer timer;
    for (auto slice = queue.take(); !slice.empty() && !crew.failed(); slice = queue.take()) {
      Random random(settings_.seed + 7 + slice.begin);
      for (std::uint64_t i = slice.begin; i < slice.end; ++i) {
        const bool hits = random.below(10) < 8;
        const std::uint64_t number = random.below(settings_.entry_count);
        const std::string_view key =
            hits ? worker.keys.present(number) : worker.keys.absent(number);
        std::string_view value;
        const bool found = worker.client->get(key, value);
        worker.wrong_count += found != hits || (found && !worker.values.matches(key, 0, value));
        worker.reads.add(timer.lap());
      }
    }
  });
  const Measurement result = measure_threads(settings_.read_count, 0, workers, [&] { crew.run(); });
  warm_ = true;
  return result;
}

}  // namespace varve::bench

// SPDX-License-Identifier: Apache-2.0
// The workloads with several threads. Every key is written at most once at a time, so that each
// answer can be checked against the versions that its reader may see.
#include <algorithm>
#include <atomic>

#include "bench/crew.hpp"
#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kSliceCount = 100;  // Operations that a thread takes at a time.
constexpr std::uint64_t kVerifyCount = 2000;

// Of ten operations of the mix, the third, sixth and ninth write.
constexpr std::uint64_t kMixCount = 10, kMixWriteCount = 3;
constexpr bool mix_writes(std::uint64_t operation) {
  return operation % kMixCount % 3 == 2;
}
constexpr std::uint64_t mix_write_rank(std::uint64_t operation) {
  return operation / kMixCount * kMixWriteCount + operation % kMixCount / 3;
}

}  // namespace

std::uint64_t Session::changed_at(std::uint64_t rank) const {
  const std::uint64_t count = order_.size();
  return order_[(rank % count) * change_step_ % count];
}

std::vector<Worker> Session::make_workers(std::uint32_t writer_count) {
  std::vector<Worker> workers;
  for (std::uint32_t i = 0; i < plan_.thread_count; ++i) {
    workers.push_back(
        {.client = engine_->make_client(writer_count), .keys = keys_, .values = values_});
  }
  return workers;
}

void Session::read_one(Worker& worker, std::uint64_t number) {
  const std::string_view key = worker.keys.present(number);
  const std::uint8_t oldest = versions_->acknowledged(number);
  std::string_view value;
  const bool right = worker.client->get(key, value) &&
                     worker.values.matches_any_version(key, value) &&
                     versions_->may_be_read(number, oldest, ValueMaker::version_of(value));
  worker.wrong_count += !right;
}

void Session::write_one(Worker& worker, std::uint64_t number, bool synced) {
  const std::string_view key = worker.keys.present(number);
  const std::uint8_t version = versions_->begin(number);
  const std::string_view value = worker.values.make(key, version);
  if (synced) {
    worker.client->put_synced(key, value);
  } else {
    worker.client->put(key, value);
  }
  versions_->acknowledge(number, version);
}

// Runs `operations`, which use the workers, and adds up what these have seen.
Measurement Session::measure_threads(std::uint64_t read_count, std::uint64_t write_count,
                                     std::vector<Worker>& workers,
                                     const std::function<void()>& operations) {
  Measurement result = measure(read_count + write_count, write_count * entry_size(), operations);
  result.thread_count = plan_.thread_count;
  LatencyHistogram reads, writes;
  std::uint64_t wrong_count = 0;
  for (const Worker& worker : workers) {
    reads.add(worker.reads);
    writes.add(worker.writes);
    wrong_count += worker.wrong_count;
  }
  if (reads.count() > 0) result.latencies["get"] = summary(reads, result.wall_seconds);
  if (writes.count() > 0) result.latencies["put"] = summary(writes, result.wall_seconds);
  expect(wrong_count, "gets by threads");
  warm_ = false;
  return result;
}

// The operations `begin` to `end` - 1 of a list of gets, or of the mix.
void Session::run_slice(Worker& worker, std::uint64_t begin, std::uint64_t end, bool mixed) {
  Random random(settings_.seed + 7 + begin);
  LapTimer timer;
  for (std::uint64_t i = begin; i < end; ++i) {
    if (mixed && mix_writes(i)) {
      write_one(worker, changed_at(mix_write_rank(i)), false);
      worker.writes.add(timer.lap());
    } else {
      read_one(worker, random.below(settings_.entry_count));
      worker.reads.add(timer.lap());
    }
  }
}

Measurement Session::concurrent_reads() {
  require_warm();
  std::vector<Worker> workers = make_workers(plan_.thread_count);
  OperationQueue queue(settings_.read_count, kSliceCount);
  Crew crew(workers.size(), [&](std::size_t number) {
    for (auto slice = queue.take(); !slice.empty() && !crew.failed(); slice = queue.take()) {
      run_slice(workers[number], slice.begin, slice.end, false);
    }
  });
  const Measurement result = measure_threads(settings_.read_count, 0, workers, [&] { crew.run(); });
  warm_ = true;
  return result;
}

Measurement Session::concurrent_mix() {
  require_warm();
  std::vector<Worker> workers = make_workers(plan_.thread_count);
  // No key twice, since two threads could then write it at the same time.
  const std::uint64_t round_count =
      std::max(std::min(settings_.read_count / kMixCount, settings_.entry_count / kMixWriteCount),
               std::uint64_t{1});
  OperationQueue queue(round_count * kMixCount, kSliceCount);
  Crew crew(workers.size(), [&](std::size_t number) {
    for (auto slice = queue.take(); !slice.empty() && !crew.failed(); slice = queue.take()) {
      run_slice(workers[number], slice.begin, slice.end, true);
    }
  });
  const std::uint64_t write_count = round_count * kMixWriteCount;
  const Measurement result = measure_threads(round_count * kMixCount - write_count, write_count,
                                             workers, [&] { crew.run(); });
  workers.clear();
  verify_versions();
  return result;
}

Measurement Session::concurrent_writes() {
  require_loaded();
  return write_all([this](std::uint64_t i) { return changed_at(i); });
}

// A put of each number that number_at(0) to number_at(entry_count - 1) give; none comes twice.
Measurement Session::write_all(const std::function<std::uint64_t(std::uint64_t)>& number_at) {
  std::vector<Worker> workers = make_workers(plan_.thread_count);
  const std::uint64_t count = settings_.entry_count;
  OperationQueue queue(count, kSliceCount);
  Crew crew(workers.size(), [&](std::size_t number) {
    Worker& worker = workers[number];
    LapTimer timer;
    for (auto slice = queue.take(); !slice.empty() && !crew.failed(); slice = queue.take()) {
      for (std::uint64_t i = slice.begin; i < slice.end; ++i) {
        write_one(worker, number_at(i), false);
        worker.writes.add(timer.lap());
      }
    }
  });
  const Measurement result = measure_threads(0, count, workers, [&] { crew.run(); });
  workers.clear();
  verify_versions();
  return result;
}

// Both run until the writer has written every key once and the reader has read as often as a read
// workload does, so that neither is ever alone.
Measurement Session::read_while_writing() {
  require_warm();
  std::vector<Worker> workers = make_workers(1);
  std::atomic<bool> wrote_enough = false, read_enough = false;
  const auto write = [&](Worker& worker, const Crew& crew) {
    LapTimer timer;
    for (std::uint64_t i = 0; !(wrote_enough && read_enough) && !crew.failed(); ++i) {
      if (i == settings_.entry_count) wrote_enough = true;
      write_one(worker, changed_at(i), false);
      worker.writes.add(timer.lap());
    }
  };
  const auto read = [&](Worker& worker, const Crew& crew) {
    for (std::uint64_t i = 0; !(wrote_enough && read_enough) && !crew.failed(); i += kSliceCount) {
      if (i >= settings_.read_count) read_enough = true;
      run_slice(worker, i, i + kSliceCount, false);
    }
  };
  Crew crew(workers.size(), [&](std::size_t number) {
    number == 0 ? write(workers[number], crew) : read(workers[number], crew);
  });
  Measurement result = measure_threads(0, 0, workers, [&] { crew.run(); });
  // Only now is it known how much was done. Without a size beforehand nobody has waited for the
  // background work, which the rates of two threads side by side should not contain.
  result.operation_count = result.latencies.at("get").count + result.latencies.at("put").count;
  result.user_size = result.latencies.at("put").count * entry_size();
  workers.clear();
  verify_versions();
  return result;
}

Measurement Session::synced_puts_by_threads() {
  require_loaded();
  engine_->begin_synced();
  std::vector<Worker> workers = make_workers(plan_.thread_count);
  const std::uint64_t count =
      std::min(settings_.synced_count * plan_.thread_count, settings_.entry_count - 1);
  write_one(workers[0], changed_at(count), true);  // Pays for whatever was left unsynced.
  OperationQueue queue(count, 1);
  Crew crew(workers.size(), [&](std::size_t number) {
    Worker& worker = workers[number];
    LapTimer timer;
    for (auto slice = queue.take(); !slice.empty() && !crew.failed(); slice = queue.take()) {
      write_one(worker, changed_at(slice.begin), true);
      worker.writes.add(timer.lap());
    }
  });
  Measurement result = measure_threads(0, count, workers, [&] { crew.run(); });
  result.latencies.at("put").seconds =
      result.foreground_seconds;  // What is durable needs no further work.
  workers.clear();
  engine_->end_synced();
  verify_versions();
  return result;
}

void Session::verify_versions() {
  if (!engine_->is_real()) return;
  expect_count(count_entries(), settings_.entry_count, "the scan after writes by threads");
  Random random(settings_.seed + 6);
  std::uint64_t wrong_count = 0;
  for (std::uint64_t i = 0; i < kVerifyCount; ++i) {
    const std::uint64_t number = changed_at(random.below(settings_.entry_count));
    const std::string_view key = keys_.present(number);
    std::string_view value;
    const bool found = engine_->get(key, value);
    wrong_count += !found || !values_.matches(key, versions_->acknowledged(number), value);
  }
  expect(wrong_count, "gets after writes by threads");
  engine_->settle();
}

}  // namespace varve::bench

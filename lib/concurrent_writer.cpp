// SPDX-License-Identifier: Apache-2.0
#include "lib/concurrent_writer.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/insertion_queue.hpp"
#include "lib/maintenance.hpp"
#include "lib/out_of_memory.hpp"
#include "lib/segment_locks.hpp"
#include "varve/error.hpp"

namespace varve::internal {

// Publishes a write, however its scope is left: what has a sequence and never became published
// would hold up all that comes after it. To be made before the write's locks, whose release is the
// barrier between the halves.
class ConcurrentWriter::Publication {
 public:
  // The first half: to be made once the write has its sequences, and destroyed before its locks.
  class Mark {
   public:
    Mark(Publication& publication, const Taken& taken) noexcept
        : publication_(publication), taken_(taken) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() {
      publication_.published_.mark_done(taken_.first, taken_.last);
      publication_.marked_ = true;
    }

   private:
    Publication& publication_;
    const Taken taken_;
  };
  explicit Publication(PublishedSequence& published) noexcept : published_(published) {}
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;
  ~Publication() {
    if (!marked_) return;
    VARVE_HOOK("write.marked");
    published_.move_on();
  }

 private:
  PublishedSequence& published_;
  bool marked_ = false;
};

namespace {

std::size_t index_after(const RouteMap& routes, const Operation& erase_range, std::size_t first) {
  std::size_t end = first;
  const std::string_view to = erase_range.value;
  while (end < routes.size() && (to.empty() || routes.at(end)->lower() < to)) ++end;
  return VARVE_MUTANT("erase_range.last_segment_missed") ? std::max(first + 1, end - 1) : end;
}

bool is_range(const Operation& operation) noexcept {
  return operation.kind == OperationKind::EraseRange;
}

// Readers may be at any earlier sequence.
constexpr bool kKeepOlder = true;

}  // namespace

ConcurrentWriter::Request ConcurrentWriter::admit(const WriteOptions& options, std::size_t size,
                                                  bool erases) {
  if (core_.options.read_only) {
    throw Error(ErrorCode::ReadOnly, "the index was opened read-only", core_.directory->path());
  }
  core_.failure.rethrow_if_failed();
  Request request;
  request.erases = erases;
  request.durability = options.durability.value_or(core_.options.durability);
  if (options.deadline) {
    if (options.deadline->count() <= 0) {
      throw Error::busy("the write's deadline had passed before it began", {});
    }
    request.deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(*options.deadline);
  }
  if (erases || VARVE_MUTANT("reserve.given_to_growth")) {
    admit_erase(request, size);
  } else {
    if (core_.space.is_short()) [[unlikely]]
      core_.admit_growth();
    background_.admit(size, request.deadline, false);
  }
  return request;
}

// When memory is full up to the limit for erases, a flush that had no room gets what is kept back.
// It is done here, with no other job beside it: that would use up what is given to this one. How
// long that takes cannot be promised, so that erases with a deadline leave it to the background.
void ConcurrentWriter::admit_erase(const Request& request, std::size_t size) {
  try {
    background_.admit(size, request.deadline, true);
    return;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;
  }
  if (request.deadline) {
    if (core_.give_up_room()) background_.job_done();
    return background_.admit(size, request.deadline, true);
  }
  bool has_room = false;
  {
    const auto jobs = core_.lock_jobs();
    const auto is_full = [&] { return core_.flushable_size() >= memory_limit(core_, true); };
    while (is_full() && flush_for_erases(core_)) core_.measure_held_memory();
    has_room = !is_full();
  }
  background_.job_done();
  if (!has_room) background_.admit(size, {}, true);
}

// Takes a sequence and appends the record. Requires: the segments' locks.
template <typename Append>
ConcurrentWriter::Obstacle ConcurrentWriter::take(const Request& request, std::size_t payload_size,
                                                  Sequence count, const Append& append,
                                                  Taken& taken) {
  if (core_.exclusive_scans.load(std::memory_order_seq_cst) != 0) return Obstacle::Scan;
  if (!request.logged()) core_.unlogged_writes.store(true, std::memory_order_seq_cst);
  const auto lock = core_.lock_log();
  if (request.logged() && !core_.log_ready(payload_size)) return Obstacle::Log;
  taken.first = core_.last_sequence() + 1;
  taken.last = taken.first + count - 1;
  core_.concurrency->published.await_room(taken.first);
  if (request.logged()) {
    core_.on_log([&](WriteLog& log) { append(log, taken.first); });
    if (!VARVE_MUTANT("write.log_position_forgotten")) {
      taken.log_position = core_.log->bytes_appended();
    }
  }
  core_.set_last_sequence(taken.last);
  return Obstacle::None;
}

ConcurrentWriter::Obstacle ConcurrentWriter::try_write_one(const Request& request,
                                                           OperationKind kind, std::string_view key,
                                                           std::string_view value, Taken& taken) {
  const auto pinned = Core::pin();
  segment::Segment& segment = core_.routes().find(key);
  VARVE_HOOK("write.routed");
  Publication publication(core_.concurrency->published);
  const std::unique_lock lock = lock_for(request, segment.writer_mutex());
  if (segment.retired() && !VARVE_MUTANT("write.route_not_checked")) return Obstacle::Retired;
  // What the insertion waits for is on its way while the log is appended to.
  const std::uint64_t hash = directory::hash64(key);
  const segment::Delta::Place place = segment.find_place(key, hash);
  const Obstacle obstacle = take(
      request, WriteLog::operation_payload_size(key, value), 1,
      [&](WriteLog& log, Sequence sequence) {
        log.append_operation(sequence, kind, key, value, request.durability);
      },
      taken);
  if (obstacle != Obstacle::None) return obstacle;
  const Publication::Mark mark(publication, taken);
  VARVE_HOOK("write.logged");
  apply_logged(core_.failure, [&] {
    segment.insert(place, key, hash, entry_kind(kind), value, taken.first, kKeepOlder);
  });
  return Obstacle::None;
}

void ConcurrentWriter::write_one(OperationKind kind, std::string_view key, std::string_view value,
                                 const WriteOptions& options) {
  const Request request = admit(options, key.size() + value.size(), kind == OperationKind::Erase);
  Taken taken;
  Obstacle obstacle = try_write_one(request, kind, key, value, taken);
  while (obstacle != Obstacle::None) [[unlikely]] {
      overcome(obstacle, request, WriteLog::operation_payload_size(key, value));
      obstacle = try_write_one(request, kind, key, value, taken);
    }
  finish(request, taken);
}

// Waits, without any lock, until trying again makes sense.
void ConcurrentWriter::overcome(Obstacle obstacle, const Request& request,
                                std::size_t payload_size) {
  // Whoever has a deadline does not wait for jobs.
  if (obstacle == Obstacle::Log) {
    try {
      core_.ready_log(payload_size, request.erases && !request.deadline);
    } catch (const Error&) {
      background_.wake();  // It looks for room from now on.
      throw;
    }
  }
  if (obstacle == Obstacle::Scan) {
    std::unique_lock lock(scan_mutex_);
    wait_for_scans(lock, request.deadline);
  }
  if (request.deadline && Clock::now() >= *request.deadline) {
    throw Error::busy("the write's deadline passed while it waited", {});
  }
}

// All of the operations under one record. `operations` may hold range erases, which touch several
// segments each.
template <typename Append>
ConcurrentWriter::Obstacle ConcurrentWriter::try_write_all(const Request& request,
                                                           const std::vector<Operation>& operations,
                                                           std::size_t payload_size,
                                                           const Append& append, Taken& taken) {
  const auto pinned = Core::pin();
  const RouteMap& routes = core_.routes();
  std::vector<std::size_t> first_segments;  // By operation.
  std::vector<segment::Segment*> segments;
  first_segments.reserve(operations.size());
  OperationSequencer sequencer(1);
  RouteMap::Walk route(routes);
  for (const Operation& operation : operations) {
    const std::size_t first = route.index_of(operation.key);
    const std::size_t end = is_range(operation) ? index_after(routes, operation, first) : first + 1;
    // The one before most often named the same one.
    const bool known =
        end == first + 1 && !segments.empty() && segments.back() == &*routes.at(first);
    first_segments.push_back(first);
    for (std::size_t i = first; i < end && !known; ++i) segments.push_back(routes.at(i).get());
    static_cast<void>(sequencer.next(operation.kind));
  }
  VARVE_HOOK("batch.routed");
  Publication publication(core_.concurrency->published);
  const SegmentLocks locks(core_, segments, request.deadline);
  if (!VARVE_MUTANT("batch.routes_not_checked") &&
      std::any_of(segments.begin(), segments.end(),
                  [](const segment::Segment* segment) { return segment->retired(); })) {
    return Obstacle::Retired;
  }
  const Obstacle obstacle = take(request, payload_size, sequencer.last(), append, taken);
  if (obstacle != Obstacle::None) return obstacle;
  const Publication::Mark mark(publication, taken);
  VARVE_HOOK("batch.logged");
  apply_logged(core_.failure, [&] { apply(operations, first_segments, routes, taken.first); });
  return Obstacle::None;
}

void ConcurrentWriter::apply(const std::vector<Operation>& operations,
                             const std::vector<std::size_t>& first_segments, const RouteMap& routes,
                             Sequence sequence) {
  OperationSequencer sequencer(sequence);
  InsertionQueue<segment::Segment> queue(kKeepOlder);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    const Sequence own = sequencer.next(operation.kind);
    if (!is_range(operation)) {
      queue.add(*routes.at(first_segments[i]), entry_kind(operation.kind), operation.key,
                operation.value, own);
      continue;
    }
    queue.finish();
    const std::size_t end = index_after(routes, operation, first_segments[i]);
    for (std::size_t at = first_segments[i]; at < end; ++at) {
      segment::Segment& segment = *routes.at(at);
      if (!segment.view().has_memory() && segment.view().runs.empty()) continue;
      segment.note_write(own);
      core_.publish_locked(segment, [&](segment::View& view) {
        view.range_tombstones.push_back(
            {std::string(operation.key), std::string(operation.value), own});
      });
    }
  }
  queue.finish();
}

template <typename Append>
void ConcurrentWriter::write_all(const Request& request, const std::vector<Operation>& operations,
                                 std::size_t payload_size, const Append& append) {
  Taken taken;
  Obstacle obstacle = try_write_all(request, operations, payload_size, append, taken);
  while (obstacle != Obstacle::None) {
    overcome(obstacle, request, payload_size);
    obstacle = try_write_all(request, operations, payload_size, append, taken);
  }
  if (std::any_of(operations.begin(), operations.end(), is_range)) background_.wake();
  finish(request, taken);
}

void ConcurrentWriter::erase_range(std::string_view from, std::string_view to,
                                   const WriteOptions& options) {
  const Request request = admit(options, from.size() + to.size(), true);
  write_all(request, {{OperationKind::EraseRange, from, to}},
            WriteLog::operation_payload_size(from, to), [&](WriteLog& log, Sequence sequence) {
              log.append_operation(sequence, OperationKind::EraseRange, from, to,
                                   request.durability);
            });
}

void ConcurrentWriter::write(const WriteBatch& batch, const WriteOptions& options) {
  const Request request = admit(options, batch.size(), batch.put_count() == 0);
  if (batch.empty()) return;
  std::vector<Operation> operations;
  operations.reserve(batch.count());
  OperationReader reader(batch.encoded());
  Operation operation;
  while (reader.next(operation)) operations.push_back(operation);
  VARVE_CHECK(reader.ok());  // WriteBatch encodes only what parses.
  write_all(request, operations, batch.size(), [&](WriteLog& log, Sequence sequence) {
    log.append(sequence, batch.encoded(), request.durability);
  });
}

void ConcurrentWriter::finish(const Request& request, const Taken& taken) {
  VARVE_HOOK("write.inserted");
  if (!VARVE_MUTANT("write.not_awaited")) core_.concurrency->published.await(taken.last);
  background_.wrote();
  if (request.durability == Durability::Synced) {
    core_.on_log([&](WriteLog& log) { log.sync_through(taken.log_position); });
  }
}

// Requires: scan_mutex_ held by `lock`, and nothing else.
void ConcurrentWriter::wait_for_scans(std::unique_lock<directory::Mutex>& lock,
                                      const Background::Deadline& deadline) {
  const auto done = [this] { return stopped_ || core_.exclusive_scans == 0; };
  if (!done() && scanner_ == std::this_thread::get_id()) {
    throw Error(ErrorCode::Busy, "an exclusive scan of this thread is open: destroy it first");
  }
  if (deadline) {
    if (!scans_ended_.wait_until(lock, *deadline, done)) {
      throw Error(ErrorCode::Busy, "an exclusive scan was open until the write's deadline");
    }
  } else {
    scans_ended_.wait(lock, done);
  }
  if (stopped_) throw Error(ErrorCode::Closed, "the index is closed", core_.directory->path());
}

// A writer looks for scans when it has its segment's lock: once each lock was free, all writers
// that did not see this scan are done, and about to be published.
void ConcurrentWriter::drain_writers() {
  const auto pinned = Core::pin();
  for (const auto& segment : core_.routes().segments()) {
    const std::lock_guard lock(segment->writer_mutex());
  }
  if (VARVE_MUTANT("scan.done_not_awaited")) return;
  core_.concurrency->published.await(core_.last_sequence());
}

void ConcurrentWriter::end_exclusive_scan() noexcept {
  {
    const std::lock_guard lock(scan_mutex_);  // Nobody is between its look and its wait.
  }
  scans_ended_.notify_all();
}

void ConcurrentWriter::stop() noexcept {
  {
    const std::lock_guard lock(scan_mutex_);
    stopped_ = true;
  }
  scans_ended_.notify_all();
}

}  // namespace varve::internal

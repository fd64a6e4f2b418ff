// SPDX-License-Identifier: Apache-2.0
#include "lib/concurrent_index.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>
#include <utility>

#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/fork_marker.hpp"
#include "directory/mutant.hpp"
#include "directory/mutex.hpp"
#include "lib/background.hpp"
#include "lib/concurrent_writer.hpp"
#include "lib/engine.hpp"
#include "lib/engine_cursor.hpp"
#include "lib/hooks.hpp"
#include "lib/hot_keys.hpp"
#include "lib/index_statistics.hpp"
#include "lib/key_lookups.hpp"
#include "lib/maintenance.hpp"
#include "lib/operation_checks.hpp"
#include "varve/concurrent/thread_number.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

// Reads pin an epoch and take no lock. Their order matters: first the segment's view, then the
// sequence to read at. A view that a merge published holds what every reader needs from the merge's
// own sequence on, and whoever finds that view loads a sequence that is not below it.
class ConcurrentIndex final : public Index {
 public:
  explicit ConcurrentIndex(std::unique_ptr<Core> core)
      : path_(core->directory->path()),
        engine_(std::make_unique<Engine>(std::move(core))),
        core_(engine_->core()),
        background_(std::make_unique<Background>(core_)),
        writer_(std::make_unique<ConcurrentWriter>(core_, *background_)),
        hot_keys_(core_.options.tuning.hot_path_size),
        close_mutex_(core_.locks.close) {
    background_->start();
  }
  ~ConcurrentIndex() override;

  void put(std::string_view key, std::string_view value, const WriteOptions& options) override {
    check_key(key);
    check_value(value);
    const Call call(*this);
    writer_->write_one(OperationKind::Put, key, value, options);
  }
  void erase(std::string_view key, const WriteOptions& options) override {
    check_key(key);
    const Call call(*this);
    writer_->write_one(OperationKind::Erase, key, {}, options);
  }
  void erase_range(std::string_view from, std::string_view to,
                   const WriteOptions& options) override {
    const Call call(*this);
    if (!to.empty() && from >= to) return;
    check_bounds(from, to);
    writer_->erase_range(from, to, options);
  }
  void write(const WriteBatch& batch, const WriteOptions& options) override {
    const Call call(*this);
    writer_->write(batch, options);
  }
  bool get(std::string_view key, std::string& value, Sequence at) override {
    const Read read(*this);
    const std::uint64_t hash = directory::hash64(key);
    const std::uint64_t random = concurrent::thread_random();
    if (at == segment::kSequenceMax && hot_keys_.possible())
      return get_now(key, hash, value, random);
    std::string scratch;
    const segment::FoundEntry found = find(key, hash, at, scratch, random);
    if (found.found) value.assign(found.value);
    return found.found;
  }
  bool contains(std::string_view key, Sequence at) override {
    const Read read(*this);
    std::string scratch;
    return find(key, directory::hash64(key), at, scratch, concurrent::thread_random()).found;
  }
  std::size_t multi_get(std::span<const std::string_view> keys, Sequence at,
                        std::span<std::optional<std::string>> values) override;
  std::unique_ptr<detail::CursorCore> scan(const ScanOptions& options) override;
  Sequence take_snapshot() override {
    const Read read(*this);
    return core_.take_snapshot();
  }
  void release_snapshot(Sequence sequence) noexcept override {
    if (!forked()) core_.snapshots.remove(sequence);
  }

  void sync() override {
    const Call call(*this);
    if (core_.options.read_only) return;
    core_.failure.rethrow_if_failed();
    if (core_.unlogged_writes ||
        (core_.unlogged_in_flush && !VARVE_MUTANT("sync.flush_not_awaited"))) {
      const auto jobs = core_.lock_jobs();  // Waits for the job that flushes some now.
      if (core_.unlogged_writes) flush_all(core_);
    }
    core_.sync_log();
  }
  void flush() override {
    const Call call(*this);
    job([this] { engine_->flush(); });
  }
  void compact(const CompactOptions& options) override;
  bool maintain() override {
    const Call call(*this);
    bool worked = false;
    job([&] { worked = engine_->maintain(); });
    return worked;
  }
  void close() override;

  Lifecycle lifecycle() const noexcept override;
  bool healthy() const noexcept override {
    return lifecycle() == Lifecycle::Ready && background_->healthy() && engine_->healthy();
  }
  Statistics statistics() override;
  LockReport lock_report() override {
    const Call call(*this);
    const auto& monitor = core_.locks.monitor;
    return monitor == nullptr ? LockReport{} : monitor->report();
  }
  segment::FilterTally tally_filters(std::string_view key) override {
    const Read read(*this);
    std::string scratch;
    return core_.routes().find(key).view().tally_filters(key, directory::hash64(key), scratch);
  }
  const std::filesystem::path& path() const noexcept override { return path_; }
  Options options() override {
    const Call call(*this);
    return engine_->options();
  }
  void set_codecs(std::string_view key_codec, std::string_view value_codec) override {
    const Call call(*this);
    job([&] { engine_->set_codecs(key_codec, value_codec); });
  }

 private:
  class ConcurrentCursor;

  static constexpr unsigned kReadSampleShift = 64 - 7;     // One read of 128 is noted,
  static constexpr unsigned kMemorySampleShift = 64 - 13;  // one of 8,192 looks at the memory,
  static constexpr unsigned kScanSampleShift = 64 - 8;  // and so does one of 256 scans and seeks.
  // Of a retired view, with its lists and what notes it, about.
  static constexpr std::uint64_t kRetiredSize = sizeof(segment::View) + 512;

  // A read in progress: close() waits for it as the freeing of views does, by its pin.
  class Read {
   public:
    explicit Read(ConcurrentIndex& index) : pinned_(Core::pin()) { index.check_open(); }

   private:
    concurrent::EpochDomain::Guard pinned_;
  };
  // A call that may wait, and so must not be pinned while it does.
  class Call {
   public:
    explicit Call(ConcurrentIndex& index) : index_(index) {
      index_.call_count_.fetch_add(1, std::memory_order_seq_cst);
      try {
        index_.check_open();
      } catch (...) {
        leave();
        throw;
      }
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { leave(); }

   private:
    void leave() noexcept {
      if (index_.call_count_.fetch_sub(1, std::memory_order_seq_cst) != 1) return;
      if (!index_.open_.load(std::memory_order_seq_cst)) index_.call_count_.notify_all();
    }
    ConcurrentIndex& index_;
  };

  // Requires: pinned, until the value has been copied. `random`: of concurrent::thread_random().
  [[nodiscard]] segment::FoundEntry find(std::string_view key, std::uint64_t hash, Sequence at,
                                         std::string& scratch, std::uint64_t random) {
    return find_in(core_.routes().find(key), key, hash, at, scratch, random);
  }
  [[nodiscard]] segment::FoundEntry find_in(segment::Segment& segment, std::string_view key,
                                            std::uint64_t hash, Sequence at, std::string& scratch,
                                            std::uint64_t random) {
    const bool early = VARVE_MUTANT("read.sequence_before_view");
    if (early && at == segment::kSequenceMax) at = core_.visible_sequence();
    VARVE_HOOK("read.routed");
    const segment::View& view = segment.view();
    if (speaks_for_gets(random, 1)) [[unlikely]]
      note_gets(segment, view, 1, random);
    VARVE_HOOK("read.view_found");
    if (at == segment::kSequenceMax) at = core_.visible_sequence();
    return view.find(key, hash, at, scratch);
  }
  // Whether one of `count` keys that are looked for together is to be noted.
  [[nodiscard]] static bool speaks_for_gets(std::uint64_t random, std::uint64_t count) noexcept {
    return random >> kReadSampleShift < count;
  }
  [[gnu::noinline]] void note_gets(segment::Segment& segment, const segment::View& view,
                                   std::uint64_t count, std::uint64_t random) noexcept {
    constexpr std::uint64_t kWeight = std::uint64_t{1} << (64 - kReadSampleShift);
    segment.note_read(static_cast<std::uint32_t>(view.runs.size() + view.frozen.size()));
    if (view.note_gets(std::max(kWeight, count))) {
      core_.reads_may_want_merge.store(true, std::memory_order_relaxed);
    }
    if (random >> kMemorySampleShift < count) background_->read_sampled();
  }
  // Requires: check_open(); in a forked child the background's lock may be held by nobody.
  void sample_scan() noexcept {
    if (concurrent::thread_random() >> kScanSampleShift == 0) background_->read_sampled();
  }
  bool get_now(std::string_view key, std::uint64_t hash, std::string& value, std::uint64_t random);
  template <typename Work>
  void job(const Work& work) {
    try {
      const auto jobs = core_.lock_jobs();
      work();
    } catch (...) {
      background_->wake();  // What failed may be for it to try again.
      throw;
    }
    background_->job_done();
  }
  [[nodiscard]] bool forked() const noexcept { return fork_marker_.forked(); }
  void check_open() const {
    if (!open_.load(std::memory_order_seq_cst) || forked()) [[unlikely]]
      refuse_call();
  }
  [[noreturn, gnu::noinline, gnu::cold]] void refuse_call() const {
    if (!open_.load(std::memory_order_seq_cst)) {
      throw Error(ErrorCode::Closed, "the index is closed", path_);
    }
    throw Error(ErrorCode::ForkedHandle,
                "this index was opened by the parent process; open it in this one", path_);
  }
  void wait_for_calls() const noexcept;

  const std::filesystem::path path_;
  const directory::ForkMarker fork_marker_;
  std::unique_ptr<Engine> engine_;  // Outlives close() while cursors are left.
  Core& core_;
  std::unique_ptr<Background> background_;
  std::unique_ptr<ConcurrentWriter> writer_;
  HotKeys hot_keys_;
  directory::Mutex close_mutex_;  // One close() at a time.
  std::atomic<bool> open_ = true;
  std::atomic<bool> closing_ = false;
  // Calls in progress, without reads, which look at what is above.
  alignas(segment::kLineSize) std::atomic<std::uint32_t> call_count_ = 0;
};

class ConcurrentIndex::ConcurrentCursor final : public detail::CursorCore {
 public:
  ConcurrentCursor(std::shared_ptr<ConcurrentIndex> index, const ScanOptions& options)
      : index_(std::move(index)),
        exclusive_(options.isolation == Isolation::Exclusive),
        cursor_(open(*index_, options)) {}
  ConcurrentCursor(const ConcurrentCursor&) = delete;
  ConcurrentCursor& operator=(const ConcurrentCursor&) = delete;
  ~ConcurrentCursor() override {
    // What a forked child has is the parent's, copied at an arbitrary moment: left alone.
    if (index_->forked()) return;
    index_->calls().scan_ended(cursor_.given_count());
    cursor_.~EngineCursor();
    if (exclusive_) index_->writer_->end_exclusive_scan();
  }
  bool step(Entry& entry) override {
    index_->check_open();
    return cursor_.step_straight(entry) || step_pinned(entry);
  }
  void seek(std::string_view key) override {
    const Read read(*index_);
    index_->sample_scan();
    cursor_.seek(key);
  }
  [[nodiscard]] ScanEnd end() const noexcept override { return cursor_.end(); }
  [[nodiscard]] std::string resume_token() const override {
    const Read read(*index_);
    return cursor_.resume_token();
  }

 private:
  // Out of line, so that the other steps save no registers for it.
  [[gnu::noinline]] bool step_pinned(Entry& entry) {
    const Read read(*index_);
    VARVE_HOOK("scan.stepping");
    return cursor_.step(entry);
  }
  static EngineCursor open(ConcurrentIndex& index, const ScanOptions& options) {
    const Read read(index);
    index.sample_scan();
    return EngineCursor(index.core_, options);
  }

  const std::shared_ptr<ConcurrentIndex> index_;
  const bool exclusive_;
  union {  // So that the destructor says when it ends.
    EngineCursor cursor_;
  };
};

// All answers are of one moment, which is registered as a snapshot meanwhile: views that are found
// later than it must still have what belongs to it.
std::size_t ConcurrentIndex::multi_get(std::span<const std::string_view> keys, Sequence at,
                                       std::span<std::optional<std::string>> values) {
  const Read read(*this);
  struct Registration {
    explicit Registration(Core& of) : core(of), sequence(of.take_snapshot()) {}
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() { core.snapshots.remove(sequence); }
    Core& core;
    Sequence sequence;
  };
  std::optional<Registration> present;
  if (at == segment::kSequenceMax) at = present.emplace(core_).sequence;
  if (VARVE_MUTANT("multi_get.moment_not_held")) present.reset();
  VARVE_HOOK("multi_get.begun");
  if (const std::uint64_t random = concurrent::thread_random();
      speaks_for_gets(random, keys.size())) {
    segment::Segment& segment = core_.routes().find(keys[random % keys.size()]);
    note_gets(segment, segment.view(), keys.size(), random);
  }
  return find_keys(core_.routes(), keys, at, values);
}

std::unique_ptr<detail::CursorCore> ConcurrentIndex::scan(const ScanOptions& options) {
  const auto open = [&] {
    auto self = std::static_pointer_cast<ConcurrentIndex>(shared_from_this());
    return std::make_unique<ConcurrentCursor>(std::move(self), options);
  };
  if (options.isolation != Isolation::Exclusive) return open();
  const Call call(*this);
  return writer_->begin_exclusive_scan(open);
}

// A get of the present moment, by the hot path if that is on. The order of the first three loads is
// what makes an entry valid: see HotKeys.
bool ConcurrentIndex::get_now(std::string_view key, std::uint64_t hash, std::string& value,
                              std::uint64_t random) {
  const Sequence published = core_.visible_sequence();
  segment::Segment& segment = core_.routes().find(key);
  const Sequence last_write = segment.last_write();
  const bool warm = hot_keys_.samples(random) && hot_keys_.regard(hash);
  const bool on = hot_keys_.on();
  HotKeys::Look look = HotKeys::Look::Miss;
  if (on) {
    look = hot_keys_.find(key, hash, last_write, value);
    if (look == HotKeys::Look::Hit) return true;
  }
  std::string scratch;
  const segment::FoundEntry found =
      find_in(segment, key, hash, segment::kSequenceMax, scratch, random);
  if (on && (warm || look == HotKeys::Look::Refresh)) {
    hot_keys_.let_in(key, hash, found, published, last_write);
  }
  if (found.found) value.assign(found.value);
  return found.found;
}

void ConcurrentIndex::compact(const CompactOptions& options) {
  const Call call(*this);
  MaintenanceProgress progress;
  std::optional<std::string> at(std::string(options.from));
  const std::uint64_t bytes_before = engine_->run_bytes_written();
  job([&] { progress.segments_total = engine_->segment_count(options.from, options.to); });
  while (at) {
    // One segment per passage, so that due jobs get their turn in between.
    job([&] { at = engine_->compact_step(*at, options.to, options.cancel); });
    VARVE_HOOK("compact.segment_done");
    progress.bytes_written = engine_->run_bytes_written() - bytes_before;
    count_segment(progress, !at);
    if (options.progress) options.progress(progress);
  }
}

Statistics ConcurrentIndex::statistics() {
  const Call call(*this);
  Statistics figures = engine_->statistics();
  const Background::Figures background = background_->figures();
  figures.paced_write_count = background.paced_write_count;
  figures.paced_microseconds = background.paced_nanoseconds / 1000;
  figures.stalled_write_count = background.stalled_write_count;
  figures.stalled_microseconds_max = background.stalled_nanoseconds_max / 1000;
  figures.failed_job_count += background.failed_job_count;
  if (!background.last_failure.empty()) figures.last_job_failure = background.last_failure;
  const auto epochs = core_.concurrency->domain.statistics(reader_age_limit(core_.options));
  figures.retired_view_count = epochs.pending_count;
  figures.oldest_reader_thread_id = epochs.oldest_pin_thread_id;
  figures.aged_reader_count += epochs.aged_pin_count;
  figures.hot_path = hot_keys_.statistics();
  figures.memory.hot_path_size = figures.hot_path.memory_size;
  figures.memory.structure_size += epochs.pending_count * kRetiredSize;
  figures.oldest_reader_microseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(epochs.oldest_pin_age).count());
  return figures;
}

void ConcurrentIndex::wait_for_calls() const noexcept {
  if (VARVE_MUTANT("close.calls_not_awaited")) return;
  std::uint32_t count = call_count_.load(std::memory_order_seq_cst);
  while (count != 0) {
    call_count_.wait(count, std::memory_order_seq_cst);
    count = call_count_.load(std::memory_order_seq_cst);
  }
  concurrent::EpochDomain::heavy_fence();
  concurrent::EpochDomain::synchronize();
}

void ConcurrentIndex::close() {
  if (forked()) {
    open_.store(false, std::memory_order_seq_cst);
    return;
  }
  const std::lock_guard lock(close_mutex_);
  if (!open_.load(std::memory_order_seq_cst)) return;
  closing_.store(true, std::memory_order_relaxed);
  open_.store(false, std::memory_order_seq_cst);  // Calls that begin from now on throw Closed.
  VARVE_HOOK("close.begun");
  writer_->stop();
  background_->stop(core_.options.close == CloseMode::CancelJobs);
  wait_for_calls();
  std::exception_ptr failure;
  try {
    engine_->close();
  } catch (...) {
    failure = std::current_exception();
  }
  closing_.store(false, std::memory_order_relaxed);
  engine_->release_ownership();
  if (failure != nullptr) std::rethrow_exception(failure);
}

ConcurrentIndex::~ConcurrentIndex() {
  if (forked()) {
    // Only the descriptors are given back; the rest stays as it was copied. The threads do not
    // exist in this process, and destroying what they wait for would wait for them.
    engine_->release_ownership();
    static_cast<void>(engine_.release());
    static_cast<void>(background_.release());
    static_cast<void>(writer_.release());
    return;
  }
  try {
    close();
  } catch (const std::exception&) {
    // A destructor cannot report; close() can, and says so in its comment. Nothing acknowledged is
    // lost: the log has it.
  }
}

Lifecycle ConcurrentIndex::lifecycle() const noexcept {
  if (closing_.load(std::memory_order_relaxed)) return Lifecycle::Closing;
  if (!open_.load(std::memory_order_acquire)) return Lifecycle::Closed;
  return core_.failure.failed() ? Lifecycle::Failed : Lifecycle::Ready;
}

}  // namespace

std::shared_ptr<Index> make_concurrent_index(std::unique_ptr<Core> core) {
  return std::make_shared<ConcurrentIndex>(std::move(core));
}

}  // namespace varve::internal

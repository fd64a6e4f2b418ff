// SPDX-License-Identifier: Apache-2.0
#include "lib/gated_index.hpp"

#include <atomic>
#include <exception>
#include <utility>

#include "directory/check.hpp"
#include "lib/concurrent_index.hpp"
#include "lib/engine.hpp"
#include "lib/engine_cursor.hpp"
#include "lib/gates.hpp"
#include "lib/hooks.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

template <typename Gate>
class GatedIndex final : public Index {
 public:
  explicit GatedIndex(std::unique_ptr<Core> core)
      : path_(core->directory->path()), engine_(std::make_unique<Engine>(std::move(core))) {}
  ~GatedIndex() override;

  void put(std::string_view key, std::string_view value, const WriteOptions& options) override {
    const WriteEntry entry(*this, options);
    engine_->put(key, value, options);
  }
  void erase(std::string_view key, const WriteOptions& options) override {
    const WriteEntry entry(*this, options);
    engine_->erase(key, options);
  }
  void erase_range(std::string_view from, std::string_view to,
                   const WriteOptions& options) override {
    const WriteEntry entry(*this, options);
    engine_->erase_range(from, to, options);
  }
  void write(const WriteBatch& batch, const WriteOptions& options) override {
    const WriteEntry entry(*this, options);
    engine_->write(batch, options);
  }
  bool get(std::string_view key, std::string& value, Sequence at) override {
    const ReadEntry entry(*this);
    return engine_->get(key, value, at);
  }
  bool contains(std::string_view key, Sequence at) override {
    const ReadEntry entry(*this);
    return engine_->contains(key, at);
  }
  std::size_t multi_get(std::span<const std::string_view> keys, Sequence at,
                        std::span<std::optional<std::string>> values) override {
    const ReadEntry entry(*this);
    return engine_->multi_get(keys, at, values);
  }
  std::unique_ptr<detail::CursorCore> scan(const ScanOptions& options) override;
  Sequence take_snapshot() override {
    const ReadEntry entry(*this);
    return engine_->take_snapshot();
  }
  void release_snapshot(Sequence sequence) noexcept override {
    if (engine_ == nullptr || forked()) return;
    const typename Gate::Guard guard(gate_);
    if (engine_ != nullptr) engine_->release_snapshot(sequence);
  }

  void sync() override {
    const ReadEntry entry(*this);
    engine_->sync();
  }
  void flush() override {
    const ReadEntry entry(*this);
    engine_->flush();
  }
  void compact(const CompactOptions& options) override;
  bool maintain() override {
    const ReadEntry entry(*this);
    return engine_->maintain();
  }
  void close() override;

  Lifecycle lifecycle() const noexcept override;
  bool healthy() const noexcept override {
    return lifecycle() == Lifecycle::Ready && engine_->healthy();
  }
  Statistics statistics() override {
    const ReadEntry entry(*this);
    return engine_->statistics();
  }
  segment::FilterTally tally_filters(std::string_view key) override {
    // A figure is not worth waiting for.
    const typename Gate::TryGuard guard(checked_gate());
    if (!guard.entered()) return {};
    check_open();
    return engine_->tally_filters(key);
  }
  const std::filesystem::path& path() const noexcept override { return path_; }
  Options options() override {
    const ReadEntry entry(*this);
    return engine_->options();
  }
  void set_codecs(std::string_view key_codec, std::string_view value_codec) override {
    const ReadEntry entry(*this);
    engine_->set_codecs(key_codec, value_codec);
  }

 private:
  class GatedCursor;

  // One public call: through the gate, then the index must be open. The fork check comes before
  // the gate, because a child's copy of a lock that another thread held is locked for ever.
  class ReadEntry {
   public:
    explicit ReadEntry(GatedIndex& index) : guard_(index.checked_gate()) { index.check_open(); }

   private:
    typename Gate::Guard guard_;
  };
  class WriteEntry {
   public:
    WriteEntry(GatedIndex& index, const WriteOptions& options)
        : guard_(
              index.checked_gate(), [&index] { return index.scanned_exclusively(); },
              options.deadline) {
      index.check_open();
    }

   private:
    typename Gate::WriteGuard guard_;
  };

  [[nodiscard]] bool forked() const noexcept { return engine_->ownership().forked(); }
  [[nodiscard]] bool scanned_exclusively() const noexcept {
    return open_.load(std::memory_order_relaxed) && engine_->exclusive_scans() != 0;
  }
  Gate& checked_gate() {
    if (!open_.load(std::memory_order_acquire)) throw_closed();
    if (forked()) {
      throw Error(ErrorCode::ForkedHandle,
                  "this index was opened by the parent process; open it in this one", path_);
    }
    return gate_;
  }
  void check_open() const {
    if (!open_.load(std::memory_order_relaxed)) throw_closed();
  }
  [[noreturn]] void throw_closed() const {
    throw Error(ErrorCode::Closed, "the index is closed", path_);
  }

  const std::filesystem::path path_;
  mutable Gate gate_;
  std::unique_ptr<Engine> engine_;  // Outlives close() while cursors are left.
  std::atomic<bool> open_ = true;
  std::atomic<bool> closing_ = false;
  std::size_t cursor_count_ = 0;
};

template <typename Gate>
class GatedIndex<Gate>::GatedCursor final : public detail::CursorCore {
 public:
  GatedCursor(std::shared_ptr<GatedIndex> index, std::unique_ptr<EngineCursor> cursor,
              bool exclusive) noexcept
      : index_(std::move(index)), cursor_(std::move(cursor)), exclusive_(exclusive) {}
  ~GatedCursor() override {
    if (index_->forked()) {
      // The parent's structures, copied at an arbitrary moment: leave them alone.
      static_cast<void>(cursor_.release());
      return;
    }
    const typename Gate::Guard guard(index_->gate_);
    index_->calls().scan_ended(cursor_->given_count());
    cursor_.reset();
    --index_->cursor_count_;
    if (exclusive_) index_->gate_.exclusive_scan_ended();
  }
  bool step(Entry& entry) override {
    VARVE_HOOK("scan.stepping");
    const ReadEntry inside(*index_);
    return cursor_->step_straight(entry) || cursor_->step(entry);
  }
  void seek(std::string_view key) override {
    const ReadEntry inside(*index_);
    cursor_->seek(key);
  }
  [[nodiscard]] ScanEnd end() const noexcept override { return cursor_->end(); }
  [[nodiscard]] std::string resume_token() const override {
    const ReadEntry inside(*index_);
    return cursor_->resume_token();
  }

 private:
  const std::shared_ptr<GatedIndex> index_;
  std::unique_ptr<EngineCursor> cursor_;
  const bool exclusive_;
};

template <typename Gate>
std::unique_ptr<detail::CursorCore> GatedIndex<Gate>::scan(const ScanOptions& options) {
  const bool exclusive = options.isolation == Isolation::Exclusive;
  // Two exclusive scans exclude each other as a scan and a write do.
  std::optional<WriteEntry> as_writer;
  std::optional<ReadEntry> as_reader;
  if (exclusive) {
    as_writer.emplace(*this, WriteOptions{});
    if (engine_->exclusive_scans() != 0) {
      throw Error(ErrorCode::Busy, "another exclusive scan is open", path_);
    }
  } else {
    as_reader.emplace(*this);
  }
  auto self = std::static_pointer_cast<GatedIndex>(shared_from_this());
  auto cursor = engine_->scan(options);
  if (exclusive) gate_.exclusive_scan_began();
  ++cursor_count_;
  return std::make_unique<GatedCursor>(std::move(self), std::move(cursor), exclusive);
}

template <typename Gate>
void GatedIndex<Gate>::compact(const CompactOptions& options) {
  MaintenanceProgress progress;
  std::uint64_t bytes_before = 0;
  std::optional<std::string> at(std::string(options.from));
  {
    const ReadEntry entry(*this);
    progress.segments_total = engine_->segment_count(options.from, options.to);
    bytes_before = engine_->run_bytes_written();
  }
  while (at) {
    {
      // One segment per passage, so that others get their turn in between.
      const ReadEntry entry(*this);
      at = engine_->compact_step(*at, options.to, options.cancel);
      progress.bytes_written = engine_->run_bytes_written() - bytes_before;
    }
    VARVE_HOOK("compact.segment_done");
    count_segment(progress, !at);
    if (options.progress) options.progress(progress);
  }
}

template <typename Gate>
void GatedIndex<Gate>::close() {
  if (!open_.load(std::memory_order_acquire)) return;
  if (forked()) {
    open_.store(false, std::memory_order_release);
    return;
  }
  const typename Gate::Guard guard(gate_);
  if (!open_.load(std::memory_order_relaxed)) return;
  closing_.store(true, std::memory_order_relaxed);
  std::exception_ptr failure;
  try {
    engine_->close();
  } catch (...) {
    failure = std::current_exception();
  }
  open_.store(false, std::memory_order_release);
  closing_.store(false, std::memory_order_relaxed);
  gate_.exclusive_scan_ended();  // Writers that wait for a scan find the index closed.
  engine_->release_ownership();
  if (failure != nullptr) std::rethrow_exception(failure);
}

template <typename Gate>
GatedIndex<Gate>::~GatedIndex() {
  if (forked()) {
    // Only the descriptors are given back; as for cursors, the rest stays as it was copied.
    engine_->release_ownership();
    static_cast<void>(engine_.release());
    return;
  }
  if (!open_.load(std::memory_order_acquire)) return;
  try {
    close();
  } catch (const std::exception&) {
    // A destructor cannot report; close() can, and says so in its comment. Nothing acknowledged is
    // lost: the log has it.
  }
}

template <typename Gate>
Lifecycle GatedIndex<Gate>::lifecycle() const noexcept {
  if (closing_.load(std::memory_order_relaxed)) return Lifecycle::Closing;
  if (!open_.load(std::memory_order_acquire)) return Lifecycle::Closed;
  return engine_->failure().failed() ? Lifecycle::Failed : Lifecycle::Ready;
}

}  // namespace

std::shared_ptr<Index> make_index(std::unique_ptr<Core> core) {
  switch (core->options.access) {
    case Access::Bare:
      return std::make_shared<GatedIndex<BareGate>>(std::move(core));
    case Access::Synchronized:
      return std::make_shared<GatedIndex<SynchronizedGate>>(std::move(core));
    case Access::Concurrent:
      return make_concurrent_index(std::move(core));
  }
  throw Error(ErrorCode::InvalidArgument, "option access has an unknown value");
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#include "varve/segment_index.hpp"

#include <exception>
#include <utility>

#include "lib/call_recorder.hpp"
#include "lib/gated_index.hpp"
#include "lib/hooks.hpp"
#include "lib/scan_range.hpp"
#include "lib/segment_index_access.hpp"

namespace varve {

using internal::CallKind;
using internal::SegmentIndexAccess;
using Amount = internal::CallRecorder::Amount;

std::string_view to_string(Lifecycle lifecycle) noexcept {
  switch (lifecycle) {
    case Lifecycle::New:
      return "New";
    case Lifecycle::Opening:
      return "Opening";
    case Lifecycle::Ready:
      return "Ready";
    case Lifecycle::Closing:
      return "Closing";
    case Lifecycle::Closed:
      return "Closed";
    case Lifecycle::Failed:
      return "Failed";
  }
  return "Unknown";
}

std::string_view to_string(ScanEnd end) noexcept {
  switch (end) {
    case ScanEnd::None:
      return "None";
    case ScanEnd::End:
      return "End";
    case ScanEnd::Limit:
      return "Limit";
    case ScanEnd::Invalidated:
      return "Invalidated";
  }
  return "Unknown";
}

namespace internal {

SegmentIndex SegmentIndexAccess::open(const std::shared_ptr<directory::Directory>& directory,
                                      const Options& options, OpenMode mode) {
  return SegmentIndex(make_index(open_core(directory, options, mode)));
}

Snapshot SegmentIndexAccess::make_snapshot(std::shared_ptr<Index> index) {
  const Sequence sequence = index->take_snapshot();
  return {std::move(index), sequence};
}

Sequence SegmentIndexAccess::sequence_of_snapshot(const Snapshot* snapshot, const Index& index) {
  if (snapshot->index_.get() != &index) {
    throw Error(ErrorCode::InvalidArgument, "the snapshot is not one of this index", index.path());
  }
  return snapshot->sequence_;
}

}  // namespace internal

Snapshot::Snapshot(std::shared_ptr<internal::Index> index, std::uint64_t sequence) noexcept
    : index_(std::move(index)), sequence_(sequence) {}
Snapshot::Snapshot(Snapshot&& other) noexcept
    : index_(std::move(other.index_)), sequence_(other.sequence_) {}
Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  std::swap(index_, other.index_);
  std::swap(sequence_, other.sequence_);
  return *this;
}
Snapshot::~Snapshot() {
  if (index_ != nullptr) index_->release_snapshot(sequence_);
}

Cursor::Cursor(std::unique_ptr<detail::CursorCore> core) noexcept : core_(std::move(core)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

SegmentIndex SegmentIndex::open(const std::filesystem::path& directory, const Options& options) {
  return SegmentIndexAccess::open(
      directory::make_posix_directory(
          directory, {.allow_network_file_system = options.allow_network_file_system}),
      options);
}

SegmentIndex SegmentIndex::create(const std::filesystem::path& directory, const Options& options) {
  return SegmentIndexAccess::open(
      directory::make_posix_directory(
          directory, {.allow_network_file_system = options.allow_network_file_system}),
      options, internal::OpenMode::Create);
}

TryOpen SegmentIndex::try_open(const std::filesystem::path& directory, const Options& options) {
  TryOpen result;
  try {
    result.index = open(directory, options);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::NotFound) {
      result.refusal = OpenRefusal::NotFound;
    } else if (error.code() == ErrorCode::Locked) {
      result.refusal = OpenRefusal::Locked;
      result.holder = lock_status(directory).holder;
    } else {
      throw;
    }
  }
  return result;
}

SegmentIndex SegmentIndex::open_in_memory(const Options& options) {
  return SegmentIndexAccess::open(directory::make_memory_directory(), options);
}

SegmentIndex::SegmentIndex() noexcept = default;
SegmentIndex::SegmentIndex(std::shared_ptr<internal::Index> index) noexcept
    : index_(std::move(index)) {}
SegmentIndex::SegmentIndex(SegmentIndex&&) noexcept = default;

SegmentIndex& SegmentIndex::operator=(SegmentIndex&& other) noexcept {
  SegmentIndex old(std::move(*this));  // Closed at the end of the scope.
  index_ = std::move(other.index_);
  return *this;
}

SegmentIndex::~SegmentIndex() {
  if (index_ == nullptr) return;
  try {
    index_->close();
  } catch (const std::exception&) {
    // close() reports; a destructor cannot. Nothing acknowledged is lost: the log has it.
  }
}

namespace {

[[noreturn]] void throw_not_open() {
  throw Error(ErrorCode::Closed, "the index handle is not open");
}

}  // namespace

inline internal::Index& SegmentIndex::ready() const {
  if (index_ == nullptr) [[unlikely]]
    throw_not_open();
  return *index_;
}

namespace {

// Does work(call, index, arguments...) as a call of that kind.
template <CallKind kKind, typename Work, typename... Arguments>
auto recorded(internal::Index& index, Work work, Arguments... arguments) {
  return internal::record_call<kKind>(index.calls(), work, &index, arguments...);
}

// For the figures alone: what fails here fails again where it matters.
[[gnu::noinline]] void look_at_filters(internal::Index& index, std::string_view key) noexcept {
  const internal::hooks::Unheard unheard;
  try {
    index.calls().add_filter_tally(index.tally_filters(key));
  } catch (const std::exception&) {
  }
}

}  // namespace

void SegmentIndex::put(std::string_view key, std::string_view value, const WriteOptions& options) {
  recorded<CallKind::Put>(
      ready(),
      [](auto& call, internal::Index* index, std::string_view k, std::string_view v,
         const WriteOptions* how) {
        index->put(k, v, *how);
        call.add(Amount::UserBytes, k.size() + v.size());
        call.succeeded();
      },
      key, value, &options);
}
void SegmentIndex::erase(std::string_view key, const WriteOptions& options) {
  recorded<CallKind::Erase>(
      ready(),
      [](auto& call, internal::Index* index, std::string_view k, const WriteOptions* how) {
        index->erase(k, *how);
        call.add(Amount::UserBytes, k.size());
        call.succeeded();
      },
      key, &options);
}
void SegmentIndex::erase_range(std::string_view from, std::string_view to,
                               const WriteOptions& options) {
  recorded<CallKind::EraseRange>(
      ready(),
      [](auto& call, internal::Index* index, std::string_view begin, std::string_view end,
         const WriteOptions* how) {
        index->erase_range(begin, end, *how);
        call.add(Amount::UserBytes, begin.size() + end.size());
        call.succeeded();
      },
      from, to, &options);
}
void SegmentIndex::erase_prefix(std::string_view prefix, const WriteOptions& options) {
  erase_range(prefix, internal::prefix_end(prefix), options);
}
void SegmentIndex::write(const WriteBatch& batch, const WriteOptions& options) {
  recorded<CallKind::Batch>(
      ready(),
      [](auto& call, internal::Index* index, const WriteBatch* all, const WriteOptions* how) {
        index->write(*all, *how);
        call.add(Amount::BatchPuts, all->put_count());
        call.add(Amount::BatchErases, all->count() - all->put_count());
        call.add(Amount::UserBytes, all->data_size());
        call.succeeded();
      },
      &batch, &options);
}

std::optional<std::string> SegmentIndex::get(std::string_view key, const Snapshot* snapshot) const {
  std::string value;
  if (!get(key, value, snapshot)) return std::nullopt;
  return value;
}
bool SegmentIndex::get(std::string_view key, std::string& value, const Snapshot* snapshot) const {
  return recorded<CallKind::Get>(
      ready(),
      [](auto& call, internal::Index* index, std::string_view k, std::string* to,
         const Snapshot* as_of) {
        const bool found = index->get(k, *to, SegmentIndexAccess::sequence_of(as_of, *index));
        call.succeeded(found);
        if (call.deserves_a_closer_look()) look_at_filters(*index, k);
        return found;
      },
      key, &value, snapshot);
}
bool SegmentIndex::contains(std::string_view key, const Snapshot* snapshot) const {
  return recorded<CallKind::Get>(
      ready(),
      [](auto& call, internal::Index* index, std::string_view k, const Snapshot* as_of) {
        const bool found = index->contains(k, SegmentIndexAccess::sequence_of(as_of, *index));
        call.succeeded(found);
        if (call.deserves_a_closer_look()) look_at_filters(*index, k);
        return found;
      },
      key, snapshot);
}
std::vector<std::optional<std::string>> SegmentIndex::multi_get(
    std::span<const std::string_view> keys, const Snapshot* snapshot) const {
  std::vector<std::optional<std::string>> values(keys.size());
  multi_get(keys, values, snapshot);
  return values;
}
std::size_t SegmentIndex::multi_get(std::span<const std::string_view> keys,
                                    std::span<std::optional<std::string>> values,
                                    const Snapshot* snapshot) const {
  return recorded<CallKind::MultiGet>(
      ready(),
      [](auto& call, internal::Index* index, std::span<const std::string_view> all,
         std::span<std::optional<std::string>> to, const Snapshot* as_of) {
        if (to.size() != all.size()) {
          throw Error(ErrorCode::InvalidArgument,
                      "multi_get of " + std::to_string(all.size()) + " keys was given " +
                          std::to_string(to.size()) + " values to fill",
                      index->path());
        }
        const std::size_t hit_count =
            index->multi_get(all, SegmentIndexAccess::sequence_of(as_of, *index), to);
        call.add(Amount::MultiGetKeys, all.size());
        call.add(Amount::MultiGetHits, hit_count);
        call.succeeded();
        return hit_count;
      },
      keys, values, snapshot);
}

Cursor SegmentIndex::scan(const ScanOptions& options) const {
  return recorded<CallKind::Scan>(
      ready(),
      [](auto& call, internal::Index* index, const ScanOptions* what) {
        static_cast<void>(SegmentIndexAccess::sequence_of(what->snapshot, *index));
        Cursor cursor(index->scan(*what));
        call.succeeded();
        return cursor;
      },
      &options);
}
Snapshot SegmentIndex::snapshot() const {
  static_cast<void>(ready());
  return SegmentIndexAccess::make_snapshot(index_);
}

void SegmentIndex::sync() {
  recorded<CallKind::Sync>(ready(), [](auto& call, internal::Index* index) {
    index->sync();
    call.succeeded();
  });
}
void SegmentIndex::flush() {
  recorded<CallKind::Flush>(ready(), [](auto& call, internal::Index* index) {
    index->flush();
    call.succeeded();
  });
}
void SegmentIndex::compact(const CompactOptions& options) {
  recorded<CallKind::Compact>(
      ready(),
      [](auto& call, internal::Index* index, const CompactOptions* what) {
        index->compact(*what);
        call.succeeded();
      },
      &options);
}
bool SegmentIndex::maintain() {
  return ready().maintain();
}
void SegmentIndex::close() {
  if (index_ != nullptr) index_->close();
}

Lifecycle SegmentIndex::lifecycle() const noexcept {
  return index_ == nullptr ? Lifecycle::New : index_->lifecycle();
}
bool SegmentIndex::health() const noexcept {
  return index_ != nullptr && index_->healthy();
}
Statistics SegmentIndex::statistics() const {
  internal::Index& index = ready();
  Statistics figures = index.statistics();
  index.calls().describe(figures);
  figures.locks = index.lock_report();
  return figures;
}
LockReport SegmentIndex::lock_report() const {
  return ready().lock_report();
}
const std::filesystem::path& SegmentIndex::path() const noexcept {
  static const std::filesystem::path none;
  return index_ == nullptr ? none : index_->path();
}
Options SegmentIndex::options() const {
  return ready().options();
}
void SegmentIndex::set_codecs(std::string_view key_codec, std::string_view value_codec) {
  ready().set_codecs(key_codec, value_codec);
}

}  // namespace varve

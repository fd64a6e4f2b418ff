// SPDX-License-Identifier: Apache-2.0
#include "varve/segment_index.hpp"

#include <utility>

#include "lib/engine_cursor.hpp"
#include "lib/gated_index.hpp"
#include "lib/segment_index_access.hpp"

namespace varve {

using internal::SegmentIndexAccess;

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

SegmentIndex SegmentIndexAccess::open(std::shared_ptr<directory::Directory> directory,
                                      const Options& options, OpenMode mode) {
  return SegmentIndex(make_index(open_core(std::move(directory), options, mode)));
}

Snapshot SegmentIndexAccess::make_snapshot(std::shared_ptr<Index> index) {
  const Sequence sequence = index->take_snapshot();
  return {std::move(index), sequence};
}

Sequence SegmentIndexAccess::sequence_of(const Snapshot* snapshot, const Index& index) {
  if (snapshot == nullptr) return segment::kSequenceMax;
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

internal::Index& SegmentIndex::ready() const {
  if (index_ == nullptr) throw Error(ErrorCode::Closed, "the index handle is not open");
  return *index_;
}

void SegmentIndex::put(std::string_view key, std::string_view value, const WriteOptions& options) {
  ready().put(key, value, options);
}
void SegmentIndex::erase(std::string_view key, const WriteOptions& options) {
  ready().erase(key, options);
}
void SegmentIndex::erase_range(std::string_view from, std::string_view to,
                               const WriteOptions& options) {
  ready().erase_range(from, to, options);
}
void SegmentIndex::erase_prefix(std::string_view prefix, const WriteOptions& options) {
  ready().erase_range(prefix, internal::prefix_end(prefix), options);
}
void SegmentIndex::write(const WriteBatch& batch, const WriteOptions& options) {
  ready().write(batch, options);
}

std::optional<std::string> SegmentIndex::get(std::string_view key, const Snapshot* snapshot) const {
  std::string value;
  if (!get(key, value, snapshot)) return std::nullopt;
  return value;
}
bool SegmentIndex::get(std::string_view key, std::string& value, const Snapshot* snapshot) const {
  internal::Index& index = ready();
  return index.get(key, value, SegmentIndexAccess::sequence_of(snapshot, index));
}
bool SegmentIndex::contains(std::string_view key, const Snapshot* snapshot) const {
  internal::Index& index = ready();
  return index.contains(key, SegmentIndexAccess::sequence_of(snapshot, index));
}
std::vector<std::optional<std::string>> SegmentIndex::multi_get(
    std::span<const std::string_view> keys, const Snapshot* snapshot) const {
  internal::Index& index = ready();
  return index.multi_get(keys, SegmentIndexAccess::sequence_of(snapshot, index));
}

Cursor SegmentIndex::scan(const ScanOptions& options) const {
  internal::Index& index = ready();
  static_cast<void>(SegmentIndexAccess::sequence_of(options.snapshot, index));
  return Cursor(index.scan(options));
}
Snapshot SegmentIndex::snapshot() const {
  static_cast<void>(ready());
  return SegmentIndexAccess::make_snapshot(index_);
}

void SegmentIndex::sync() {
  ready().sync();
}
void SegmentIndex::flush() {
  ready().flush();
}
void SegmentIndex::compact(const CompactOptions& options) {
  ready().compact(options);
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
  return ready().statistics();
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

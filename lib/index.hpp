// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/call_recorder.hpp"
#include "segment/entry.hpp"
#include "segment/view.hpp"
#include "varve/scan.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

using segment::Sequence;

// An open index in one of the access modes: what SegmentIndex, Snapshot and Cursor call. Held by
// shared_ptr, so that a cursor or a snapshot that outlives its handle finds it closed, not gone.
// Errors: every method throws Closed when it is not open, ForkedHandle in a forked child.
class Index : public std::enable_shared_from_this<Index> {
 public:
  virtual ~Index() = default;

  virtual void put(std::string_view key, std::string_view value, const WriteOptions& options) = 0;
  virtual void erase(std::string_view key, const WriteOptions& options) = 0;
  virtual void erase_range(std::string_view from, std::string_view to,
                           const WriteOptions& options) = 0;
  virtual void write(const WriteBatch& batch, const WriteOptions& options) = 0;
  [[nodiscard]] virtual bool get(std::string_view key, std::string& value, Sequence at) = 0;
  [[nodiscard]] virtual bool contains(std::string_view key, Sequence at) = 0;
  // As find_keys().
  virtual std::size_t multi_get(std::span<const std::string_view> keys, Sequence at,
                                std::span<std::optional<std::string>> values) = 0;
  [[nodiscard]] virtual std::unique_ptr<detail::CursorCore> scan(const ScanOptions& options) = 0;
  [[nodiscard]] virtual Sequence take_snapshot() = 0;
  virtual void release_snapshot(Sequence sequence) noexcept = 0;

  virtual void sync() = 0;
  virtual void flush() = 0;
  virtual void compact(const CompactOptions& options) = 0;
  virtual bool maintain() = 0;
  virtual void close() = 0;

  [[nodiscard]] virtual Lifecycle lifecycle() const noexcept = 0;
  // Ready, no job is to be tried again, and there is no lack of space.
  [[nodiscard]] virtual bool healthy() const noexcept { return lifecycle() == Lifecycle::Ready; }
  // Without the calls: calls() has them.
  [[nodiscard]] virtual Statistics statistics() = 0;
  [[nodiscard]] virtual LockReport lock_report() { return {}; }
  // What the filters of the key's segment say of it; nothing where that would have to wait.
  // Errors: also as a get.
  [[nodiscard]] virtual segment::FilterTally tally_filters(std::string_view key) = 0;
  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;
  [[nodiscard]] virtual Options options() = 0;
  virtual void set_codecs(std::string_view key_codec, std::string_view value_codec) = 0;

  // Of all handles, cursors and threads.
  [[nodiscard]] CallRecorder& calls() noexcept { return calls_; }

 private:
  CallRecorder calls_;
};

}  // namespace varve::internal

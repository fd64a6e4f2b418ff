// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "varve/export.hpp"

namespace varve {

class Snapshot;

// What a scan sees of writes that happen after it began.
enum class Isolation : std::uint8_t {
  Snapshot,   // Nothing: the scan shows one moment.
  FailFast,   // The first one that touches a segment the scan is in ends it with Invalidated. So
              // does a flush, merge or split of it, also by a background job.
  Exclusive,  // There are none: writers are held off until the scan is destroyed. On the thread
              // that holds it, and in Bare mode, a write throws Busy at once.
};

// Why a scan gave no further entry.
enum class ScanEnd : std::uint8_t {
  None,         // It has not ended.
  End,          // The range is exhausted.
  Limit,        // ScanOptions::limit entries were given; resume_token() goes on from there.
  Invalidated,  // FailFast only: a write intervened. The next step throws Error{Invalidated}.
};
[[nodiscard]] VARVE_EXPORT std::string_view to_string(ScanEnd end) noexcept;

// Restricts a scan to `limit` segments in key order, after skipping `offset` of those in its
// range: for splitting one scan among workers. Windows of equal routes are disjoint and complete;
// a split in between moves the cut, so take them under one snapshot's lifetime of the index or
// check the count.
struct SegmentWindow {
  std::size_t offset = 0;
  std::size_t limit = std::numeric_limits<std::size_t>::max();
};

struct ScanOptions {
  std::string_view from = {};    // First key, inclusive. Empty: the smallest.
  std::string_view to = {};      // End, exclusive. Empty: no end.
  std::string_view prefix = {};  // Only keys that begin with it; combined with from and to.
  bool reverse = false;          // Descending order; from and to keep their meaning.
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  // Entries.
  Isolation isolation = Isolation::Snapshot;
  SegmentWindow window = {};
  const varve::Snapshot* snapshot = nullptr;  // Isolation::Snapshot at this moment, not now.
  std::string_view resume = {};  // A resume_token(): replaces from, to, prefix and reverse.
};

// One entry. The views are valid until the cursor's next step or its destruction.
struct Entry {
  std::string_view key;
  std::string_view value;
};

namespace detail {
class CursorCore {  // Implemented by the engine; here so that a step costs one call.
 public:
  virtual ~CursorCore() = default;
  virtual bool step(Entry& entry) = 0;
  virtual void seek(std::string_view key) = 0;
  [[nodiscard]] virtual ScanEnd end() const noexcept = 0;
  [[nodiscard]] virtual std::string resume_token() const = 0;
};
}  // namespace detail

// A pass over the entries of a scan; also an input range:
//   for (auto [key, value] : index.scan({.prefix = "user:"})) ...
//
// Lifetime: must be destroyed before its index. Keeps the files that it reads alive.
// Thread-safety: one thread at a time; in Synchronized mode each step takes the index's lock.
class VARVE_EXPORT Cursor {
 public:
  explicit Cursor(std::unique_ptr<detail::CursorCore> core) noexcept;
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();

  // Moves to the next entry, the first one at the first call. False: ended, see end_reason().
  // Errors: Corruption, Io; Closed; Invalidated at the step after an Invalidated end.
  [[nodiscard]] bool next() { return core_->step(entry_); }
  [[nodiscard]] const Entry& entry() const noexcept { return entry_; }  // Requires: next() true.
  [[nodiscard]] std::string_view key() const noexcept { return entry_.key; }
  [[nodiscard]] std::string_view value() const noexcept { return entry_.value; }

  [[nodiscard]] ScanEnd end_reason() const noexcept { return core_->end(); }
  // Goes on elsewhere in the scan's range, also once the scan has ended: the next step gives the
  // first entry at or behind `key` (in a reverse scan: at or before it), and the limit counts anew.
  // What the scan sees of writes stays as it was; a scan that was invalidated stays so. Several
  // seeks of one cursor cost less than as many scans. Errors: Closed, ForkedHandle.
  void seek(std::string_view key) { core_->seek(key); }

  // Opaque text for ScanOptions::resume: the rest of this scan after the last entry given. Valid
  // in any later process on the same index; the rest is read as of then.
  [[nodiscard]] std::string resume_token() const { return core_->resume_token(); }

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    const Entry& operator*() const noexcept { return cursor_->entry_; }
    const Entry* operator->() const noexcept { return &cursor_->entry_; }
    iterator& operator++() {
      if (!cursor_->next()) cursor_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
      return it.cursor_ == nullptr;
    }

   private:
    friend class Cursor;
    explicit iterator(Cursor* cursor) noexcept : cursor_(cursor) {}
    Cursor* cursor_ = nullptr;
  };
  // Takes the first step. Call once.
  [[nodiscard]] iterator begin() { return next() ? iterator(this) : iterator(); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  std::unique_ptr<detail::CursorCore> core_;
  Entry entry_;
};

}  // namespace varve

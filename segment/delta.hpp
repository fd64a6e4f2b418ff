// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "directory/lock_class.hpp"
#include "segment/arena.hpp"
#include "segment/delta_filler.hpp"
#include "segment/delta_filter.hpp"
#include "segment/entry.hpp"

namespace varve::segment {

namespace delta_detail {
class Record;
class Leaf;
class DirectoryNode;
class DeltaCursor;
}  // namespace delta_detail

// A segment's newest writes in memory, ordered without a sort.
//
// A two-level directory of separators leads to leaves of up to 62 keys in order of arrival, found
// by a one-byte fingerprint of the key's hash; only a scan sorts a leaf, into the cursor, and a
// short one no more of it than it shows. A full leaf is replaced, with the inner directory node
// above it, by two. Versions of a key are a chain, newest first; records stay where they are until
// the delta dies.
//
// Thread-safety: insert() by one writer at a time; find() and cursors by any number of readers
// beside it, without locks (with ReaderMode::Concurrent; Alone recycles nodes at once and needs
// one thread at a time).
// Lifetime: the pool must outlive it.
class Delta {
 public:
  // Concurrent: who calls a const method, or moves a cursor, while there may be a writer, is pinned
  // meanwhile (concurrent::EpochDomain), since the writer uses replaced nodes again.
  enum class ReaderMode : std::uint8_t { Alone, Concurrent };
  // `expected_count`: about how many keys it may come to; 0: unknown. It makes the filter fit.
  Delta(ChunkPool& pool, ReaderMode mode, std::uint64_t expected_count = 0) noexcept;
  Delta(const Delta&) = delete;
  Delta& operator=(const Delta&) = delete;
  ~Delta();

  // Where a key goes. To be given back as it is.
  struct Place {
    std::uint32_t structure = 0;                  // Of the delta when it was found.
    delta_detail::DirectoryNode* root = nullptr;  // Null: the delta is empty.
    std::size_t root_index = 0;
    delta_detail::DirectoryNode* inner = nullptr;
    std::size_t inner_index = 0;
    delta_detail::Leaf* leaf = nullptr;
  };
  // The first half of insert(): asks for the memory that the second one waits for otherwise. By the
  // writer.
  [[nodiscard]] Place find_place(std::string_view key, std::uint64_t hash) noexcept;
  // The second half. Requires: find_place() of this key and hash gave `place`; otherwise as below.
  // What was inserted since may have made the place another: then it is looked for again.
  void insert(const Place& place, std::string_view key, std::uint64_t hash, Kind kind,
              std::string_view value, Sequence sequence, bool keep_older);
  // Adds a version. Requires: `sequence` >= every earlier one; hash == directory::hash64(key).
  // `keep_older`: a live snapshot may need the key's present version; otherwise it is dropped from
  // the chain. A version with the same sequence is always replaced.
  // Errors: std::bad_alloc; the delta is then unchanged.
  void insert(std::string_view key, std::uint64_t hash, Kind kind, std::string_view value,
              Sequence sequence, bool keep_older) {
    insert(find_place(key, hash), key, hash, kind, value, sequence, keep_older);
  }

  // Makes it the delta that `filler` would fill, without filling it: that is for the first one who
  // calls cursor() or fill(), or has called find() often. All else is said of it at once, and the
  // memory is taken. `lock_class`: of the lock for that moment. Requires: nothing was inserted,
  // nothing else ever will be; ReaderMode::Alone. Errors: std::bad_alloc, without effect.
  void fill_later(std::unique_ptr<DeltaFiller> filler, const directory::LockClass& lock_class);
  // Errors: as DeltaFiller::fill(); the delta is as before, and whoever asks next tries again.
  // Thread-safety: any thread.
  void fill() const {
    if (unfilled_.load(std::memory_order_acquire) != nullptr) [[unlikely]]
      fill_now();
  }
  [[nodiscard]] bool try_fill() const;  // False: another thread is filling it.
  // What fill_later() takes for entries of so many bytes of keys and values, beside the filler.
  [[nodiscard]] static std::size_t memory_size_of(std::uint64_t entry_count,
                                                  std::uint64_t data_size) noexcept;

  // Of a delta that was filled, like locate() and find_in(). False: no version of a key with this
  // hash was inserted that the caller could see; cheaper than to look. prefetch_filter() fetches
  // what it will touch.
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    return filter_.may_contain(hash);
  }
  void prefetch_filter(std::uint64_t hash) const noexcept { filter_.prefetch(hash); }
  // The newest version with a sequence <= `at`; the value lives as long as the delta. Errors: as
  // fill().
  [[nodiscard]] FoundEntry find(std::string_view key, std::uint64_t hash, Sequence at) const;
  // The two halves of find(): goes to the leaf that may have the key, and fetches it; looks there.
  // Null: the delta is empty. Between them, this delta must not be written to by the same thread.
  [[nodiscard]] const delta_detail::Leaf* locate(std::string_view key) const noexcept;
  [[nodiscard]] FoundEntry find_in(const delta_detail::Leaf* leaf, std::string_view key,
                                   std::uint64_t hash, Sequence at) const noexcept;
  // Values are stable, keys too. Stays valid while the writer goes on: it copies one leaf at a time
  // when it comes there, so it shows at least what was there at its last seek. The delta must
  // outlive it. Errors: std::bad_alloc; as fill().
  [[nodiscard]] std::unique_ptr<EntrySource> cursor() const;

  [[nodiscard]] bool empty() const noexcept { return entry_count() == 0; }
  [[nodiscard]] std::size_t memory_size() const noexcept {  // Bytes of the chunks held.
    return arena_.memory_size() + filler_size_;
  }
  [[nodiscard]] std::uint64_t data_size() const noexcept {  // Key and value bytes inserted.
    return data_size_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t entry_count() const noexcept {  // Versions inserted.
    return entry_count_.load(std::memory_order_acquire);
  }
  [[nodiscard]] Sequence first_sequence() const noexcept;  // 0 when empty.
  [[nodiscard]] Sequence last_sequence() const noexcept {  // 0 when empty.
    return last_sequence_.load(std::memory_order_relaxed);
  }

 private:
  friend class delta_detail::DeltaCursor;
  struct Addition;
  struct Split;
  struct Filling;
  // Node sizes are powers of two of children: 4, 8, ..., 2^25.
  static constexpr std::size_t kNodeClassCount = 24;

  void fill_now() const;
  [[nodiscard]] FoundEntry find_unfilled(Filling& filling, std::string_view key, std::uint64_t hash,
                                         Sequence at) const;
  void insert_first(const Addition& addition);
  void insert_by_split(const Addition& addition, const Place& place);
  void replace_leaf(const Place& place, const Split& split) noexcept;
  void finish_insert(const Addition& addition) noexcept;
  const delta_detail::Record* make_record(const Addition& addition);
  void reserve_leaves(std::size_t count);
  void reserve_nodes(std::initializer_list<std::size_t> capacities);
  delta_detail::Leaf* take_leaf(std::size_t prefix_size) noexcept;
  delta_detail::DirectoryNode* take_node(std::size_t capacity) noexcept;
  void retire(delta_detail::Leaf* leaf) noexcept;
  void retire(delta_detail::DirectoryNode* node) noexcept;
  void make_free(void* memory, std::size_t list) noexcept;
  void wait_for_readers(void* memory, std::size_t list) noexcept;
  void take_back() noexcept;

  // Readers share this line; the writer touches it only when a root is replaced.
  alignas(64) std::atomic<delta_detail::DirectoryNode*> root_ = nullptr;
  Sequence base_sequence_ = 0;  // Of the first record. Set before a root is published.
  delta_detail::DeltaFilter filter_;
  ReaderMode mode_;
  std::uint64_t expected_count_;
  std::atomic<Filling*> unfilled_ = nullptr;  // filling_, until it has been done.

  alignas(64) Arena arena_;
  delta_detail::DeltaFilter::Fill filter_fill_;
  std::atomic<std::uint64_t> data_size_ = 0;
  std::atomic<std::uint64_t> entry_count_ = 0;
  std::atomic<Sequence> last_sequence_ = 0;
  std::uint32_t structure_ = 0;  // Counts what replaces nodes. The writer's alone.
  // The last place that was found, if it is that of the greatest keys, so that ascending ones are
  // not looked for in the nodes; a null root: it is not. And the separator in front of it.
  Place edge_;
  const delta_detail::Record* edge_lower_ = nullptr;  // Null: there is none.
  // Singly linked through the first bytes of the free nodes.
  void* free_leaves_ = nullptr;
  std::array<void*, kNodeClassCount> free_nodes_{};
  struct Limbo;
  std::unique_ptr<Limbo> limbo_;      // Replaced nodes that readers may still be in.
  std::unique_ptr<Filling> filling_;  // Null: it is filled by its writer.
  std::size_t filler_size_ = 0;
};

}  // namespace varve::segment

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "segment/arena.hpp"
#include "segment/entry.hpp"

namespace varve::segment {

// A segment's newest writes in memory, ordered without a sort.
//
// Thread-safety: insert() by one writer at a time; find() and cursors by any number of readers
// beside it, without locks (with ReaderMode::Concurrent; Alone recycles nodes at once and needs
// one thread at a time).
class Delta {
 public:
  enum class ReaderMode : std::uint8_t { Alone, Concurrent };
  Delta(ChunkPool& pool, ReaderMode mode);
  Delta(const Delta&) = delete;
  Delta& operator=(const Delta&) = delete;
  ~Delta();

  // Adds a version. Requires: `sequence` >= every earlier one; hash == directory::hash64(key).
  // `keep_older`: a live snapshot may need the key's present version; otherwise it is dropped from
  // the chain. A version with the same sequence is always replaced.
  // Errors: std::bad_alloc; the delta is then unchanged.
  void insert(std::string_view key, std::uint64_t hash, Kind kind, std::string_view value,
              Sequence sequence, bool keep_older);

  // The newest version with a sequence <= `at`; the value lives as long as the delta.
  [[nodiscard]] FoundEntry find(std::string_view key, std::uint64_t hash,
                                Sequence at) const noexcept;
  // Values are stable. Stays valid while the writer goes on: it shows at least what was there when
  // it moved. The delta must outlive it.
  [[nodiscard]] std::unique_ptr<EntrySource> cursor() const;

  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] std::size_t memory_size() const noexcept;    // Bytes held, chunks included.
  [[nodiscard]] std::uint64_t data_size() const noexcept;    // Key and value bytes inserted.
  [[nodiscard]] std::uint64_t entry_count() const noexcept;  // Versions inserted.
  [[nodiscard]] Sequence first_sequence() const noexcept;    // 0 when empty.
  [[nodiscard]] Sequence last_sequence() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve::segment

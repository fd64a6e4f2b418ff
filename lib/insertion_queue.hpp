// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "directory/checksum.hpp"
#include "lib/hooks.hpp"
#include "segment/delta.hpp"
#include "segment/entry.hpp"

namespace varve::internal {

// Puts many operations into their segments, or deltas (Target), in order, each a few operations
// after its place was asked for: the memory that one waits for comes while others are inserted.
//
// Requires: who may write to the targets, all the while; nothing else happens to them. Keys and
// values stay where they are until finish() has returned. Thread-safety: one thread. Errors:
// std::bad_alloc, from add() of an operation before; those behind it are then not inserted.
template <typename Target>
class InsertionQueue {
 public:
  // `keep_older`: as in Delta::insert().
  explicit InsertionQueue(bool keep_older) noexcept : keep_older_(keep_older) {}
  InsertionQueue(const InsertionQueue&) = delete;
  InsertionQueue& operator=(const InsertionQueue&) = delete;

  void add(Target& target, segment::Kind kind, std::string_view key, std::string_view value,
           segment::Sequence sequence) {
    if (count_ == kDepth) insert_oldest();
    const std::uint64_t hash = directory::hash64(key);
    ring_[(oldest_ + count_) % kDepth] = {
        &target, target.find_place(key, hash), key, value, hash, sequence, kind};
    ++count_;
  }
  // Inserts what is left.
  void finish() {
    while (count_ != 0) insert_oldest();
  }
  [[nodiscard]] std::size_t inserted_count() const noexcept { return inserted_count_; }

 private:
  static constexpr std::size_t kDepth = 8;
  struct Pending {
    Target* target = nullptr;
    segment::Delta::Place place;
    std::string_view key, value;
    std::uint64_t hash = 0;
    segment::Sequence sequence = 0;
    segment::Kind kind = segment::Kind::Value;
  };
  void insert_oldest() {
    const Pending& pending = ring_[oldest_];
    oldest_ = (oldest_ + 1) % kDepth;
    --count_;
    pending.target->insert(pending.place, pending.key, pending.hash, pending.kind, pending.value,
                           pending.sequence, keep_older_);
    ++inserted_count_;
    VARVE_HOOK("batch.inserted");
  }

  const bool keep_older_;
  std::array<Pending, kDepth> ring_;
  std::size_t oldest_ = 0, count_ = 0, inserted_count_ = 0;
};

}  // namespace varve::internal

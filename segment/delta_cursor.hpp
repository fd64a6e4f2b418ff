// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "segment/delta.hpp"
#include "segment/delta_node.hpp"
#include "segment/delta_record.hpp"
#include "segment/entry.hpp"

namespace varve::segment::delta_detail {

// A position in a delta.
//
// Holds the records of one leaf and the separators around it; the next leaf is found by its
// separator. Records outlive the cursor and separators are never taken back, so it needs no
// pointer into a node between two moves, and the writer may split and recycle nodes as it likes.
//
// A leaf is ordered as far as it is needed, by its heads: after a seek the next few records are
// selected one by one, each when the one before it is shown, and whoever goes on gets all that lies
// in his direction in order. Records are touched when they are shown, and fetched before.
//
// Invariant: values_[0, count_) name the leaf's slots, each once; those at positions
// [ordered_begin_, ordered_end_) are in order, those in front are smaller, those behind greater.
// While valid, at_ is the record at position_ or an older version of it.
// Errors: std::bad_alloc from prev() among more than one version of a key; seek again then.
class DeltaCursor final : public EntrySource {
 public:
  explicit DeltaCursor(const Delta& delta) noexcept : delta_(delta) {}

  void seek_to_first() override;
  void seek(std::string_view key) override;
  void next() override;
  void seek_to_last() override;
  void seek_before(std::string_view key) override;
  void prev() override;
  [[nodiscard]] bool values_are_stable() const noexcept override { return true; }

  // As in MergingSource; along the leaf, to the newest versions of keys. Touches records only, so
  // that it needs no pin.
  void go_straight(const StraightLimits& limits) noexcept;
  [[nodiscard]] bool next_straight() noexcept;

 private:
  enum class Edge : std::uint8_t { First, Last };
  // Selecting a record costs one pass over the heads, sorting them as much as about seven.
  static constexpr std::size_t kSelectedMax = 8;
  static constexpr std::size_t kFetchedAhead = 4;  // Records.
  static constexpr std::size_t kTiesMax = 8;
  bool load_leaf_of(std::string_view key, Side side);  // False: the delta is empty.
  bool load_leaf_at(Edge edge);
  void load(const DirectoryNode& root, std::size_t root_index, const DirectoryNode& inner,
            std::size_t inner_index) noexcept;
  [[nodiscard]] std::size_t split_at(std::string_view key) noexcept;
  [[nodiscard]] std::size_t lower_bound(std::string_view key) noexcept;
  void order(std::size_t position) noexcept;
  void order_between(std::size_t begin, std::size_t end) noexcept;
  void order_all() noexcept;
  template <Edge edge>
  [[nodiscard]] std::size_t select(std::size_t begin, std::size_t end) const noexcept;
  [[nodiscard]] const Record* record_of(std::uint64_t value) const noexcept {
    return slots_[slot_of(value)];
  }
  void fetch(std::size_t position) const noexcept {
    const auto* const record = reinterpret_cast<const char*>(record_of(values_[position]));
    constexpr std::size_t kLinesFetched = 3;
    for (std::size_t i = 0; i < kLinesFetched; ++i) __builtin_prefetch(record + 64 * i);
  }
  void fetch_ahead(std::size_t position) noexcept;
  void go_to_newest(std::size_t position) noexcept;
  void go_to_oldest(std::size_t position);
  void go_to_next_leaf();
  void go_to_previous_leaf();
  void show(const Record* record) noexcept;

  const Delta& delta_;
  const Record* at_ = nullptr;
  std::size_t position_ = 0;
  std::size_t count_ = 0;
  const Record* lower_ = nullptr;  // The leaf's own separator; null in the first leaf.
  const Record* upper_ = nullptr;  // The next leaf's; null in the last.
  std::size_t prefix_size_ = 0;
  std::size_t ordered_begin_ = 0, ordered_end_ = 0;
  std::size_t selected_count_ = 0;                   // Since the last seek.
  std::uint64_t straight_end_ = 0;                   // next_straight() gives heads below it,
  Sequence straight_at_ = 0;                         // versions up to it
  std::size_t straight_key_size_max_ = 0;            // and such keys.
  std::array<std::uint64_t, kLeafCapacity> values_;  // By position: head << kSlotBits | slot.
  std::array<const Record*, kLeafCapacity> slots_;
  std::vector<const Record*> newer_;  // The versions before at_, newest first, or nothing.
};

}  // namespace varve::segment::delta_detail

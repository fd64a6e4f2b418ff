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
// Holds the records of one leaf, sorted, and the separators around it; the next leaf is found by
// its separator. Records outlive the cursor and separators are never taken back, so it needs no
// pointer into a node between two moves, and the writer may split and recycle nodes as it likes.
//
// Invariant: while valid, at_ is records_[position_] or an older version of it.
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

 private:
  enum class Edge : std::uint8_t { First, Last };
  bool load_leaf_of(std::string_view key, Side side);  // False: the delta is empty.
  bool load_leaf_at(Edge edge);
  void load(const DirectoryNode& root, std::size_t root_index, const DirectoryNode& inner,
            std::size_t inner_index) noexcept;
  [[nodiscard]] std::size_t lower_bound(std::string_view key) const noexcept;
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
  std::array<const Record*, kLeafCapacity> records_;
  std::vector<const Record*> newer_;  // The versions before at_, newest first, or nothing.
};

}  // namespace varve::segment::delta_detail

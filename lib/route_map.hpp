// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "directory/mutant.hpp"
#include "segment/fence_tree.hpp"
#include "segment/segment.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::internal {

// Which segment owns a key. Replaced whole when segments split or merge.
// Invariant: segments in key order, without gap or overlap; the first begins at the empty key.
// Thread-safety: immutable.
class RouteMap : public concurrent::EpochDomain::Retired {
 public:
  explicit RouteMap(std::vector<std::shared_ptr<segment::Segment>> segments);

  [[nodiscard]] std::size_t size() const noexcept { return segments_.size(); }
  [[nodiscard]] const std::shared_ptr<segment::Segment>& at(std::size_t index) const noexcept {
    return segments_[index];
  }
  [[nodiscard]] std::size_t index_of(std::string_view key) const noexcept {
    return segments_.size() == 1 ? 0 : tree_.find(key);
  }
  // The routes of many keys: cheaper where several in a row have the same one.
  class Walk {
   public:
    explicit Walk(const RouteMap& routes) noexcept : routes_(routes) {}
    [[nodiscard]] std::size_t index_of(std::string_view key) noexcept {
      // Only behind two that did: where keys are scattered, a guess costs more than it saves.
      if (steady_ && (owns(*routes_.at(last_), key) || VARVE_MUTANT("batch.first_route_kept"))) {
        return last_;
      }
      const std::size_t index = routes_.index_of(key);
      steady_ = index == last_;
      last_ = index;
      return index;
    }

   private:
    [[nodiscard]] static bool owns(const segment::Segment& segment, std::string_view key) noexcept {
      return key >= segment.lower() && (segment.upper().empty() || key < segment.upper());
    }
    const RouteMap& routes_;
    std::size_t last_ = 0;
    bool steady_ = false;
  };
  [[nodiscard]] segment::Segment& find(std::string_view key) const noexcept {
    return *segments_[index_of(key)];
  }
  [[nodiscard]] const std::vector<std::shared_ptr<segment::Segment>>& segments() const noexcept {
    return segments_;
  }

  [[nodiscard]] std::size_t memory_size() const noexcept {  // Bytes, without the segments.
    return segments_.capacity() * sizeof(decltype(segments_)::value_type) +
           sizeof(decltype(segments_)) + tree_.memory_size();
  }

 private:
  std::vector<std::shared_ptr<segment::Segment>> segments_;
  segment::FenceTree tree_;
};

}  // namespace varve::internal

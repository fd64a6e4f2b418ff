// SPDX-License-Identifier: Apache-2.0
#include "lib/route_map.hpp"

#include <utility>

#include "directory/check.hpp"

namespace varve::internal {
namespace {

segment::FenceTree build_tree(const std::vector<std::shared_ptr<segment::Segment>>& segments) {
  std::vector<std::string_view> fences;
  fences.reserve(segments.size());
  for (const auto& segment : segments) fences.emplace_back(segment->lower());
  return segment::FenceTree(fences);
}

}  // namespace

RouteMap::RouteMap(std::vector<std::shared_ptr<segment::Segment>> segments)
    : segments_(std::move(segments)), tree_(build_tree(segments_)) {
  VARVE_CHECK(!segments_.empty() && segments_.front()->lower().empty() &&
              segments_.back()->upper().empty());
  for (std::size_t i = 1; i < segments_.size(); ++i) {
    VARVE_CHECK(segments_[i - 1]->upper() == segments_[i]->lower());
  }
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "directory/directory.hpp"
#include "lib/index.hpp"
#include "lib/recovery.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

// The way from the public classes to what is behind them, and to an index on any Directory; for
// the library itself and its tests.
struct SegmentIndexAccess {
  [[nodiscard]] static SegmentIndex open(const std::shared_ptr<directory::Directory>& directory,
                                         const Options& options, OpenMode mode = OpenMode::Open);
  [[nodiscard]] static Snapshot make_snapshot(std::shared_ptr<Index> index);
  // The sequence to read at. Errors: InvalidArgument for a snapshot of another index.
  [[nodiscard]] static Sequence sequence_of(const Snapshot* snapshot, const Index& index) {
    return snapshot == nullptr ? segment::kSequenceMax : sequence_of_snapshot(snapshot, index);
  }

 private:
  [[nodiscard]] static Sequence sequence_of_snapshot(const Snapshot* snapshot, const Index& index);
};

}  // namespace varve::internal

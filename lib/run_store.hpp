// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "segment/arena.hpp"
#include "segment/run.hpp"
#include "segment/run_record.hpp"
#include "segment/view.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// Opens the runs that the manifest names, and gets rid of those that it names no longer: a file
// goes when its last run is dead, a dead slice of a live file is punched out once nobody reads it.
// Thread-safety: one thread at a time. Errors: Corruption (missing or damaged file), Io.
class RunStore {
 public:
  RunStore(directory::Directory& directory, std::string uuid, Reads reads,
           const segment::RunLimits& limits)
      : directory_(directory), uuid_(std::move(uuid)), reads_(reads), limits_(limits) {}

  // Opens a run and counts it as live.
  [[nodiscard]] std::shared_ptr<const segment::Run> open(const segment::RunRecord& record);
  // Likewise, each of `layers` by its record: by so many threads, of which the caller is one.
  void open(std::vector<segment::RunLayer>& layers, std::size_t thread_count);
  // After a manifest replacement that no longer names `record`. Its run may still be read.
  void retire(const segment::RunRecord& record);
  // Takes an open() back whose run never became part of the manifest.
  void abandon(const segment::RunRecord& record) noexcept;
  // A file that no manifest names goes with the next sweep.
  void discard(std::string name) { dead_files_.push_back(std::move(name)); }
  // Removes and punches what has become free. Cheap when there is nothing.
  void sweep();
  // Bytes of sparse indexes and filters of all runs that were opened and are not freed, whoever
  // holds them. Any thread.
  [[nodiscard]] std::size_t tables_size() const noexcept {
    return tables_size_->load(std::memory_order_relaxed);
  }
  // Bytes that have been obtained for them and that none uses. Any thread.
  [[nodiscard]] std::size_t tables_free_size() const noexcept { return pool_->size_free(); }
  // Tables of less than this take memory of their own: so much the TLB covers with small pages.
  static constexpr std::size_t kPooledTablesMin = std::size_t{4} << 20;

 private:
  using File = std::shared_ptr<const directory::ImmutableFile>;
  // Set by the last one who lets go of a run, with release: who sees that has all that was read of
  // it behind him. (That a std::weak_ptr is expired says nothing of the kind.)
  using LetGo = std::shared_ptr<std::atomic<bool>>;
  using SlicePlace = std::pair<std::uint64_t, std::uint64_t>;  // File number, offset.
  struct DeltaFile {
    File file;
    std::uint32_t live_slices = 0;
  };
  [[nodiscard]] static SlicePlace place_of(const segment::RunRecord& slice) noexcept;
  [[nodiscard]] File open_file(const segment::RunRecord& record) const;
  [[nodiscard]] std::shared_ptr<const segment::Run> open_in(const File& file,
                                                            const segment::RunRecord& record,
                                                            LetGo let_go) const;
  struct DeadSlice {
    LetGo let_go;
    std::uint64_t file_number = 0, offset = 0, size = 0;
  };
  directory::Directory& directory_;
  const std::string uuid_;
  const Reads reads_;
  const segment::RunLimits limits_;
  // Shared with the runs: a cursor may hold one for longer than the index is there.
  const std::shared_ptr<std::atomic<std::size_t>> tables_size_ =
      std::make_shared<std::atomic<std::size_t>>(0);
  // Of the tables' huge pages; shared with them, likewise.
  const std::shared_ptr<segment::ChunkPool> pool_ = std::make_shared<segment::ChunkPool>();
  std::map<std::uint64_t, DeltaFile> delta_files_;  // By number.
  std::map<SlicePlace, LetGo> live_slices_;
  std::vector<std::string> dead_files_;
  std::vector<DeadSlice> dead_slices_;
};

// Every slice of a delta file begins at a multiple of this, so that a dead one can be punched out
// without touching its neighbours.
inline constexpr std::uint64_t kSliceAlignment = 4096;

}  // namespace varve::internal

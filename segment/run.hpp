// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "directory/directory.hpp"
#include "segment/entry.hpp"
#include "segment/filter.hpp"
#include "varve/options.hpp"

namespace varve::segment {

class ChunkPool;
class RunBlocks;
struct RunFooter;

// Where a run lies and what the manifest promises of it.
struct RunLocation {
  std::uint64_t offset = 0;  // Bytes from the start of the file.
  std::uint64_t size = 0;    // Bytes, exact.
  std::uint64_t seed = 0;    // directory::file_seed() of the file.
  std::uint64_t entry_count = 0;
  std::uint64_t footer_checksum = 0;  // As RunSummary gave it.
};

// How much of a run a reader takes into memory at a time, in bytes; beyond it is LimitExceeded.
struct RunLimits {
  std::uint64_t sections_size_max = UINT64_MAX;  // Separator section and filter together.
  std::uint64_t block_size_max = UINT64_MAX;
};

// What an open run takes, bytes.
struct RunTables {
  std::uint64_t sparse_index_size = 0;  // With what belongs to each block, and the object itself.
  std::uint64_t filter_size = 0;
};
// Before it is opened, by its footer: the sparse index to some per cent, the filter exactly.
[[nodiscard]] RunTables estimate_run_tables(const RunFooter& footer) noexcept;
// Likewise of so many blocks, whose separators have so many bytes together.
[[nodiscard]] std::uint64_t sparse_index_size_of(std::uint64_t block_count,
                                                 std::uint64_t separators_size) noexcept;

// What one finding of a run's verification says; offsets are relative to the file.
struct RunFinding {
  std::uint64_t offset = 0;
  std::string what, expected, found, first_key, last_key;
  std::uint64_t entry_count = 0;
};

// An immutable sorted run: blocks with key heads, a sparse index, a filter and a footer, as
// docs/FORMAT.md "run" describes.
// Thread-safety: all const. Errors: Error{Corruption} naming file, offset, expected, found and the
// keys concerned; Error{Io} for refused reads. A block's checksum is verified at its first touch
// (mapped) or at each read (buffered).
class Run {
 public:
  // Reads footer, sparse index and filter and verifies their checksums and every size in them
  // against `location` and `limits` before any allocation. `pool`: what sparse index and filter
  // take their memory from, see HugeBuffer. Errors: also LimitExceeded.
  [[nodiscard]] static std::shared_ptr<const Run> open(
      std::shared_ptr<const directory::ImmutableFile> file, const RunLocation& location,
      Reads reads, const RunLimits& limits = {}, const std::shared_ptr<ChunkPool>& pool = nullptr);
  virtual ~Run() = default;

  [[nodiscard]] virtual const directory::ImmutableFile& file() const noexcept = 0;
  [[nodiscard]] virtual const RunLocation& location() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t entry_count() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t block_count() const noexcept = 0;
  [[nodiscard]] virtual std::string_view smallest_key() const noexcept = 0;
  [[nodiscard]] virtual std::string_view largest_key() const noexcept = 0;
  // Sparse index and filter, bytes of memory.
  [[nodiscard]] virtual std::size_t memory_size() const noexcept = 0;
  [[nodiscard]] std::size_t filter_size() const noexcept { return filter_.size(); }  // Of these.

  // `hash` is directory::hash64(key) in all of these.
  void prefetch_filter(std::uint64_t hash) const noexcept { filter_.prefetch(hash); }
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    return filter_.may_contain(hash);
  }
  // The newest version of `key` with a sequence <= `at`. Does not probe the filter. The value lies
  // in the run, or in `scratch`; valid as long as both.
  [[nodiscard]] virtual FoundEntry find(std::string_view key, Sequence at,
                                        std::string& scratch) const = 0;
  [[nodiscard]] const RunBlocks& blocks() const noexcept { return blocks_; }
  // The run must outlive the cursor.
  [[nodiscard]] virtual std::unique_ptr<EntrySource> cursor() const = 0;

  // Reads every block and checks checksums, key and version order, fences, heads, entry counts,
  // and that the filter has every key. Reports all it finds; never throws Corruption.
  virtual void verify(const std::function<void(const RunFinding&)>& report) const = 0;

 protected:
  // What every get asks, without a virtual call. Both are members of the derived class.
  Run(const RunBlocks& blocks, Filter filter) noexcept : filter_(filter), blocks_(blocks) {}
  Filter filter_;
  const RunBlocks& blocks_;
};

}  // namespace varve::segment

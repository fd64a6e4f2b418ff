// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/log_format.hpp"
#include "lib/manifest.hpp"
#include "segment/run.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

// How much one file may demand of memory, in bytes. Every size that a file states is compared with
// the file's own length as well, but a sparse file is as long as its maker likes.
struct ReadLimits {
  std::uint64_t manifest_size_max = 0;
  std::uint64_t log_size_max = 0;
  segment::RunLimits run;
};

// A log is no longer than its header, a record as large as any and a file of the largest size.
inline constexpr ReadLimits kReadLimits = {
    .manifest_size_max = kManifestSizeMax,
    .log_size_max = kLogHeaderSize + 3 * std::uint64_t{kBatchSizeMax},
    .run = {}};

// For Options::untrusted: what an index of some 100 GiB with ordinary options keeps to.
inline constexpr ReadLimits kReadLimitsUntrusted = {
    .manifest_size_max = std::uint64_t{16} << 20,
    .log_size_max = std::uint64_t{256} << 20,
    .run = {.sections_size_max = std::uint64_t{256} << 20,
            .block_size_max = std::uint64_t{64} << 20}};

[[nodiscard]] constexpr const ReadLimits& read_limits(bool untrusted) noexcept {
  return untrusted ? kReadLimitsUntrusted : kReadLimits;
}

}  // namespace varve::internal

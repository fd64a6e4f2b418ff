// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "directory/directory.hpp"
#include "segment/entry.hpp"

namespace varve::segment {

struct RunWriterOptions {
  std::uint64_t seed = 0;         // directory::file_seed() of the file that is written.
  std::size_t block_size = 4096;  // Target bytes.
  double filter_bits_per_key = 12;
};

struct RunSummary {
  std::uint64_t offset = 0;  // In the file; where the sink stood.
  std::uint64_t size = 0;    // Bytes.
  std::uint64_t entry_count = 0, tombstone_count = 0;
  std::uint64_t key_count = 0;  // Distinct keys.
  std::uint64_t raw_size = 0;   // Sum of key and value sizes.
  std::uint64_t footer_checksum = 0;
};

// Writes one run into a sink, entries in the order of EntrySource. The sink's offset must be a
// multiple of 4096 at construction; finish() leaves it unaligned, the caller pads.
// Thread-safety: one thread. Errors: those of the sink; order violations are bugs (VARVE_CHECK).
class RunWriter {
 public:
  RunWriter(directory::Sink& sink, const RunWriterOptions& options);
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;
  ~RunWriter();

  void add(const EntryView& entry);
  [[nodiscard]] std::string_view last_key() const noexcept;  // Added last; until finish().
  [[nodiscard]] std::uint64_t entry_count() const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept;       // Bytes so far, open block included.
  RunSummary finish();                                     // Requires: entry_count() > 0. Once.
  [[nodiscard]] std::size_t memory_size() const noexcept;  // Bytes held now.
  [[nodiscard]] std::size_t finish_memory_size() const noexcept;  // What finish() takes besides.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve::segment

// SPDX-License-Identifier: Apache-2.0
#include "segment/run_writer.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "segment/block.hpp"
#include "segment/filter.hpp"
#include "segment/key_bytes.hpp"
#include "segment/run_format.hpp"

namespace varve::segment {
namespace {

// Of what is kept for blocks that the sink has no room for.
constexpr std::size_t kBlockBufferSizeMax = std::size_t{256} << 10;

}  // namespace

// Ownership: the sink stays the caller's.
// Invariant: [begin, begin + written) is in the sink, the open block comes after it.
struct RunWriter::Impl {
  Impl(directory::Sink& to, const RunWriterOptions& with)
      : sink(to), options(with), begin(to.offset()) {}

  void finish_block(std::string_view separator_of_next);
  [[nodiscard]] char* room_for_block();  // In the sink, or in the buffer.
  // Asked for after each entry, so without the rounding of filter_size().
  [[nodiscard]] std::uint64_t filter_bytes_so_far() const noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(hashes.size()) *
                                      options.filter_bits_per_key / 8);
  }
  [[nodiscard]] std::string separator_section() const;
  std::uint64_t write_section(std::string_view bytes);  // Returns its checksum.

  directory::Sink& sink;
  const RunWriterOptions options;
  const std::uint64_t begin;
  std::uint64_t written = 0;             // Bytes in the sink.
  std::unique_ptr<char[]> block_buffer;  // For one block.
  std::size_t block_buffer_size = 0;
  BlockBuilder block;
  std::string smallest_key, largest_key;
  std::string separator;   // Of the open block.
  std::string separators;  // Records of the finished blocks.
  std::vector<std::uint64_t> hashes;
  RunFooter footer;
  bool finished = false;
};

char* RunWriter::Impl::room_for_block() {
  const std::size_t size = block.size();
  if (char* const room = sink.room(size); room != nullptr) return room;
  // A huge block gives its memory back when the next one comes.
  if (block_buffer_size < size || block_buffer_size > std::max(size, kBlockBufferSizeMax)) {
    block_buffer_size = 0;
    block_buffer.reset();
    block_buffer = std::make_unique_for_overwrite<char[]>(size);
    block_buffer_size = size;
  }
  return block_buffer.get();
}

void RunWriter::Impl::finish_block(std::string_view separator_of_next) {
  const std::size_t entry_count = block.entry_count();
  char* const to = room_for_block();
  const std::string_view bytes(to, block.encode(to));
  directory::store_le(to,
                      block_checksum(bytes, directory::part_seed(options.seed, begin + written)));
  sink.append(bytes);
  written += bytes.size();
  directory::append_varint(separators, bytes.size() / kBlockUnit);
  directory::append_varint(separators, entry_count);
  directory::append_varint(separators, separator.size());
  separators += separator;
  separator = separator_of_next;
  ++footer.block_count;
}

std::string RunWriter::Impl::separator_section() const {
  std::string section;
  for (const std::string& key : {smallest_key, largest_key}) {
    directory::append_varint(section, key.size());
    section += key;
  }
  section += separators;
  section.resize((section.size() + kBlockUnit - 1) / kBlockUnit * kBlockUnit);
  return section;
}

std::uint64_t RunWriter::Impl::write_section(std::string_view bytes) {
  const std::uint64_t checksum =
      directory::hash64(bytes, directory::part_seed(options.seed, begin + written));
  sink.append(bytes);
  written += bytes.size();
  return checksum;
}

RunWriter::RunWriter(directory::Sink& sink, const RunWriterOptions& options)
    : impl_(std::make_unique<Impl>(sink, options)) {
  VARVE_CHECK(sink.offset() % kRunAlignment == 0);
}
RunWriter::~RunWriter() = default;

void RunWriter::add(const EntryView& entry) {
  Impl& run = *impl_;
  VARVE_CHECK(!run.finished);
  RunFooter& footer = run.footer;
  bool new_key = true;  // All versions of a key go into one block.
  if (footer.entry_count == 0) {
    run.smallest_key = entry.key;
  } else {
    const int order = compare_keys(run.block.last_key(), entry.key);
    VARVE_CHECK(order < 0 || (order == 0 && entry.sequence < run.block.last_sequence()));
    new_key = order < 0;
  }
  if (new_key) {
    run.hashes.push_back(directory::hash64(entry.key));
    ++footer.key_count;
    // A large value begins a block, so that the one before it stays dense with small entries.
    const bool large = entry.value.size() > run.options.block_size / 2 && !run.block.empty();
    if (large || !run.block.try_add(entry, run.options.block_size)) {
      run.finish_block(shortest_separator(run.block.last_key(), entry.key));
      run.block.add(entry);
    }
  } else {
    run.block.add(entry);
  }
  ++footer.entry_count;
  footer.tombstone_count += entry.kind == Kind::Tombstone ? 1 : 0;
  footer.raw_size += entry.key.size() + entry.value.size();
  footer.sequence_max = std::max(footer.sequence_max, entry.sequence);
}

std::string_view RunWriter::last_key() const noexcept {
  return impl_->block.last_key();
}

std::uint64_t RunWriter::entry_count() const noexcept {
  return impl_->footer.entry_count;
}

std::uint64_t RunWriter::size() const noexcept {
  const Impl& run = *impl_;
  return run.written + run.block.size() + run.separators.size() + run.filter_bytes_so_far() +
         kRunFooterSize;
}

std::size_t RunWriter::memory_size() const noexcept {
  const Impl& run = *impl_;
  return sizeof run + run.block_buffer_size + run.block.memory_size() + run.separators.capacity() +
         run.hashes.capacity() * sizeof(std::uint64_t);
}

// The separator section, and the filter, which comes after it.
std::size_t RunWriter::finish_memory_size() const noexcept {
  const Impl& run = *impl_;
  return std::max<std::size_t>(run.separators.size(), run.filter_bytes_so_far());
}

RunSummary RunWriter::finish() {
  Impl& run = *impl_;
  RunFooter& footer = run.footer;
  VARVE_CHECK(footer.entry_count > 0 && !run.finished);
  run.finished = true;
  run.largest_key = run.block.last_key();
  run.finish_block({});

  footer.separators_offset = run.written;
  footer.separators_checksum = run.write_section(run.separator_section());
  footer.filter_offset = run.written;
  footer.filter_checksum =
      run.write_section(build_filter(run.hashes, run.options.filter_bits_per_key));
  footer.block_size = static_cast<std::uint32_t>(run.options.block_size);
  footer.run_size = run.written + kRunFooterSize;
  run.sink.append(encode_footer(footer, run.options.seed, run.begin + run.written));
  return {.offset = run.begin,
          .size = footer.run_size,
          .entry_count = footer.entry_count,
          .tombstone_count = footer.tombstone_count,
          .key_count = footer.key_count,
          .raw_size = footer.raw_size,
          .footer_checksum = footer.footer_checksum};
}

}  // namespace varve::segment

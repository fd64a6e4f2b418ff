// SPDX-License-Identifier: Apache-2.0
#include "segment/run.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "segment/filter.hpp"
#include "segment/huge_buffer.hpp"
#include "segment/run_blocks.hpp"
#include "segment/run_cursor.hpp"
#include "segment/run_format.hpp"
#include "segment/run_verify.hpp"
#include "varve/error.hpp"

namespace varve::segment {
namespace {

class OpenRun final : public Run {
 public:
  OpenRun(std::shared_ptr<const directory::ImmutableFile> file, const RunLocation& location,
          std::string_view map, const RunFooter& footer, const RunSeparators& separators,
          HugeBuffer filter, std::size_t filter_size, const std::shared_ptr<ChunkPool>& pool)
      : Run(own_blocks_, Filter({filter.data(), filter_size})),
        own_blocks_(std::move(file), location, map, separators, pool),
        footer_(footer),
        filter_bytes_(std::move(filter)) {}

  [[nodiscard]] const directory::ImmutableFile& file() const noexcept override {
    return blocks_.file();
  }
  [[nodiscard]] const RunLocation& location() const noexcept override { return blocks_.location(); }
  [[nodiscard]] std::uint64_t entry_count() const noexcept override { return footer_.entry_count; }
  [[nodiscard]] std::uint64_t block_count() const noexcept override { return footer_.block_count; }
  [[nodiscard]] std::string_view smallest_key() const noexcept override {
    return blocks_.smallest_key();
  }
  [[nodiscard]] std::string_view largest_key() const noexcept override {
    return blocks_.largest_key();
  }
  [[nodiscard]] std::size_t memory_size() const noexcept override {
    return sizeof *this + blocks_.memory_size() + filter_bytes_.size();
  }

  [[nodiscard]] FoundEntry find(std::string_view key, Sequence at,
                                std::string& scratch) const override {
    const std::size_t block = blocks_.find(key);
    blocks_.prefetch(block);
    return blocks_.load(block, scratch).find(key, at);
  }
  [[nodiscard]] std::unique_ptr<EntrySource> cursor() const override {
    return std::make_unique<RunCursor>(blocks_);
  }
  void verify(const std::function<void(const RunFinding&)>& report) const override {
    verify_run(blocks_, footer_, filter_, report);
  }

 private:
  RunBlocks own_blocks_;
  RunFooter footer_;
  HugeBuffer filter_bytes_;  // What filter_ is a view of.
};

// The parts of a run that are read when it is opened.
class Opener {
 public:
  Opener(const directory::ImmutableFile& file, const RunLocation& location) noexcept
      : file_(file), location_(location) {}

  // The run must be there before a byte of it is read or a mapping is trusted.
  void check_location() const {
    std::uint64_t end = 0;
    if (location_.offset % kRunAlignment != 0 || location_.size % kBlockUnit != 0 ||
        location_.size < kRunFooterSize + 2 * kBlockUnit ||
        !directory::checked_add(location_.offset, location_.size, end) || end > file_.size()) {
      fail(location_.offset, "run",
           "an aligned run of " + std::to_string(location_.size) + " bytes inside the file",
           "a file of " + std::to_string(file_.size()) + " bytes");
    }
  }
  void check_limit(const char* what, std::uint64_t offset, std::uint64_t size,
                   std::uint64_t size_max) const {
    if (size <= size_max) return;
    throw Error(ErrorCode::LimitExceeded,
                file_.name() + ", " + what + " at byte " +
                    std::to_string(location_.offset + offset) + ": at most " +
                    std::to_string(size_max) + " bytes expected, " + std::to_string(size) +
                    " found",
                file_.name());
  }
  void check_block_sizes(const RunSeparators& separators, std::uint64_t size_max) const {
    for (std::size_t i = 1; i < separators.block_offsets.size(); ++i) {
      const std::uint64_t begin = separators.block_offsets[i - 1];
      check_limit("a block", begin * kBlockUnit, (separators.block_offsets[i] - begin) * kBlockUnit,
                  size_max);
    }
  }
  void read(std::uint64_t offset, std::span<char> out) const {
    file_.read(location_.offset + offset, out);
  }
  void check_section(const char* what, std::uint64_t offset, std::string_view bytes,
                     std::uint64_t stored) const {
    const std::uint64_t file_offset = location_.offset + offset;
    const std::uint64_t computed =
        directory::hash64(bytes, directory::part_seed(location_.seed, file_offset));
    if (computed != stored && !VARVE_MUTANT("run.section_checksum_ignored")) {
      fail(file_offset, what, hex64(stored), hex64(computed));
    }
  }

 private:
  [[noreturn]] void fail(std::uint64_t offset, std::string what, std::string expected,
                         std::string found) const {
    throw_finding(file_.name(), {.offset = offset,
                                 .what = std::move(what),
                                 .expected = std::move(expected),
                                 .found = std::move(found),
                                 .first_key = {},
                                 .last_key = {},
                                 .entry_count = location_.entry_count});
  }
  const directory::ImmutableFile& file_;
  const RunLocation& location_;
};

}  // namespace

std::uint64_t sparse_index_size_of(std::uint64_t block_count,
                                   std::uint64_t separators_size) noexcept {
  return sizeof(OpenRun) + RunBlocks::memory_size_of(block_count, separators_size);
}

RunTables estimate_run_tables(const RunFooter& footer) noexcept {
  // In front of a separator are its block's size and count of entries and its own size: a byte each
  // in an ordinary run.
  constexpr std::uint64_t kNumbersSize = 3;
  const std::uint64_t section_size = footer.filter_offset - footer.separators_offset;
  const std::uint64_t separators_size =
      section_size - std::min(section_size, kNumbersSize * footer.block_count);
  return {.sparse_index_size = sparse_index_size_of(footer.block_count, separators_size),
          .filter_size = footer.run_size - kRunFooterSize - footer.filter_offset};
}

std::shared_ptr<const Run> Run::open(std::shared_ptr<const directory::ImmutableFile> file,
                                     const RunLocation& location, Reads reads,
                                     const RunLimits& limits,
                                     const std::shared_ptr<ChunkPool>& pool) {
  const Opener opener(*file, location);
  opener.check_location();
  std::string buffer(kRunFooterSize, '\0');
  const std::uint64_t footer_offset = location.size - kRunFooterSize;
  opener.read(footer_offset, buffer);
  const RunFooter footer = parse_footer(buffer, location, file->name());

  opener.check_limit("a run's separator section and filter", footer.separators_offset,
                     footer_offset - footer.separators_offset, limits.sections_size_max);
  buffer.resize(static_cast<std::size_t>(footer.filter_offset - footer.separators_offset));
  opener.read(footer.separators_offset, buffer);
  opener.check_section("checksum of a run's separator section", footer.separators_offset, buffer,
                       footer.separators_checksum);
  const RunSeparators separators = parse_separators(buffer, footer, location, file->name());
  opener.check_block_sizes(separators, limits.block_size_max);

  const auto filter_size = static_cast<std::size_t>(footer_offset - footer.filter_offset);
  HugeBuffer filter(filter_size, pool);
  opener.read(footer.filter_offset, {filter.data(), filter_size});
  opener.check_section("checksum of a run's filter", footer.filter_offset,
                       {filter.data(), filter_size}, footer.filter_checksum);

  // Without a mapping (or with one that ends before the run) blocks are read one by one.
  std::string_view map = reads == Reads::Mapped ? file->map() : std::string_view();
  if (map.size() < location.offset + location.size) map = {};
  return std::make_shared<OpenRun>(std::move(file), location, map, footer, separators,
                                   std::move(filter), filter_size, pool);
}

}  // namespace varve::segment

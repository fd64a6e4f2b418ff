// SPDX-License-Identifier: Apache-2.0
#include "segment/run_verify.hpp"

#include <algorithm>
#include <string>

#include "directory/checksum.hpp"
#include "varve/error.hpp"

namespace varve::segment {
namespace {

// What the footer promises, counted over the blocks that could be read.
struct Totals {
  std::uint64_t entry_count = 0, tombstone_count = 0, key_count = 0, raw_size = 0;
  Sequence sequence_max = 0;
};

class Verifier {
 public:
  Verifier(const RunBlocks& blocks, const RunFooter& footer, const Filter& filter,
           const std::function<void(const RunFinding&)>& report)
      : blocks_(blocks), footer_(footer), filter_(filter), report_(report) {}

  void run() {
    for (std::size_t block = 0; block < blocks_.count(); ++block) verify_block(block);
    const std::uint64_t footer_offset = footer_.run_size - kRunFooterSize;
    verify_section("run's separator section", footer_.separators_offset,
                   footer_.filter_offset - footer_.separators_offset, footer_.separators_checksum);
    verify_section("run's filter", footer_.filter_offset, footer_offset - footer_.filter_offset,
                   footer_.filter_checksum);
    verify_section("run's footer", footer_offset, kRunFooterSize - 8, footer_.footer_checksum);
    if (all_blocks_read_) verify_totals();
  }

 private:
  void verify_block(std::size_t block) {
    const bool follows_read_block = last_block_read_;
    last_block_read_ = false;
    try {
      blocks_.read(block, buffer_);
    } catch (const Error& error) {
      all_blocks_read_ = false;
      report_(blocks_.finding(block, "block", "readable bytes", error.what()));
      return;
    }
    const std::string_view bytes(buffer_.data(), blocks_.size(block));
    if (const auto wrong = blocks_.check(block, bytes)) {
      all_blocks_read_ = false;
      report_(*wrong);
      return;
    }
    last_block_read_ = true;
    verify_entries(block, BlockView(bytes.data(), bytes.size()), follows_read_block);
  }

  void verify_entries(std::size_t block, const BlockView& view, bool follows_read_block) {
    const char* at = view.entry(0);
    std::string key(view.prefix());
    for (std::size_t i = 0; i < view.entry_count(); ++i) {
      BlockEntry entry;
      at = load_entry(at, entry);
      key.resize(view.prefix().size());
      char head[kHeadSize];
      store_head(head, view.head(i));
      key.append(head, std::min(kHeadSize, entry.suffix_size));
      key += entry.rest;
      if (i == 0) verify_first_key(block, key, follows_read_block);
      const bool same_key = i > 0 && key == last_key_;
      if (i > 0 && (key < last_key_ || (same_key && entry.sequence >= last_sequence_))) {
        report_(blocks_.finding(block, "block's order of entries",
                                "a version after that of " + printable_key(last_key_),
                                printable_key(key)));
      }
      if (!same_key) {
        ++totals_.key_count;
        if (!filter_.may_contain(directory::hash64(key))) {
          report_(blocks_.finding(block, "run's filter", "a key of the block in it",
                                  "without " + printable_key(key)));
        }
      }
      count(key, entry);
      last_key_ = key;
      last_sequence_ = entry.sequence;
    }
    const bool last = block + 1 == blocks_.count();
    if (last ? last_key_ != blocks_.largest_key() : last_key_ >= blocks_.separator(block + 1)) {
      report_(blocks_.finding(block, "block's last key",
                              last ? "the run's largest key " + printable_key(blocks_.largest_key())
                                   : "a key below " + printable_key(blocks_.separator(block + 1)),
                              printable_key(last_key_)));
    }
  }

  void verify_first_key(std::size_t block, const std::string& key, bool follows_read_block) {
    if (block == 0 ? key != blocks_.smallest_key() : key < blocks_.separator(block)) {
      report_(blocks_.finding(
          block, "block's first key",
          block == 0 ? "the run's smallest key " + printable_key(blocks_.smallest_key())
                     : "a key not below " + printable_key(blocks_.separator(block)),
          printable_key(key)));
    }
    if (follows_read_block && key <= last_key_) {
      report_(blocks_.finding(block, "block's first key", "a key after " + printable_key(last_key_),
                              printable_key(key)));
    }
  }

  void count(const std::string& key, const BlockEntry& entry) {
    ++totals_.entry_count;
    totals_.tombstone_count += entry.kind == Kind::Tombstone ? 1 : 0;
    totals_.raw_size += key.size() + entry.value.size();
    totals_.sequence_max = std::max(totals_.sequence_max, entry.sequence);
  }

  // Sections were verified when the run was opened; the file may have decayed since.
  void verify_section(const char* what, std::uint64_t offset, std::uint64_t size,
                      std::uint64_t expected) {
    const std::uint64_t file_offset = blocks_.location().offset + offset;
    std::string found;
    try {
      buffer_.resize(size);
      blocks_.file().read(file_offset, {buffer_.data(), buffer_.size()});
      const std::uint64_t computed =
          directory::hash64(buffer_, directory::part_seed(blocks_.location().seed, file_offset));
      if (computed == expected) return;
      found = hex64(computed);
    } catch (const Error& error) {
      found = error.what();
    }
    report_(whole_run(offset, std::string(what) + ", checksum", hex64(expected), found));
  }

  void verify_totals() {
    const auto expect = [this](const char* what, std::uint64_t expected, std::uint64_t found) {
      if (expected == found) return;
      report_(whole_run(footer_.run_size - kRunFooterSize, what, std::to_string(expected),
                        std::to_string(found)));
    };
    expect("run's entry count", footer_.entry_count, totals_.entry_count);
    expect("run's tombstone count", footer_.tombstone_count, totals_.tombstone_count);
    expect("run's key count", footer_.key_count, totals_.key_count);
    expect("run's raw size", footer_.raw_size, totals_.raw_size);
    expect("run's largest sequence", footer_.sequence_max, totals_.sequence_max);
  }

  [[nodiscard]] RunFinding whole_run(std::uint64_t offset, std::string what, std::string expected,
                                     std::string found) const {
    return {.offset = blocks_.location().offset + offset,
            .what = std::move(what),
            .expected = std::move(expected),
            .found = std::move(found),
            .first_key = std::string(blocks_.smallest_key()),
            .last_key = std::string(blocks_.largest_key()),
            .entry_count = footer_.entry_count};
  }

  const RunBlocks& blocks_;
  const RunFooter& footer_;
  const Filter& filter_;
  const std::function<void(const RunFinding&)>& report_;
  std::string buffer_;
  std::string last_key_;
  Sequence last_sequence_ = 0;
  bool last_block_read_ = false;
  bool all_blocks_read_ = true;
  Totals totals_;
};

}  // namespace

void verify_run(const RunBlocks& blocks, const RunFooter& footer, const Filter& filter,
                const std::function<void(const RunFinding&)>& report) {
  Verifier(blocks, footer, filter, report).run();
}

}  // namespace varve::segment

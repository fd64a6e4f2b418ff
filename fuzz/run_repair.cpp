// SPDX-License-Identifier: Apache-2.0
#include "fuzz/run_repair.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "directory/directory.hpp"
#include "segment/block.hpp"
#include "segment/run_format.hpp"
#include "segment/run_writer.hpp"

namespace varve::fuzz {
namespace {

using directory::load_le;
using directory::store_le;
using namespace varve::segment;

class StringSink final : public directory::Sink {
 public:
  explicit StringSink(std::uint64_t offset) : bytes(offset, '\0') {}
  void append(std::string_view piece) override { bytes += piece; }
  std::uint64_t offset() const noexcept override { return bytes.size(); }
  std::string bytes;
};

}  // namespace

// Runs of one and of several blocks, with versions, tombstones and a value beyond 64 KiB.
std::string fresh_run(RunPlace place, std::uint32_t choice) {
  StringSink sink(place.offset);
  RunWriter writer(sink, {.seed = place.seed,
                          .block_size = choice % 2 == 0 ? std::size_t{256} : std::size_t{4096},
                          .filter_bits_per_key = choice % 3 == 0 ? 0.0 : 12.0});
  const std::uint32_t key_count = 1 + choice % 24;
  for (std::uint32_t i = 0; i < key_count; ++i) {
    const bool nested = choice % 5 == 0;  // Each key begins the next one.
    std::string key = nested ? std::string(i + 1, 'a') : "key-" + std::to_string(1000 + 7 * i);
    // Some with much behind their heads.
    if (!nested && choice % 7 == 1 && i % 3 == 2) key.append(20 * choice % 1000, 'k');
    if (i % 4 == 1) writer.add({.key = key, .value = {}, .sequence = 300, .kind = Kind::Tombstone});
    const std::size_t value_size = choice % 29 == 3 && i == 2 ? 66'000 : 5 * i;
    writer.add({.key = key, .value = std::string(value_size, 'v'), .sequence = i % 3});
  }
  static_cast<void>(writer.finish());
  return sink.bytes.substr(place.offset);
}

namespace {

struct Parts {
  std::string blocks, separators, filter, footer;
};

bool split(const std::string& image, Parts& parts) {
  if (image.size() < kRunFooterSize + 2 * kBlockUnit) return false;
  const std::size_t footer = image.size() - kRunFooterSize;
  const auto separators = load_le<std::uint64_t>(image.data() + footer + 72);
  const auto filter = load_le<std::uint64_t>(image.data() + footer + 80);
  if (separators > filter || filter > footer) return false;
  parts = {.blocks = image.substr(0, separators),
           .separators = image.substr(separators, filter - separators),
           .filter = image.substr(filter, footer - filter),
           .footer = image.substr(footer)};
  return true;
}

void pad(std::string& bytes) {
  bytes.resize((bytes.size() + kBlockUnit - 1) / kBlockUnit * kBlockUnit);
}

struct SeparatorRecord {
  std::uint64_t units = 0, entry_count = 0;
  std::string separator;
};

// Reads what can be read of a separator section and writes it anew, so that its blocks are just
// the run's; returns the number of entries.
std::uint64_t repair_separators(Parts& parts, std::uint64_t block_count,
                                std::vector<SeparatorRecord>& records) {
  directory::ByteReader reader(parts.separators);
  const std::string_view smallest = reader.sized(), largest = reader.sized();
  std::uint64_t units_left = parts.blocks.size() / kBlockUnit;
  while (records.size() < block_count && units_left > 0 && reader.ok()) {
    SeparatorRecord record;
    record.units = std::clamp<std::uint64_t>(reader.varint(), 1, units_left);
    record.entry_count = reader.varint();
    record.separator = reader.sized();
    units_left -= record.units;
    records.push_back(std::move(record));
  }
  if (records.empty()) return 0;
  records.back().units += units_left;
  std::string section;
  const auto append_sized = [&section](std::string_view bytes) {
    directory::append_varint(section, bytes.size());
    section += bytes;
  };
  append_sized(smallest);
  append_sized(largest);
  std::uint64_t entry_count = 0;
  std::size_t at = 0;
  for (SeparatorRecord& record : records) {
    record.entry_count = load_le<std::uint32_t>(parts.blocks.data() + at + 12);
    at += record.units * kBlockUnit;
    directory::append_varint(section, record.units);
    directory::append_varint(section, record.entry_count);
    append_sized(record.separator);
    entry_count += record.entry_count;
  }
  parts.separators = section;
  pad(parts.separators);
  return entry_count;
}

void repair_blocks(std::string& blocks, const std::vector<SeparatorRecord>& records,
                   RunPlace place) {
  std::size_t at = 0;
  for (const SeparatorRecord& record : records) {
    const std::size_t size = record.units * kBlockUnit;
    store_le(blocks.data() + at + 8, static_cast<std::uint32_t>(record.units));
    store_le(blocks.data() + at,
             block_checksum(std::string_view(blocks).substr(at, size),
                            directory::part_seed(place.seed, place.offset + at)));
    at += size;
  }
}

void store_checksum(std::string& image, RunPlace place) {
  const std::uint64_t at = image.size() - kRunFooterSize;
  char* const footer = image.data() + at;
  store_le(footer + 120,
           directory::hash64({footer, 120}, directory::part_seed(place.seed, place.offset + at)));
}

std::string join(Parts& parts, RunPlace place) {
  const std::uint64_t separators = parts.blocks.size();
  const std::uint64_t filter = separators + parts.separators.size();
  const std::uint64_t footer = filter + parts.filter.size();
  char* const to = parts.footer.data();
  store_le(to + 16, std::uint64_t{footer + kRunFooterSize});
  store_le(to + 72, separators);
  store_le(to + 80, filter);
  const auto checksum = [place](std::string_view bytes, std::uint64_t at) {
    return directory::hash64(bytes, directory::part_seed(place.seed, place.offset + at));
  };
  store_le(to + 96, checksum(parts.separators, separators));
  store_le(to + 104, checksum(parts.filter, filter));
  std::string image = parts.blocks + parts.separators + parts.filter + parts.footer;
  store_checksum(image, place);
  return image;
}

}  // namespace

void mutate_run(std::string& image, RunPlace place, std::uint32_t choice,
                const std::function<void(std::string&)>& mutate) {
  Parts parts;
  if (!split(image, parts)) {
    image = fresh_run(place, choice);
    return;
  }
  std::string* const targets[] = {&parts.blocks,     &parts.blocks, &parts.blocks,
                                  &parts.separators, &parts.filter, &parts.footer};
  std::string& target = *targets[choice % std::size(targets)];
  mutate(target);
  parts.footer.resize(kRunFooterSize);
  pad(parts.blocks);
  pad(parts.separators);
  pad(parts.filter);
  choice /= static_cast<std::uint32_t>(std::size(targets));
  std::vector<SeparatorRecord> records;
  if (choice % 4 != 0) {
    const auto block_count = load_le<std::uint64_t>(parts.footer.data() + 24);
    const std::uint64_t entry_count = repair_separators(parts, block_count, records);
    if (&target != &parts.footer) {
      store_le(parts.footer.data() + 24, std::uint64_t{records.size()});
      store_le(parts.footer.data() + 32, entry_count);
    }
    repair_blocks(parts.blocks, records, place);
  }
  image = join(parts, place);
  if (&target == &parts.footer && choice % 2 == 0) {
    // Sizes and offsets as well: only the footer's own checksum is right.
    std::string fields = image.substr(image.size() - kRunFooterSize + 16, 96);
    mutate(fields);
    fields.resize(96);
    image.replace(image.size() - kRunFooterSize + 16, fields.size(), fields);
    store_checksum(image, place);
  }
}

}  // namespace varve::fuzz

// SPDX-License-Identifier: Apache-2.0
#include "bench/ycsb.hpp"

#include <array>

#include "bench/zipfian.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kScanLimitMax = 100;

constexpr std::array<YcsbMix, 6> kMixes = {{
    {.name = 'A', .read_percent = 50, .update_percent = 50},
    {.name = 'B', .read_percent = 95, .update_percent = 5},
    {.name = 'C', .read_percent = 100},
    {.name = 'D', .read_percent = 95, .insert_percent = 5, .reads_latest = true},
    {.name = 'E', .insert_percent = 5, .scan_percent = 95},
    {.name = 'F', .read_percent = 50, .modify_percent = 50},
}};

YcsbKind draw_kind(const YcsbMix& mix, Random& random) {
  auto percent = static_cast<unsigned>(random.below(100));
  const auto takes = [&](unsigned share) {
    if (percent < share) return true;
    percent -= share;
    return false;
  };
  if (takes(mix.read_percent)) return YcsbKind::Read;
  if (takes(mix.update_percent)) return YcsbKind::Update;
  if (takes(mix.insert_percent)) return YcsbKind::Insert;
  if (takes(mix.scan_percent)) return YcsbKind::Scan;
  return YcsbKind::Modify;
}

}  // namespace

const YcsbMix& ycsb_mix(char name) {
  return kMixes.at(static_cast<std::size_t>(name - 'A'));
}

std::vector<YcsbOperation> make_ycsb_operations(const YcsbMix& mix, std::uint64_t entry_count,
                                                std::uint64_t operation_count, std::uint64_t seed) {
  Random random(seed);
  Zipfian ranks(entry_count);
  // Popular ranks are scattered over the keys that were loaded. YCSB hashes them instead, which
  // lets some keys share a rank and leaves others without one.
  const std::uint64_t step = coprime_step(2'654'435'761ULL, entry_count);
  std::vector<YcsbOperation> operations;
  operations.reserve(operation_count);
  std::uint64_t next_number = entry_count;
  for (std::uint64_t i = 0; i < operation_count; ++i) {
    YcsbOperation operation{.kind = draw_kind(mix, random)};
    std::uint64_t number = 0;
    if (operation.kind == YcsbKind::Insert) {
      number = next_number++;
      if (mix.reads_latest) ranks.grow();
    } else if (mix.reads_latest) {
      number = next_number - 1 - ranks.next(random);
    } else {
      number = ranks.next(random) * step % entry_count;
    }
    operation.number = static_cast<std::uint32_t>(number);
    if (operation.kind == YcsbKind::Scan) {
      operation.scan_limit = static_cast<std::uint8_t>(1 + random.below(kScanLimitMax));
    }
    operations.push_back(operation);
  }
  return operations;
}

}  // namespace varve::bench

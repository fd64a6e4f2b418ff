// SPDX-License-Identifier: Apache-2.0
//
// micro_index: nanoseconds per operation of key heads, filter and fence tree, by instruction set.
// Each figure is the fastest of several rounds over keys in random order, in CPU time, so that a
// busy machine disturbs little; the answers are summed and printed, so that nothing can be
// optimised away.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "segment/fence_tree.hpp"
#include "segment/filter.hpp"
#include "segment/huge_buffer.hpp"
#include "segment/key_heads.hpp"

namespace {

using namespace varve::segment;

constexpr const char* kLevelNames[] = {"scalar", "sse2", "avx2", "avx512"};

template <typename Operation>
void measure(const std::string& what, std::size_t count, Operation operation) {
  double best = 1e300;
  std::uint64_t sum = 0;
  for (int round = 0; round < 9; ++round) {
    const std::clock_t start = std::clock();
    for (std::size_t i = 0; i < count; ++i) sum += operation(i);
    const double taken = static_cast<double>(std::clock() - start) * (1e9 / CLOCKS_PER_SEC);
    best = std::min(best, taken / static_cast<double>(count));
  }
  std::printf("%-44s %8.1f ns   (%016llx)\n", what.c_str(), best,
              static_cast<unsigned long long>(sum));
}

// Calls measure() for the chosen variant, and for each one that this processor has.
template <typename Operation>
void measure_levels(const std::string& what, std::size_t count, Operation operation) {
  for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
    measure(what + ", " + kLevelNames[level], count,
            [&](std::size_t i) { return operation(static_cast<SimdLevel>(level), i); });
  }
}

void measure_heads(std::size_t entry_count) {
  constexpr std::size_t kBlocks = 64;
  std::mt19937_64 random(1);
  std::vector<std::vector<char>> blocks;
  std::vector<std::uint32_t> wanted;
  for (std::size_t block = 0; block < kBlocks; ++block) {
    std::vector<std::uint32_t> heads(entry_count);
    for (std::uint32_t& head : heads) head = static_cast<std::uint32_t>(random());
    for (int i = 0; i < 16; ++i) wanted.push_back(heads[random() % entry_count]);
    std::sort(heads.begin(), heads.end());
    blocks.emplace_back(key_heads_size(entry_count));
    store_key_heads(blocks.back().data(), heads);
  }
  const auto block_of = [&](std::size_t i) { return blocks[(i / 16) % kBlocks].data(); };
  const std::string what = "heads " + std::to_string(entry_count);
  measure(what, 200'000, [&](std::size_t i) {
    return equal_range(block_of(i), entry_count, wanted[i % wanted.size()]).first;
  });
  measure_levels(what, 200'000, [&](SimdLevel level, std::size_t i) {
    return equal_range(level, block_of(i), entry_count, wanted[i % wanted.size()]).first;
  });
}

void measure_filter(std::size_t key_count) {
  std::mt19937_64 random(2);
  std::vector<std::uint64_t> hashes(key_count), others(1'000'000);
  for (std::uint64_t& hash : hashes) hash = random();
  for (std::uint64_t& hash : others) hash = random();
  const std::string encoded = build_filter(hashes, 12);
  const HugeBuffer memory(encoded.size());
  encoded.copy(memory.data(), encoded.size());
  const Filter filter(std::string_view(memory.data(), encoded.size()));
  const std::string what = "filter " + std::to_string(key_count) + " keys";
  for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
    if (level == static_cast<int>(SimdLevel::Sse2)) continue;
    measure(what + " build per key, " + kLevelNames[level], key_count, [&](std::size_t i) {
      if (i == 0) {
        add_to_filter(static_cast<SimdLevel>(level), {memory.data(), encoded.size()}, hashes);
      }
      return std::uint64_t{0};
    });
  }
  measure(what + " probe", others.size(),
          [&](std::size_t i) { return std::uint64_t{filter.may_contain(others[i])}; });
  measure_levels(what + " probe", others.size(), [&](SimdLevel level, std::size_t i) {
    return std::uint64_t{filter.may_contain(level, others[i])};
  });
}

template <typename MakeKey>
void measure_tree(const std::string& shape, std::size_t fence_count, MakeKey make_key) {
  constexpr std::size_t kKeysPerFence = 16, kOtherSize = 256 << 20;
  std::mt19937_64 random(3);
  std::vector<std::string> keys, fences;
  for (std::size_t i = 0; i < fence_count * kKeysPerFence; ++i)
    keys.push_back(make_key(random(), i));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (std::size_t i = 0; i < keys.size(); i += kKeysPerFence) fences.push_back(keys[i]);
  const std::vector<std::string_view> views(fences.begin(), fences.end());
  FenceTree tree;
  const std::string what = "tree " + std::to_string(fences.size()) + " " + shape;
  measure(what + " build per fence", fences.size(), [&](std::size_t i) {
    if (i == 0) tree = FenceTree(views);
    return std::uint64_t{0};
  });
  std::printf("%-44s %8.1f bytes a fence beside its key\n", what.c_str(),
              static_cast<double>(tree.memory_size()) / static_cast<double>(fences.size()) -
                  static_cast<double>(keys[0].size()));
  // Flat copies of the wanted keys: the tree is measured, not the strings.
  constexpr std::size_t kWanted = 500'000, kStride = 64;
  std::vector<char> wanted(kWanted * kStride);
  const std::size_t size = keys[0].size();
  for (std::size_t i = 0; i < kWanted; ++i) {
    keys[random() % keys.size()].copy(wanted.data() + i * kStride, size);
  }
  const auto key = [&](std::size_t i) {
    return std::string_view(wanted.data() + i * kStride, size);
  };
  measure(what + " find", kWanted, [&](std::size_t i) { return tree.find(key(i)); });
  measure_levels(what + " find", kWanted,
                 [&](SimdLevel level, std::size_t i) { return tree.find(level, key(i)); });
  // As in an engine: each find waits for the one before, and the data read in between push the
  // tree out of the nearer caches.
  static const HugeBuffer other(kOtherSize);
  std::memset(other.data(), 1, kOtherSize);
  std::size_t last = 0;
  measure_levels(what + " find, cold", kWanted / 4, [&](SimdLevel level, std::size_t i) {
    std::uint64_t place = last + i;
    for (int touched = 0; touched < 24; ++touched) {
      place = place * 0x9E3779B97F4A7C15 + 1;
      last += static_cast<unsigned char>(other.data()[(place >> 32) * kOtherSize >> 32]);
    }
    last = tree.find(level, key((i + (last & 1)) % kWanted));
    return last;
  });
  measure(what + " (the data alone)", kWanted / 4, [&](std::size_t i) {
    std::uint64_t place = last + i;
    for (int touched = 0; touched < 24; ++touched) {
      place = place * 0x9E3779B97F4A7C15 + 1;
      last += static_cast<unsigned char>(other.data()[(place >> 32) * kOtherSize >> 32]);
    }
    last = static_cast<unsigned char>(key((i + (last & 1)) % kWanted)[0]);
    return last;
  });
}

std::string text(const char* format, std::uint64_t number) {
  char buffer[64];
  const int size =
      std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned long long>(number));
  return {buffer, static_cast<std::size_t>(size)};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : "";
  if (only.empty() || only == "heads")
    for (const std::size_t count : {16, 40, 96, 128, 160, 400}) measure_heads(count);
  if (only.empty() || only == "filter")
    for (const std::size_t count : {50'000, 1'000'000, 10'000'000}) measure_filter(count);
  if (!only.empty() && only != "tree") return 0;
  for (const std::size_t count : {1'000, 20'000, 285'000}) {
    measure_tree("hash16", count,
                 [](std::uint64_t number, std::size_t) { return text("%016llx", number); });
    measure_tree("dec16", count,
                 [](std::uint64_t, std::size_t i) { return text("%016llu", i * 9); });
    measure_tree("url31", count, [](std::uint64_t number, std::size_t) {
      return text("https://ex.org/item/%03llu/", number % 500) +
             text("%07llu", number / 500 % 9'999'991);
    });
  }
  return 0;
}

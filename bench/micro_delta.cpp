// SPDX-License-Identifier: Apache-2.0

// Measures the delta alone: micro_delta [deltas] [entries] [value size]
// One line an order of keys: ns for insert, hit, miss, scan step and a short seek; bytes an entry.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "segment/arena.hpp"
#include "segment/delta.hpp"

namespace {

using varve::segment::ChunkPool;
using varve::segment::Delta;
using varve::segment::Kind;
using varve::segment::kSequenceMax;

std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// 16 bytes, from the number of an entry.
enum class Order { Random, Ascending, Text };

void make_key(Order order, std::uint64_t number, std::uint64_t count, char* key) noexcept {
  if (order == Order::Text) {  // 8 bytes in common, 8 random digits.
    std::snprintf(key, 17, "user:key%08llx",
                  static_cast<unsigned long long>(mix(number) & 0xffffffffULL));
    return;
  }
  const std::uint64_t high =
      order == Order::Random ? mix(number) : ~std::uint64_t{0} / count * number;
  for (unsigned i = 0; i < 8; ++i) {
    key[i] = static_cast<char>(high >> (56 - 8 * i));
    key[8 + i] = static_cast<char>(mix(high) >> (8 * i));
  }
}

class Stopwatch {
 public:
  [[nodiscard]] double ns_each(std::uint64_t count) const noexcept {
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin_;
    return time.count() / static_cast<double>(std::max<std::uint64_t>(count, 1));
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

class Bench {
 public:
  Bench(Order order, std::uint64_t deltas, std::uint64_t entries, std::size_t value_size)
      : order_(order), entries_(entries), value_(value_size, 'v') {
    for (std::uint64_t i = 0; i < deltas; ++i) {
      deltas_.push_back(std::make_unique<Delta>(pool_, Delta::ReaderMode::Alone));
    }
  }
  void run(const char* name) {
    const Stopwatch insert_time;
    for (std::uint64_t i = 0; i < entries_; ++i) {
      char key[24];
      make_key(order_, i, entries_, key);
      const std::string_view view(key, 16);
      route(view, i).insert(view, varve::directory::hash64(view), Kind::Value, value_, i + 1,
                            false);
    }
    const double insert = insert_time.ns_each(entries_);
    const double hit = find(0);
    const double miss = find(entries_);
    std::uint64_t steps = 0, check = 0;
    const Stopwatch scan_time;
    for (const auto& delta : deltas_) {
      const auto cursor = delta->cursor();
      for (cursor->seek_to_first(); cursor->valid(); cursor->next(), ++steps) {
        check += cursor->entry().key.back();
      }
    }
    const double scan = scan_time.ns_each(steps);
    const double seek = seek_some(check);
    std::uint64_t data = 0;
    std::size_t held = 0;
    for (const auto& delta : deltas_) {
      data += delta->data_size();
      held += delta->memory_size();
    }
    std::printf(
        "%-9s deltas %5zu  insert %4.0f  hit %4.0f  miss %4.0f  scan %5.1f  seek %5.0f ns"
        "  overhead %5.1f B  (%llu)\n",
        name, deltas_.size(), insert, hit, miss, scan, seek,
        (static_cast<double>(held) - static_cast<double>(data)) / static_cast<double>(steps),
        static_cast<unsigned long long>(check & 7));
  }

 private:
  Delta& route(std::string_view key, std::uint64_t number) {
    std::uint64_t x = varve::directory::load_be<std::uint64_t>(key.data());
    if (order_ == Order::Text) x = mix(number % entries_) << 32;
    return *deltas_[(x >> 32) * deltas_.size() >> 32];
  }
  double find(std::uint64_t offset) {
    std::uint64_t found = 0;
    const Stopwatch time;
    for (std::uint64_t i = 0; i < entries_; ++i) {
      const std::uint64_t number = mix(i) % entries_;
      char key[24];
      make_key(order_, number, entries_, key);
      if (offset != 0) key[15] = static_cast<char>(key[15] ^ 0x80);
      const std::string_view view(key, 16);
      found += route(view, number).find(view, varve::directory::hash64(view), kSequenceMax).found;
    }
    const double result = time.ns_each(entries_);
    if ((offset == 0) != (found == entries_))
      std::printf("found %llu!\n", static_cast<unsigned long long>(found));
    return result;
  }
  double seek_some(std::uint64_t& check) {
    const std::uint64_t count = entries_ / 10;
    const Stopwatch time;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t number = mix(i) % entries_;
      char key[24];
      make_key(order_, number, entries_, key);
      const auto cursor = route({key, 16}, number).cursor();
      cursor->seek({key, 16});
      check += cursor->valid();
    }
    return time.ns_each(count);
  }

  ChunkPool pool_;
  Order order_;
  std::uint64_t entries_;
  std::string value_;
  std::vector<std::unique_ptr<Delta>> deltas_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, std::uint64_t otherwise) {
    return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
  };
  const std::uint64_t deltas = argument(1, 64), entries = argument(2, 1'000'000);
  const std::size_t value_size = argument(3, 100);
  if (deltas == 0 || entries == 0) return 2;
  Bench(Order::Random, deltas, entries, value_size).run("random");
  Bench(Order::Ascending, deltas, entries, value_size).run("ascending");
  Bench(Order::Text, deltas, entries, value_size).run("text");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "bench/data.hpp"

#include <array>
#include <bit>
#include <numeric>
#include <utility>

namespace varve::bench {
namespace {

constexpr std::array<char, 200> kDecimalPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

using HexPairs = std::array<char, 512>;
constexpr HexPairs make_hex_pairs(const char* digits) {
  HexPairs pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = digits[i >> 4];
    pairs[2 * i + 1] = digits[i & 15];
  }
  return pairs;
}
constexpr HexPairs kLowerHexPairs = make_hex_pairs("0123456789abcdef");
constexpr HexPairs kUpperHexPairs = make_hex_pairs("0123456789ABCDEF");

void write_hex16(std::uint64_t number, const HexPairs& pairs, char* to) noexcept {
  for (int i = 7; i >= 0; --i, number >>= 8) {
    std::memcpy(to + 2 * i, pairs.data() + 2 * (number & 0xff), 2);
  }
}
// The first half alone tells two numbers apart.
void write_hex32(std::uint64_t number, std::uint64_t rest, char* to) noexcept {
  write_hex16(number, kUpperHexPairs, to);
  write_hex16(rest, kUpperHexPairs, to + 16);
}

void write_decimal16(std::uint64_t number, char* to) noexcept {
  for (int i = 7; i >= 0; --i, number /= 100) {
    std::memcpy(to + 2 * i, kDecimalPairs.data() + 2 * (number % 100), 2);
  }
}

// "https://w", four digits of host, ".example/", nine digits of page: 31 bytes.
void write_url(std::uint64_t host, std::uint64_t page, char* to) noexcept {
  char digits[16];
  write_decimal16(host, digits);
  std::memcpy(to, "https://w", 9);
  std::memcpy(to + 9, digits + 12, 4);
  std::memcpy(to + 13, ".example/", 9);
  write_decimal16(page, digits);
  std::memcpy(to + 22, digits + 7, 9);
}

constexpr std::uint64_t kHostCount = 1024;

}  // namespace

std::uint64_t coprime_step(std::uint64_t wanted, std::uint64_t count) noexcept {
  std::uint64_t step = wanted % count | 1;
  while (std::gcd(step, count) != 1) step += 2;
  return step;
}

KeyMaker::KeyMaker(KeyShape shape, std::uint64_t count) noexcept
    : shape_(shape),
      count_(count),
      jitter_bits_(static_cast<unsigned>(std::countl_zero(count | 1))) {}

std::string_view KeyMaker::make(std::uint64_t id, char* to) const noexcept {
  switch (shape_) {
    case KeyShape::Hash16:
      write_hex16(mix(id), kLowerHexPairs, to);
      break;
    case KeyShape::Dec16:
      write_decimal16(id, to);
      break;
    case KeyShape::Url31:
      write_url(mix(id >> 7) % kHostCount, id, to);
      break;
    case KeyShape::Hash32:
      write_hex32(mix(id), mix(~id), to);
      break;
  }
  return {to, size()};
}

std::uint64_t KeyMaker::scattered(std::uint64_t number) const noexcept {
  return (number << jitter_bits_) | (mix(number) >> (64 - jitter_bits_));
}

std::string_view KeyMaker::ascending(std::uint64_t number) noexcept {
  switch (shape_) {
    case KeyShape::Hash16:
      write_hex16(scattered(number), kLowerHexPairs, buffer_);
      break;
    case KeyShape::Dec16:
      write_decimal16(number, buffer_);
      break;
    case KeyShape::Url31:
      write_url(number * kHostCount / (count_ + 1), number, buffer_);
      break;
    case KeyShape::Hash32:
      write_hex32(scattered(number), mix(~number), buffer_);
      break;
  }
  return {buffer_, size()};
}

ValueMaker::ValueMaker(std::size_t size) : size_(size), value_(size, '\0') {
  Random random(2);
  std::string pool;
  pool.reserve(kPoolSize + size + 8);
  while (pool.size() < kPoolSize + size) {
    const std::uint64_t word = random.next();
    pool.append(reinterpret_cast<const char*>(&word), 8);
  }
  pool_ = std::make_shared<const std::string>(std::move(pool));
  pool_data_ = pool_->data();
}

std::string_view ValueMaker::make(std::string_view key, std::uint8_t version) noexcept {
  if (is_text_) return value_;
  const std::uint64_t tag = (hash_key(key) & ~0xffULL) | version;
  std::memcpy(value_.data(), &tag, 8);
  std::memcpy(value_.data() + 8, pool_at(tag), size_ - 8);
  return value_;
}

}  // namespace varve::bench

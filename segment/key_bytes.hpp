// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "directory/bytes.hpp"

namespace varve::segment {

// What a scan does once or more per entry, inline: a call of memcmp or memcpy costs more than the
// few words of most keys.

// The eight bytes of `key` from `offset` on, as an integer that orders like them; zeros where the
// key has ended, so equal heads do not mean equal keys.
[[nodiscard]] inline std::uint64_t key_head8(std::string_view key,
                                             std::size_t offset = 0) noexcept {
  constexpr std::size_t kSize = sizeof(std::uint64_t);
  if (key.size() <= offset) return 0;
  const std::size_t size = key.size() - offset;
  if (size >= kSize) [[likely]]
    return directory::load_be<std::uint64_t>(key.data() + offset);
  if (key.size() >= kSize) {  // Bytes in front of `offset` are there to be read and shifted out.
    const auto tail = directory::load_be<std::uint64_t>(key.data() + key.size() - kSize);
    return tail << (8 * (kSize - size));
  }
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < size; ++i) {
    head |= std::uint64_t{static_cast<std::uint8_t>(key[offset + i])} << (56 - 8 * i);
  }
  return head;
}

// Negative, zero or positive as `a` comes before, equals or comes behind `b`.
[[nodiscard]] inline int compare_keys(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size() < b.size() ? a.size() : b.size();
  if (size < 8) return a.compare(b);
  const auto word = [](std::string_view key, std::size_t at) {
    return directory::load_be<std::uint64_t>(key.data() + at);
  };
  for (std::size_t at = 0; at + 8 <= size; at += 8) {
    const std::uint64_t x = word(a, at), y = word(b, at);
    if (x != y) return x < y ? -1 : 1;
  }
  const std::uint64_t x = word(a, size - 8), y = word(b, size - 8);  // Overlaps what was equal.
  if (x != y) return x < y ? -1 : 1;
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}

// Neighbours in a scan share their beginning, so the ends are looked at first.
[[nodiscard]] inline bool equal_keys(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  if (a.size() < 8) return a == b;
  std::uint64_t x = 0, y = 0;
  std::memcpy(&x, a.data() + a.size() - 8, 8);
  std::memcpy(&y, b.data() + b.size() - 8, 8);
  return x == y && std::memcmp(a.data(), b.data(), a.size() - 8) == 0;
}

// A copy of a key. Errors: std::bad_alloc from assign(), unless reserved before; the copy is then
// as it was.
class SavedKey {
 public:
  SavedKey() = default;
  SavedKey(const SavedKey&) = delete;
  SavedKey& operator=(const SavedKey&) = delete;
  ~SavedKey() = default;

  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  // Requires: `key` is no part of this copy.
  void assign(std::string_view key) {
    if (key.size() > capacity_) [[unlikely]]
      grow(key.size());
    if (key.size() >= 8) [[likely]] {
      std::size_t at = 0;
      for (; at + 8 <= key.size(); at += 8) std::memcpy(data_ + at, key.data() + at, 8);
      std::memcpy(data_ + key.size() - 8, key.data() + key.size() - 8, 8);
    } else {
      for (std::size_t at = 0; at < key.size(); ++at) data_[at] = key[at];
    }
    size_ = key.size();
  }
  [[nodiscard]] std::size_t capacity() const noexcept {
    return capacity_;
  }  // Assigned without error.

 private:
  void grow(std::size_t size) {
    heap_ = std::make_unique<char[]>(2 * size);
    data_ = heap_.get();
    capacity_ = 2 * size;
  }
  std::array<char, 128> inline_;
  char* data_ = inline_.data();
  std::size_t size_ = 0;
  std::size_t capacity_ = sizeof inline_;
  std::unique_ptr<char[]> heap_;
};

}  // namespace varve::segment

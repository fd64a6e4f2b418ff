// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace varve::bench {

// Which versions of each value a reader may see while others write: none that is older than the
// last one that was acknowledged before the read began, none that nobody had begun to write when it
// ended.
// Requires: no two writers of one key at the same time, and no read during which a key is written
// 256 times.
// Thread-safety: any.
class KeyVersions {
 public:
  explicit KeyVersions(std::uint64_t key_count) : keys_(key_count) {}

  [[nodiscard]] std::uint8_t begin(std::uint64_t key) noexcept {
    const auto version =
        static_cast<std::uint8_t>(keys_[key].begun.load(std::memory_order_relaxed) + 1);
    keys_[key].begun.store(version, std::memory_order_release);
    return version;
  }
  void acknowledge(std::uint64_t key, std::uint8_t version) noexcept {
    keys_[key].acknowledged.store(version, std::memory_order_release);
  }

  [[nodiscard]] std::uint8_t acknowledged(std::uint64_t key) const noexcept {
    return keys_[key].acknowledged.load(std::memory_order_acquire);
  }
  // `oldest`: what acknowledged() gave before the read.
  [[nodiscard]] bool may_be_read(std::uint64_t key, std::uint8_t oldest,
                                 std::uint8_t version) const noexcept {
    const std::uint8_t newest = keys_[key].begun.load(std::memory_order_acquire);
    return static_cast<std::uint8_t>(version - oldest) <=
           static_cast<std::uint8_t>(newest - oldest);
  }

 private:
  struct Key {
    std::atomic<std::uint8_t> acknowledged = 0, begun = 0;
  };
  std::vector<Key> keys_;
};

}  // namespace varve::bench

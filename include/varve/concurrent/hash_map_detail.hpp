// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

// The list and the buckets of HashMap: what does not depend on its types. No interface.

namespace varve::concurrent::detail {

// An element of the list: an entry point of a bucket (even order) or a node (odd order).
struct Link {
  constexpr Link() = default;
  explicit Link(std::uint64_t its_order) : order(its_order) {}
  std::atomic<std::uintptr_t> next{0};  // A Link*; the lowest bit marks this link as erased.
  std::uint64_t order = 0;
};

[[nodiscard]] inline bool is_marked(std::uintptr_t next) noexcept {
  return (next & 1) != 0;
}
[[nodiscard]] inline Link* target(std::uintptr_t next) noexcept {
  return reinterpret_cast<Link*>(next & ~std::uintptr_t{1});
}
[[nodiscard]] inline std::uintptr_t pointer_to(const Link* link) noexcept {
  return reinterpret_cast<std::uintptr_t>(link);
}
[[nodiscard]] inline bool is_node(const Link& link) noexcept {
  return (link.order & 1) != 0;
}

[[nodiscard]] constexpr std::uint64_t reversed(std::uint64_t value) noexcept {
  value = (value >> 1 & 0x5555555555555555) | (value & 0x5555555555555555) << 1;
  value = (value >> 2 & 0x3333333333333333) | (value & 0x3333333333333333) << 2;
  value = (value >> 4 & 0x0f0f0f0f0f0f0f0f) | (value & 0x0f0f0f0f0f0f0f0f) << 4;
  value = (value >> 8 & 0x00ff00ff00ff00ff) | (value & 0x00ff00ff00ff00ff) << 8;
  value = (value >> 16 & 0x0000ffff0000ffff) | (value & 0x0000ffff0000ffff) << 16;
  return value >> 32 | value << 32;
}

// std::hash of an integer is the integer: its bits are spread (the finalizer of MurmurHash3).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t hash) noexcept {
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
  return hash ^ hash >> 33;
}

// The lowest bits of the hash choose the bucket, so they are the order's highest.
[[nodiscard]] constexpr std::uint64_t node_order(std::uint64_t hash) noexcept {
  return reversed(mixed(hash)) | 1;
}

// `link` is what was sought (found) or the first element behind its place (may be null);
// `predecessor` pointed to it, unmarked.
struct Position {
  Link* predecessor = nullptr;
  Link* link = nullptr;
  bool found = false;
};

// Seeks the element of this order that `is_it` accepts, from `entry` on. Unlinks marked nodes on
// its way and hands each to `unlinked`. The caller is pinned.
template <class Unlinked, class IsIt>
[[nodiscard]] Position find(Link& entry, std::uint64_t order, const Unlinked& unlinked,
                            const IsIt& is_it) {
  Link* predecessor = &entry;
  Link* link = target(predecessor->next.load(std::memory_order_acquire));
  while (link != nullptr) {
    const std::uintptr_t next = link->next.load(std::memory_order_acquire);
    if (is_marked(next)) {
      // Fails when the predecessor was marked or got another successor: from the beginning.
      std::uintptr_t expected = pointer_to(link);
      if (predecessor->next.compare_exchange_strong(expected, pointer_to(target(next)),
                                                    std::memory_order_acq_rel,
                                                    std::memory_order_relaxed)) {
        unlinked(link);
        link = target(next);
      } else {
        predecessor = &entry;
        link = target(predecessor->next.load(std::memory_order_acquire));
      }
      continue;
    }
    if (link->order > order) break;
    if (link->order == order && is_it(*link)) return {predecessor, link, true};
    predecessor = link;
    link = target(next);
  }
  return {predecessor, link, false};
}

// The place behind every element of this order.
template <class Unlinked>
Position find_order(Link& entry, std::uint64_t order, const Unlinked& unlinked) {
  return find(entry, order, unlinked, [](const Link&) { return false; });
}

// Puts `fresh` where find() did not find it; false: the list has changed there.
[[nodiscard]] inline bool insert(const Position& at, Link& fresh) noexcept {
  std::uintptr_t expected = pointer_to(at.link);
  fresh.next.store(expected, std::memory_order_relaxed);
  return at.predecessor->next.compare_exchange_strong(
      expected, pointer_to(&fresh), std::memory_order_release, std::memory_order_relaxed);
}

// Makes a node that is in the map one that is not; false: it already is.
[[nodiscard]] inline bool mark(Link& link) noexcept {
  std::uintptr_t next = link.next.load(std::memory_order_relaxed);
  while (!is_marked(next)) {
    // Acquire and release: who reads the marked pointer must find its target's fields.
    if (link.next.compare_exchange_weak(next, next | 1, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

// Puts `fresh` in the place of `old`; false: `old` is no longer in the map.
[[nodiscard]] inline bool replace(Link& old, Link& fresh) noexcept {
  std::uintptr_t next = old.next.load(std::memory_order_acquire);
  while (!is_marked(next)) {
    fresh.next.store(next, std::memory_order_relaxed);
    if (old.next.compare_exchange_weak(next, pointer_to(&fresh) | 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

// Entry points into the list: a growing array that never moves. Its parts are allocated one by one;
// part 0 has the first count, each later one as many as all before it.
class Buckets {
 public:
  explicit Buckets(std::size_t count)
      : first_bits_(bits(std::clamp(count, kCountMin, kFirstCountMax))),
        count_(std::size_t{1} << first_bits_) {
    auto* const part = new Bucket[count_.load(std::memory_order_relaxed)];
    part[0].state.store(State::Ready, std::memory_order_relaxed);
    parts_[0].store(part, std::memory_order_release);
  }
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;
  ~Buckets() {
    for (std::atomic<Bucket*>& part : parts_) delete[] part.load(std::memory_order_acquire);
  }

  [[nodiscard]] std::size_t count() const noexcept {
    return count_.load(std::memory_order_acquire);
  }
  [[nodiscard]] Link& first() const noexcept { return bucket(0); }

  // The nearest entry point at or before the order: its bucket's, or that of the bucket that it was
  // split off from, when nobody has entered it yet.
  [[nodiscard]] Link& entry(std::uint64_t order) const noexcept {
    std::size_t index = index_of(order);
    while (!is_ready(index)) index = parent(index);
    return bucket(index);
  }

  // The same for writers, who enter the bucket first.
  template <class Unlinked>
  [[nodiscard]] Link& prepared_entry(std::uint64_t order, const Unlinked& unlinked) {
    const std::size_t index = index_of(order);
    if (!is_ready(index)) prepare(index, unlinked);
    return entry(order);
  }

  // Doubles the array. When there is no memory for that the lists become longer instead.
  void grow() noexcept {
    std::size_t count = count_.load(std::memory_order_acquire);
    if (count >= kCountMax) return;
    std::atomic<Bucket*>& part = parts_[part_of(count)];
    if (part.load(std::memory_order_acquire) == nullptr) {
      auto* const fresh = new (std::nothrow) Bucket[count];
      if (fresh == nullptr) return;
      Bucket* expected = nullptr;
      if (!part.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel)) {
        delete[] fresh;
      }
    }
    // Release: who sees the count sees the part.
    count_.compare_exchange_strong(count, count * 2, std::memory_order_acq_rel);
  }

 private:
  enum class State : std::uint8_t { Unlinked, Linking, Ready };
  struct Bucket : Link {
    std::atomic<State> state{State::Unlinked};
  };

  static constexpr std::size_t kCountMin = 2;
  static constexpr std::size_t kPartCount = 40;
  static constexpr std::size_t kCountMax = std::size_t{1} << (kPartCount - 1);
  static constexpr std::size_t kFirstCountMax = std::size_t{1} << 30;

  [[nodiscard]] static std::size_t bits(std::size_t count) noexcept {
    return static_cast<std::size_t>(std::bit_width(count - 1));
  }
  [[nodiscard]] std::size_t index_of(std::uint64_t order) const noexcept {
    return static_cast<std::size_t>(reversed(order)) & (count() - 1);
  }
  // The bucket that this one was split off from: without its highest bit.
  [[nodiscard]] static std::size_t parent(std::size_t index) noexcept {
    return index ^ std::bit_floor(index);
  }
  [[nodiscard]] std::size_t part_of(std::size_t index) const noexcept {
    return static_cast<std::size_t>(std::bit_width(index >> first_bits_));
  }
  [[nodiscard]] Bucket& bucket(std::size_t index) const noexcept {
    const std::size_t part = part_of(index);
    const std::size_t first = part == 0 ? 0 : std::size_t{1} << (first_bits_ + part - 1);
    return parts_[part].load(std::memory_order_acquire)[index - first];
  }
  [[nodiscard]] bool is_ready(std::size_t index) const noexcept {
    return bucket(index).state.load(std::memory_order_acquire) == State::Ready;
  }

  // Links the bucket's entry point, once: one thread does it, and others who come meanwhile take
  // the parent's, so that nobody waits for anybody.
  template <class Unlinked>
  void prepare(std::size_t index, const Unlinked& unlinked) {
    Bucket& fresh = bucket(index);
    State expected = State::Unlinked;
    if (!fresh.state.compare_exchange_strong(expected, State::Linking, std::memory_order_acq_rel)) {
      return;
    }
    if (!is_ready(parent(index))) prepare(parent(index), unlinked);
    fresh.order = reversed(index);
    Link& before = entry(fresh.order);
    for (;;) {
      if (insert(find_order(before, fresh.order, unlinked), fresh)) break;
    }
    fresh.state.store(State::Ready, std::memory_order_release);
  }

  const std::size_t first_bits_;
  std::atomic<std::size_t> count_;
  std::array<std::atomic<Bucket*>, kPartCount> parts_{};
};

}  // namespace varve::concurrent::detail

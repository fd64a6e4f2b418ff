// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "varve/concurrent/epoch.hpp"
#include "varve/concurrent/hash_map_detail.hpp"

namespace varve::concurrent {

// An unordered map that any number of threads read and write without a lock.
//
// One sorted linked list of immutable {key, value} nodes, and an array of entry points into it (a
// split-ordered list, Shalev and Shavit 2006):
//
//   buckets  [0]      [2]     [1]     [3]          entry points; doubling the array adds new ones
//             |        |       |       |           between the old ones and moves no node
//   list     (0) n n  (2) n   (1) n n (3) n        sorted by the bit-reversed hash
//
// A node's next pointer carries a mark. Marked: the node is no longer in the map; its pointer never
// changes again, and who comes by unlinks it. So every change is one compare-and-swap:
//   insert    predecessor.next: successor -> new node -> successor
//   erase     node.next:        successor -> marked successor
//   replace   node.next:        successor -> marked new node -> successor   (old out, new in)
//
// Invariant: at most one unmarked node per key. Unmarked nodes are reachable from their bucket.
// Thread-safety: all methods, any thread, also from within for_each() and visit(). Linearizable,
// except where "weakly consistent" is said. Readers never wait or retry: get() and visit() pass
// marked nodes. Writers are lock-free: one that is stopped anywhere hinders nobody.
// Memory order: a node is published by a release and found by acquire loads, so its fields are
// plain. Counts are relaxed: nothing is read by them.
// Lifetime: unlinked nodes are freed by epochs (EpochDomain), so keys and values are destroyed
// later and on any thread; pending() says how many wait. No other call may run during destruction,
// and its thread may not be pinned.
// Cost: expected O(1); growth doubles the array without stopping anybody. It never shrinks: 24
// bytes for each of the most entries that there ever were.
// Errors: what Hash, Equal, copies and the allocation throw; the map is then as it was.
//
// `Lookup` is what calls ask by: HashMap<std::string, V, Hash, std::equal_to<>, std::string_view>
// with a Hash of string_view finds a key without making a string.
template <class Key, class Value, class Hash = std::hash<Key>, class Equal = std::equal_to<>,
          class Lookup = Key>
class HashMap {
 public:
  // The first array is rounded up to a power of two, and allocated now.
  explicit HashMap(std::size_t bucket_count = 64) : buckets_(bucket_count) {}
  HashMap(const HashMap&) = delete;
  HashMap& operator=(const HashMap&) = delete;
  ~HashMap() {
    for (Link* link = detail::target(buckets_.first().next.load(std::memory_order_acquire));
         link != nullptr;) {
      Link* const next = detail::target(link->next.load(std::memory_order_relaxed));
      if (detail::is_node(*link)) delete static_cast<Node*>(link);
      link = next;
    }
  }

  // Adds the entry unless the key is there; true: added.
  bool insert(Key key, Value value) {
    return put(std::move(key), std::move(value), /*replace=*/false);
  }
  // Adds or replaces; true: the key was not there before.
  bool insert_or_assign(Key key, Value value) {
    return put(std::move(key), std::move(value), /*replace=*/true);
  }

  [[nodiscard]] std::optional<Value> get(const Lookup& key) const {
    std::optional<Value> result;
    visit(key, [&](const Value& value) { result.emplace(value); });
    return result;
  }
  [[nodiscard]] bool contains(const Lookup& key) const {
    return visit(key, [](const Value&) {});
  }
  // Calls visitor(const Value&) on the value where it lies, pinned; false: no such key. What
  // the visitor sees is not changed, but may be replaced or erased meanwhile.
  template <class Visitor>
  bool visit(const Lookup& key, Visitor&& visitor) const {
    const auto guard = EpochDomain::pin();
    const std::uint64_t order = order_of(key);
    const Link* link = &buckets_.entry(order);
    while ((link = detail::target(link->next.load(std::memory_order_acquire))) != nullptr) {
      if (link->order > order) return false;
      if (link->order != order || !is_key(*link, key)) continue;
      // Marked: erased, or replaced by a node that comes next.
      if (detail::is_marked(link->next.load(std::memory_order_acquire))) continue;
      std::forward<Visitor>(visitor)(static_cast<const Node*>(link)->value);
      return true;
    }
    return false;
  }

  bool erase(const Lookup& key) {
    return erase_if(key, [](const Value&) { return true; });
  }
  bool erase_equal(const Lookup& key, const Value& value) {
    return erase_if(key, [&](const Value& found) { return found == value; });
  }
  // Erases the entry if predicate(const Value&) says so, and exactly the value that it was asked
  // about. It may be asked again when the value is replaced meanwhile.
  template <class Predicate>
  bool erase_if(const Lookup& key, Predicate&& predicate) {
    const auto guard = EpochDomain::pin();
    const std::uint64_t order = order_of(key);
    Link& entry = buckets_.prepared_entry(order, unlinker());
    for (;;) {
      const Position at = find(entry, order, key);
      if (!at.found) return false;
      if (!predicate(std::as_const(static_cast<Node*>(at.link)->value))) return false;
      if (detail::mark(*at.link)) {
        count_of(order).fetch_sub(1, std::memory_order_relaxed);
        (void)find(entry, order, key);  // Unlinks it.
        return true;
      }
    }
  }

  // Erases every entry that is there during the whole call. Weakly consistent: of entries that are
  // added meanwhile, some are erased. O(entries + buckets).
  void clear() {
    const auto guard = EpochDomain::pin();
    for (Link* link = &buckets_.first(); link != nullptr;
         link = detail::target(link->next.load(std::memory_order_acquire))) {
      if (!detail::is_node(*link) || !detail::mark(*link)) continue;
      count_of(link->order).fetch_sub(1, std::memory_order_relaxed);
      // Unlinks it. It still leads on to what was its successor.
      (void)detail::find_order(buckets_.entry(link->order), link->order, unlinker());
    }
  }

  // Exact when nobody writes; otherwise off by at most the calls that run. O(1).
  [[nodiscard]] std::size_t size() const noexcept {
    std::int64_t sum = 0;
    for (const Counter& counter : counters_) sum += counter.value.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<std::size_t>(sum);
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  // Calls visitor(const Key&, const Value&) for the entries, in no useful order; a visitor that
  // returns bool stops the walk by false. Weakly consistent: an entry that is there during the
  // whole walk is visited exactly once; one that is added, replaced or erased meanwhile is visited
  // with one of its values or not at all; one that is erased and added again may come twice.
  // The walk is one pin: what is erased meanwhile stays allocated until it ends.
  template <class Visitor>
  void for_each(Visitor&& visitor) const {
    const auto guard = EpochDomain::pin();
    const Link* link = detail::target(buckets_.first().next.load(std::memory_order_acquire));
    while (link != nullptr) {
      // Loaded before the visit: a replacement made meanwhile must not be visited as well.
      const std::uintptr_t next = link->next.load(std::memory_order_acquire);
      if (detail::is_node(*link) && !detail::is_marked(next)) {
        const Node& node = *static_cast<const Node*>(link);
        if constexpr (std::same_as<std::invoke_result_t<Visitor&, const Key&, const Value&>,
                                   bool>) {
          if (!visitor(node.key, node.value)) return;
        } else {
          visitor(node.key, node.value);
        }
      }
      link = detail::target(next);
    }
  }

  [[nodiscard]] std::size_t bucket_count() const noexcept { return buckets_.count(); }
  // Entries that were erased or replaced and are not freed yet.
  [[nodiscard]] std::uint64_t pending() const noexcept {
    return domain_.statistics().pending_count;
  }
  // Frees what may be freed now; writers do so now and then.
  std::size_t collect() noexcept { return domain_.collect(); }

 private:
  using Link = detail::Link;
  using Position = detail::Position;

  struct Node : Link, EpochDomain::Retired {
    Node(std::uint64_t its_order, Key&& its_key, Value&& its_value)
        : Link(its_order), key(std::move(its_key)), value(std::move(its_value)) {}
    const Key key;
    const Value value;
  };

  static constexpr std::size_t kCounterCount = 8;
  struct alignas(64) Counter {
    std::atomic<std::int64_t> value{0};
  };

  [[nodiscard]] static std::uint64_t order_of(const Lookup& key) {
    return detail::node_order(static_cast<std::uint64_t>(Hash{}(key)));
  }
  [[nodiscard]] static bool is_key(const Link& link, const Lookup& key) {
    return Equal{}(static_cast<const Node&>(link).key, key);
  }
  // By the order's top bits: the hash's, which differ where the buckets do.
  [[nodiscard]] std::atomic<std::int64_t>& count_of(std::uint64_t order) noexcept {
    return counters_[order >> 61].value;
  }
  // What to do with a node that was unlinked; whoever unlinks does it, so it happens once.
  [[nodiscard]] auto unlinker() noexcept {
    return [this](Link* link) noexcept {
      domain_.retire_intrusive(
          static_cast<Node*>(link),
          [](EpochDomain::Retired* retired) noexcept { delete static_cast<Node*>(retired); });
    };
  }
  [[nodiscard]] Position find(Link& entry, std::uint64_t order, const Lookup& key) {
    return detail::find(entry, order, unlinker(),
                        [&](const Link& link) { return is_key(link, key); });
  }

  bool put(Key key, Value value, bool replace) {
    const auto guard = EpochDomain::pin();
    const std::uint64_t order = order_of(key);
    Link& entry = buckets_.prepared_entry(order, unlinker());
    Position at = find(entry, order, key);
    if (at.found && !replace) return false;
    auto fresh = std::make_unique<Node>(order, std::move(key), std::move(value));
    while (!(at.found ? detail::replace(*at.link, *fresh) : detail::insert(at, *fresh))) {
      at = find(entry, order, fresh->key);
      if (at.found && !replace) return false;
    }
    const Node& added = *fresh.release();
    if (at.found) {
      (void)find(entry, order, added.key);  // Unlinks the old one.
      return false;
    }
    const std::int64_t count = count_of(order).fetch_add(1, std::memory_order_relaxed) + 1;
    // The counter stands for the others: they are looked at when it has its share.
    if (static_cast<std::size_t>(count) * kCounterCount > buckets_.count() &&
        size() > buckets_.count()) {
      buckets_.grow();
    }
    return true;
  }

  EpochDomain domain_;  // Destroyed last: it frees what is no longer in the list.
  detail::Buckets buckets_;
  std::array<Counter, kCounterCount> counters_;
};

}  // namespace varve::concurrent

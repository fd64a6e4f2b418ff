// SPDX-License-Identifier: Apache-2.0
#include "segment/delta.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "directory/mutex.hpp"
#include "segment/delta_cursor.hpp"
#include "segment/delta_limbo.hpp"
#include "segment/delta_node.hpp"
#include "segment/delta_record.hpp"

namespace varve::segment {

using delta_detail::DirectoryNode;
using delta_detail::kInnerCapacity;
using delta_detail::kLeafCapacity;
using delta_detail::Leaf;
using delta_detail::Record;
using delta_detail::Side;

namespace {

constexpr std::size_t kRecordLinesFetched = 3;

// Where a full inner node is cut when child `index` becomes two: at the end where ascending or
// descending keys arrive, so that the other part stays full.
std::size_t cut_of_full_inner(std::size_t index) noexcept {
  if (index == kInnerCapacity - 1) return kInnerCapacity;
  return index == 0 ? 1 : (kInnerCapacity + 1) / 2;
}

// What all keys between two separators begin with; null: there is none on that side.
std::size_t shared_prefix_size(const Record* lower, const Record* upper) noexcept {
  if (lower == nullptr || upper == nullptr) return 0;
  return delta_detail::common_prefix(lower->key(), upper->key(), Leaf::kPrefixSizeMax);
}

// The separators around the leaf of a place.
const Record* separator_before(const Delta::Place& place) noexcept {
  return delta_detail::separator_before(*place.root, place.root_index, *place.inner,
                                        place.inner_index);
}
const Record* separator_behind(const Delta::Place& place) noexcept {
  return delta_detail::separator_behind(*place.root, place.root_index, *place.inner,
                                        place.inner_index);
}

// The slots of a full leaf in the order of their keys.
void order_slots(const Leaf& leaf, const std::array<const Record*, kLeafCapacity>& records,
                 std::array<std::uint8_t, kLeafCapacity>& order) noexcept {
  std::array<std::uint64_t, kLeafCapacity> values;
  for (std::size_t i = 0; i < kLeafCapacity; ++i) {
    values[i] = delta_detail::head_and_slot(leaf.head(i), i);
  }
  if (!delta_detail::sort_by_heads(values.data(), kLeafCapacity, records.data())) {
    delta_detail::sort_records(records.data(), kLeafCapacity, order.data());
    return;
  }
  std::transform(values.begin(), values.end(), order.begin(), [](std::uint64_t value) {
    return static_cast<std::uint8_t>(delta_detail::slot_of(value));
  });
}

// Beside its bytes, an entry takes 33 where keys come in no order, 25 where they ascend.
std::size_t arena_size_of(std::uint64_t entry_count, std::uint64_t data_size) noexcept {
  constexpr std::uint64_t kEntryOverhead = 34;
  return static_cast<std::size_t>(data_size + kEntryOverhead * entry_count);
}

template <typename T>
void add_relaxed(std::atomic<T>& counter, T amount) noexcept {  // By the only writer.
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_release);
}

}  // namespace

// One call of insert().
struct Delta::Addition {
  Record::Fields fields;
  std::uint64_t hash;
  std::uint8_t fingerprint;
};

// What takes the place of a full leaf. Either side may be the old leaf itself.
struct Delta::Split {
  Leaf* left;
  const Record* separator;
  Leaf* right;
};

struct Delta::Filling {
  Filling(Delta& of, std::unique_ptr<DeltaFiller> with, const directory::LockClass& lock_class)
      : delta(of), filler(std::move(with)), mutex(lock_class) {}
  Delta& delta;
  const std::unique_ptr<DeltaFiller> filler;
  directory::Mutex mutex;
  std::atomic<std::uint32_t> find_count = 0;

  // Requires: mutex is held.
  void finish() {
    if (delta.unfilled_.load(std::memory_order_relaxed) == nullptr) return;  // By another thread.
    filler->fill(delta);
    delta.arena_.release_reserve();
    delta.unfilled_.store(nullptr, std::memory_order_release);
  }
};

Delta::Delta(ChunkPool& pool, ReaderMode mode, std::uint64_t expected_count) noexcept
    : mode_(mode), expected_count_(expected_count), arena_(pool) {}

Delta::~Delta() = default;  // Nodes and records have nothing to destroy.

void Delta::fill_later(std::unique_ptr<DeltaFiller> filler,
                       const directory::LockClass& lock_class) {
  VARVE_CHECK(empty() && filling_ == nullptr && mode_ == ReaderMode::Alone);
  const DeltaFiller::Totals totals = filler->totals();
  auto filling = std::make_unique<Filling>(*this, std::move(filler), lock_class);
  arena_.reserve(arena_size_of(totals.entry_count, totals.data_size));
  filler_size_ = filling->filler->memory_size();
  expected_count_ = totals.entry_count;
  base_sequence_ = totals.first_sequence;
  data_size_.store(totals.data_size, std::memory_order_relaxed);
  entry_count_.store(totals.entry_count, std::memory_order_relaxed);
  last_sequence_.store(totals.last_sequence, std::memory_order_relaxed);
  filling_ = std::move(filling);
  unfilled_.store(filling_.get(), std::memory_order_release);
}

void Delta::fill_now() const {
  const std::lock_guard lock(filling_->mutex);
  filling_->finish();
}

bool Delta::try_fill() const {
  if (unfilled_.load(std::memory_order_acquire) == nullptr) return true;
  const std::unique_lock lock(filling_->mutex, std::try_to_lock);
  if (lock.owns_lock()) filling_->finish();
  return lock.owns_lock();
}

std::size_t Delta::memory_size_of(std::uint64_t entry_count, std::uint64_t data_size) noexcept {
  return Arena::reserve_size_of(arena_size_of(entry_count, data_size));
}

Sequence Delta::first_sequence() const noexcept {
  return empty() ? 0 : base_sequence_;
}

// Until filling it costs no more than so many searches beside it, about.
FoundEntry Delta::find_unfilled(Filling& filling, std::string_view key, std::uint64_t hash,
                                Sequence at) const {
  constexpr std::uint32_t kFindsMax = 256;
  const std::uint32_t count = filling.find_count.fetch_add(1, std::memory_order_relaxed);
  if (count >= kFindsMax && try_fill()) return find(key, hash, at);
  return filling.filler->find(key, hash, at);
}

FoundEntry Delta::find(std::string_view key, std::uint64_t hash, Sequence at) const {
  if (Filling* const filling = unfilled_.load(std::memory_order_acquire); filling != nullptr)
      [[unlikely]]
    return find_unfilled(*filling, key, hash, at);
  if (!may_contain(hash)) return {};
  return find_in(locate(key), key, hash, at);
}

const Leaf* Delta::locate(std::string_view key) const noexcept {
  const DirectoryNode* const root = root_.load(std::memory_order_acquire);
  if (root == nullptr) return nullptr;
  const auto* const inner =
      static_cast<const DirectoryNode*>(root->child(root->find_child(key, Side::Right)));
  const auto* const leaf =
      static_cast<const Leaf*>(inner->child(inner->find_child(key, Side::Right)));
  leaf->prefetch();  // All lines: which slot it will be is known only once the first has come.
  return leaf;
}

FoundEntry Delta::find_in(const Leaf* leaf, std::string_view key, std::uint64_t hash,
                          Sequence at) const noexcept {
  if (leaf == nullptr) return {};
  const std::uint64_t matches = leaf->fingerprints().matches(delta_detail::fingerprint_of(hash));
  const std::size_t slot = leaf->find_among(matches, key);
  if (slot == kLeafCapacity) return {};
  for (const Record* record = leaf->record(slot); record != nullptr; record = record->older()) {
    const Sequence sequence = record->sequence(base_sequence_);
    if (sequence > at) continue;
    return {.found = true, .kind = record->kind(), .sequence = sequence, .value = record->value()};
  }
  return {};
}

std::unique_ptr<EntrySource> Delta::cursor() const {
  fill();
  return std::make_unique<delta_detail::DeltaCursor>(*this);
}

Delta::Place Delta::find_place(std::string_view key, std::uint64_t hash) noexcept {
  filter_.prefetch(hash);
  const char* const record = static_cast<const char*>(arena_.next_position());
  for (std::size_t line = 0; line < kRecordLinesFetched; ++line) {
    __builtin_prefetch(record + 64 * line, 1);
  }
  if (edge_.root != nullptr && edge_.structure == structure_ &&
      (edge_lower_ == nullptr || key >= edge_lower_->key() ||
       VARVE_MUTANT("delta.edge_for_smaller_keys"))) {
    return edge_;
  }
  Place place;
  place.structure = structure_;
  place.root = root_.load(std::memory_order_relaxed);
  if (place.root == nullptr) return place;
  place.root_index = place.root->find_child(key, Side::Right);
  place.inner = static_cast<DirectoryNode*>(place.root->child(place.root_index));
  place.inner_index = place.inner->find_child(key, Side::Right);
  place.leaf = static_cast<Leaf*>(place.inner->child(place.inner_index));
  place.leaf->prefetch_for_insert();
  const bool is_edge =
      place.root_index + 1 == place.root->count() && place.inner_index + 1 == place.inner->count();
  if (is_edge) {
    edge_ = place;
    edge_lower_ = separator_before(place);
  } else if (edge_.root != nullptr) {  // Not a store for each of many scattered keys.
    edge_.root = nullptr;
  }
  return place;
}

void Delta::insert(const Place& place, std::string_view key, std::uint64_t hash, Kind kind,
                   std::string_view value, Sequence sequence, bool keep_older) {
  if (place.structure != structure_ && !VARVE_MUTANT("delta.place_not_looked_for_again")) {
    return insert(find_place(key, hash), key, hash, kind, value, sequence, keep_older);
  }
  filter_.reserve(arena_, expected_count_, filter_fill_);
  Addition addition{
      .fields = {.key = key, .value = value, .sequence = sequence, .kind = kind, .older = nullptr},
      .hash = hash,
      .fingerprint = delta_detail::fingerprint_of(hash)};
  if (place.root == nullptr) {
    insert_first(addition);
    return;
  }
  VARVE_DCHECK(sequence >= last_sequence() || filling_ != nullptr);
  const Leaf::Fingerprints fingerprints = place.leaf->fingerprints();
  const std::size_t count = fingerprints.count();
  place.leaf->prefetch_slot(count);
  const std::uint32_t head = Leaf::head_of(key, fingerprints.prefix_size());
  const std::size_t slot =
      place.leaf->find_among(fingerprints.matches(addition.fingerprint), head, key);
  if (slot != kLeafCapacity) {
    const Record* const present = place.leaf->record(slot);
    const bool keep = keep_older && present->sequence(base_sequence_) != sequence &&
                      !VARVE_MUTANT("delta.older_not_kept");
    addition.fields.older = keep ? present : present->older();
    place.leaf->replace(slot, make_record(addition));
  } else if (count < kLeafCapacity) {
    place.leaf->append(count, addition.fingerprint, head, make_record(addition));
  } else {
    insert_by_split(addition, place);
  }
  finish_insert(addition);
}

void Delta::insert_first(const Addition& addition) {
  reserve_leaves(1);
  reserve_nodes({1, 1});
  const Sequence base_before = base_sequence_;
  // The record is written relative to it. What is filled later has it already, and readers of it.
  if (base_sequence_ != addition.fields.sequence) base_sequence_ = addition.fields.sequence;
  const Record* record = nullptr;
  try {
    record = make_record(addition);
  } catch (...) {
    if (base_sequence_ != base_before) base_sequence_ = base_before;
    throw;
  }
  Leaf* const leaf = take_leaf(0);
  leaf->append(0, addition.fingerprint, Leaf::head_of(addition.fields.key, 0), record);
  DirectoryNode* const inner = take_node(1);
  inner->become_parent_of(leaf);
  DirectoryNode* const root = take_node(1);
  root->become_parent_of(inner);
  ++structure_;
  root_.store(root, std::memory_order_release);
  finish_insert(addition);
}

// Everything that can fail comes first: memory that was reserved for nodes stays in the free lists
// when a later reservation throws.
void Delta::insert_by_split(const Addition& addition, const Place& place) {
  reserve_leaves(2);
  if (place.inner->count() < kInnerCapacity) {
    reserve_nodes({place.inner->count() + 1});
  } else {
    const std::size_t cut = cut_of_full_inner(place.inner_index);
    reserve_nodes({cut, kInnerCapacity + 1 - cut, place.root->count() + 1});
  }
  const Record* const record = make_record(addition);

  const Leaf& full = *place.leaf;
  const Leaf::Fingerprints fingerprints = full.fingerprints();
  const std::size_t full_prefix_size = fingerprints.prefix_size();
  std::array<const Record*, kLeafCapacity> records;
  for (std::size_t i = 0; i < kLeafCapacity; ++i) records[i] = full.record(i);
  std::array<std::uint8_t, kLeafCapacity> order;
  order_slots(full, records, order);

  const std::uint32_t new_head = Leaf::head_of(addition.fields.key, full_prefix_size);
  const auto rank = static_cast<std::size_t>(
      std::lower_bound(order.begin(), order.end(), addition.fields.key,
                       [&](std::uint8_t slot, std::string_view key) {
                         const std::uint32_t head = full.head(slot);
                         return head != new_head ? head < new_head : records[slot]->key() < key;
                       }) -
      order.begin());
  // A key next to the one that came last: an ascending or descending stream among others. Cut
  // there, so that what the stream has filled stays full; otherwise in the middle.
  constexpr std::size_t kLastSlot = kLeafCapacity - 1;
  const bool ascending = rank > 0 && order[rank - 1] == kLastSlot;
  const bool descending = rank < kLeafCapacity && order[rank] == kLastSlot;
  const bool at_edge = rank == 0 || rank == kLeafCapacity;
  const std::size_t cut = at_edge || ascending || descending ? rank : kLeafCapacity / 2;
  const bool goes_right = rank > cut || (rank == cut && rank != 0 && (ascending || at_edge));
  const Record* const separator = rank == cut && goes_right ? record : records[order[cut]];

  const auto make_leaf = [&](const Record* lower, const Record* upper, std::size_t begin,
                             std::size_t end, bool takes_new) {
    const std::size_t prefix_size = shared_prefix_size(lower, upper);
    Leaf* const leaf = take_leaf(prefix_size);
    const bool same_heads = prefix_size == full_prefix_size;
    for (std::size_t i = begin; i < end && !same_heads; ++i) __builtin_prefetch(records[order[i]]);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t slot = order[i];
      const Record* const moved = records[slot];
      leaf->append(i - begin, fingerprints.at(slot),
                   same_heads ? full.head(slot) : Leaf::head_of(moved->key(), prefix_size), moved);
    }
    if (takes_new) {
      leaf->append(end - begin, addition.fingerprint,
                   Leaf::head_of(addition.fields.key, prefix_size), record);
    }
    return leaf;
  };
  // Behind or before all keys of the leaf: with ascending or descending keys it stays as it is.
  Leaf* const left = cut == kLeafCapacity
                         ? place.leaf
                         : make_leaf(separator_before(place), separator, 0, cut, !goes_right);
  Leaf* const right =
      cut == 0 ? place.leaf
               : make_leaf(separator, separator_behind(place), cut, kLeafCapacity, goes_right);
  replace_leaf(place, {.left = left, .separator = separator, .right = right});
  if (left != place.leaf && right != place.leaf) retire(place.leaf);
}

// Requires: the nodes are reserved.
void Delta::replace_leaf(const Place& place, const Split& split) noexcept {
  ++structure_;
  DirectoryNode* const inner = place.inner;
  if (inner->count() < kInnerCapacity) {
    DirectoryNode* const copy = take_node(inner->count() + 1);
    copy->become_split(*inner, place.inner_index, split.left, split.separator, split.right);
    place.root->replace_child(place.root_index, copy);
    retire(inner);
    return;
  }
  alignas(
      DirectoryNode) char buffer[sizeof(DirectoryNode) + 2 * kInnerCapacity * (16 + sizeof(void*))];
  auto* const whole = new (buffer) DirectoryNode(2 * kInnerCapacity);
  whole->become_split(*inner, place.inner_index, split.left, split.separator, split.right);
  const std::size_t cut = cut_of_full_inner(place.inner_index);
  // With ascending or descending keys, all the old children may be on one side: that is `inner`.
  DirectoryNode* left = inner;
  DirectoryNode* right = inner;
  const bool left_stays = cut == kInnerCapacity && split.left == place.leaf;
  const bool right_stays = cut == 1 && split.right == place.leaf;
  if (!left_stays) {
    left = take_node(cut);
    left->become_part(*whole, 0, cut);
  }
  if (!right_stays) {
    right = take_node(whole->count() - cut);
    right->become_part(*whole, cut, whole->count());
  }
  DirectoryNode* const root = take_node(place.root->count() + 1);
  root->become_split(*place.root, place.root_index, left, whole->separator(cut - 1), right);
  root_.store(root, std::memory_order_release);
  if (!left_stays && !right_stays) retire(inner);
  retire(place.root);
}

// Readers may see the record by now, but nobody who is owed it: that is when the caller publishes
// its sequence.
void Delta::finish_insert(const Addition& addition) noexcept {
  filter_.add(addition.hash, filter_fill_);
  if (filling_ != nullptr) return;  // The totals were known.
  add_relaxed(data_size_, std::uint64_t{addition.fields.key.size()} + addition.fields.value.size());
  last_sequence_.store(addition.fields.sequence, std::memory_order_relaxed);
  add_relaxed(entry_count_, std::uint64_t{1});
}

const Record* Delta::make_record(const Addition& addition) {
  const std::size_t size = Record::size_of(addition.fields, base_sequence_);
  char* const memory = arena_.allocate(size, Record::kAlignment);
  return Record::create(memory, addition.fields, base_sequence_);
}

}  // namespace varve::segment

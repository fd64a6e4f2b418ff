// SPDX-License-Identifier: Apache-2.0
#include "lib/hot_keys.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "directory/mutant.hpp"
#include "lib/hooks.hpp"

namespace varve::internal {
namespace {

using segment::Sequence;

// Of the memory: tracker and slots have about a sixteenth each, entries the rest. For values of 100
// bytes that is about one slot an entry.
constexpr std::size_t kTrackerShare = 16, kSlotsShare = 16;
// A value that is larger is copied for longer than it is looked for.
constexpr std::size_t kEntrySizeMax = std::size_t{4} << 10;

// A look that finds nothing costs about a tenth of what one that finds a value saves. In between,
// things stay as they are.
constexpr std::uint64_t kOnPercent = 20, kOffPercent = 12;
// Windows in which it fills.
constexpr std::uint32_t kGraceSize = 4;
// After so many attempts in vain, one window of 2^8 is tried.
constexpr std::uint32_t kRestSizeMax = 1U << 8;

// So many of the recent samples are needed until a key is let in. Fewer, and a stream of keys that
// never come back would look warm to the tracker.
constexpr std::uint32_t kWarmCount = 4;

}  // namespace

// Key and value lie behind it.
struct HotKeys::Entry : concurrent::EpochDomain::Retired {
  std::uint64_t hash;
  Sequence at;
  HotKeys* owner;
  std::uint32_t key_size, value_size;
  std::atomic<bool> used{false};

  [[nodiscard]] static std::size_t size_of(std::size_t key_size, std::size_t value_size) noexcept {
    return sizeof(Entry) + key_size + value_size;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_of(key_size, value_size); }
  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view key() noexcept { return {bytes(), key_size}; }
  [[nodiscard]] std::string_view value() noexcept { return {bytes() + key_size, value_size}; }
  static void destroy(Entry* entry) noexcept {
    entry->owner->entries_size_.fetch_sub(entry->size(), std::memory_order_relaxed);
    entry->~Entry();
    ::operator delete(static_cast<void*>(entry));
  }
};

HotKeys::HotKeys(std::size_t memory_size)
    : memory_size_(memory_size),
      eager_(hooks::eager_hot_path.load()),
      sample_mask_(eager_ ? 0 : (std::uint64_t{1} << kSampleBits) - 1),
      on_(eager_ && memory_size != 0) {
  if (memory_size == 0) return;
  concurrent::AccessTrackerOptions options;
  options.memory_size = memory_size / kTrackerShare;
  options.warm_count = kWarmCount;
  tracker_ = std::make_unique<concurrent::AccessTracker>(options);
  const std::size_t set_count =
      std::bit_floor(std::max<std::size_t>(memory_size / kSlotsShare / sizeof(Set), 1));
  set_mask_ = set_count - 1;
  sets_ = std::make_unique<Set[]>(set_count);
}

HotKeys::~HotKeys() {
  if (!possible()) return;
  for (std::size_t i = 0; i <= set_mask_; ++i) {
    for (Slot& slot : sets_[i].slots) {
      Entry* const entry = slot.entry.load(std::memory_order_relaxed);
      if (entry != nullptr) Entry::destroy(entry);
    }
  }
}

HotKeys::Look HotKeys::find(std::string_view key, std::uint64_t hash, Sequence last_write,
                            std::string& value) noexcept {
  for (Slot& slot : set_of(hash).slots) {
    if (slot.hash.load(std::memory_order_relaxed) != hash) continue;
    Entry* const entry = slot.entry.load(std::memory_order_acquire);
    if (entry == nullptr || entry->hash != hash || entry->key() != key) continue;
    if (entry->at < last_write && !VARVE_MUTANT("hot_path.not_validated")) {
      counters_.mine().add(kStale);
      return entry->used.load(std::memory_order_relaxed) ? Look::Refresh : Look::Miss;
    }
    try {
      value.assign(entry->value());
    } catch (const std::bad_alloc&) {
      break;  // The segments will say it once more.
    }
    if (!entry->used.load(std::memory_order_relaxed)) {
      entry->used.store(true, std::memory_order_relaxed);
    }
    counters_.mine().add(kHits);
    return Look::Hit;
  }
  counters_.mine().add(kMisses);
  return Look::Miss;
}

bool HotKeys::regard(std::uint64_t hash) noexcept {
  tracker_->record(hash);
  if (eager_) return true;
  const bool warm = tracker_->frequency(hash) >= kWarmCount;
  if (warm) warm_count_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t number = sample_count_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (number >= kWindowSize >> kSampleBits) judge();
  return warm;
}

void HotKeys::let_in(std::string_view key, std::uint64_t hash, const segment::FoundEntry& found,
                     Sequence at, Sequence last_write) noexcept {
  // An entry that is stale already is of no use.
  if (!found.found || (last_write > at && !VARVE_MUTANT("hot_path.stale_let_in"))) return;
  const std::size_t size = Entry::size_of(key.size(), found.value.size());
  if (size > kEntrySizeMax) return;
  const bool fits = entries_size_.load(std::memory_order_relaxed) + size <= room();
  Slot* const slot = place_for(set_of(hash), key, hash, fits);
  if (slot == nullptr) return;
  if (entries_size_.fetch_add(size, std::memory_order_relaxed) + size > room()) {
    entries_size_.fetch_sub(size, std::memory_order_relaxed);
    put(*slot, nullptr, 0);  // So that the next one fits.
    return;
  }
  void* const memory = ::operator new(size, std::nothrow);
  if (memory == nullptr) {
    entries_size_.fetch_sub(size, std::memory_order_relaxed);
    return;
  }
  auto* const entry = new (memory) Entry;
  entry->hash = hash;
  entry->at = at;
  entry->owner = this;
  entry->key_size = static_cast<std::uint32_t>(key.size());
  entry->value_size = static_cast<std::uint32_t>(found.value.size());
  key.copy(entry->bytes(), key.size());
  found.value.copy(entry->bytes() + key.size(), found.value.size());
  put(*slot, entry, hash);
}

std::size_t HotKeys::room() const noexcept {
  return memory_size_ - std::min(memory_size_, tracker_->memory_size() + slots_size());
}

// The key's own slot; or a free one, if that is of use; or that of the key which is read least, if
// that is less than this one. Null: there is none.
HotKeys::Slot* HotKeys::place_for(Set& set, std::string_view key, std::uint64_t hash,
                                  bool takes_free) const noexcept {
  Slot* free = nullptr;
  Slot* coldest = nullptr;
  std::uint32_t least = tracker_->frequency(hash);
  for (Slot& slot : set.slots) {
    Entry* const entry = slot.entry.load(std::memory_order_acquire);
    if (entry == nullptr) {
      free = &slot;
    } else if (entry->hash == hash && entry->key() == key) {
      return &slot;
    } else if (const std::uint32_t frequency = tracker_->frequency(entry->hash);
               frequency < least) {
      least = frequency;
      coldest = &slot;
    }
  }
  return takes_free && free != nullptr ? free : coldest;
}

void HotKeys::put(Slot& slot, Entry* fresh, std::uint64_t hash) noexcept {
  Entry* const old = slot.entry.exchange(fresh, std::memory_order_acq_rel);
  slot.hash.store(hash, std::memory_order_relaxed);
  if (fresh != nullptr) entry_count_.fetch_add(1, std::memory_order_relaxed);
  if (old == nullptr) return;
  entry_count_.fetch_sub(1, std::memory_order_relaxed);
  domain_.retire_intrusive(old, [](concurrent::EpochDomain::Retired* retired) noexcept {
    Entry::destroy(static_cast<Entry*>(retired));
  });
}

// Ends a window. One thread at a time; who comes meanwhile belongs to the next one.
void HotKeys::judge() noexcept {
  if (judging_.exchange(true, std::memory_order_acquire)) return;
  const std::uint64_t samples = sample_count_.exchange(0, std::memory_order_relaxed);
  const std::uint64_t warm = warm_count_.exchange(0, std::memory_order_relaxed);
  const std::uint64_t hits = counters_.sum(kHits);
  const std::uint64_t looks = hits + counters_.sum(kMisses) + counters_.sum(kStale);
  if (grace_ > 0) {
    --grace_;
  } else if (on()) {
    if ((hits - hits_before_) * 100 < (looks - looks_before_) * kOffPercent) {
      switch_off();
    } else {
      rest_size_ = 0;
    }
  } else if (rest_ > 0) {
    --rest_;
  } else if (warm * 100 >= samples * kOnPercent) {
    switch_on();
  }
  hits_before_ = hits;
  looks_before_ = looks;
  // What was retired before this thread was pinned; while it is off nobody else comes by.
  if (domain_.statistics().pending_count != 0) domain_.collect();
  judging_.store(false, std::memory_order_release);
}

void HotKeys::switch_on() noexcept {
  switched_on_count_.fetch_add(1, std::memory_order_relaxed);
  grace_ = kGraceSize;
  on_.store(true, std::memory_order_release);
}

// Entries that are let in by threads which still see it on stay until it is off the next time.
void HotKeys::switch_off() noexcept {
  switched_off_count_.fetch_add(1, std::memory_order_relaxed);
  on_.store(false, std::memory_order_release);
  for (std::size_t i = 0; i <= set_mask_; ++i) {
    for (Slot& slot : sets_[i].slots) put(slot, nullptr, 0);
  }
  rest_size_ = std::min(std::max(2 * rest_size_, 1U), kRestSizeMax);
  rest_ = rest_size_;
}

HotKeyStatistics HotKeys::statistics() const noexcept {
  HotKeyStatistics figures;
  figures.on = on();
  figures.hit_count = counters_.sum(kHits);
  figures.miss_count = counters_.sum(kMisses);
  figures.stale_count = counters_.sum(kStale);
  figures.entry_count = entry_count_.load(std::memory_order_relaxed);
  figures.switched_on_count = switched_on_count_.load(std::memory_order_relaxed);
  figures.switched_off_count = switched_off_count_.load(std::memory_order_relaxed);
  if (possible()) {
    figures.memory_size =
        tracker_->memory_size() + slots_size() + entries_size_.load(std::memory_order_relaxed);
  }
  return figures;
}

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#include "directory/simulated_medium.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <random>
#include <set>
#include <unordered_map>
#include <utility>

#include "directory/check.hpp"

namespace varve::directory {
namespace {

constexpr std::size_t kSectorSize = SimulatedFileSystem::kSectorSize;
constexpr std::uint64_t kPageSize = SimulatedMedium::kPageSize;

std::uint64_t pages_of(std::uint64_t size) noexcept {
  return (size + kPageSize - 1) / kPageSize;
}

#if defined(__clang__) || defined(__GNUC__)
#define VARVE_NO_SANITIZE_THREAD __attribute__((no_sanitize("thread")))
using AliasingWord [[gnu::may_alias]] = std::uint64_t;
#else
#error "needs a word that may alias characters"
#endif

// Copies bytes that another thread may be storing into through a mapping, as write-back does: each
// byte is old or new. Not memcpy, which the thread sanitizer would see through.
VARVE_NO_SANITIZE_THREAD void copy_while_stored(char* to, const char* from, std::size_t size) {
  std::size_t i = 0;
  if (reinterpret_cast<std::uintptr_t>(from) % alignof(std::uint64_t) == 0) {
    for (; i + sizeof(std::uint64_t) <= size; i += sizeof(std::uint64_t)) {
      const std::uint64_t word = *reinterpret_cast<const volatile AliasingWord*>(from + i);
      std::memcpy(to + i, &word, sizeof word);
    }
  }
  const volatile char* const source = from;
  for (; i < size; ++i) to[i] = source[i];
}

std::string copy_of(const SimulatedInode& inode) {
  if (inode.writable_mapping_count == 0) return *inode.current;
  std::string copy(inode.current->size(), '\0');
  copy_while_stored(copy.data(), inode.current->data(), copy.size());
  return copy;
}

std::string_view sector_of(std::string_view bytes, std::size_t offset,
                           std::size_t size = kSectorSize) {
  return offset >= bytes.size() ? std::string_view() : bytes.substr(offset, size);
}

// Two chains of multiplications over words, which have nothing in common with the checksums of the
// formats: a checksum over bytes that end in the same checksum can be blind to them.
class FingerprintHasher {
 public:
  void add(std::string_view bytes) {
    add(static_cast<std::uint64_t>(bytes.size()));
    std::size_t at = 0;
    for (; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof word);
      add(word);
    }
    std::uint64_t rest = 0;
    for (; at < bytes.size(); ++at) rest = rest << 8 | static_cast<unsigned char>(bytes[at]);
    add(rest);
  }
  [[nodiscard]] SimulatedFileSystem::Fingerprint value() const { return state_; }

 private:
  void add(std::uint64_t word) {
    state_[0] = std::rotl((state_[0] ^ word) * 0x9fb21c651e98df25ULL, 29);
    state_[1] = std::rotl((state_[1] + word) * 0xd6e8feb86659fd93ULL, 37) ^ word;
  }
  SimulatedFileSystem::Fingerprint state_ = {0x2545f4914f6cdd1dULL, 0x94d049bb133111ebULL};
};

using Random = std::mt19937_64;
bool coin(Random& random) {
  return (random() & 1) != 0;
}
std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

// Makes what a file may hold after power loss.
class DataLoss {
 public:
  DataLoss(const RebootPolicy& policy, Random& random, const std::vector<std::string>& stale)
      : policy_(policy), random_(random), stale_(stale) {}

  std::string apply(const SimulatedInode& inode) {
    const std::string current = copy_of(inode);
    switch (policy_.data) {
      case RebootPolicy::Data::Lost:
        return inode.durable;
      case RebootPolicy::Data::Kept:
        return with_dropped(inode, current);
      case RebootPolicy::Data::SizeOnly:
        return size_only(inode.durable, current.size());
      case RebootPolicy::Data::Mixed:
        return mixed(inode.durable, with_dropped(inode, current));
    }
    return {};
  }

 private:
  // Sectors that a failed sync dropped hold their old bytes.
  static std::string with_dropped(const SimulatedInode& inode, std::string bytes) {
    for (const auto& [offset, dropped] : inode.dropped) {
      if (sector_of(bytes, offset) != dropped) continue;
      std::string old(sector_of(inode.durable, offset));
      old.resize(dropped.size());
      bytes.replace(offset, old.size(), old);
    }
    return bytes;
  }

  std::string size_only(const std::string& durable, std::size_t size) {
    std::string bytes = durable.substr(0, std::min(durable.size(), size));
    while (bytes.size() < size) {
      const std::size_t offset = bytes.size();
      bytes += fill(offset, std::min(policy_.sector_size, size - offset));
    }
    return bytes;
  }

  std::string mixed(const std::string& durable, const std::string& current) {
    std::size_t size = coin(random_) ? durable.size() : current.size();
    if (durable.size() < current.size() && below(random_, 4) == 0) {
      size = durable.size() + below(random_, current.size() - durable.size() + 1);
    }
    std::string bytes;
    bytes.reserve(size);
    while (bytes.size() < size) {
      const std::size_t offset = bytes.size();
      const std::size_t length = std::min(policy_.sector_size, size - offset);
      bytes += mixed_sector(sector_of(durable, offset, length), sector_of(current, offset, length),
                            offset, length);
    }
    return bytes;
  }

  std::string mixed_sector(std::string_view old_bytes, std::string_view new_bytes,
                           std::size_t offset, std::size_t length) {
    std::string before(old_bytes.substr(0, length));
    if (before.size() < length) before += fill(offset, length - before.size());
    if (old_bytes == new_bytes) return before;
    std::string after(new_bytes.substr(0, length));
    if (after.size() < length) after.resize(length);
    switch (below(random_, 5)) {
      case 0:
      case 1:
        return before;
      case 2:
      case 3:
        return after;
      default: {  // Torn: the front is new, the rest is not.
        const std::size_t torn_at = below(random_, length + 1);
        return after.substr(0, torn_at) + before.substr(torn_at);
      }
    }
  }

  std::string fill(std::size_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    if (policy_.fill == RebootPolicy::Fill::Zeros) return bytes;
    const bool stale = policy_.fill == RebootPolicy::Fill::Stale || coin(random_);
    if (stale && !stale_.empty()) {
      const std::string& from = stale_[below(random_, stale_.size())];
      sector_of(from, offset, length).copy(bytes.data(), length);
      return bytes;
    }
    for (std::size_t at = 0; at < length; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = random_();
      std::memcpy(bytes.data() + at, &word, std::min(sizeof word, length - at));
    }
    return bytes;
  }

  const RebootPolicy& policy_;
  Random& random_;
  const std::vector<std::string>& stale_;
};

// Which of the unsynced changes reached the medium.
std::vector<bool> choose_changes(const std::vector<SimulatedNameChange>& changes,
                                 RebootPolicy::Names names, Random& random) {
  std::vector<bool> kept(changes.size(), names == RebootPolicy::Names::Kept);
  if (names == RebootPolicy::Names::Prefix) {
    const std::uint64_t count = below(random, changes.size() + 1);
    std::fill_n(kept.begin(), count, true);
  }
  if (names != RebootPolicy::Names::Mixed) return kept;
  std::set<std::string> lost_names;
  std::set<const SimulatedInode*> lost_inodes;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const SimulatedNameChange& change = changes[i];
    const bool builds_on_lost =
        lost_names.contains(change.removed) || lost_names.contains(change.added) ||
        lost_inodes.contains(change.inode.get()) || lost_inodes.contains(change.replaced.get());
    kept[i] = coin(random) && !builds_on_lost;
    if (kept[i]) continue;
    if (!change.removed.empty()) lost_names.insert(change.removed);
    if (!change.added.empty()) lost_names.insert(change.added);
    lost_inodes.insert(change.inode.get());
    if (change.replaced != nullptr) lost_inodes.insert(change.replaced.get());
  }
  return kept;
}

}  // namespace

void SimulatedInode::resize(std::uint64_t size) {
  if (size == current->size()) return;
  VARVE_CHECK(writable_mapping_count == 0);
  if (current.use_count() > 1) current = std::make_shared<std::string>(*current);
  current->resize(static_cast<std::size_t>(size));
  holes.erase(holes.lower_bound(pages_of(size)), holes.end());
}

void SimulatedInode::punch(std::uint64_t offset, std::uint64_t size) {
  if (offset >= current->size()) return;
  size = std::min<std::uint64_t>(size, current->size() - offset);
  std::memset(current->data() + offset, 0, static_cast<std::size_t>(size));
  // A page that reaches beyond the end of the file is whole when the range reaches to the end.
  const std::uint64_t end =
      offset + size == current->size() ? pages_of(offset + size) : (offset + size) / kPageSize;
  for (std::uint64_t page = pages_of(offset); page < end; ++page) holes.insert(page);
}

std::uint64_t SimulatedInode::page_count() const noexcept {
  return pages_of(current->size()) - holes.size();
}

std::uint64_t SimulatedInode::page_count_with(std::uint64_t offset,
                                              std::uint64_t size) const noexcept {
  const std::uint64_t end = std::max<std::uint64_t>(current->size(), offset + size);
  const auto filled = std::distance(holes.lower_bound(offset / kPageSize),
                                    holes.lower_bound(pages_of(offset + size)));
  return pages_of(end) - (holes.size() - static_cast<std::uint64_t>(filled));
}

void SimulatedInode::fill_holes(std::uint64_t offset, std::uint64_t size) {
  holes.erase(holes.lower_bound(offset / kPageSize), holes.lower_bound(pages_of(offset + size)));
}

void SimulatedInode::sync() {
  std::string bytes = copy_of(*this);
  for (auto at = dropped.begin(); at != dropped.end();) {
    const auto& [offset, held] = *at;
    if (sector_of(bytes, offset) != held) {
      at = dropped.erase(at);
      continue;
    }
    std::string old(sector_of(durable, offset));
    old.resize(held.size());
    bytes.replace(offset, old.size(), old);
    ++at;
  }
  durable = std::move(bytes);
}

void SimulatedInode::dirty_again(std::size_t offset, std::size_t size) {
  dropped.erase(dropped.lower_bound(offset / kSectorSize * kSectorSize),
                dropped.lower_bound(offset + size));
}

void SimulatedInode::drop_unsynced() {
  const std::string bytes = copy_of(*this);
  for (std::size_t offset = 0; offset < bytes.size(); offset += kSectorSize) {
    const std::string_view held = sector_of(bytes, offset);
    if (held != sector_of(durable, offset)) dropped.insert_or_assign(offset, std::string(held));
  }
}

std::shared_ptr<SimulatedInode> SimulatedMedium::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : found->second;
}

std::shared_ptr<SimulatedInode> SimulatedMedium::create(std::string_view name) {
  auto inode = std::make_shared<SimulatedInode>();
  names_.emplace(name, inode);
  unsynced_.push_back({.removed = {}, .added = std::string(name), .inode = inode, .replaced = {}});
  return inode;
}

void SimulatedMedium::rename(std::string_view from, std::string_view to) {
  if (from == to) return;
  const auto found = names_.find(from);
  VARVE_CHECK(found != names_.end());
  auto inode = found->second;
  if (const auto replaced = find(to); replaced != nullptr) lose_name(replaced);
  unsynced_.push_back({.removed = std::string(from),
                       .added = std::string(to),
                       .inode = inode,
                       .replaced = find(to)});
  names_.erase(found);
  names_.insert_or_assign(std::string(to), std::move(inode));
}

void SimulatedMedium::remove(std::string_view name) {
  const auto found = names_.find(name);
  VARVE_CHECK(found != names_.end());
  unsynced_.push_back(
      {.removed = std::string(name), .added = {}, .inode = found->second, .replaced = {}});
  lose_name(found->second);
  names_.erase(found);
}

void SimulatedMedium::sync_names() {
  durable_names_ = names_;
  unsynced_.clear();
}

void SimulatedMedium::plant(std::string_view name, std::string bytes) {
  auto inode = std::make_shared<SimulatedInode>();
  *inode->current = bytes;
  inode->durable = std::move(bytes);
  names_.insert_or_assign(std::string(name), inode);
  durable_names_.insert_or_assign(std::string(name), inode);
}

SimulatedFileSystem::Fingerprint SimulatedMedium::fingerprint() const {
  FingerprintHasher hasher;
  for (const auto& [name, inode] : names_) {
    hasher.add(name);
    if (inode->writable_mapping_count == 0) {
      hasher.add(*inode->current);
    } else {
      hasher.add(copy_of(*inode));
    }
  }
  return hasher.value();
}

void SimulatedMedium::lose_name(const std::shared_ptr<SimulatedInode>& inode) {
  std::erase_if(nameless_, [](const auto& held) { return held.expired(); });
  nameless_.push_back(inode);
}

std::uint64_t SimulatedMedium::used_size() const {
  std::uint64_t pages = 0;
  for (const auto& [name, inode] : names_) pages += inode->page_count();
  for (const auto& held : nameless_) {
    const auto inode = held.lock();
    if (inode != nullptr && inode->user_count != 0) pages += inode->page_count();
  }
  return pages * kPageSize;
}

std::optional<std::uint64_t> SimulatedMedium::free_size() const {
  if (capacity_ == 0) return std::nullopt;
  return capacity_ - std::min(capacity_, used_size());
}

std::uint64_t SimulatedMedium::room_for(const SimulatedInode& inode, std::uint64_t offset,
                                        std::uint64_t size) const {
  const auto free = free_size();
  if (!free) return size;
  const std::uint64_t pages = *free / kPageSize + inode.page_count();
  while (size > 0 && inode.page_count_with(offset, size) > pages) {
    const std::uint64_t end = (offset + size - 1) / kPageSize * kPageSize;  // One page less.
    size = end - std::min(offset, end);
  }
  return size;
}

SimulatedMedium SimulatedMedium::clone() const {
  std::unordered_map<const SimulatedInode*, std::shared_ptr<SimulatedInode>> copies;
  const auto copy = [&](const std::shared_ptr<SimulatedInode>& inode) {
    if (inode == nullptr) return inode;
    std::shared_ptr<SimulatedInode>& made = copies[inode.get()];
    if (made == nullptr) {
      made = std::make_shared<SimulatedInode>();
      *made->current = copy_of(*inode);
      made->durable = inode->durable;
      made->dropped = inode->dropped;
      made->holes = inode->holes;
    }
    return made;
  };
  SimulatedMedium result;
  result.capacity_ = capacity_;
  for (const auto& [name, inode] : names_) result.names_.emplace(name, copy(inode));
  for (const auto& [name, inode] : durable_names_) result.durable_names_.emplace(name, copy(inode));
  for (const SimulatedNameChange& change : unsynced_) {
    result.unsynced_.push_back({.removed = change.removed,
                                .added = change.added,
                                .inode = copy(change.inode),
                                .replaced = copy(change.replaced)});
  }
  return result;
}

SimulatedMedium SimulatedMedium::after_power_loss(const RebootPolicy& policy) const {
  Random random(policy.seed);
  std::vector<std::string> stale;
  if (policy.fill != RebootPolicy::Fill::Zeros) {
    for (const auto& [name, inode] : names_) stale.push_back(copy_of(*inode));
    for (const SimulatedNameChange& change : unsynced_) stale.push_back(change.inode->durable);
  }
  Names kept = durable_names_;
  const std::vector<bool> chosen = choose_changes(unsynced_, policy.names, random);
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    if (!chosen[i]) continue;
    const SimulatedNameChange& change = unsynced_[i];
    if (!change.removed.empty()) kept.erase(change.removed);
    if (!change.added.empty()) kept.insert_or_assign(change.added, change.inode);
  }
  SimulatedMedium result;
  result.capacity_ = capacity_;
  DataLoss loss(policy, random, stale);
  for (const auto& [name, inode] : kept) result.plant(name, loss.apply(*inode));
  return result;
}

}  // namespace varve::directory

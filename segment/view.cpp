// SPDX-License-Identifier: Apache-2.0
#include "segment/view.hpp"

#include <algorithm>

#include "directory/mutant.hpp"
#include "segment/run_blocks.hpp"

namespace varve::segment {

std::size_t View::memory_size() const noexcept {
  std::size_t size = active->memory_size();
  for (const auto& delta : frozen) size += delta->memory_size();
  return size;
}

bool View::has_memory() const noexcept {
  return !active->empty() || std::any_of(frozen.begin(), frozen.end(),
                                         [](const auto& delta) { return !delta->empty(); });
}

Sequence View::oldest_memory_sequence() const noexcept {
  Sequence oldest = active->empty() ? kSequenceMax : active->first_sequence();
  for (const auto& delta : frozen) {
    if (!delta->empty()) oldest = std::min(oldest, delta->first_sequence());
  }
  return oldest;
}

std::uint64_t View::slices_size() const noexcept {
  std::uint64_t size = 0;
  for (const RunLayer& layer : runs) {
    if (layer.record.kind == RunRecord::Kind::Slice) size += layer.record.size;
  }
  return size;
}

std::uint64_t View::main_size() const noexcept {
  const RunLayer* main = main_run();
  return main == nullptr ? 0 : main->record.size;
}

std::uint64_t View::size() const noexcept {
  return memory_size() + slices_size() + main_size();
}

namespace {

// Nanoseconds, measured with ten million entries of 116 bytes (docs/adr/0019, 0021): what reads pay
// for further runs, and what a merge takes.
constexpr std::uint64_t kGetCost = 40;    // Of a run. Hits and misses, alone and by multi_get().
constexpr std::uint64_t kSeekCost = 150;  // Of a run.
constexpr std::uint64_t kStepCost = 10;   // Of all of them together.
constexpr std::uint64_t kMergeCostOfEntry = 100, kMergeCostOfByte = 1;
constexpr std::uint64_t kMergeCost = 5'000'000;  // Device flushes, and the manifest.
// A processor that has nothing else to do is as good as free, but what it writes is not.
constexpr std::uint64_t kIdlePart = 16;

}  // namespace

std::uint64_t View::merge_price() const noexcept {
  std::uint64_t entry_count = active->entry_count();
  for (const auto& delta : frozen) entry_count += delta->entry_count();
  for (const RunLayer& layer : runs) entry_count += layer.record.entry_count;
  return kMergeCost + kMergeCostOfEntry * entry_count + kMergeCostOfByte * size();
}

bool View::note_scan(std::uint64_t entry_count, std::uint64_t weight) const noexcept {
  if (runs.size() < 2) return false;
  const std::uint64_t cost = kSeekCost * (runs.size() - 1) + kStepCost * entry_count;
  return read_debt_.add(weight * cost, merge_price() / kIdlePart, memory_size());
}

bool View::note_gets(std::uint64_t count) const noexcept {
  if (runs.size() < 2 || VARVE_MUTANT("get.cost_not_noted")) return false;
  const std::uint64_t cost = count * kGetCost * (runs.size() - 1);
  return read_debt_.add(cost, merge_price() / kIdlePart, memory_size());
}

bool View::reads_want_merge(bool idle) const noexcept {
  const std::uint64_t debt = read_debt_.debt();
  if (debt == 0) return false;
  const std::uint64_t price = merge_price();
  if (VARVE_MUTANT("scan.merge_at_first_cost")) return true;
  if (debt < (idle ? price / kIdlePart : price)) return false;
  const auto grown = static_cast<double>(
      VARVE_MUTANT("scan.merge_ignores_writes") ? 0 : read_debt_.grown(memory_size()));
  return static_cast<double>(debt) * static_cast<double>(slices_size()) >=
         static_cast<double>(price) * grown;
}

Sequence View::range_erased_at_slow(std::string_view key, Sequence at) const noexcept {
  for (auto it = range_tombstones.rbegin(); it != range_tombstones.rend(); ++it) {
    if (VARVE_MUTANT("read.later_range_erase_applied") && it->covers(key)) return it->sequence;
    if (it->sequence <= at && it->covers(key)) return it->sequence;
  }
  return 0;
}

namespace {

// What a found version means once the range tombstones have spoken.
FoundEntry answer(const FoundEntry& entry, Sequence effective, Sequence erased_at) noexcept {
  if (VARVE_MUTANT("read.range_erase_hides_newer") && erased_at != 0) return {};
  if (entry.kind == Kind::Tombstone || effective < erased_at) return {};
  return entry;
}

}  // namespace

// The first run from `from` on whose filter has the key.
std::size_t View::next_run(std::size_t from, std::uint64_t hash) const noexcept {
  while (from < runs.size() && !runs[from].run->may_contain(hash)) ++from;
  return from;
}

std::size_t View::block_in(std::size_t run, const Search& search,
                           std::string_view key) const noexcept {
  const RunBlocks& blocks = runs[run].run->blocks();
  return run + 1 == runs.size() ? blocks.find_in(search.last_leaf, key) : blocks.find(key);
}

void View::begin_search(Search& search, std::string_view key, std::uint64_t hash) const noexcept {
  // All filter lines are asked for before the first is needed: then the number of runs does not
  // show in a get.
  for (const RunLayer& layer : runs) layer.run->prefetch_filter(hash);
  if (!runs.empty()) search.last_leaf = runs.back().run->blocks().locate(key);
  search.leaf = active->may_contain(hash) ? active->locate(key) : nullptr;
}

// Most keys are in a run: its block comes nearer while the deltas are asked.
void View::choose_block(Search& search, std::string_view key, std::uint64_t hash) const noexcept {
  search.run = next_run(0, hash);
  if (search.run == runs.size()) return;
  search.block = block_in(search.run, search, key);
  runs[search.run].run->blocks().prefetch(search.block);
}

void View::prefetch_entry(const Search& search, std::string_view key) const noexcept {
  if (search.run != runs.size()) runs[search.run].run->blocks().prefetch_entry(search.block, key);
}

FoundEntry View::end_search(const Search& search, std::string_view key, std::uint64_t hash,
                            Sequence at, std::string& scratch) const {
  const Sequence erased_at = range_erased_at(key, at);
  if (const FoundEntry entry = active->find_in(search.leaf, key, hash, at); entry.found) {
    return answer(entry, entry.sequence, erased_at);
  }
  for (const auto& delta : frozen) {
    if (const FoundEntry entry = delta->find(key, hash, at); entry.found) {
      return answer(entry, entry.sequence, erased_at);
    }
  }
  for (std::size_t i = search.run; i < runs.size(); i = next_run(i + 1, hash)) {
    const RunLayer& layer = runs[i];
    // Layers come newest first, so everything from here on is older than the tombstone.
    if (layer.record.last_sequence < erased_at) return {};
    const RunBlocks& blocks = layer.run->blocks();
    const std::size_t block = i == search.run ? search.block : block_in(i, search, key);
    if (const FoundEntry entry = blocks.load(block, scratch).find(key, at); entry.found) {
      return answer(entry, effective_sequence(entry.sequence, layer.record), erased_at);
    }
  }
  return {};
}

namespace {

// Whether this thread's next get is likely to read the last run, going by those before it.
// RunBlocks::approach() takes a tenth to a sixth off a get that does, and adds a sixth of much less
// to one that filters answer: it pays from one in three on, so that one read weighs as much as two
// others.
class LastRunGuess {
 public:
  [[nodiscard]] bool likely() const noexcept { return weight_ > kMax / 2; }
  void note(bool read) noexcept {
    weight_ = read ? std::min(weight_ + 2, kMax) : std::max(weight_ - 1, 0);
  }

 private:
  static constexpr int kMax = 16;
  int weight_ = 0;
};
constinit thread_local LastRunGuess last_run_guess;

}  // namespace

FoundEntry View::find(std::string_view key, std::uint64_t hash, Sequence at,
                      std::string& scratch) const {
  Search search;
  begin_search(search, key, hash);
  if (!runs.empty()) {
    LastRunGuess& guess = last_run_guess;
    if (guess.likely()) runs.back().run->blocks().approach(search.last_leaf);
    choose_block(search, key, hash);
    guess.note(search.run + 1 == runs.size());
  }
  return end_search(search, key, hash, at, scratch);
}

FilterTally View::tally_filters(std::string_view key, std::uint64_t hash,
                                std::string& scratch) const {
  FilterTally tally;
  for (const RunLayer& layer : runs) {
    if (layer.run->filter_size() == 0) continue;
    ++tally.probe_count;
    if (!layer.run->may_contain(hash)) {
      ++tally.negative_count;
    } else if (!layer.run->find(key, kSequenceMax, scratch).found) {
      ++tally.false_positive_count;
    }
  }
  return tally;
}

void find_together(std::span<Lookup> lookups, Sequence at) {
  for (Lookup& one : lookups) one.view->begin_search(one.search, one.key, one.hash);
  for (Lookup& one : lookups) one.view->choose_block(one.search, one.key, one.hash);
  for (Lookup& one : lookups) one.view->prefetch_entry(one.search, one.key);
  for (Lookup& one : lookups) {
    one.found = one.view->end_search(one.search, one.key, one.hash, at, one.scratch);
  }
}

}  // namespace varve::segment

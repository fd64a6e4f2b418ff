// SPDX-License-Identifier: Apache-2.0
//
// A view with all kinds of layers against a map: searches alone and together, the merged cursor,
// and what a merge without snapshots keeps.

#include "segment/view.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "directory/checksum.hpp"
#include "segment/compaction.hpp"
#include "segment/merge.hpp"
#include "tests/segment/run_fixture.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace varve;
using namespace varve::segment;
using namespace varve::segment::test;

// Layers of growing sequences: a main run without any, two delta runs, a frozen and an active
// delta. Every layer has some keys of its own, and new versions and erasures of older ones.
class Layers {
 public:
  Layers(Shape shape, Reads reads, std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 700; ++i) keys_.push_back(make_key(shape, random_));
    add_run(reads, RunRecord::Kind::Main, false);
    add_run(reads, RunRecord::Kind::Slice, true);
    add_run(reads, RunRecord::Kind::Slice, true);
    view_->frozen.push_back(make_delta(false));
    view_->active = make_delta(true);
  }

  [[nodiscard]] View& view() noexcept { return *view_; }
  [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }
  [[nodiscard]] Sequence last_sequence() const noexcept { return sequence_; }
  [[nodiscard]] const std::vector<Version>& all() const noexcept { return all_; }
  [[nodiscard]] Random& random() noexcept { return random_; }

  // The newest version of `key` at `at`, or null.
  [[nodiscard]] const Version* newest(const std::string& key, Sequence at) const {
    const Version* best = nullptr;
    for (const Version& version : all_) {
      if (version.key != key || version.sequence > at) continue;
      if (best == nullptr || version.sequence > best->sequence) best = &version;
    }
    return best;
  }

 private:
  Version make_version(const std::string& key, bool with_sequence) {
    ++sequence_;
    Version version{.key = key, .sequence = with_sequence ? sequence_ : 0};
    if (with_sequence && random_() % 4 == 0) {
      version.kind = Kind::Tombstone;
    } else {
      version.value = std::to_string(sequence_) + std::string(random_() % 200, 'v');
    }
    return version;
  }
  void add_run(Reads reads, RunRecord::Kind kind, bool with_sequences) {
    std::map<std::string, Version> chosen;
    while (chosen.size() < 200 && chosen.size() < keys_.size() / 4) {
      const std::string& key = keys_[random_() % keys_.size()];
      chosen.insert_or_assign(key, make_version(key, with_sequences));
      if (random_() % 1000 == 0) break;
    }
    std::vector<Version> versions;
    versions.reserve(chosen.size());
    for (auto& [key, version] : chosen) versions.push_back(std::move(version));
    all_.insert(all_.end(), versions.begin(), versions.end());
    RunLayer layer;
    layer.record.kind = kind;
    layer.record.last_sequence = sequence_;
    layer.run = open_image(write_image(versions, 512), reads);
    view_->runs.insert(view_->runs.begin(), layer);
  }
  std::shared_ptr<Delta> make_delta(bool active) {
    auto delta = std::make_shared<Delta>(pool_, Delta::ReaderMode::Alone);
    const int count = active ? 150 : 400;
    for (int i = 0; i < count; ++i) {
      const std::string& key = keys_[random_() % keys_.size()];
      Version version = make_version(key, true);
      delta->insert(key, directory::hash64(key), version.kind, version.value, version.sequence,
                    true);
      all_.push_back(std::move(version));
    }
    return delta;
  }

  ChunkPool pool_;
  Random random_;
  std::unique_ptr<View> view_ = std::make_unique<View>();
  std::vector<std::string> keys_;
  std::vector<Version> all_;
  Sequence sequence_ = 0;
};

enum class Parts : std::uint8_t { All, Main, Deltas };

// Adds some of the layers, and returns their versions in order.
std::vector<Version> add_parts(Layers& layers, Parts parts, MergingSource& source) {
  const View& view = layers.view();
  std::vector<Version> versions = layers.all();
  if (parts == Parts::Main) {
    source.add(*view.runs.back().run);
    std::erase_if(versions, [](const Version& version) { return version.sequence != 0; });
  } else {
    source.add(*view.active);
    source.add(*view.frozen[0]);
  }
  if (parts == Parts::All) {
    for (const RunLayer& layer : view.runs) source.add(*layer.run);
  } else if (parts == Parts::Deltas) {
    const Sequence in_runs = view.runs.front().record.last_sequence;
    std::erase_if(versions, [&](const Version& version) { return version.sequence <= in_runs; });
  }
  std::sort(versions.begin(), versions.end(), before);
  return versions;
}

Version current_version(const MergingSource& source) {
  const EntryView& entry = source.entry();
  return Version{std::string(entry.key), entry.sequence, entry.kind, std::string(entry.value)};
}

// The newest version of the key at `place`.
std::size_t first_of_key(const std::vector<Version>& versions, std::size_t place) {
  const std::string& key = versions[place].key;
  while (place > 0 && versions[place - 1].key == key) --place;
  return place;
}

void check_answer(const FoundEntry& found, const Version* expected) {
  const bool live = expected != nullptr && expected->kind == Kind::Value;
  REQUIRE(found.found == live);
  if (live) REQUIRE(found.value == expected->value);
}

// So large as the records say, of which a policy makes its estimates.
void pretend_sizes(View& view) {
  view.runs.back().record.size = 32 << 20;
  view.runs.back().record.entry_count = 300'000;
  for (std::size_t i = 0; i + 1 < view.runs.size(); ++i) {
    view.runs[i].record.size = 1 << 20;
    view.runs[i].record.entry_count = 10'000;
  }
}

// Scans of ten entries until the view's debt reaches `part` of a merge's price; how often they were
// told to have somebody look.
int scan_until(const View& view, double part) {
  const auto runs = static_cast<double>(view.runs.size() - 1);
  int told_count = 0;
  for (double paid = 0; paid < part * static_cast<double>(view.merge_price());) {
    told_count += view.note_scan(10, 16) ? 1 : 0;
    paid += 16 * (150 * runs + 10 * 10);
  }
  return told_count;
}

}  // namespace

TEST_CASE("scans ask for a merge once they have paid for it, or are about to", "[segment][view]") {
  Layers layers(Shape::Random16, Reads::Mapped, 71);
  View& view = layers.view();
  pretend_sizes(view);
  CHECK_FALSE(view.reads_want_merge(true));
  CHECK(scan_until(view, 1.0 / 20) == 0);
  CHECK_FALSE(view.reads_want_merge(true));
  CHECK(scan_until(view, 1.0 / 16 - 1.0 / 20) == 1);
  CHECK(view.reads_want_merge(true));
  CHECK_FALSE(view.reads_want_merge(false));
  CHECK(scan_until(view, 1.0 - 1.0 / 16) == 4);  // Whenever it has doubled.
  CHECK(view.reads_want_merge(false));

  // Writes that have brought more meanwhile than the merge would take away.
  const std::string key = layers.keys().front();
  const std::size_t before = view.memory_size(), as_much = view.slices_size();
  Sequence sequence = layers.last_sequence();
  while (view.memory_size() <= before + 11 * as_much / 10) {
    ++sequence;
    if (view.memory_size() < before + 9 * as_much / 10) CHECK(view.reads_want_merge(true));
    view.active->insert(key, directory::hash64(key), Kind::Value, std::string(50'000, 'v'),
                        sequence, true);
  }
  CHECK(scan_until(view, 0.01) == 0);
  CHECK_FALSE(view.reads_want_merge(true));
  scan_until(view, 1);  // Now they have paid twice as much.
  CHECK(view.reads_want_merge(true));

  view.runs.erase(view.runs.begin(), view.runs.end() - 1);
  CHECK_FALSE(view.note_scan(1'000'000'000, 1'000));
}

TEST_CASE("gets ask for a merge as scans do, for less each", "[segment][view]") {
  Layers layers(Shape::Random16, Reads::Mapped, 73);
  View& view = layers.view();
  pretend_sizes(view);
  const std::uint64_t count = view.merge_price() / 40 / (view.runs.size() - 1);
  CHECK_FALSE(view.note_gets(count / 20));
  CHECK_FALSE(view.reads_want_merge(true));
  CHECK(view.note_gets(count / 60));
  CHECK(view.reads_want_merge(true));
  CHECK_FALSE(view.reads_want_merge(false));
  CHECK(view.note_gets(count));
  CHECK(view.reads_want_merge(false));

  view.runs.erase(view.runs.begin(), view.runs.end() - 1);
  CHECK_FALSE(view.note_gets(1'000'000'000));
}

TEST_CASE("a view answers for each key as a map does, alone and in groups", "[segment][view]") {
  const Shape shape = GENERATE(Shape::Random16, Shape::Decimal, Shape::Url, Shape::Prefixes);
  const Reads reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(static_cast<int>(shape), static_cast<int>(reads));
  Layers layers(shape, reads, 11);
  Layers other(shape, reads, 12);  // Groups may span several views.
  std::string scratch;
  for (int round = 0; round < 60; ++round) {
    const Sequence at = round % 2 == 0 ? kSequenceMax : layers.random()() % layers.last_sequence();
    std::vector<Lookup> group(layers.random()() % 20);
    std::vector<const Version*> expected;
    for (Lookup& lookup : group) {
      Layers& from = layers.random()() % 3 == 0 ? other : layers;
      lookup.view = &from.view();
      lookup.key = from.keys()[from.random()() % from.keys().size()];
      lookup.hash = directory::hash64(lookup.key);
      expected.push_back(from.newest(std::string(lookup.key), at));
      check_answer(lookup.view->find(lookup.key, lookup.hash, at, scratch), expected.back());
    }
    find_together(group, at);
    for (std::size_t i = 0; i < group.size(); ++i) check_answer(group[i].found, expected[i]);
  }
  const std::string absent = "no key of any shape begins like this";
  Lookup lookup;
  lookup.view = &layers.view();
  lookup.key = absent;
  lookup.hash = directory::hash64(absent);
  find_together({&lookup, 1}, kSequenceMax);
  CHECK_FALSE(lookup.found.found);
}

TEST_CASE("a range tombstone hides what is older from searches in groups too", "[segment][view]") {
  Layers layers(Shape::Decimal, Reads::Mapped, 21);
  // Layers that a tombstone falls between: all runs are older, all deltas newer.
  const Sequence erased = layers.view().runs.front().record.last_sequence + 1;
  layers.view().range_tombstones.push_back({.from = "", .to = "", .sequence = erased});
  std::size_t live_count = 0;
  for (const std::string& key : layers.keys()) {
    Lookup lookup;
    lookup.view = &layers.view();
    lookup.key = key;
    lookup.hash = directory::hash64(key);
    find_together({&lookup, 1}, kSequenceMax);
    const Version* newest = layers.newest(key, kSequenceMax);
    if (newest != nullptr && newest->sequence < erased) newest = nullptr;
    check_answer(lookup.found, newest);
    live_count += lookup.found.found ? 1 : 0;
  }
  CHECK(live_count > 0);
}

TEST_CASE("merged layers give all versions in order, both ways, after a clear as well",
          "[segment][merge]") {
  const Shape shape = GENERATE(Shape::Random16, Shape::Url, Shape::Prefixes, Shape::Binary);
  const Reads reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(static_cast<int>(shape), static_cast<int>(reads));
  Layers layers(shape, reads, 31);
  std::vector<Version> all = layers.all();
  std::sort(all.begin(), all.end(), before);
  MergingSource source;
  for (int pass = 0; pass < 2; ++pass) {
    source.clear();
    source.add(*layers.view().active);
    source.add(*layers.view().frozen[0]);
    for (const RunLayer& layer : layers.view().runs) source.add(*layer.run);
    CHECK(source.values_are_stable() == (reads == Reads::Mapped));
    for (int i = 0; i < 200; ++i) {
      const std::string& key = layers.keys()[layers.random()() % layers.keys().size()];
      const auto from = static_cast<std::size_t>(
          std::lower_bound(all.begin(), all.end(), key,
                           [](const Version& v, const std::string& k) { return v.key < k; }) -
          all.begin());
      source.seek(key);
      for (std::size_t at = from; at < std::min(from + 25, all.size()); ++at, source.next()) {
        REQUIRE(source.valid());
        REQUIRE((current_version(source) == all[at]));
      }
      source.seek_before(key);
      for (std::size_t at = from; at > from - std::min<std::size_t>(from, 25); --at) {
        REQUIRE(source.valid());
        REQUIRE((current_version(source) == all[at - 1]));
        source.prev();
      }
    }
    source.seek_to_first();
    for (const Version& version : all) {
      REQUIRE(source.valid());
      REQUIRE((current_version(source) == version));
      source.next();
    }
    CHECK_FALSE(source.valid());
  }
}

TEST_CASE("merged layers go straight as far as a reader sees one value after the other",
          "[segment][merge]") {
  const Shape shape = GENERATE(Shape::Random16, Shape::Url, Shape::Prefixes, Shape::Binary);
  const Reads reads = GENERATE(Reads::Mapped, Reads::Buffered);
  const auto parts = GENERATE(Parts::All, Parts::Main, Parts::Deltas);
  CAPTURE(static_cast<int>(shape), static_cast<int>(reads), static_cast<int>(parts));
  Layers layers(shape, reads, 51);
  MergingSource source;
  const std::vector<Version> all = add_parts(layers, parts, source);
  std::size_t straight_count = 0;
  for (int i = 0; i < 600; ++i) {
    const Sequence at =
        i % 3 == 0 ? layers.last_sequence() : layers.random()() % layers.last_sequence();
    const auto index = [&] { return static_cast<std::size_t>(layers.random()() % all.size()); };
    std::size_t place = first_of_key(all, index());
    const std::string end = i % 4 == 0 ? "" : all[index()].key;
    source.seek(all[place].key);
    // As a scan does: to versions that a reader at `at` sees, straight as far as that goes.
    for (int steps = 0; steps < 20; ++steps) {
      while (place < all.size() && all[place].sequence > at) {
        source.next();
        ++place;
      }
      if (place == all.size() || (!end.empty() && all[place].key >= end)) break;
      source.go_straight({.end = end, .at = at, .key_size_max = 512});
      std::string last = all[place].key;
      SavedKey saved;
      saved.assign(std::string(512, 'k'));
      while (source.next_straight(saved)) {
        ++straight_count;
        const std::string key(source.entry().key);
        REQUIRE((end.empty() || key < end));
        // The next key of which anything is seen, and what is seen of it.
        while (place < all.size() && (all[place].key == last || all[place].sequence > at)) ++place;
        REQUIRE(place < all.size());
        REQUIRE(key == all[place].key);
        REQUIRE(source.entry().value == all[place].value);
        REQUIRE(all[place].kind == Kind::Value);
        last = key;
      }
      source.stop_straight();
      // The step that was not taken leaves next() to miss nothing but older versions of the last.
      do {
        source.next();
        ++place;
        while (place < all.size() && all[place].key == last &&
               !(source.valid() && current_version(source) == all[place])) {
          ++place;
        }
        REQUIRE(source.valid() == place < all.size());
        if (place == all.size()) break;
        REQUIRE(source.entry().key == all[place].key);
        REQUIRE(source.entry().value == all[place].value);
      } while (all[place].key == last);
    }
    // Backwards as ever.
    if (place == all.size()) continue;
    source.seek_before(all[place].key);
    const std::size_t first = first_of_key(all, place);
    REQUIRE(source.valid() == (first > 0));
    if (first > 0) REQUIRE(source.entry().key == all[first - 1].key);
  }
  CHECK(straight_count > (parts == Parts::Main ? 1000 : 15));
}

TEST_CASE("a merge that no snapshot watches keeps the newest version of each key",
          "[segment][compaction]") {
  const bool bottom = GENERATE(true, false);
  const Reads reads = GENERATE(Reads::Mapped, Reads::Buffered);
  Layers layers(Shape::Url, reads, 41);
  std::vector<std::string> sorted = layers.keys();
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  const std::string lower = sorted[sorted.size() / 10], upper = sorted[sorted.size() * 9 / 10];
  const std::vector<RangeTombstone> no_tombstones;
  PruningSource source({layers.view().active, layers.view().frozen[0]}, layers.view().runs,
                       {.snapshots = {}, .bottom = bottom, .range_tombstones = &no_tombstones},
                       lower, upper);
  std::size_t count = 0;
  for (const std::string& key : sorted) {
    if (key < lower || key >= upper) continue;
    const Version* newest = layers.newest(key, kSequenceMax);
    if (newest == nullptr || (bottom && newest->kind == Kind::Tombstone)) continue;
    REQUIRE(source.valid());
    CHECK(source.starts_key());
    REQUIRE(source.entry().key == key);
    REQUIRE(source.entry().kind == newest->kind);
    REQUIRE(source.entry().value == newest->value);
    REQUIRE(source.entry().sequence == 0);
    source.next();
    ++count;
  }
  CHECK_FALSE(source.valid());
  CHECK(count > 100);
}

// A neighbour may have an old range erase that this segment has long applied: when the two become
// one, what was written after it must still be told from what it erased.
TEST_CASE("merged twice for a snapshot, a version stays newer than older range erases",
          "[segment][view]") {
  const auto run_of = [](Sequence of_entry, Sequence last) {
    RunLayer layer;
    layer.record.kind = RunRecord::Kind::Main;
    layer.record.last_sequence = last;
    layer.run = open_image(
        write_image({{.key = "key", .sequence = of_entry, .value = "value"}}, 512), Reads::Mapped);
    return layer;
  };
  const RangeTombstone newer{.from = "", .to = "", .sequence = 90};
  const RangeTombstone older{.from = "", .to = "", .sequence = 60};
  const std::vector<RangeTombstone> here{newer}, both{older, newer};
  const Sequence snapshot = GENERATE(70, 80);
  const std::vector<RunLayer> once{run_of(0, 70)};  // The source reads them in place.
  const PruningSource first(
      {}, once, {.snapshots = {snapshot}, .bottom = true, .range_tombstones = &here}, "", "");
  REQUIRE(first.valid());
  const std::vector<RunLayer> twice{run_of(first.entry().sequence, 100)};
  const PruningSource second(
      {}, twice, {.snapshots = {snapshot}, .bottom = true, .range_tombstones = &both}, "", "");
  REQUIRE(second.valid());
  CHECK(second.entry().value == "value");
  CHECK(second.entry().sequence > older.sequence);
  CHECK(second.entry().sequence <= snapshot);
}

// SPDX-License-Identifier: Apache-2.0
// Sweeps over every byte of a store that has every kind of file (docs/TESTING.md, "Damage sweeps"):
// whatever is done to them, a deep check names the file, and reading gives the right value or an
// Error. Each test tries a sample, another one for each VARVE_SWEEP_SEED; VARVE_SWEEP_CASES=N tries
// N cases in each, VARVE_SWEEP_CASES=all every one there is.
#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "directory/lock_record.hpp"
#include "lib/checker.hpp"
#include "lib/run_store.hpp"
#include "tests/lib/damage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"

namespace varve::test {
namespace {

// Sanitizers and unoptimised builds try fewer, so that they finish as well.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr std::size_t kSlowness = 25;
#else
constexpr std::size_t kSlowness = 1;
#endif
// A check of a damaged store is cheaper than opening and reading it, and that than compacting it.
constexpr std::size_t kReadEvery = 16, kWriteEvery = 160;

unsigned sweep_seed() {
  return static_cast<unsigned>(setting("VARVE_SWEEP_SEED", 1));
}

// Calls visit(i) for numbers below `total`: all of them, or `count` spread evenly, each drawn from
// its part. Returns how many.
template <typename Visit>
std::size_t sample(std::size_t total, std::size_t count, Visit visit) {
  count /= kSlowness;
  if (const char* const text = std::getenv("VARVE_SWEEP_CASES"); text != nullptr) {
    count = std::string_view(text) == "all" ? total : std::strtoul(text, nullptr, 10);
  }
  std::mt19937_64 random(sweep_seed());
  if (count >= total) {
    for (std::size_t i = 0; i < total; ++i) visit(i);
    return total;
  }
  for (std::size_t part = 0; part < count; ++part) {
    const std::size_t begin = part * total / count, end = (part + 1) * total / count;
    visit(begin + random() % (end - begin));
  }
  return count;
}

// A byte of a file, of those in use.
struct Place {
  std::string name;
  std::size_t at = 0;
};
const std::vector<Place>& places() {
  static const std::vector<Place> all = [] {
    std::vector<Place> found;
    for (const std::string& name : live_files()) {
      const std::vector<bool>& used = bytes_in_use(name);
      for (std::size_t at = 0; at < used.size(); ++at) {
        if (used[at]) found.push_back({name, at});
      }
    }
    return found;
  }();
  return all;
}

const std::string& sound_bytes(const std::string& name) {
  return damage_image().files.at(name);
}

// Judges one damage after the other, and counts.
class Judge {
 public:
  explicit Judge(const char* cases) : cases_(cases) {}
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;
  // `from`, `to`: the first and the last byte that were changed.
  void judge(const Damaged& damaged, const std::string& name, std::size_t from, std::size_t to,
             const std::string& what) {
    expect_report(deep_check(damaged), name, from, to, what);
    expect_reads(damaged, name, what);
  }
  static void expect_report(const CheckReport& report, const std::string& name, std::size_t from,
                            std::size_t to, const std::string& what) {
    const CheckFinding* finding = find_report(report, name);
    if (finding == nullptr) {
      FAIL_CHECK("not reported: " << what << " of " << name);
      return;
    }
    // A run's finding names the block or the section, a log's the record.
    if (is_run(name) && (finding->offset > to || finding->offset + 4096 < from)) {
      FAIL_CHECK(what << " of " << name << " is reported at byte " << finding->offset);
    }
    if (is_log(name) && from >= 4096 && finding->offset > to) {
      FAIL_CHECK(what << " of " << name << " is reported at byte " << finding->offset);
    }
  }
  void expect_reads(const Damaged& damaged, const std::string& name, const std::string& what) {
    ++count_;
    if (count_ % kReadEvery != 0) return;
    // A writer changes the directory, so it comes last.
    for (const Use use : {Use::Read, count_ % (2 * kWriteEvery) == 0 ? Use::Compact : Use::Write}) {
      if (use != Use::Read && count_ % kWriteEvery != 0) continue;
      const std::string wrong = misreading(damaged, use, name);
      if (!wrong.empty()) FAIL_CHECK(wrong << " after " << what << " of " << name);
    }
  }
  ~Judge() {
    WARN(count_ << " cases, seed " << sweep_seed());
    tell_reached(count_, cases_);
  }

 private:
  const char* cases_;  // What they are, in the plural.
  std::size_t count_ = 0;
};

std::string at_byte(const std::string& what, std::size_t at) {
  return what + " at byte " + std::to_string(at);
}

TEST_CASE("sweep: every flipped bit is reported and never misread", "[lib][sweep]") {
  Judge judge("flipped bits");
  sample(8 * places().size(), 60'000, [&](std::size_t i) {
    const Place& place = places()[i / 8];
    std::string bytes = sound_bytes(place.name);
    bytes[place.at] = static_cast<char>(bytes[place.at] ^ 1 << i % 8);
    Damaged damaged;
    damaged.set(place.name, bytes);
    judge.judge(damaged, place.name, place.at, place.at,
                at_byte("bit " + std::to_string(i % 8) + " flipped", place.at));
  });
}

TEST_CASE("sweep: a byte set to 00 or FF, and a burst of other bytes, is reported",
          "[lib][sweep]") {
  Judge judge("bytes set and bursts");
  std::mt19937 random(sweep_seed());
  sample(3 * places().size(), 18'000, [&](std::size_t i) {
    const Place& place = places()[i / 3];
    std::string bytes = sound_bytes(place.name);
    if (i % 3 == 2) {
      // Bytes in use are followed by others of their kind, or by the file's end.
      const std::vector<bool>& used = bytes_in_use(place.name);
      for (std::size_t at = place.at, end = at + 2 + random() % 64; at < end; ++at) {
        if (at < bytes.size() && used[at]) bytes[at] = static_cast<char>(random());
      }
    } else {
      bytes[place.at] = static_cast<char>(i % 3 == 0 ? 0x00 : 0xFF);
    }
    if (bytes == sound_bytes(place.name)) return;
    if (is_log(place.name) && left_no_trace(bytes)) return;
    Damaged damaged;
    damaged.set(place.name, bytes);
    judge.judge(damaged, place.name, place.at, place.at + 66, at_byte("bytes set", place.at));
  });
}

TEST_CASE("sweep: two flipped bits anywhere are both in files that are reported", "[lib][sweep]") {
  Judge judge("pairs of flipped bits");
  std::mt19937_64 random(sweep_seed());
  sample(8 * places().size(), 6'000, [&](std::size_t i) {
    const Place &one = places()[i / 8], &other = places()[random() % places().size()];
    if (one.name == other.name && one.at == other.at) return;
    Damaged damaged;
    Files files = {{one.name, sound_bytes(one.name)}, {other.name, sound_bytes(other.name)}};
    files[one.name][one.at] = static_cast<char>(files[one.name][one.at] ^ 1 << i % 8);
    files[other.name][other.at] = static_cast<char>(files[other.name][other.at] ^ 1 << i / 7 % 8);
    for (const auto& [name, bytes] : files) damaged.set(name, bytes);
    const CheckReport report = deep_check(damaged);
    const bool no_manifest = files.contains("MANIFEST");  // Without it nothing else is looked at.
    for (const auto& [name, bytes] : files) {
      if (no_manifest && name != "MANIFEST") continue;
      if (find_report(report, name) == nullptr) FAIL_CHECK("two bits, not reported: " << name);
    }
    const std::string log = is_log(one.name) ? one.name : other.name;
    judge.expect_reads(damaged, log, at_byte("two bits flipped", one.at));
  });
}

TEST_CASE("sweep: a file cut off at any length is reported and never misread", "[lib][sweep]") {
  std::vector<Place> lengths;
  for (const std::string& name : live_files()) {
    for (std::size_t size = 0; size < sound_bytes(name).size(); ++size) {
      lengths.push_back({name, size});
    }
  }
  Judge judge("files cut off");
  sample(lengths.size(), lengths.size(), [&](std::size_t i) {
    const auto& [name, size] = lengths[i];
    Damaged damaged;
    damaged.set(name, std::string_view(sound_bytes(name)).substr(0, size));
    const CheckReport report = deep_check(damaged);
    const std::vector<bool>& used = bytes_in_use(name);
    const bool loses =
        std::find(used.begin() + static_cast<std::ptrdiff_t>(size), used.end(), true) != used.end();
    const std::uint64_t synced = damage_image().manifest.logs.back().synced_end;
    // A log may end behind any record of it that was not synced.
    if (is_log(name) ? size < std::max<std::size_t>(synced, 4096) : loses) {
      if (find_report(report, name) == nullptr) {
        FAIL_CHECK("not reported: " << name << " cut off at " << size);
      }
      CHECK_FALSE(report.sound());
    }
    judge.expect_reads(damaged, name, "a cut at " + std::to_string(size));
  });
}

TEST_CASE("sweep: bytes behind the end of a file are reported or hold nothing", "[lib][sweep]") {
  std::vector<Place> lengths;  // How many more.
  for (const std::string& name : live_files()) {
    for (std::size_t more = 1; more <= 4096; ++more) lengths.push_back({name, more});
  }
  Judge judge("files made longer");
  sample(2 * lengths.size(), 12'000, [&](std::size_t i) {
    const auto& [name, more] = lengths[i / 2];
    const bool garbage = i % 2 == 1;
    const std::string bytes =
        sound_bytes(name) +
        (garbage ? random_bytes(more, static_cast<unsigned>(i)) : std::string(more, '\0'));
    Damaged damaged;
    damaged.set(name, bytes);
    // A log ends where its records do. A delta file may have dead slices behind its live ones, as
    // long as it ends at a multiple of 64; right behind the live one there must be zeros.
    const std::size_t alignment = internal::kSliceAlignment;
    const bool in_gap = garbage && sound_bytes(name).size() % alignment != 0;
    const bool exempt =
        is_log(name) || (name.starts_with("delta-") && bytes.size() % 64 == 0 && !in_gap);
    const std::string what = std::to_string(more) + (garbage ? " other bytes" : " zeros") + " more";
    if (!exempt && find_report(deep_check(damaged), name) == nullptr) {
      FAIL_CHECK("not reported: " << what << " in " << name);
    }
    judge.expect_reads(damaged, is_log(name) ? "" : name, what);
  });
}

// Copies `size` bytes between two places, or swaps them: what a medium does that sends a write to
// the wrong place.
struct Exchange {
  Place to, from;
  std::size_t size = 0;
  bool swap = false;
};

std::vector<Exchange> exchanges() {
  std::vector<Exchange> all;
  for (const std::size_t size : {64, 512, 4096}) {
    std::vector<Place> ranges;
    for (const std::string& name : live_files()) {
      const std::size_t end = sound_bytes(name).size();
      for (std::size_t at = 0; at + size <= end; at += size) ranges.push_back({name, at});
    }
    for (const Place& to : ranges) {
      for (const Place& from : ranges) {
        if (to.name == from.name && to.at == from.at) continue;
        for (const bool swap : {false, true}) {
          all.push_back({.to = to, .from = from, .size = size, .swap = swap});
        }
      }
    }
  }
  return all;
}

TEST_CASE("sweep: ranges that are exchanged within and between files are reported",
          "[lib][sweep]") {
  const std::vector<Exchange> all = exchanges();
  Judge judge("exchanged ranges");
  sample(all.size(), 12'000, [&](std::size_t i) {
    const Exchange& exchange = all[i];
    const auto& [to, from, size, swap] = exchange;
    Files files = {{to.name, sound_bytes(to.name)}, {from.name, sound_bytes(from.name)}};
    const std::string moved = files[from.name].substr(from.at, size);
    const std::string replaced = files[to.name].substr(to.at, size);
    files[to.name].replace(to.at, size, moved);
    if (swap) files[from.name].replace(from.at, size, replaced);
    Damaged damaged;
    for (const auto& [name, bytes] : files) damaged.set(name, bytes);
    const CheckReport report = deep_check(damaged);
    bool log_changed = false;
    const auto differs = [&](const std::string& name, const std::string& bytes, const Place& at) {
      if (name != at.name) return false;
      for (std::size_t byte = at.at; byte < at.at + exchange.size; ++byte) {
        if (bytes_in_use(name)[byte] && bytes[byte] != sound_bytes(name)[byte]) return true;
      }
      return false;
    };
    for (const auto& [name, bytes] : files) {
      const bool changed = differs(name, bytes, to) || (swap && differs(name, bytes, from));
      log_changed = log_changed || (changed && is_log(name));
      // Without MANIFEST nothing else is looked at.
      const bool looked_at = (name == "MANIFEST" || find_report(report, "MANIFEST") == nullptr) &&
                             !(is_log(name) && left_no_trace(bytes));
      if (changed && looked_at && find_report(report, name) == nullptr) {
        FAIL_CHECK("not reported: " << size << " bytes of " << from.name << " at " << from.at
                                    << (swap ? " swapped with" : " copied over") << " those of "
                                    << to.name << " at " << to.at);
      }
    }
    judge.expect_reads(damaged, log_changed ? log_name() : "MANIFEST", "an exchange");
  });
}

// Entries of `history` that an index may show whose files come from several moments: none of
// those is wrong by itself, but what is shown must have been there once, all of it together.
std::vector<const Entries*> all_states() {
  std::vector<const Entries*> states;
  for (const Entries& state : small_store().history) states.push_back(&state);
  return states;
}

TEST_CASE("sweep: files of different moments never show a state that never was", "[lib][sweep]") {
  const std::vector<Files>& generations = small_store().generations;
  REQUIRE(generations.size() >= 6);
  std::size_t refused = 0, shown = 0;
  std::mt19937_64 random(sweep_seed());
  const auto try_files = [&](const Files& files, const std::string& what) {
    for (const Use use : {Use::Read, Use::Compact}) {
      const std::string wrong = misreading(directory_of(files), use, all_states());
      if (!wrong.empty()) FAIL_CHECK(wrong << " with " << what);
    }
    const auto directory = directory_of(files);
    (internal::check_directory(*directory, {.deep = true}).sound() ? shown : refused) += 1;
  };
  // Each file of each moment in each other one; then copies that take each file at a moment of its
  // own, as a backup does that was made while the index was being written.
  for (std::size_t to = 0; to < generations.size(); ++to) {
    for (std::size_t from = 0; from < generations.size(); ++from) {
      for (const auto& [name, bytes] : generations[from]) {
        Files files = generations[to];
        files[name] = bytes;
        try_files(files, name + " of moment " + std::to_string(from) + " in " + std::to_string(to));
      }
    }
  }
  sample(100'000, 2'000, [&](std::size_t) {
    Files files;
    std::string what = "moments";
    for (const std::string& name : live_files()) {
      const std::size_t moment = random() % generations.size();
      what += " " + std::to_string(moment);
      const auto it = generations[moment].find(name);
      if (it != generations[moment].end()) files[name] = it->second;
    }
    if (!files.empty()) try_files(files, what);
  });
  tell_reached(refused + shown, "stores of files of different moments");
  CHECK(refused > 0);
  CHECK(shown >= generations.size());  // A file in its own place, at least.
}

TEST_CASE("sweep: LOCK explains and never decides", "[lib][sweep]") {
  directory::LockRecord record;
  record.writer_epoch = damage_image().manifest.writer_epoch;
  record.pid = 1;
  record.host = "host";
  const auto encoded = directory::encode(record);
  const std::string sound(encoded.data(), encoded.size());
  Judge judge("changes of LOCK");
  sample(8 * sound.size(), 2'000, [&](std::size_t i) {
    std::string bytes = sound;
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ 1 << i % 8);
    Damaged damaged;
    damaged.set("LOCK", i % 16 == 0 ? bytes.substr(0, i / 8) : bytes);
    CHECK(deep_check(damaged).sound());
    judge.expect_reads(damaged, "MANIFEST", "a changed LOCK");
  });
}

}  // namespace
}  // namespace varve::test

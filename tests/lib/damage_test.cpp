// SPDX-License-Identifier: Apache-2.0
// Whatever happens to the bytes of an index, check() names the file, and reading gives the right
// value or Error{Corruption}: never a wrong value, never a crash.

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "lib/checker.hpp"
#include "lib/run_store.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"

namespace varve::internal {
namespace {

using test::Entries;
using test::Files;
using test::StoreImage;

// Sanitizers and unoptimised builds look at every n-th byte, so that they finish as well.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr std::size_t kStride = 23;
#else
constexpr std::size_t kStride = 1;
#endif
constexpr std::size_t kReadStride = 61 * kStride;

const StoreImage& image() {
  return test::store_image();
}

std::string log_name() {
  return log_file_name(image().manifest.logs.back().number);
}

bool is_log(const std::string& name) {
  return name == log_name();
}

// Where the records of the live log end.
std::uint64_t log_end() {
  static const std::uint64_t end = [] {
    std::uint64_t found = 0;
    const auto directory = test::directory_of(image().files);
    check_directory_log(
        *directory, [&](const LogRecordInfo& record) { found = record.offset + record.size; }, {});
    return found;
  }();
  return end;
}

// The files that the manifest names, and MANIFEST.
std::vector<std::string> live_files() {
  std::vector<std::string> names{"MANIFEST", log_name()};
  for (const SegmentRecord& segment : image().manifest.segments) {
    if (segment.main) names.push_back(run_file_name(*segment.main));
    for (const RunRecord& slice : segment.slices) names.push_back(run_file_name(slice));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// False for bytes that hold nothing: slices that were merged away, and what is behind the log's
// records.
std::vector<bool> bytes_in_use(const std::string& name) {
  const std::size_t size = image().files.at(name).size();
  const bool is_delta = name.starts_with("delta-");
  std::vector<bool> used(size, !is_delta);
  if (is_log(name))
    std::fill(used.begin() + static_cast<std::ptrdiff_t>(log_end()), used.end(), false);
  for (const SegmentRecord& segment : image().manifest.segments) {
    for (const RunRecord& slice : segment.slices) {
      if (run_file_name(slice) != name) continue;
      const std::uint64_t end =
          (slice.offset + slice.size + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
      for (std::uint64_t at = slice.offset; at < std::min<std::uint64_t>(end, size); ++at) {
        used[static_cast<std::size_t>(at)] = true;
      }
    }
  }
  return used;
}

// The directory with one or more files changed; the next change begins with the sound ones again.
class Damaged {
 public:
  directory::Directory& operator*() const { return *directory_; }
  [[nodiscard]] std::shared_ptr<directory::Directory> get() const { return directory_; }
  void set(const std::string& name, std::string_view bytes) { directory_->replace(name, bytes); }
  void remove(const std::string& name) { directory_->remove(name); }
  void restore(const std::string& name) { directory_->replace(name, image().files.at(name)); }

 private:
  std::shared_ptr<directory::Directory> directory_ = test::directory_of(image().files);
};

// The finding about `name` that counts: damage, or the warning about a torn log. Every image was
// left open, which is a warning about MANIFEST.
const CheckFinding* find_report(const CheckReport& report, const std::string& name) {
  for (const CheckFinding& finding : report.findings) {
    if (finding.file != name) continue;
    if (finding.severity == Severity::Damage) return &finding;
    if (finding.severity == Severity::Warning && is_log(name)) return &finding;
  }
  return nullptr;
}

// Reads what `index` gives and takes the states that contradict it out of `possible`.
void read_key(const SegmentIndex& index, const std::string& key,
              std::vector<const Entries*>& possible) {
  std::optional<std::string> found;
  try {
    found = index.get(key);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Corruption) throw;
    return;
  }
  std::erase_if(possible, [&](const Entries* state) {
    const auto it = state->find(key);
    return it == state->end() ? found.has_value() : found != it->second;
  });
}

void scan_all(const SegmentIndex& index, std::vector<const Entries*>& possible) {
  Entries found;
  bool whole = false;
  try {
    for (const auto& [key, value] : index.scan()) found.emplace(key, value);
    whole = true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Corruption) throw;
  }
  std::erase_if(possible, [&](const Entries* state) {
    const bool prefix =
        found.size() <= state->size() && std::equal(found.begin(), found.end(), state->begin());
    return !prefix || (whole && found.size() != state->size());
  });
}

// How an index may be used after the damage.
enum class Use { Read, Write, Compact };

// Empty when all that is read is one of the states, or Error{Corruption}; else what is wrong.
std::string misreading(const std::shared_ptr<directory::Directory>& directory, Use use,
                       bool may_lose_tail) {
  std::vector<const Entries*> possible;
  for (const Entries& state : image().states) possible.push_back(&state);
  if (!may_lose_tail) possible = {&image().whole()};
  Options options = test::image_options();
  options.read_only = use == Use::Read;
  try {
    SegmentIndex index = SegmentIndexAccess::open(directory, options);
    try {
      if (use == Use::Compact) index.compact();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Corruption) throw;
    }
    for (const std::string& key : image().keys) read_key(index, key, possible);
    scan_all(index, possible);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Corruption) return {};
    // Nothing but MANIFEST and LOCK shows that there is an index; here is no LOCK.
    const bool no_manifest = check_directory(*directory, {}).manifest_edit == 0;
    if (error.code() == ErrorCode::NotFound && no_manifest) return {};
    return std::string("another error: ") + error.what();
  }
  return possible.empty() ? "a wrong value" : "";
}

std::string flipped(std::string bytes, std::size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << ((at * 5 + 3) % 8)));
  return bytes;
}

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST_CASE("the image for the damage tests has every kind of file and of content", "[lib][damage]") {
  const Manifest& manifest = image().manifest;
  std::size_t mains = 0, slices = 0, tombstones = 0, ranges = 0;
  for (const SegmentRecord& segment : manifest.segments) {
    mains += segment.main ? 1 : 0;
    slices += segment.slices.size();
    ranges += segment.range_tombstones.size();
    for (const RunRecord& slice : segment.slices) tombstones += slice.tombstone_count;
  }
  CHECK(mains >= 2);
  CHECK(slices >= 4);
  CHECK(tombstones > 0);
  CHECK(ranges > 0);
  CHECK(manifest.logs.size() == 1);
  CHECK(log_end() > manifest.logs.back().synced_end);

  Damaged sound;
  const CheckReport report = check_directory(*sound, {.deep = true});
  CHECK(report.sound());
  for (const std::string& name : live_files()) CHECK(find_report(report, name) == nullptr);
  for (const Use use : {Use::Read, Use::Write, Use::Compact}) {
    CHECK(misreading(test::directory_of(image().files), use, false).empty());
  }
}

TEST_CASE("a flipped bit anywhere is reported with its file and place", "[lib][damage]") {
  std::size_t count = 0;
  for (const std::string& name : live_files()) {
    Damaged damaged;
    const std::string& sound = image().files.at(name);
    const std::vector<bool> used = bytes_in_use(name);
    for (std::size_t at = 0; at < sound.size(); at += kStride) {
      if (!used[at]) continue;
      damaged.set(name, flipped(sound, at));
      ++count;
      const CheckReport report = check_directory(*damaged, {.deep = true});
      const CheckFinding* finding = find_report(report, name);
      if (finding == nullptr) FAIL_CHECK("not reported: " << name << ", byte " << at);
      // A run's finding names the block or section.
      const bool is_run = name.starts_with("main-") || name.starts_with("delta-");
      if (finding == nullptr || !is_run) continue;
      if (finding->offset > at || at - finding->offset >= 4096) {
        FAIL_CHECK("byte " << at << " of " << name << " reported at byte " << finding->offset);
      }
    }
  }
  WARN(count << " flipped bits");
}

TEST_CASE("a flipped bit never makes a wrong value", "[lib][damage]") {
  std::size_t count = 0;
  for (const std::string& name : live_files()) {
    const std::string& sound = image().files.at(name);
    for (std::size_t at = 0; at < sound.size(); at += kReadStride) {
      if (is_log(name) && at > log_end() + 64) break;
      for (const Use use : {Use::Read, Use::Write, Use::Compact}) {
        if (use != Use::Read && at % (3 * kReadStride) != 0) continue;
        Damaged damaged;
        damaged.set(name, flipped(sound, at));
        ++count;
        const std::string wrong = misreading(damaged.get(), use, is_log(name));
        if (!wrong.empty()) {
          FAIL_CHECK(wrong << " with byte " << at << " of " << name << ", use "
                           << static_cast<int>(use));
        }
      }
    }
  }
  WARN(count << " flipped bits");
}

TEST_CASE("a file cut off at any length is reported and never misread", "[lib][damage]") {
  std::size_t count = 0;
  for (const std::string& name : live_files()) {
    const std::string& sound = image().files.at(name);
    const std::size_t step = name == "MANIFEST" ? kStride : 97 * kStride;
    for (std::size_t size = 0; size < sound.size(); size += step) {
      Damaged damaged;
      damaged.set(name, std::string_view(sound).substr(0, size));
      ++count;
      const CheckReport report = check_directory(*damaged, {.deep = true});
      const bool reported = find_report(report, name) != nullptr;
      // Behind the last byte in use nothing is lost. A log may end behind any record of it.
      const std::vector<bool> used = bytes_in_use(name);
      const bool loses = std::find(used.begin() + static_cast<std::ptrdiff_t>(size), used.end(),
                                   true) != used.end();
      if (loses && !reported && !is_log(name)) {
        FAIL_CHECK("not reported: " << name << " cut off at " << size);
      }
      if (size % 5 == 0 || name == "MANIFEST") {
        const std::string wrong = misreading(damaged.get(), Use::Read, is_log(name));
        if (!wrong.empty()) FAIL_CHECK(wrong << " with " << name << " cut off at " << size);
      }
    }
  }
  WARN(count << " lengths");
}

TEST_CASE("a log cut off before what was synced is damage", "[lib][damage]") {
  const std::string name = log_name();
  const std::uint64_t synced = image().manifest.logs.back().synced_end;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4096}, synced / 2, synced - 1}) {
    Damaged damaged;
    damaged.set(name, std::string_view(image().files.at(name)).substr(0, size));
    CHECK_FALSE(check_directory(*damaged, {}).sound());
  }
}

TEST_CASE("bytes behind the end of a file are reported or hold nothing", "[lib][damage]") {
  for (const std::string& name : live_files()) {
    const std::string& sound = image().files.at(name);
    for (const std::size_t more : {1, 7, 64, 511, 1024, 4096}) {
      for (const bool garbage : {false, true}) {
        Damaged damaged;
        damaged.set(name, sound + (garbage ? random_bytes(more, 7) : std::string(more, '\0')));
        const CheckReport report = check_directory(*damaged, {.deep = true});
        const bool reported = find_report(report, name) != nullptr;
        // Zeros behind a delta file are what punched slices look like; a log ends where it ends.
        const bool exempt = is_log(name) || (name.starts_with("delta-") && !garbage);
        if (!exempt) {
          INFO(name << " and " << more << (garbage ? " other bytes" : " zeros"));
          CHECK(reported);
        }
        CHECK(misreading(damaged.get(), Use::Read, false).empty());
      }
    }
  }
}

TEST_CASE("a missing file is reported and never taken for an empty one", "[lib][damage]") {
  for (const std::string& name : live_files()) {
    Damaged damaged;
    damaged.remove(name);
    INFO(name);
    const CheckReport report = check_directory(*damaged, {});
    CHECK(find_report(report, name) != nullptr);
    for (const Use use : {Use::Read, Use::Write}) {
      CHECK(misreading(damaged.get(), use, false).empty());
    }
  }
}

TEST_CASE("a file in the place of another is reported and never read", "[lib][damage]") {
  std::vector<std::string> names = live_files();
  for (const std::string& name : names) {
    for (const std::string& other : names) {
      if (name == other) continue;
      Damaged damaged;
      damaged.set(name, image().files.at(other));
      INFO(other << " as " << name);
      CHECK(find_report(check_directory(*damaged, {}), name) != nullptr);
      CHECK(misreading(damaged.get(), Use::Read, false).empty());
    }
  }
}

// What the same file name held in another index of the same history: its uuid differs.
TEST_CASE("files of another index are reported and never read", "[lib][damage]") {
  const StoreImage other = test::ImageBuilder().build();
  for (const std::string& name : live_files()) {
    REQUIRE(other.files.contains(name));
    Damaged damaged;
    damaged.set(name, other.files.at(name));
    INFO(name);
    CHECK_FALSE(check_directory(*damaged, {}).sound());
    CHECK(misreading(damaged.get(), Use::Read, false).empty());
  }
}

TEST_CASE("an older version of a file is reported or holds what the log repeats", "[lib][damage]") {
  for (const std::string& name : live_files()) {
    if (!image().older.contains(name)) continue;
    Damaged damaged;
    damaged.set(name, image().older.at(name));
    INFO(name);
    CHECK(misreading(damaged.get(), Use::Read, name == log_name()).empty());
    CHECK(misreading(damaged.get(), Use::Compact, name == log_name()).empty());
  }
}

TEST_CASE("an open that fails leaves every file as it was", "[lib][damage]") {
  for (const std::string& name : live_files()) {
    const std::string& sound = image().files.at(name);
    for (const std::size_t at : {std::size_t{20}, sound.size() / 5, sound.size() / 3}) {
      Damaged damaged;
      damaged.set("delta-900.varve", "left over by a crash");
      damaged.set(name, flipped(sound, at));
      const Files before = test::files_of(*damaged);
      bool opened = false;
      try {
        static_cast<void>(SegmentIndexAccess::open(damaged.get(), test::image_options()));
        opened = true;
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::Corruption);
      }
      INFO(name << ", byte " << at);
      if (!opened) CHECK(test::files_of(*damaged) == before);
    }
  }
}

TEST_CASE("leftovers and foreign files are notes and change no answer", "[lib][damage]") {
  for (const std::string& name :
       std::vector<std::string>{"delta-900.varve", "log-900.varve", "main-9-9.varve", "notes.txt",
                                "main-1-1.varve.bak", "MANIFEST.old", "core"}) {
    Damaged damaged;
    damaged.set(name, random_bytes(5000, 3));
    const CheckReport report = check_directory(*damaged, {.deep = true});
    CHECK(report.sound());
    CHECK(std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
      return finding.file == name && finding.severity == Severity::Note;
    }));
    for (const Use use : {Use::Read, Use::Write, Use::Compact}) {
      CHECK(misreading(damaged.get(), use, false).empty());
    }
  }
}

}  // namespace
}  // namespace varve::internal

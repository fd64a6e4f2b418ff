// SPDX-License-Identifier: Apache-2.0
#include "stress/verification.hpp"

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <string_view>

#include "stress/failure.hpp"
#include "varve/check.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::stress {
namespace {

constexpr std::size_t kMultiGetKeys = 32;

std::string finding_text(const CheckFinding& finding) {
  std::string text = fmt::format("{}, byte {}: {}", finding.file, finding.offset, finding.what);
  if (!finding.expected.empty()) text += ", expected " + finding.expected;
  if (!finding.found.empty()) text += ", found " + finding.found;
  const std::optional<KeyNumber> key = key_number(finding.first_key);
  if (key) text += fmt::format(" (from key {} on)", *key);
  return text;
}

// One reading of the whole store against the expected state.
class Comparison {
 public:
  Comparison(const SegmentIndex& index, const ExpectedState& state)
      : index_(index), state_(state), form_{state.header().seed} {}

  [[nodiscard]] Contents run() {
    const std::vector<Read> forward = scan(false);
    compare(forward, scan(true), "a scan backwards");
    compare(forward, get_all(), "the gets");
    Contents contents;
    for (const Read& read : forward) contents.push_back(read.found);
    return contents;
  }

 private:
  struct Read {
    Found found;
    std::size_t hash = 0;  // Of the bytes.
  };

  [[nodiscard]] Read look_at(KeyNumber key, const std::optional<std::string_view>& bytes) const {
    const LegalRange range = state_.legal(key);
    const std::optional<Found> found = resolve(form_, key, bytes, range);
    if (!found) throw Mismatch(mismatch_text(form_, key, bytes, range));
    return {.found = *found, .hash = bytes ? std::hash<std::string_view>()(*bytes) : 0};
  }

  [[nodiscard]] std::vector<Read> scan(bool reverse) const {
    const KeyNumber count = state_.key_count();
    std::vector<Read> read(count);
    const auto key_at = [&](KeyNumber i) { return reverse ? count - 1 - i : i; };
    KeyNumber next = 0;
    const auto skip_to = [&](KeyNumber at) {
      for (; next < at; ++next) read[key_at(next)] = look_at(key_at(next), std::nullopt);
    };
    Cursor cursor = index_.scan({.reverse = reverse});
    while (cursor.next()) {
      const std::optional<KeyNumber> key = key_number(cursor.key());
      if (!key || *key >= count) {
        throw Mismatch(fmt::format("a key that was never written: {}", cursor.key()));
      }
      const KeyNumber at = key_at(*key);
      if (at < next) {
        throw Mismatch(fmt::format("key {}: a {} scan shows it out of order or twice", *key,
                                   reverse ? "reverse" : "forward"));
      }
      skip_to(at);
      read[*key] = look_at(*key, cursor.value());
      ++next;
    }
    if (cursor.end_reason() != ScanEnd::End) {
      throw Mismatch(fmt::format("a scan ended by {}", varve::to_string(cursor.end_reason())));
    }
    skip_to(count);
    return read;
  }

  // Every other portion by multi_get().
  [[nodiscard]] std::vector<Read> get_all() const {
    std::vector<Read> read;
    std::string value;
    while (read.size() < state_.key_count()) {
      const auto first = static_cast<KeyNumber>(read.size());
      const auto end =
          static_cast<KeyNumber>(std::min<std::size_t>(state_.key_count(), first + kMultiGetKeys));
      if (first / kMultiGetKeys % 2 == 0) {
        get_together(first, end, read);
        continue;
      }
      for (KeyNumber key = first; key < end; ++key) {
        const bool found = index_.get(key_name(key), value);
        read.push_back(look_at(key, found ? std::optional<std::string_view>(value) : std::nullopt));
      }
    }
    return read;
  }

  void get_together(KeyNumber first, KeyNumber end, std::vector<Read>& read) const {
    std::vector<std::string> names;
    for (KeyNumber key = first; key < end; ++key) names.push_back(key_name(key));
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto values = index_.multi_get(views);
    for (std::size_t i = 0; i < values.size(); ++i) {
      read.push_back(look_at(static_cast<KeyNumber>(first + i), values[i]));
    }
  }

  static void compare(const std::vector<Read>& forward, const std::vector<Read>& other,
                      const char* how) {
    for (std::size_t key = 0; key < forward.size(); ++key) {
      if (key < other.size() && forward[key].found == other[key].found &&
          forward[key].hash == other[key].hash) {
        continue;
      }
      throw Mismatch(fmt::format("key {}: the scan and {} differ", key, how));
    }
  }

  const SegmentIndex& index_;
  const ExpectedState& state_;
  const ValueForm form_;
};

// Before there is an index, nothing may have returned.
Contents nothing_there(const ExpectedState& state) {
  const ValueForm form{state.header().seed};
  for (KeyNumber key = 0; key < state.key_count(); ++key) {
    const LegalRange range = state.legal(key);
    if (range.allows_absence()) continue;
    throw Mismatch("the store is gone; " + mismatch_text(form, key, std::nullopt, range));
  }
  return Contents(state.key_count());
}

void check_recovery(const SegmentIndex& index, WorkerPhase phase, Figures& figures) {
  const Statistics statistics = index.statistics();
  figures.recovered += statistics.recovered_operation_count;
  if (phase == WorkerPhase::Opened && !statistics.recovered_after_crash) {
    throw Mismatch("the open after a kill did not notice that the last one was not closed");
  }
  if (phase == WorkerPhase::Closed && statistics.recovered_after_crash) {
    throw Mismatch("the open after a close says that the last one was not closed");
  }
}

}  // namespace

bool check_store(const std::filesystem::path& store, Figures& figures) {
  try {
    const CheckReport report = check(store, {.deep = true, .lock_wait = std::chrono::seconds(10)});
    ++figures.checks;
    for (const CheckFinding& finding : report.findings) {
      if (finding.severity != Severity::Damage) continue;
      throw Mismatch("the deep check found damage: " + finding_text(finding));
    }
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::NotFound) return false;
    throw Mismatch(fmt::format("the deep check failed: {}", error.what()));
  }
}

Contents verify_store(const std::filesystem::path& store, const CyclePlan& plan,
                      const ExpectedState& state, Figures& figures) {
  const WorkerPhase phase = state.header().phase.load();
  if (!check_store(store, figures)) {
    if (phase != WorkerPhase::Starting) throw Mismatch("the store is gone after it was opened");
    return nothing_there(state);
  }
  try {
    SegmentIndex index = SegmentIndex::open(store, plan.verifier);
    Contents contents = Comparison(index, state).run();
    check_recovery(index, phase, figures);
    figures.keys_read += contents.size();
    index.close();
    if (!check_store(store, figures)) throw Mismatch("the store is gone after it was read");
    return contents;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::NoSpace) throw Obstacle(error.what());
    throw Mismatch(fmt::format("reopening and reading failed: {}", error.what()));
  }
}

void settle(const Contents& contents, const ExpectedState& state, Figures& figures) {
  for (KeyNumber key = 0; key < contents.size(); ++key) {
    const KeyWord word = state.word(key);
    const Found& found = contents[key];
    const KeyWord settled = found.present ? word.after_put(found.generation) : word.after_erase();
    if (settled.version() < word.version()) ++figures.lost;
    state.settle(key, settled);
  }
}

}  // namespace varve::stress

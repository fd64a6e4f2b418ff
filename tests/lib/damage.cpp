// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/damage.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <random>

#include "directory/bytes.hpp"
#include "lib/checker.hpp"
#include "lib/run_store.hpp"

namespace varve::test {

namespace {

using internal::RunRecord;
using internal::SegmentRecord;

struct LogRecord {
  std::uint64_t begin = 0, end = 0;
};
const std::vector<LogRecord>& log_records() {
  static const std::vector<LogRecord> records = [] {
    std::vector<LogRecord> found;
    const auto directory = directory_of(damage_image().files);
    internal::check_directory_log(*directory,
                                  [&](const LogRecordInfo& record) {
                                    found.push_back({record.offset, record.offset + record.size});
                                  },
                                  {});
    return found;
  }();
  return records;
}

std::vector<bool> find_bytes_in_use(const std::string& name) {
  const std::size_t size = damage_image().files.at(name).size();
  const bool is_delta = name.starts_with("delta-");
  std::vector<bool> used(size, !is_delta);
  if (is_log(name)) {
    std::fill(used.begin() + static_cast<std::ptrdiff_t>(log_end()), used.end(), false);
  }
  constexpr std::uint64_t kAlignment = internal::kSliceAlignment;
  for (const SegmentRecord& segment : damage_image().manifest.segments) {
    for (const RunRecord& slice : segment.slices) {
      if (internal::run_file_name(slice) != name) continue;
      const std::uint64_t end =
          (slice.offset + slice.size + kAlignment - 1) / kAlignment * kAlignment;
      for (std::uint64_t at = slice.offset; at < std::min<std::uint64_t>(end, size); ++at) {
        used[static_cast<std::size_t>(at)] = true;
      }
    }
  }
  return used;
}

std::vector<std::string> find_live_files() {
  std::vector<std::string> names{"MANIFEST", log_name()};
  for (const SegmentRecord& segment : damage_image().manifest.segments) {
    if (segment.main) names.push_back(internal::run_file_name(*segment.main));
    for (const RunRecord& slice : segment.slices) names.push_back(internal::run_file_name(slice));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
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

}  // namespace

const StoreImage& damage_image() {
  return small_store().image;
}

std::string log_name() {
  return internal::log_file_name(damage_image().manifest.logs.back().number);
}

std::uint64_t log_end() {
  return log_records().back().end;
}

bool left_no_trace(std::string_view bytes) {
  const std::string& sound = damage_image().files.at(log_name());
  const auto& records = log_records();
  const auto is_whole = [&](const LogRecord& record) {
    return record.end <= bytes.size() &&
           bytes.substr(record.begin, record.end - record.begin) ==
               std::string_view(sound).substr(record.begin, record.end - record.begin);
  };
  const auto first = std::find_if_not(records.begin(), records.end(), is_whole);
  if (first == records.end() || std::any_of(first, records.end(), is_whole)) return false;
  if (first->begin < damage_image().manifest.logs.back().synced_end) return false;
  if (first->begin + 24 > bytes.size()) return true;
  const auto tag_of = [&](std::string_view log) {
    return directory::load_le<std::uint32_t>(log.data() + first->begin + 12);
  };
  return std::popcount(tag_of(bytes) ^ tag_of(sound)) > 3;
}

const std::vector<std::string>& live_files() {
  static const std::vector<std::string> names = find_live_files();
  return names;
}

const std::vector<bool>& bytes_in_use(const std::string& name) {
  static std::map<std::string, std::vector<bool>> known;
  const auto it = known.find(name);
  return it != known.end() ? it->second
                           : known.emplace(name, find_bytes_in_use(name)).first->second;
}

CheckReport deep_check(const Damaged& damaged) {
  return internal::check_directory(*damaged, {.deep = true});
}

const CheckFinding* find_report(const CheckReport& report, const std::string& name) {
  for (const CheckFinding& finding : report.findings) {
    if (finding.file != name) continue;
    if (finding.severity == Severity::Damage) return &finding;
    if (finding.severity == Severity::Warning && is_log(name)) return &finding;
  }
  return nullptr;
}

std::string misreading(const std::shared_ptr<directory::Directory>& directory, Use use,
                       std::vector<const Entries*> possible) {
  Options options = image_options();
  options.read_only = use == Use::Read;
  try {
    SegmentIndex index = internal::SegmentIndexAccess::open(directory, options);
    try {
      if (use == Use::Compact) index.compact();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Corruption) throw;
    }
    for (const std::string& key : damage_image().keys) read_key(index, key, possible);
    scan_all(index, possible);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Corruption) return {};
    // Nothing but MANIFEST shows that there is an index, when its other files are gone too.
    const bool no_manifest = internal::check_directory(*directory, {}).manifest_edit == 0;
    if (error.code() == ErrorCode::NotFound && no_manifest) return {};
    return std::string("another error: ") + error.what();
  }
  return possible.empty() ? "a wrong value" : "";
}

std::vector<const Entries*> states_with_damage_in(const std::string& name) {
  if (!is_log(name)) return {&damage_image().whole()};
  std::vector<const Entries*> states;
  for (const Entries& state : damage_image().states) states.push_back(&state);
  return states;
}

std::string misreading(const Damaged& damaged, Use use, const std::string& name) {
  return misreading(damaged.get(), use, states_with_damage_in(name));
}

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

}  // namespace varve::test

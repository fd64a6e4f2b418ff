// SPDX-License-Identifier: Apache-2.0
#include "bench/compare.hpp"

#include <algorithm>

#include "bench/text_report.hpp"

namespace varve::bench {
namespace {

Verdict judge(const Spread& before, const Spread& after, double threshold) {
  const double ratio = after.median / before.median;
  const bool overlap = after.low <= before.high && before.low <= after.high;
  if (overlap || (ratio <= 1 + threshold && ratio >= 1 / (1 + threshold))) return Verdict::Noise;
  return ratio > 1 ? Verdict::Slower : Verdict::Faster;
}

std::string spread_text(const std::optional<Spread>& spread) {
  if (!spread) return "";
  return time_text(spread->median) + " (" + time_text(spread->low) + "-" + time_text(spread->high) +
         ")";
}

Change make_change(const Record& before, const Record& after, const Group& group,
                   const std::string& engine, double threshold) {
  Change change{.workload = label(group),
                .engine = engine,
                .before = spread(wall_times(series_of(before, group, engine))),
                .after = spread(wall_times(series_of(after, group, engine)))};
  if (change.before && change.after) {
    change.verdict = judge(*change.before, *change.after, threshold);
  }
  return change;
}

}  // namespace

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Noise:
      return "within noise";
    case Verdict::Faster:
      return "faster";
    case Verdict::Slower:
      return "SLOWER";
    case Verdict::Missing:
      return "missing";
  }
  return "";
}

std::vector<Change> compare(const Record& before, const Record& after, double threshold) {
  std::vector<Group> groups = groups_of(before);
  for (const Group& group : groups_of(after)) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  std::vector<std::string> engines;
  for (const Record* record : {&before, &after}) {
    for (const EngineNote& engine : record->engines) {
      if (std::find(engines.begin(), engines.end(), engine.name) == engines.end()) {
        engines.push_back(engine.name);
      }
    }
  }
  std::vector<Change> changes;
  for (const Group& group : groups) {
    for (const std::string& engine : engines) {
      Change change = make_change(before, after, group, engine, threshold);
      if (change.before || change.after) changes.push_back(std::move(change));
    }
  }
  return changes;
}

std::vector<std::string> differences(const Record& before, const Record& after) {
  std::vector<std::string> lines;
  const auto note = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b) lines.push_back(std::string(what) + ": " + a + " | " + b);
  };
  note("machine", machine_text(before), machine_text(after));
  note("settings", settings_text(before.settings), settings_text(after.settings));
  for (const EngineNote& engine : before.engines) {
    for (const EngineNote& other : after.engines) {
      if (engine.name != other.name) continue;
      note(engine.name.c_str(), engine.version + "; " + engine.configuration + engine.caution,
           other.version + "; " + other.configuration + other.caution);
    }
  }
  for (const Record* record : {&before, &after}) {
    for (const Failure& failure : record->failures) {
      lines.push_back(std::string(record == &before ? "first" : "second") +
                      " record: FAILED: " + failure.engine + ": " + failure.message);
    }
  }
  return lines;
}

void print_comparison(std::ostream& out, const Record& before, const Record& after,
                      const std::vector<Change>& changes) {
  for (const Record* record : {&before, &after}) {
    out << (record == &before ? "first:  " : "second: ") << record->started << ", Varve "
        << record->varve_version << (record->commit.empty() ? "" : ", commit " + record->commit)
        << "\n";
  }
  for (const std::string& line : differences(before, after)) out << "DIFFERS: " << line << "\n";
  out << "\nMedians of the wall time in ns an operation (min-max); change: of the median.\n\n";
  std::vector<std::vector<std::string>> rows = {
      {"workload", "engine", "verdict", "first", "second", "change"}};
  for (const Change& change : changes) {
    rows.push_back(
        {change.workload, change.engine, to_string(change.verdict), spread_text(change.before),
         spread_text(change.after),
         change.before && change.after ? format("%+.1f %%", (change.ratio() - 1) * 100) : ""});
  }
  print_rows(out, rows, 3);
}

}  // namespace varve::bench

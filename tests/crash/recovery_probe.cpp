// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/recovery_probe.hpp"

#include <utility>

#include "directory/directory.hpp"
#include "lib/checker.hpp"
#include "varve/error.hpp"

namespace varve::test {
namespace {

// An index on a medium that loses its power before the index closes: nothing is flushed for a state
// that is thrown away.
class Opened {
 public:
  Opened(Medium medium, const Options& options)
      : medium_(std::move(medium)), index_(open_on(medium_, options)) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() { medium_->cut_power(); }
  SegmentIndex& operator*() noexcept { return index_; }
  SegmentIndex* operator->() noexcept { return &index_; }

 private:
  Medium medium_;
  SegmentIndex index_;
};

template <typename Work>
std::string problem_of(const char* what, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    return std::string(what) + ": " + std::string(to_string(error.code())) + ": " + error.what();
  }
}

void write_more(SegmentIndex& index, Model& model) {
  for (int i = 0; i < 12; ++i) {
    const std::string number = std::to_string(i);
    const std::string key = i % 3 == 0 ? "user:00" + number : "m" + number;
    index.put(key, "afterwards " + number);
    model[key] = "afterwards " + number;
  }
  index.erase("m1");
  model.erase("m1");
  index.erase_range("m7", "m9");
  model.erase(model.lower_bound("m7"), model.lower_bound("m9"));
}

std::string read_difference(const SegmentIndex& index, const Model& expected) {
  std::string what = difference(expected, model_of(index));
  if (!what.empty()) return "a scan: " + what;
  Model reverse;
  for (const auto& [key, value] : index.scan({.reverse = true})) reverse.emplace(key, value);
  what = difference(expected, reverse);
  if (!what.empty()) return "a reverse scan: " + what;
  for (const auto& [key, value] : expected) {
    if (index.get(key) != value) return "get of " + key;
    if (index.contains(key + '\x01')) return "get beside " + key;
  }
  return {};
}

}  // namespace

std::string damage_of(const Medium& medium) {
  try {
    const auto directory = directory::make_posix_directory(medium);
    const CheckReport report = internal::check_directory(*directory, {.deep = true});
    for (const CheckFinding& finding : report.findings) {
      if (finding.severity != Severity::Damage) continue;
      return "the checker: " + finding.file + ", byte " + std::to_string(finding.offset) + ": " +
             finding.what + ", expected " + finding.expected + ", found " + finding.found;
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NotFound) throw;
  }
  return {};
}

RecoveryProbe::RecoveryProbe(const Options& options, const Medium& medium)
    : medium_(medium), options_(options) {}

Recovered RecoveryProbe::recover() const {
  Recovered recovered;
  const Medium medium = medium_->after_kill();
  recovered.problem = problem_of("the check", [&] { return damage_of(medium); });
  if (!recovered.problem.empty()) return recovered;
  recovered.problem = problem_of("recovery", [&]() -> std::string {
    Opened index(medium, options_);
    recovered.contents = contents_of(*index);
    return index->health() ? "" : "it is not healthy";
  });
  return recovered;
}

Model RecoveryProbe::model() const {
  Opened index(medium_->after_kill(), options_);
  return model_of(*index);
}

std::string RecoveryProbe::open_read_only(const Contents& expected) const {
  return problem_of("read-only recovery", [&]() -> std::string {
    const Medium medium = medium_->after_kill();
    const auto before = medium->fingerprint();
    Options options = options_;
    options.read_only = true;
    Contents found;
    try {
      const SegmentIndex index = open_on(medium, options);
      found = contents_of(index);
    } catch (
        const Error& error) {  // Of what is not there yet, opening for writing makes a new one.
      if (error.code() != ErrorCode::NotFound) throw;
    }
    if (medium->fingerprint() != before) return "opening read-only changed the medium";
    return found == expected ? "" : "opening read-only shows something else";
  });
}

std::string RecoveryProbe::go_on() const {
  return problem_of("going on", [&]() -> std::string {
    const Medium medium = medium_->after_kill();
    SegmentIndex index = open_on(medium, options_);
    Model model = model_of(index);
    write_more(index, model);
    index.compact();
    index.close();
    const auto directory = directory::make_posix_directory(medium);
    const CheckReport report = internal::check_directory(*directory, {.deep = true});
    if (!report.findings.empty()) return "the check has findings: " + report.findings[0].what;
    index = open_on(medium, options_);
    return read_difference(index, model);
  });
}

std::string RecoveryProbe::open_and_close() const {
  return problem_of("recovery once more", [&]() -> std::string {
    SegmentIndex index = open_on(medium_, options_);
    index.close();
    return {};
  });
}

}  // namespace varve::test

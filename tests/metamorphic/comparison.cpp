// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/comparison.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string_view>
#include <utility>

#include "tests/metamorphic/forked.hpp"
#include "tests/metamorphic/model_subject.hpp"
#include "tests/metamorphic/reducer.hpp"
#include "tests/support/file_bytes.hpp"

namespace varve::test::metamorphic {
namespace {

// Of one list in one configuration, with the slowest of sanitizers on a machine that others use.
constexpr std::chrono::seconds kRunTimeMax{300};
constexpr int kRunsOfUnreliable = 5;

std::string described(const Difference& difference) {
  std::string text = "operation " + std::to_string(difference.position) + ": expected " +
                     difference.expected + "\n  found " + difference.found + "\n";
  if (!difference.message.empty()) text += "  message: " + difference.message + "\n";
  return text;
}

std::optional<Difference> first_difference(const Operations& operations, const History& expected,
                                           IndexSubject& subject) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    std::string found = subject.apply(operations[i]);
    if (found != expected[i]) {
      return Difference{i, expected[i], std::move(found), subject.last_message()};
    }
  }
  const std::string end = subject.finish();
  if (end.empty()) return std::nullopt;
  return Difference{operations.size(), "a clean end", end, subject.last_message()};
}

// A difference as a text of lines, for its way through a pipe; no line has a line break in it but
// perhaps the last. "": none.
std::string packed(const Difference& difference) {
  return std::to_string(difference.position) + "\n" + difference.expected + "\n" +
         difference.found + "\n" + difference.message;
}

std::optional<Difference> unpacked(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto line = [&text] {
    const std::string found(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(found.size() + 1, text.size()));
    return found;
  };
  Difference difference{.position = std::stoull(line())};
  difference.expected = line();
  difference.found = line();
  difference.message = text;
  return difference;
}

std::unique_ptr<IndexSubject> plain_subject(const Configuration& configuration) {
  return std::make_unique<IndexSubject>(configuration);
}

}  // namespace

std::string Failure::report() const {
  return "configuration: " + configuration + "\n" + described(difference) +
         "the whole list is in " + whole_list.string() + "\nreduced (" + reduced_list.string() +
         "): " + described(reduced_difference) + "# begin\n" + to_text(reduced) + "# end\n";
}

Comparison::Comparison(std::vector<Configuration> configurations, Runs runs, MakeSubject make)
    : configurations_(std::move(configurations)),
      runs_(runs),
      make_(make ? std::move(make) : MakeSubject(plain_subject)),
      events_(configurations_.size()) {}

std::optional<Failure> Comparison::run(const Operations& operations, const std::string& name) {
  for (std::size_t i = 0; i < configurations_.size(); ++i) {
    const auto found = difference(operations, i);
    if (found) return failure(operations, i, *found, name);
  }
  return std::nullopt;
}

std::optional<Difference> Comparison::difference(const Operations& operations,
                                                 std::size_t configuration) {
  auto found = runs_ == Runs::Forked ? difference_forked(operations, configuration)
                                     : difference_here(operations, configuration);
  operation_count_ += operations.size();
  return found;
}

std::optional<Difference> Comparison::difference_here(const Operations& operations,
                                                      std::size_t configuration) {
  const History expected = model_history(operations);
  try {
    const auto subject = make_(configurations_[configuration]);
    auto found = first_difference(operations, expected, *subject);
    events_[configuration].add(subject->events());
    return found;
  } catch (const std::exception& error) {
    return Difference{operations.size(), "a clean end", "an exception", error.what()};
  }
}

std::optional<Difference> Comparison::difference_forked(const Operations& operations,
                                                        std::size_t configuration) {
  const ForkedResult result = run_forked(
      [&] {
        const auto found = difference_here(operations, configuration);
        return found ? packed(*found) : std::string();
      },
      kRunTimeMax);
  if (result.status == 0) return unpacked(result.text);
  return Difference{operations.size(), "a clean end",
                    "a process that ended with status " + std::to_string(result.status)};
}

Failure Comparison::failure(const Operations& operations, std::size_t configuration,
                            const Difference& difference, const std::string& name) {
  const std::string& configuration_name = configurations_[configuration].name;
  Failure failure{.configuration = configuration_name, .difference = difference};
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  failure.whole_list = folder / ("varve-metamorphic-" + name + ".txt");
  write_file(failure.whole_list, "# " + configuration_name + "\n" + to_text(operations));
  // What comes behind the operation that showed it cannot be its cause.
  Operations needed = operations;
  if (difference.position < needed.size()) needed.resize(difference.position + 1);
  const auto fails_within = [&](const Operations& candidate, int run_count) {
    for (int i = 0; i < run_count; ++i) {
      if (this->difference(candidate, configuration)) return true;
    }
    return false;
  };
  // Where threads decide whether it fails, each candidate has several chances.
  const bool reliable = fails_within(needed, 1) && fails_within(needed, 1);
  const int run_count = reliable ? 1 : kRunsOfUnreliable;
  const auto fails = [&](const Operations& candidate) {
    return fails_within(candidate, run_count);
  };
  failure.reduced = reduce(needed, fails).operations;
  failure.reduced_difference =
      this->difference(failure.reduced, configuration)
          .value_or(Difference{.expected = "the same failure",
                               .found = "none this time: chance has a say in it"});
  failure.reduced_list = folder / ("varve-metamorphic-" + name + "-reduced.txt");
  write_file(failure.reduced_list, "# " + configuration_name + "\n" + to_text(failure.reduced));
  return failure;
}

}  // namespace varve::test::metamorphic

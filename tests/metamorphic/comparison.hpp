// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/metamorphic/configuration.hpp"
#include "tests/metamorphic/index_subject.hpp"
#include "tests/metamorphic/operation.hpp"

namespace varve::test::metamorphic {

// Makes the index of one run.
using MakeSubject = std::function<std::unique_ptr<IndexSubject>(const Configuration&)>;

// The first answer that is not the model's. `position` is the operation's; one past the last: the
// end of the run.
struct Difference {
  std::size_t position = 0;
  std::string expected = {}, found = {};
  std::string message = {};  // Of an Error, where there was one.
};

// A difference, reduced.
struct Failure {
  std::string configuration;
  Difference difference;  // In the whole list.
  Operations reduced = {};
  Difference reduced_difference = {};
  std::filesystem::path whole_list = {}, reduced_list = {};  // Saved for --replay.
  [[nodiscard]] std::string report() const;
};

// Where an index runs.
enum class Runs : std::uint8_t {
  InProcess,
  Forked,  // In a process of its own, so that one that aborts or hangs is a difference as well. Of
           // these there are no events.
};

// Runs lists of operations in every configuration, and compares the answers with the model's, and
// so with each other's.
class Comparison {
 public:
  explicit Comparison(std::vector<Configuration> configurations, Runs runs = Runs::InProcess,
                      MakeSubject make = {});

  // `name` is for the files that keep a list that fails. Stops at the first failure.
  [[nodiscard]] std::optional<Failure> run(const Operations& operations, const std::string& name);

  [[nodiscard]] const std::vector<Configuration>& configurations() const noexcept {
    return configurations_;
  }
  // Operations done, over all configurations.
  [[nodiscard]] std::uint64_t operation_count() const noexcept { return operation_count_; }
  // Of each configuration, in their order.
  [[nodiscard]] const std::vector<Events>& events() const noexcept { return events_; }

 private:
  [[nodiscard]] std::optional<Difference> difference(const Operations& operations,
                                                     std::size_t configuration);
  [[nodiscard]] std::optional<Difference> difference_here(const Operations& operations,
                                                          std::size_t configuration);
  [[nodiscard]] std::optional<Difference> difference_forked(const Operations& operations,
                                                            std::size_t configuration);
  [[nodiscard]] Failure failure(const Operations& operations, std::size_t configuration,
                                const Difference& difference, const std::string& name);

  const std::vector<Configuration> configurations_;
  const Runs runs_;
  const MakeSubject make_;
  std::uint64_t operation_count_ = 0;
  std::vector<Events> events_;
};

}  // namespace varve::test::metamorphic

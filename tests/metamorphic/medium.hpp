// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "tests/metamorphic/configuration.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::test::metamorphic {

// Where the index of one run lies, for as long as the run takes.
class Medium {
 public:
  // `start`: the simulated medium that the run begins on; null: an empty one.
  explicit Medium(const Configuration& configuration,
                  const std::shared_ptr<directory::SimulatedFileSystem>& start = nullptr);

  // As the next process finds it.
  [[nodiscard]] std::shared_ptr<directory::Directory> directory() const;
  [[nodiscard]] bool may_die() const noexcept { return simulated_ != nullptr; }
  // The process, or the machine, is gone; what directory() gave goes on showing the past.
  void kill();
  void lose_power(std::uint64_t number);
  // The next call that matches the `number`th of some kinds finds the medium full, once.
  void plan_fault(std::uint64_t number);
  void clear_faults();
  [[nodiscard]] std::uint64_t fault_count() const noexcept;  // That have hit a call.
  [[nodiscard]] const std::shared_ptr<directory::SimulatedFileSystem>& simulated() const noexcept {
    return simulated_;
  }

 private:
  void replace(std::shared_ptr<directory::SimulatedFileSystem> next);

  const bool mappable_;
  std::shared_ptr<directory::Directory> memory_;
  std::shared_ptr<directory::SimulatedFileSystem> simulated_;
  std::optional<TemporaryDirectory> temporary_;
  std::optional<std::size_t> fault_;
  std::uint64_t fault_count_ = 0;  // Of those before fault_.
};

}  // namespace varve::test::metamorphic

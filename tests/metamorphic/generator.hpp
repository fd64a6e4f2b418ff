// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "tests/metamorphic/model_subject.hpp"
#include "tests/metamorphic/operation.hpp"
#include "tests/support/model.hpp"

namespace varve::test::metamorphic {

// Draws lists of operations from a seed. The index grows, then shrinks, then does both, so that
// segments split, and small neighbours become one.
class Generator {
 public:
  Generator(Workload::Shape shape, std::uint64_t seed) : workload_(shape, seed) {}
  [[nodiscard]] Operations list(std::size_t count);

 private:
  enum class Phase : std::uint8_t { Grow, Shrink, Mix };

  [[nodiscard]] Operation next(Phase phase);
  [[nodiscard]] Operation make(Kind kind, Phase phase);
  void add_keys(Operation& operation, Phase phase);
  void add_numbers(Operation& operation);
  [[nodiscard]] Operation make_batch();
  [[nodiscard]] Operation make_bulk();
  [[nodiscard]] Value value();
  [[nodiscard]] std::string some_key();  // Mostly one that is there.
  [[nodiscard]] std::string some_prefix();
  [[nodiscard]] std::pair<std::string, std::string> some_range(Phase phase);
  [[nodiscard]] std::uint64_t durability();

  Workload workload_;
  ModelSubject present_;
  bool may_be_unlogged_ = false;
};

// The list that a seed stands for; its shape of keys follows from it as well.
[[nodiscard]] Operations generated(std::uint64_t seed, std::size_t count);

}  // namespace varve::test::metamorphic

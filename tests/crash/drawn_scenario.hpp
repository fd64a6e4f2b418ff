// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/crash/scenario.hpp"

namespace varve::test {

// A scenario drawn at random, options included: the same from the same seed.
[[nodiscard]] Scenario draw_scenario(std::uint64_t seed);

}  // namespace varve::test

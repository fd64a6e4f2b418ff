// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "stress/entries.hpp"
#include "stress/expected_state.hpp"
#include "stress/figures.hpp"
#include "stress/plan.hpp"

namespace varve::stress {

// varve::check(), deep. False: there is no index, or one whose creation did not come to its end.
// Errors: Mismatch when it finds damage.
[[nodiscard]] bool check_store(const std::filesystem::path& store, Figures& figures);

// What was recovered of each key.
using Contents = std::vector<Found>;

// Checks the store of a dead (or stopped) worker, opens it as the plan says, and compares all of it
// with the expected state: by a scan, a scan backwards, and key by key.
// Errors: Mismatch, Obstacle.
[[nodiscard]] Contents verify_store(const std::filesystem::path& store, const CyclePlan& plan,
                                    const ExpectedState& state, Figures& figures);

// What no key shows by itself: batches are there as a whole or not at all, and what a kill took are
// the newest writes. Looks at the traces.
// Errors: Mismatch.
void verify_history(const Contents& contents, Writes writes, const ExpectedState& state);

// From now on `contents` is what is expected.
void settle(const Contents& contents, const ExpectedState& state, Figures& figures);

}  // namespace varve::stress

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::directory {

class Mutex;
struct LockClassFigures;

// Sampling of the calling thread's acquisitions. All observed locks of a thread share one random
// distance to the next sample: with a fixed one, a thread that takes its locks by turns would
// sample the same lock every time.

// Whether this acquisition is sampled. If so, chooses the next distance, `period` on average.
[[nodiscard]] bool is_next_sample(std::uint32_t period) noexcept;

// False when this thread times as many holds as it can.
[[nodiscard]] bool begin_sampled_hold(const Mutex& mutex) noexcept;
void end_sampled_hold(const Mutex& mutex, LockClassFigures& figures) noexcept;

}  // namespace varve::directory

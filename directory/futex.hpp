// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace varve::directory {

// Sleeps while *word is `expected`, at most until `deadline` (time_point::max(): for ever). May
// also return for no reason.
void futex_wait(const std::atomic<std::uint32_t>* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept;

// Wakes one sleeper. `word` may be gone already: an address is all that the kernel uses.
void futex_wake_one(const std::atomic<std::uint32_t>* word) noexcept;

}  // namespace varve::directory

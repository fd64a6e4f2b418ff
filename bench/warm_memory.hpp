// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::bench {

// Has a process of its own touch so much memory, and waits for its end: what the machine has free
// then is backed. A virtual machine that reports free memory to its host pays a fault of the host's
// for each page that it takes otherwise, several times what the page itself costs; which engine
// pays how often depends on what ran before it. 0: nothing. Requires: a single-threaded caller.
// Errors: std::system_error, std::runtime_error: the memory could not be had.
void warm_memory(std::uint64_t size);

}  // namespace varve::bench

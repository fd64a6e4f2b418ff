// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varve::directory {

// membarrier(2), private expedited: a full memory barrier on every processor that runs a thread of
// this process. It lets the frequent side of a protocol do with a compiler barrier what would cost
// it a fence: the rare side pays for both (a few microseconds).

// Asks the kernel for it; false: it has none (before Linux 4.14, a filter of system calls, other
// systems). Children of fork() inherit the registration.
[[nodiscard]] bool register_expedited_barrier() noexcept;

// Every thread of the process has passed a full barrier between call and return.
// Requires: register_expedited_barrier() gave true. Aborts when the kernel refuses nevertheless (a
// system call filter that came later): readers already rely on it.
void expedited_barrier() noexcept;

}  // namespace varve::directory

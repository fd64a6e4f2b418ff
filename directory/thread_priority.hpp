// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varve::directory {

// Makes the calling thread nicer by `by`, 0 to 19: when there are fewer processors than threads
// that want one, it gets less of them (setpriority(2); a tenth of a thread's time at 10). Cannot be
// taken back without privileges. Where the system refuses it, nothing changes.
void make_thread_nicer(int by) noexcept;
// The nice value of the calling thread; 0 where it cannot be told.
[[nodiscard]] int thread_nice() noexcept;

}  // namespace varve::directory

// SPDX-License-Identifier: Apache-2.0
#pragma once

// VARVE_CHECK aborts on a bug of ours; always on, so keep the condition cheap. VARVE_DCHECK is the
// same in debug, test and fuzz builds only. Bytes from disk and arguments from the caller are never
// checked with these: they throw Error.

namespace varve::directory {
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace varve::directory

#define VARVE_CHECK(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::varve::directory::check_failed(#condition, __FILE__, __LINE__))

#if defined(VARVE_ENABLE_DCHECK)
#define VARVE_DCHECK(condition) VARVE_CHECK(condition)
#else
#define VARVE_DCHECK(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif

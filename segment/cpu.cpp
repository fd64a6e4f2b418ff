// SPDX-License-Identifier: Apache-2.0
#include "segment/cpu.hpp"

namespace varve::segment {

SimdLevel simd_level() noexcept {
#if VARVE_X86_SIMD
  // Static constructors may come here before the compiler's own start-up code has.
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("popcnt")) return SimdLevel::Sse2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return SimdLevel::Avx512;
  }
  return SimdLevel::Avx2;
#else
  return SimdLevel::Scalar;
#endif
}

}  // namespace varve::segment

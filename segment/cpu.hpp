// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The build targets the baseline of its architecture; wider instructions are compiled per function
// and chosen at run time. VARVE_X86_SIMD says that this compiler can do so.
#if defined(__x86_64__) && defined(__GNUC__)
#define VARVE_X86_SIMD 1
#else
#define VARVE_X86_SIMD 0
#endif

namespace varve::segment {

// Bytes of a cache line: what one thread reads all the time and another one writes to is kept so
// far apart, or each read waits for the other processor.
inline constexpr std::size_t kLineSize = 64;

// Ascending: a processor that has one level has all levels below it.
enum class SimdLevel : std::uint8_t {
  Scalar,
  Sse2,    // The x86-64 baseline.
  Avx2,    // With POPCNT.
  Avx512,  // F, BW, DQ and VL; with POPCNT.
};

// The highest level that the processor and the operating system support. Detected anew at each
// call: callers keep what they choose by it.
[[nodiscard]] SimdLevel simd_level() noexcept;

}  // namespace varve::segment

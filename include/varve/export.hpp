// SPDX-License-Identifier: Apache-2.0
#pragma once

// VARVE_EXPORT marks what a shared library shows; everything else in it stays hidden. Code that
// links a static library defines VARVE_STATIC_DEFINE (the CMake target and varve.pc do it).
#if defined(VARVE_STATIC_DEFINE) || !defined(__GNUC__)
#define VARVE_EXPORT
#else
#define VARVE_EXPORT __attribute__((visibility("default")))
#endif

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

namespace varve::segment {

// What excludes a second writer of a segment.
using WriterMutex = std::mutex;

}  // namespace varve::segment

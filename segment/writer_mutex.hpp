// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "directory/mutex.hpp"

namespace varve::segment {

// What excludes a second writer of a segment.
using WriterMutex = directory::Mutex;

}  // namespace varve::segment

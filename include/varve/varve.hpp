// SPDX-License-Identifier: Apache-2.0
// Everything: include this, or the parts that you use.
#pragma once

#include "varve/check.hpp"
#include "varve/codec.hpp"
#include "varve/directory_lock.hpp"
#include "varve/error.hpp"
#include "varve/file_statistics.hpp"
#include "varve/lock_health.hpp"
#include "varve/memory_estimate.hpp"
#include "varve/options.hpp"
#include "varve/prometheus.hpp"
#include "varve/scan.hpp"
#include "varve/segment_index.hpp"
#include "varve/statistics.hpp"
#include "varve/typed_index.hpp"
#include "varve/version.hpp"
#include "varve/write_batch.hpp"

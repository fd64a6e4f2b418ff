// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "segment/filter.hpp"
#include "segment/run.hpp"
#include "segment/run_blocks.hpp"
#include "segment/run_format.hpp"

namespace varve::segment {

// Run::verify(): reads every byte of the run from the file again, past any mapping, and reports
// what is wrong with it. A damaged or refused block is reported and skipped.
void verify_run(const RunBlocks& blocks, const RunFooter& footer, const Filter& filter,
                const std::function<void(const RunFinding&)>& report);

}  // namespace varve::segment

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "varve/options.hpp"

namespace varve::internal {

// Errors: InvalidArgument naming the field, its value and its range; Unsupported for what this
// build cannot do.
void check_options(const Options& options);
// "name=value" lines of what shapes the files, for the manifest and `varve stat`.
[[nodiscard]] std::string options_text(const Options& options);

}  // namespace varve::internal

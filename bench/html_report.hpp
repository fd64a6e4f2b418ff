// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>

#include "bench/record.hpp"

namespace varve::bench {

// One HTML file that needs nothing else: tables, plots as inline SVG, machine and settings. It is
// well-formed XML as well, and light or dark as its reader prefers.
void write_html_report(std::ostream& out, const Record& record);

}  // namespace varve::bench

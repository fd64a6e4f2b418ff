// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace varve::tools {

// Where a request's headers end, the end of their last line; npos: not yet. Lines may end in LF
// alone, as people type them.
[[nodiscard]] std::size_t end_of_http_head(std::string_view text) noexcept;

struct HttpRequest {
  int status = 200;            // Otherwise the refusal, and the rest is empty.
  std::string_view path = {};  // Without the query; printable ASCII that begins with '/'.
  bool is_head = false;        // The headers of the answer alone.
};
// Reads the request line of a request's head; nothing that a header says is of interest. The views
// point into `head`.
[[nodiscard]] HttpRequest parse_http_request(std::string_view head) noexcept;

}  // namespace varve::tools

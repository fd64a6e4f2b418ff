// SPDX-License-Identifier: Apache-2.0
// Invariants: a request gets one of the documented statuses; a path begins with '/', is printable
// and part of the head; where a head ends does not depend on what follows it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "directory/check.hpp"
#include "tools/http_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve::tools;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = end_of_http_head(text);
  if (end != std::string_view::npos) {
    VARVE_CHECK(end < text.size());
    const std::size_t rest = text[end + 1] == '\r' ? 3 : 2;
    VARVE_CHECK(end_of_http_head(text.substr(0, end + rest)) == end);
    VARVE_CHECK(end_of_http_head(text.substr(0, end + rest - 1)) == std::string_view::npos);
  }
  const std::string_view head = text.substr(0, end == std::string_view::npos ? size : end + 1);
  const HttpRequest request = parse_http_request(head);
  if (request.status != 200) {
    VARVE_CHECK(request.status == 400 || request.status == 405 || request.status == 505);
    VARVE_CHECK(request.path.empty() && !request.is_head);
    return 0;
  }
  VARVE_CHECK(request.path.starts_with('/') && head.find(request.path) != std::string_view::npos);
  VARVE_CHECK(std::all_of(request.path.begin(), request.path.end(),
                          [](char c) { return c > ' ' && c < '\x7f' && c != '?' && c != '#'; }));
  VARVE_CHECK(request.is_head == head.starts_with("HEAD "));
  return 0;
}

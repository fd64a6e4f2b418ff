// SPDX-License-Identifier: Apache-2.0
#include "tools/http_request.hpp"

#include <algorithm>

namespace varve::tools {

namespace {

struct RequestLine {
  std::string_view method, target, version;
};

RequestLine parse_request_line(std::string_view head) noexcept {
  std::string_view line = head.substr(0, head.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {};
  return {.method = line.substr(0, first),
          .target = line.substr(first + 1, last - first - 1),
          .version = line.substr(last + 1)};
}

bool is_target(std::string_view target) noexcept {
  return target.starts_with('/') &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

std::size_t end_of_http_head(std::string_view text) noexcept {
  const std::size_t crlf = text.find("\n\r\n"), lf = text.find("\n\n");
  return std::min(crlf, lf);
}

HttpRequest parse_http_request(std::string_view head) noexcept {
  const RequestLine line = parse_request_line(head);
  if (!line.version.starts_with("HTTP/") || !is_target(line.target)) return {.status = 400};
  if (!line.version.starts_with("HTTP/1.")) return {.status = 505};
  if (line.method != "GET" && line.method != "HEAD") return {.status = 405};
  return {.path = line.target.substr(0, line.target.find_first_of("?#")),
          .is_head = line.method == "HEAD"};
}

}  // namespace varve::tools

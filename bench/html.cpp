// SPDX-License-Identifier: Apache-2.0
#include "bench/html.hpp"

namespace varve::bench {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return result;
}

std::string element(std::string_view name, std::string_view content, std::string_view css) {
  std::string result = "<" + std::string(name);
  if (!css.empty()) result += " class=\"" + escaped(css) + "\"";
  return result + ">" + std::string(content) + "</" + std::string(name) + ">";
}

std::string html_table(const std::vector<std::vector<Cell>>& rows, std::size_t text_count) {
  std::string body, head;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string cells;
    for (std::size_t j = 0; j < rows[i].size(); ++j) {
      std::string css = rows[i][j].css;
      if (j < text_count) css += css.empty() ? "text" : " text";
      cells += element(i == 0 ? "th" : "td", escaped(rows[i][j].text), css);
    }
    (i == 0 ? head : body) += element("tr", cells) + "\n";
  }
  // Wide tables scroll by themselves.
  return "<div class=\"wide\">" +
         element("table", element("thead", head) + element("tbody", body)) + "</div>\n";
}

}  // namespace varve::bench

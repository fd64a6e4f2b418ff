// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve::bench {

// Text as it may stand between tags and in quoted attributes. Characters that XML cannot hold at
// all become question marks.
[[nodiscard]] std::string escaped(std::string_view text);

// <name class="c">content</name>, without the attribute when `css` is empty. `content` is markup.
[[nodiscard]] std::string element(std::string_view name, std::string_view content,
                                  std::string_view css = {});

// One cell of a table: text, and the class that marks it.
struct Cell {
  std::string text;
  std::string css = {};
};
// The first row is the head. The first `text_count` columns are text, the others figures.
[[nodiscard]] std::string html_table(const std::vector<std::vector<Cell>>& rows,
                                     std::size_t text_count);

}  // namespace varve::bench

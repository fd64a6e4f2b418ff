// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace varve::test {

// What a reader of markup has seen: how often each element, and the text between them.
struct Markup {
  std::string error;  // The first thing that is not well-formed; empty: nothing.
  std::map<std::string, int> elements;
  std::string text;
};

// As strict as XML: every element is closed in turn, every attribute is quoted and stands once in
// its tag, every & begins one of the entities that XML knows.
[[nodiscard]] Markup check_markup(std::string_view document);

}  // namespace varve::test

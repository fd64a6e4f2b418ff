// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/markup_check.hpp"

#include <cctype>
#include <set>
#include <vector>

namespace varve::test {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  Markup read() {
    static constexpr std::string_view kDoctype = "<!DOCTYPE html>";
    if (rest_.substr(0, kDoctype.size()) == kDoctype) rest_.remove_prefix(kDoctype.size());
    while (!rest_.empty() && markup_.error.empty()) {
      if (rest_[0] == '<') {
        read_tag();
      } else {
        markup_.text += read_character(rest_);
      }
    }
    if (!open_.empty()) fail("not closed: " + open_.back());
    return markup_;
  }

 private:
  void fail(const std::string& what) {
    if (markup_.error.empty()) {
      markup_.error = what + " before: " + std::string(rest_.substr(0, 60));
    }
  }

  char read_character(std::string_view& from) {
    const char c = from[0];
    if (c == '<' || c == '>') fail("a bare angle bracket");
    if (c == '&') {
      for (const auto& [name, meaning] :
           {std::pair{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}}) {
        if (from.starts_with(name)) {
          from.remove_prefix(std::string_view(name).size());
          return meaning;
        }
      }
      fail("a bare ampersand");
    }
    from.remove_prefix(1);
    return c;
  }

  std::string read_name() {
    std::string name;
    while (!rest_.empty() && (std::isalnum(static_cast<unsigned char>(rest_[0])) != 0 ||
                              rest_[0] == '-' || rest_[0] == ':')) {
      name += rest_[0];
      rest_.remove_prefix(1);
    }
    if (name.empty()) fail("a name is missing");
    return name;
  }

  bool take(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }

  void read_tag() {
    if (take("</")) {
      const std::string name = read_name();
      if (open_.empty() || open_.back() != name) return fail("closed out of turn: " + name);
      open_.pop_back();
      if (!take(">")) fail("a closing tag goes on");
      return;
    }
    take("<");
    const std::string name = read_name();
    ++markup_.elements[name];
    read_attributes();
    if (take("/>")) return;
    if (!take(">")) return fail("a tag goes on");
    open_.push_back(name);
  }

  void read_attributes() {
    std::set<std::string> names;
    while (take(" ") && markup_.error.empty()) {
      const std::string name = read_name();
      if (!names.insert(name).second) fail("twice in a tag: " + name);
      if (!take("=\"")) return fail("not quoted: " + name);
      const std::size_t end = rest_.find('"');
      if (end == std::string_view::npos) return fail("not ended: " + name);
      std::string_view value = rest_.substr(0, end);
      while (!value.empty() && markup_.error.empty()) read_character(value);
      rest_.remove_prefix(end + 1);
    }
  }

  std::string_view rest_;
  Markup markup_;
  std::vector<std::string> open_;
};

}  // namespace

Markup check_markup(std::string_view document) {
  return Reader(document).read();
}

}  // namespace varve::test

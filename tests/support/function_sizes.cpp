// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <regex>
#include <utility>

#include "tests/support/tidy_rules.hpp"

namespace varve::test {

namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// Overwrites what is no code (comments, literals, preprocessor lines) with spaces. Lines and
// columns stay where they are.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        blank_to(text_.find('\n', at_));
      } else if (starts("/*")) {
        blank_past("*/", at_ + 2);
      } else if (starts("R\"") && (at_ == 0 || !is_word(text_[at_ - 1]))) {
        const std::size_t open = text_.find('(', at_);
        if (open == std::string::npos) break;
        blank_past(")" + text_.substr(at_ + 2, open - at_ - 2) + "\"", open);
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !is_digit_separator())) {
        blank_literal(text_[at_]);
      } else if (text_[at_] == '#' && is_first_of_line()) {
        blank_directive();
      } else {
        ++at_;
      }
    }
    return std::move(text_);
  }

 private:
  bool starts(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }

  void blank_to(std::size_t end) {
    for (end = std::min(end, text_.size()); at_ < end; ++at_) {
      if (text_[at_] != '\n') text_[at_] = ' ';
    }
  }
  void blank_past(const std::string& terminator, std::size_t from) {
    const std::size_t end = text_.find(terminator, from);
    blank_to(end == std::string::npos ? end : end + terminator.size());
  }
  void blank_literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    blank_to(end + 1);
  }
  void blank_directive() {
    std::size_t end = text_.find('\n', at_);
    while (end != std::string::npos && text_[end - 1] == '\\') end = text_.find('\n', end + 1);
    blank_to(end);
  }

  // 1'000: the quote stands within a word that begins with a digit.
  bool is_digit_separator() const {
    std::size_t begin = at_;
    while (begin > 0 && (is_word(text_[begin - 1]) || text_[begin - 1] == '\'')) --begin;
    return begin < at_ && std::isdigit(static_cast<unsigned char>(text_[begin])) != 0;
  }
  bool is_first_of_line() const {
    std::size_t i = at_;
    while (i > 0 && (text_[i - 1] == ' ' || text_[i - 1] == '\t')) --i;
    return i == 0 || text_[i - 1] == '\n';
  }

  std::string text_;
  std::size_t at_ = 0;
};

enum class Scope { Declarations, Function, Initializer, Block };

// What a `{` opens, by the text before it since the last declaration ended. clang-format writes a
// body's brace after a space and an initializer's without one.
Scope classify(const std::string& header, bool follows_space, bool among_declarations) {
  if (!among_declarations) return Scope::Block;
  if (!follows_space) return Scope::Initializer;
  static const std::regex kTemplate("^\\s*template\\s*<[^;{]*>\\s*(?=\\w)");
  static const std::regex kType("^[^(]*\\b(class|struct|union|enum|namespace|extern)\\b");
  static const std::regex kTypeWithAttribute("^\\s*(class|struct|union)\\b");
  const std::string plain = std::regex_replace(header, kTemplate, "");
  static const std::regex kBlank("\\s*");
  if (std::regex_match(plain, kBlank)) return Scope::Declarations;  // extern "C" or a bare block.
  if (std::regex_search(plain, kTypeWithAttribute) || std::regex_search(plain, kType)) {
    return Scope::Declarations;
  }
  static const std::regex kAssignment("=\\s*$");
  if (plain.find('(') == std::string::npos || std::regex_search(plain, kAssignment)) {
    return Scope::Initializer;
  }
  return Scope::Function;
}

// Walks over blanked code and notes where functions begin and end.
class Walker {
 public:
  Walker(std::string_view text, std::string code) : text_(text), code_(std::move(code)) {}

  std::vector<FunctionSize> run() {
    for (at_ = 0; at_ < code_.size(); ++at_) {
      const char c = code_[at_];
      if (c == '\n') ++line_;
      if (c == '(') ++parentheses_;
      if (c == ')' && parentheses_ > 0) --parentheses_;
      if (c == '{') {
        open();
      } else if (c == '}') {
        close();
      } else if (c == ';' && parentheses_ == 0 && among_declarations()) {
        header_.clear();
      } else {
        extend(c);
      }
    }
    return std::move(functions_);
  }

 private:
  bool among_declarations() const {
    return std::all_of(scopes_.begin(), scopes_.end(),
                       [](Scope scope) { return scope == Scope::Declarations; });
  }

  void extend(char c) {
    if (!among_declarations()) return;
    if (header_.empty()) {
      if (is_space(c)) return;
      header_line_ = line_;
      header_begin_ = at_;
    }
    header_ += c;
    static const std::regex kAccess("^(public|protected|private)\\s*:$");
    if (c == ':' && std::regex_match(header_, kAccess)) header_.clear();
  }

  void open() {
    const bool follows_space = at_ == 0 || is_space(code_[at_ - 1]);
    const bool candidate = among_declarations() && parentheses_ == 0;
    const Scope scope = classify(header_, follows_space, candidate);
    if (scope == Scope::Function) function_line_ = header_line_;
    if (scope == Scope::Declarations) header_.clear();
    scopes_.push_back(scope);
  }

  void close() {
    if (scopes_.empty()) return;
    const Scope scope = scopes_.back();
    scopes_.pop_back();
    if (scope == Scope::Function) {
      functions_.push_back({signature(), function_line_, line_ - function_line_ + 1});
    }
    if (scope == Scope::Function || scope == Scope::Declarations) header_.clear();
  }

  std::string signature() const {
    const std::size_t end = text_.find_first_of("{\n", header_begin_);
    std::string first(text_.substr(header_begin_, end - header_begin_));
    while (!first.empty() && is_space(first.back())) first.pop_back();
    return first;
  }

  const std::string_view text_;
  const std::string code_;
  std::size_t at_ = 0, line_ = 1;
  std::size_t parentheses_ = 0;
  std::vector<Scope> scopes_;
  std::string header_;
  std::size_t header_line_ = 0, header_begin_ = 0, function_line_ = 0;
  std::vector<FunctionSize> functions_;
};

}  // namespace

std::vector<FunctionSize> function_sizes(std::string_view text) {
  return Walker(text, Blanker(text).run()).run();
}

}  // namespace varve::test

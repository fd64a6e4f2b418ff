// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tidy_rules.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>

namespace varve::test {

namespace {

// Folder -> folders whose headers it may include; "varve" is include/varve.
const std::map<std::string, std::vector<std::string>, std::less<>> kMayInclude = {
    {"include", {"varve"}},
    {"directory", {"varve", "directory"}},
    {"segment", {"varve", "directory", "segment"}},
    {"lib", {"varve", "directory", "segment", "lib"}},
    {"tools", {"varve", "directory", "segment", "lib", "tools"}},
    {"stress", {"varve", "stress"}},
    {"examples", {"varve"}},
    {"test_package", {"varve"}},
    {"bench", {"varve", "directory", "segment", "lib", "bench", "tests"}},
    {"fuzz", {"varve", "directory", "segment", "lib", "tools", "fuzz", "tests"}},
    {"tests",
     {"varve", "directory", "segment", "lib", "tools", "bench", "fuzz", "stress", "tests"}},
};

bool is_cpp(std::string_view path) {
  return path.ends_with(".hpp") || path.ends_with(".cpp");
}

std::string first_component(std::string_view path) {
  return std::string(path.substr(0, path.find('/')));
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Collects the findings of one file.
class Checker {
 public:
  explicit Checker(const SourceFile& file) : file_(file), lines_(lines_of(file.text)) {}

  std::vector<TidyFinding> run() {
    check_name();
    check_spdx();
    for (std::size_t i = 0; i < lines_.size(); ++i) check_line(i + 1, lines_[i]);
    if (is_cpp(file_.path)) {
      check_pragma_once();
      check_function_sizes();
    }
    return std::move(findings_);
  }

 private:
  void add(const char* rule, std::size_t line, std::string what) {
    findings_.push_back({rule, file_.path, line, std::move(what)});
  }

  void check_name() {
    const std::filesystem::path path = file_.path;
    const std::string name = path.filename().string();
    const std::string extension = path.extension().string();
    static const std::regex kSnakeCase("[a-z][a-z0-9_]*");
    static constexpr std::array kForeign = {".h", ".hh", ".hxx", ".cc", ".cxx", ".c++", ".ipp"};
    if (std::find(kForeign.begin(), kForeign.end(), extension) != kForeign.end()) {
      add("name", 0, "sources end in .hpp or .cpp");
    }
    if ((is_cpp(name) || extension == ".py") &&
        !std::regex_match(path.stem().string(), kSnakeCase)) {
      add("name", 0, "the names of sources are snake_case");
    }
  }

  void check_spdx() {
    const std::size_t first = !lines_.empty() && lines_[0].starts_with("#!") ? 1 : 0;
    const std::string expected =
        std::string(is_cpp(file_.path) ? "//" : "#") + " SPDX-License-Identifier: Apache-2.0";
    if (lines_.size() <= first || lines_[first] != expected) {
      add("spdx", first + 1, "expected: " + expected);
    }
  }

  void check_line(std::size_t number, const std::string& line) {
    const auto is_first_byte = [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    };
    const auto width = std::count_if(line.begin(), line.end(), is_first_byte);
    if (static_cast<std::size_t>(width) > kLineWidthMax) {
      add("width", number, std::to_string(width) + " columns");
    }
    if (line.find('\t') != std::string::npos) add("tab", number, "a tab character");

    // The pattern is spelled so that it does not match itself.
    static const std::regex kBareTodo("\\b(FIX[M]E|TO[D]O)\\b(?!\\((perf|port|someday)\\))");
    if (std::regex_search(line, kBareTodo))
      add("todo", number, "say its kind: (perf|port|someday)");
    if (is_cpp(file_.path)) {
      check_sleep(number, line);
      check_include(number, line);
    }
  }

  void check_sleep(std::size_t number, const std::string& line) {
    static const std::regex kSleep("\\b(sleep_(for|until)|u?sleep|nanosleep)\\s*\\(");
    if (!file_.path.starts_with("tests/")) return;
    // Its sleeps vary when the adversaries strike; nothing waits for them.
    if (file_.path == "tests/directory/lock_race.cpp") return;
    std::smatch match;
    if (!std::regex_search(line, match, kSleep)) return;
    // A word within a comment or a literal is no call.
    const std::string before = match.prefix().str();
    if (before.find("//") != std::string::npos) return;
    if (std::count(before.begin(), before.end(), '"') % 2 == 1) return;
    add("sleep", number, "wait for what is awaited, not for time to pass");
  }

  void check_include(std::size_t number, const std::string& line) {
    static const std::regex kInclude("^\\s*#\\s*include\\s*([<\"])([^>\"]+)[>\"]");
    std::smatch match;
    if (!std::regex_search(line, match, kInclude)) return;
    const std::string target = match[2].str();
    const std::string folder = first_component(file_.path);
    if (match[1].str() == "<") {
      static const std::regex kStandard("[a-z_]+|c[a-z]+");
      if (folder == "include" && !std::regex_match(target, kStandard)) {
        add("public-include", number, "public headers have std types only: <" + target + ">");
      }
      if (kMayInclude.contains(first_component(target))) {
        add("layer", number, "our own headers are included with quotes: <" + target + ">");
      }
      return;
    }
    const auto allowed = kMayInclude.find(folder);
    if (allowed == kMayInclude.end()) return;
    const std::string target_folder = first_component(target);
    const std::vector<std::string>& folders = allowed->second;
    if (std::find(folders.begin(), folders.end(), target_folder) == folders.end() ||
        target.find("..") != std::string::npos) {
      add("layer", number, folder + "/ must not include \"" + target + "\"");
    }
  }

  void check_pragma_once() {
    if (!file_.path.ends_with(".hpp")) return;
    const bool found = std::find(lines_.begin(), lines_.end(), "#pragma once") != lines_.end();
    if (!found) add("pragma-once", 0, "a header without #pragma once");
  }

  void check_function_sizes() {
    for (const FunctionSize& function : function_sizes(file_.text)) {
      if (function.line_count <= kFunctionLineCountMax) continue;
      add("function-size", function.line,
          std::to_string(function.line_count) + " lines: " + function.signature);
    }
  }

  const SourceFile& file_;
  const std::vector<std::string> lines_;
  std::vector<TidyFinding> findings_;
};

bool is_ours(const std::filesystem::path& path, std::string_view text) {
  static constexpr std::array kExtensions = {".hpp", ".cpp", ".cmake", ".py",  ".sh", ".h",
                                             ".hh",  ".hxx", ".cc",    ".cxx", ".ipp"};
  const std::string extension = path.extension().string();
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end() ||
         path.filename() == "CMakeLists.txt" || (extension.empty() && text.starts_with("#!"));
}

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace

std::vector<TidyFinding> check_file(const SourceFile& file) {
  return Checker(file).run();
}

std::vector<SourceFile> our_files(const std::filesystem::path& root) {
  static constexpr std::array kFolders = {
      "include", "directory", "segment",  "lib",   "tools",     "stress",       "tests",
      "bench",   "fuzz",      "examples", "cmake", "packaging", "test_package", ".ci"};
  std::vector<std::filesystem::path> paths = {root / "CMakeLists.txt", root / "conanfile.py"};
  for (const char* folder : kFolders) {
    if (!std::filesystem::is_directory(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<SourceFile> files;
  for (const std::filesystem::path& path : paths) {
    std::string text = read(path);
    if (!is_ours(path, text)) continue;
    files.push_back({std::filesystem::relative(path, root).generic_string(), std::move(text)});
  }
  return files;
}

}  // namespace varve::test

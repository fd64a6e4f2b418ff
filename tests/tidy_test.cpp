// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "tests/support/catch.hpp"
#include "tests/support/tidy_rules.hpp"

namespace {

using varve::test::check_file;
using varve::test::function_sizes;
using varve::test::SourceFile;
using varve::test::TidyFinding;

const std::string kSpdx = "// SPDX-License-Identifier: Apache-2.0\n";

// Functions that are longer than the rule allows, with their reason: {path, signature}. It only
// shrinks: an entry that is no longer needed fails the test as well.
const std::map<std::pair<std::string, std::string>, std::string> kLongFunctions = {};

// The rules that `text` breaks as the file `path`; the licence line is added.
std::string broken_rules(const std::string& path, const std::string& text) {
  std::string rules;
  const std::string guard = path.ends_with(".hpp") ? "#pragma once\n" : "";
  for (const TidyFinding& finding : check_file({path, kSpdx + guard + text})) {
    rules += (rules.empty() ? "" : " ") + finding.rule;
  }
  return rules;
}

std::string function_of(std::size_t line_count, const std::string& signature = "void f()") {
  std::string text = signature + " {\n";
  for (std::size_t i = 0; i + 2 < line_count; ++i) text += "  g();\n";
  return text + "}\n";
}

}  // namespace

TEST_CASE("our files follow the rules", "[tidy]") {
  const std::vector<SourceFile> files = varve::test::our_files(VARVE_SOURCE_DIR);
  // A walk that finds nothing would pass every rule.
  const auto has = [&](const char* path) {
    return std::any_of(files.begin(), files.end(),
                       [&](const SourceFile& file) { return file.path == path; });
  };
  for (const char* path : {"CMakeLists.txt", "include/varve/error.hpp", "directory/check.cpp",
                           "tests/tidy_test.cpp", "tools/setup", "cmake/FindxxHash.cmake"}) {
    CAPTURE(path);
    REQUIRE(has(path));
  }

  auto unused = kLongFunctions;
  for (const SourceFile& file : files) {
    for (const TidyFinding& finding : check_file(file)) {
      if (finding.rule == "function-size") {
        const std::string signature = finding.what.substr(finding.what.find(": ") + 2);
        if (unused.erase({finding.path, signature}) > 0) continue;
      }
      FAIL_CHECK(finding.path << ":" << finding.line << ": " << finding.rule << ": "
                              << finding.what);
    }
  }
  for (const auto& entry : unused) {
    FAIL_CHECK(entry.first.first << ": remove from kLongFunctions: " << entry.first.second);
  }
}

TEST_CASE("an include upwards is found, one downwards is not", "[tidy]") {
  const auto include = [](const char* from, const char* target) {
    return broken_rules(from, "#include \"" + std::string(target) + "\"\n");
  };
  CHECK(include("directory/a.cpp", "segment/run.hpp") == "layer");
  CHECK(include("directory/a.hpp", "lib/manifest.hpp") == "layer");
  CHECK(include("segment/a.cpp", "lib/manifest.hpp") == "layer");
  CHECK(include("lib/a.cpp", "tools/main.hpp") == "layer");
  CHECK(include("lib/a.cpp", "tests/support/catch.hpp") == "layer");
  CHECK(include("include/varve/a.hpp", "directory/bytes.hpp") == "layer");
  CHECK(include("examples/a.cpp", "directory/bytes.hpp") == "layer");
  CHECK(include("segment/a.cpp", "run.hpp") == "layer");
  CHECK(include("directory/a.cpp", "directory/../lib/manifest.hpp") == "layer");
  CHECK(broken_rules("directory/a.cpp", "#include <segment/run.hpp>\n") == "layer");
  CHECK(broken_rules("directory/a.cpp", "  #  include \"segment/run.hpp\"\n") == "layer");

  CHECK(include("directory/a.cpp", "directory/bytes.hpp").empty());
  CHECK(include("directory/a.cpp", "varve/error.hpp").empty());
  CHECK(include("segment/a.cpp", "directory/bytes.hpp").empty());
  CHECK(include("lib/a.cpp", "segment/run.hpp").empty());
  CHECK(include("tools/a.cpp", "varve/varve.hpp").empty());
  CHECK(include("tests/lib/a.cpp", "tests/support/catch.hpp").empty());
}

TEST_CASE("public headers include the standard library only", "[tidy]") {
  const auto include = [](const char* target) {
    return broken_rules("include/varve/a.hpp", "#include <" + std::string(target) + ">\n");
  };
  CHECK(include("boost/filesystem.hpp") == "public-include");
  CHECK(include("xxhash.h") == "public-include");
  CHECK(include("unistd.h") == "public-include");
  CHECK(include("sys/mman.h") == "public-include");
  CHECK(include("string_view").empty());
  CHECK(include("cstdint").empty());
  CHECK(broken_rules("directory/a.cpp", "#include <sys/mman.h>\n").empty());
}

TEST_CASE("every file begins with the licence", "[tidy]") {
  const auto first_rule = [](const SourceFile& file) {
    const std::vector<TidyFinding> findings = check_file(file);
    return findings.empty() ? std::string() : findings.front().rule;
  };
  CHECK(first_rule({"lib/a.cpp", "int a;\n"}) == "spdx");
  CHECK(first_rule({"lib/a.cpp", ""}) == "spdx");
  CHECK(first_rule({"lib/a.cpp", "\n" + kSpdx}) == "spdx");
  CHECK(first_rule({"lib/a.cpp", "// SPDX-License-Identifier: MIT\n"}) == "spdx");
  CHECK(first_rule({"tools/a", "#!/bin/sh\nexit\n"}) == "spdx");
  CHECK(first_rule({"lib/a.cpp", kSpdx}).empty());
  CHECK(first_rule({"tools/a", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"}).empty());
}

TEST_CASE("long lines, tabs and bare reminders are found", "[tidy]") {
  const std::string reminder = "// TO" + std::string("DO");
  CHECK(broken_rules("lib/a.cpp", "//" + std::string(99, '-') + "\n") == "width");
  CHECK(broken_rules("lib/a.cpp", "//" + std::string(98, '-') + "\n").empty());
  std::string umlauts = "//";
  for (int i = 0; i < 98; ++i) umlauts += "\xC3\xBC";  // Two bytes, one column.
  CHECK(broken_rules("lib/a.cpp", umlauts + "\n").empty());
  CHECK(broken_rules("lib/a.cpp", "int\ta;\n") == "tab");
  CHECK(broken_rules("lib/a.cpp", reminder + ": later\n") == "todo");
  CHECK(broken_rules("lib/a.cpp", reminder + "(somebody): later\n") == "todo");
  CHECK(broken_rules("lib/a.cpp", reminder + "(perf): later\n").empty());
}

TEST_CASE("the README's code is the example that is built and run", "[tidy]") {
  const auto read = [](const char* name) {
    std::ifstream file(std::string(VARVE_SOURCE_DIR "/") + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::string example = read("examples/readme.cpp");
  example.erase(0, example.find("#include"));
  CHECK(example.size() > 300);
  CHECK(read("README.md").find("```cpp\n" + example + "```") != std::string::npos);
}

TEST_CASE("a sleeping test is found", "[tidy]") {
  const std::string call = "  std::this_thread::sleep_" + std::string("for(1ms);\n");
  CHECK(broken_rules("tests/lib/a.cpp", call) == "sleep");
  CHECK(broken_rules("tests/lib/a.cpp", "  ::us" + std::string("leep(10);\n")) == "sleep");
  CHECK(broken_rules("lib/a.cpp", call).empty());
  CHECK(broken_rules("tests/lib/a.cpp", "  // No " + call).empty());
}

TEST_CASE("foreign file names and missing guards are found", "[tidy]") {
  CHECK(broken_rules("lib/WriteLog.cpp", "") == "name");
  CHECK(broken_rules("lib/write-log.hpp", "") == "name");
  CHECK(broken_rules("lib/write_log.hpp", "").empty());
  CHECK(check_file({"lib/write_log.cc", kSpdx}).front().rule == "name");
  CHECK(check_file({"lib/a.hpp", kSpdx}).front().rule == "pragma-once");
}

TEST_CASE("a function over the limit is found, whatever stands around it", "[tidy]") {
  const auto limit = varve::test::kFunctionLineCountMax;
  CHECK(broken_rules("lib/a.cpp", function_of(limit)).empty());
  CHECK(broken_rules("lib/a.cpp", function_of(limit + 1)) == "function-size");
  CHECK(broken_rules("lib/a.cpp", "namespace a {\nnamespace {\n" + function_of(limit + 1) +
                                      "}\n}") == "function-size");
  CHECK(broken_rules("lib/a.cpp", "class A : public B {\n public:\n" + function_of(limit + 1) +
                                      "};") == "function-size");
  CHECK(broken_rules("lib/a.cpp", function_of(limit + 1, "A::A(int b) : b_{b}, c_(1'000)")) ==
        "function-size");
  CHECK(broken_rules("lib/a.cpp",
                     function_of(limit + 1, "template <class T>\nbool A<T>::g() const")) ==
        "function-size");
  // Two short functions are not one long one, nor is a long namespace or class.
  const std::string pair = function_of(limit) + function_of(limit);
  CHECK(broken_rules("lib/a.cpp", "namespace a {\nstruct B {\n" + pair + "};\n}").empty());
}

TEST_CASE("braces in literals, comments and initializers do not confuse the count", "[tidy]") {
  const auto sizes = function_sizes(
      "const std::map<int, int> kMap = {\n  {1, 2},\n};\n"
      "void a() {\n  f(\"}\");\n  f('}');\n  // }\n  /* } */\n  int b{1'0};\n}\n"
      "#define M(x) \\\n  { x\n"
      "void c(int x = {}) {\n  auto l = [] {\n    return R\"(})\";\n  };\n}\n"
      "struct alignas(64) D {\n  int e() const { return 1; }\n};\n");
  REQUIRE(sizes.size() == 3);
  CHECK(sizes[0].signature == "void a()");
  CHECK(sizes[0].line == 4);
  CHECK(sizes[0].line_count == 7);
  CHECK(sizes[1].line_count == 5);
  CHECK(sizes[2].signature == "int e() const");
  CHECK(sizes[2].line_count == 1);
}

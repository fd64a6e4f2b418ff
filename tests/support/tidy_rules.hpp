// SPDX-License-Identifier: Apache-2.0
// What the compiler, clang-format and clang-tidy cannot see of our style: the direction of includes
// and the look of files. The rules read text; they know as much C++ as clang-format leaves to know.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace varve::test {

struct SourceFile {
  std::string path;  // From the root of the repository, with slashes.
  std::string text;
};

struct TidyFinding {
  std::string rule;  // "layer", "public-include", "spdx", "width", "tab", "todo", "sleep", "name",
                     // "pragma-once" or "function-size".
  std::string path;
  std::size_t line = 0;  // From 1; 0: the file as a whole.
  std::string what;
};

struct FunctionSize {
  std::string signature;  // Its first line, or as much of it as stands before the body.
  std::size_t line = 0;
  std::size_t line_count = 0;  // From the signature to the closing brace, both included.
};

inline constexpr std::size_t kLineWidthMax = 100;
inline constexpr std::size_t kFunctionLineCountMax = 70;

// All rules, on one file.
[[nodiscard]] std::vector<TidyFinding> check_file(const SourceFile& file);

// The function bodies of a C++ source, in their order. Lambdas and local classes belong to the
// function around them.
[[nodiscard]] std::vector<FunctionSize> function_sizes(std::string_view text);

// Every file of ours below `root`: sources, scripts and CMake files, sorted by path.
[[nodiscard]] std::vector<SourceFile> our_files(const std::filesystem::path& root);

}  // namespace varve::test

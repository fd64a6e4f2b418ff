// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::test {

// varve-stress as a process, below a temporary directory where its output is `out`, its messages
// are `err` and its figures are `json`.
struct StressCommand {
  TemporaryDirectory temporary;

  [[nodiscard]] int run(const std::string& arguments) const {
    const std::string directory = "'" + temporary.path().string() + "'";
    const std::string command = "cd " + directory + " && TMPDIR=" + directory +
                                " '" VARVE_STRESS "' " + arguments + " >out 2>err";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(temporary.path() / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::uint64_t figure(const std::string& name) const {
    const std::string json = read("json"), label = "\"" + name + "\": ";
    const std::size_t at = json.find(label);
    CAPTURE(name, json);
    REQUIRE(at != std::string::npos);
    return std::stoull(json.substr(at + label.size()));
  }
  [[nodiscard]] bool said(const std::string& text) const {
    return read("err").find(text) != std::string::npos;
  }
  // Fresh directories that runs have left.
  [[nodiscard]] int kept_count() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(temporary.path())) {
      if (entry.path().filename().string().starts_with("varve-stress-")) ++count;
    }
    return count;
  }
};

}  // namespace varve::test

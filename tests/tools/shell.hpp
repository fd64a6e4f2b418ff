// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/temporary_directory.hpp"

namespace varve::test {

// A loader that has the index in $D until descriptor 3 is closed; it has acknowledged an entry.
inline const std::string kHeldIndex =
    "mkfifo in report; $V load $D --report-every 1 <in >report 2>/dev/null & loader=$!; "
    "exec 3>in 4<report; printf 'b\\t2\\n' >&3; read -r line <&4; ";

// A shell script in which $V is the command and $D an absent index directory.
struct Shell {
  TemporaryDirectory temporary;
  std::string db = (temporary.path() / "db").string();

  [[nodiscard]] int run(const std::string& script) const {
    const std::string text =
        "V='" VARVE_COMMAND "' D='" + db + "'; cd '" + temporary.path().string() + "'; " + script;
    const int status = std::system(("bash -c " + quote(text)).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  static std::string quote(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(temporary.path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
};

}  // namespace varve::test

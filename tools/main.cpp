// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>

#include "tools/command.hpp"

int main(int argc, char** argv) {
  // A reader that goes away is an error of write(), so that the index is closed in order.
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  const varve::tools::Arguments arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return varve::tools::run(arguments, std::cin, std::cout, std::cerr);
}

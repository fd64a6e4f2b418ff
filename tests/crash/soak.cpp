// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/soak.hpp"

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <ostream>
#include <random>
#include <system_error>

namespace varve::test {

namespace {

struct Arguments {
  double seconds = 60;
  std::uint64_t seed = std::random_device{}();
};

template <typename Number>
bool parse(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stopped == end;
}

std::optional<Arguments> parse(std::span<const char* const> texts) {
  Arguments arguments;
  for (std::size_t i = 0; i < texts.size(); i += 2) {
    const std::string_view name = texts[i];
    if (i + 1 == texts.size()) return std::nullopt;
    const std::string_view value = texts[i + 1];
    const bool known = (name == "--seconds" && parse(value, arguments.seconds)) ||
                       (name == "--seed" && parse(value, arguments.seed));
    if (!known || !(arguments.seconds >= 0)) return std::nullopt;
  }
  return arguments;
}

}  // namespace

int run_soak(const Soak& soak, std::span<const char* const> arguments, std::ostream& out,
             std::ostream& err) {
  const std::optional<Arguments> parsed = parse(arguments);
  if (!parsed) {
    err << "usage: " << soak.name << " [--seconds N] [--seed S]\n";
    return kSoakUsage;
  }
  try {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(parsed->seconds);
    std::uint64_t count = 0;
    std::string problem;
    while (problem.empty() && (count == 0 || std::chrono::steady_clock::now() < end)) {
      problem = soak.scenario(parsed->seed + count);
      ++count;
    }
    out << count << " scenarios from seed " << parsed->seed << ": " << soak.summary() << std::endl;
    soak.tell();
    if (problem.empty()) return EXIT_SUCCESS;
    out << "PROBLEM: " << problem << std::endl;
    return EXIT_FAILURE;
  } catch (const std::exception& error) {
    err << soak.name << ": " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}

}  // namespace varve::test

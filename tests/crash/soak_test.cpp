// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/soak.hpp"

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

// A soak that notes the seeds of its scenarios.
struct Noted {
  std::vector<std::uint64_t> seeds;
  std::uint64_t bad_seed = 0;  // Of the scenario that finds a problem; 0: none.
  int told_count = 0;
  std::ostringstream out, err;

  int run(const std::vector<const char*>& arguments) {
    const auto scenario = [this](std::uint64_t seed) -> std::string {
      seeds.push_back(seed);
      return seed == bad_seed ? "lost a key" : "";
    };
    return run_soak(
        {"the_soak", scenario, [] { return std::string("all of it"); }, [this] { ++told_count; }},
        arguments, out, err);
  }
};

TEST_CASE("a soak that is called wrongly says how, and runs nothing", "[crash][soak]") {
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{"--second", "1"},
                                             {"--seconds"},
                                             {"--seconds", "1", "--seed"},
                                             {"--seconds", "much"},
                                             {"--seconds", "1s"},
                                             {"--seconds", "-1"},
                                             {"--seconds", "nan"},
                                             {"--seed", "-1"},
                                             {"--seed", "0x10"},
                                             {"--seed", "18446744073709551616"},
                                             {"--seed", ""},
                                             {"/tmp/directory"},
                                             {"--help"},
                                             {"--seed", "1", "extra"}}) {
    CAPTURE(arguments);
    Noted noted;
    CHECK(noted.run(arguments) == 64);
    CHECK(noted.seeds.empty());
    CHECK(noted.told_count == 0);
    CHECK(noted.out.str().empty());
    CHECK(noted.err.str() == "usage: the_soak [--seconds N] [--seed S]\n");
  }
}

TEST_CASE("a soak runs one scenario at least, from its seed on", "[crash][soak]") {
  Noted noted;
  CHECK(noted.run({"--seed", "18446744073709551615", "--seconds", "0"}) == 0);
  CHECK((noted.seeds == std::vector<std::uint64_t>{18446744073709551615U}));
  CHECK(noted.told_count == 1);
  CHECK(noted.out.str() == "1 scenarios from seed 18446744073709551615: all of it\n");
  CHECK(noted.err.str().empty());
}

TEST_CASE("a soak ends at the first problem, long before its time", "[crash][soak]") {
  Noted noted;
  noted.bad_seed = 9;
  CHECK(noted.run({"--seconds", "1000.5", "--seed", "7"}) == 1);
  CHECK((noted.seeds == std::vector<std::uint64_t>{7, 8, 9}));
  CHECK(noted.told_count == 1);
  CHECK(noted.out.str() == "3 scenarios from seed 7: all of it\nPROBLEM: lost a key\n");
}

TEST_CASE("what a scenario of a soak throws is told, and is a failure", "[crash][soak]") {
  std::ostringstream out, err;
  const Soak soak{"the_soak",
                  [](std::uint64_t) -> std::string { throw std::runtime_error("no disk"); },
                  [] { return std::string(); }, [] {}};
  const char* const arguments[] = {"--seconds", "0"};
  CHECK(run_soak(soak, arguments, out, err) == 1);
  CHECK(err.str() == "the_soak: no disk\n");
}

}  // namespace
}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/scenarios.hpp"

#include <iterator>

namespace varve::test {

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (const auto& group :
       {write_scenarios, merge_scenarios, split_scenarios, log_scenarios, reader_scenarios,
        life_cycle_scenarios, recovery_scenarios, access_scenarios}) {
    std::vector<Scenario> some = group();
    all.insert(all.end(), std::make_move_iterator(some.begin()),
               std::make_move_iterator(some.end()));
  }
  return all;
}

}  // namespace varve::test

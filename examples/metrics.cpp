// SPDX-License-Identifier: Apache-2.0
// Two indexes of one program, and the text that it would answer to Prometheus' GET of /metrics.
// docs/METRICS.md says what the figures mean.
#include <iostream>
#include <string>

#include "varve/varve.hpp"

int main() try {
  auto orders = varve::SegmentIndex::open("metrics_orders.varve");
  auto users = varve::SegmentIndex::open("metrics_users.varve");
  for (int i = 0; i < 10'000; ++i) orders.put("order:" + std::to_string(i), "pending");
  users.put("user:1", "Ada");
  static_cast<void>(users.get("user:1"));

  const varve::Statistics of_orders = orders.statistics(), of_users = users.statistics();
  const varve::NamedStatistics both[] = {{"orders", &of_orders}, {"users", &of_users}};
  std::cout << "Content-Type: " << varve::kPrometheusContentType << "\n\n"
            << varve::to_prometheus(both);

  // Or look at a few figures yourself.
  const varve::concurrent::OperationSnapshot& put = of_orders.operations.put;
  std::cerr << put.success_count << " puts, half of them within " << put.p50.count() << " ns\n";
} catch (const varve::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// SPDX-License-Identifier: Apache-2.0
// Counters that survive: kill this program at any time, run it again, and it goes on from the last
// acknowledged count. What "acknowledged" is worth is chosen per write:
//
//   Buffered  lost when the process dies before the next flush     a cache
//   Process   survives the process, not the machine (the default)  page views
//   Synced    survives power loss; one device flush, shared        invoices
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

#include "varve/varve.hpp"

namespace {

using Counters = varve::TypedIndex<std::string, std::uint64_t>;

std::uint64_t next(Counters& counters, const std::string& name, varve::Durability durability) {
  const std::uint64_t count = counters.get(name).value_or(0) + 1;
  counters.put(name, count, {.durability = durability});
  return count;  // Only now may anybody rely on it.
}

void run(const std::filesystem::path& directory) {
  Counters counters = Counters::open(directory);
  const varve::Statistics statistics = counters.index().statistics();
  if (statistics.recovered_after_crash) {
    std::cout << "the last run did not close; " << statistics.recovered_operation_count
              << " writes came back from the log\n";
  }
  for (int view = 0; view < 1'000; ++view) next(counters, "views", varve::Durability::Process);
  const std::uint64_t invoice = next(counters, "invoices", varve::Durability::Synced);
  std::cout << "invoice number " << invoice << ", " << counters.get("views").value_or(0)
            << " views\n";
  // The destructor closes too, but cannot report a failure.
  counters.index().close();
}

}  // namespace

int main(int argc, char** argv) try {
  run(argc > 1 ? argv[1] : "durable_counters.varve");
} catch (const varve::Error& error) {
  if (error.code() == varve::ErrorCode::Locked) std::cerr << "another run is at work: ";
  std::cerr << error.what() << '\n';
  return 1;
}

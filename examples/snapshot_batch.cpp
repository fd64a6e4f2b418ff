// SPDX-License-Identifier: Apache-2.0
// Transfers between accounts: a batch changes both accounts or neither, and an auditor who reads
// through a snapshot sees one moment while transfers go on.
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

#include "varve/varve.hpp"

namespace {

using Accounts = varve::TypedIndex<std::string, std::int64_t>;

void transfer(Accounts& accounts, const std::string& from, const std::string& to,
              std::int64_t cents) {
  Accounts::Batch batch;
  batch.put(from, accounts.get(from).value_or(0) - cents);
  batch.put(to, accounts.get(to).value_or(0) + cents);
  accounts.write(batch);
}

std::int64_t total(const Accounts& accounts, const varve::Snapshot& snapshot) {
  std::int64_t sum = 0;
  for (const auto& [name, cents] : accounts.scan({.snapshot = &snapshot})) sum += cents;
  return sum;
}

int run(const std::filesystem::path& directory) {
  Accounts accounts = Accounts::open(directory);
  accounts.put("ada", 10'000);
  accounts.put("grace", 500);

  const varve::Snapshot before = accounts.index().snapshot();
  transfer(accounts, "ada", "grace", 2'500);
  accounts.put("edsger", 1'000'000);  // New money that the earlier moment knows nothing of.

  std::cout << "ada before: " << accounts.get("ada", &before).value_or(0) << '\n'
            << "ada now: " << accounts.get("ada").value_or(0) << '\n';
  accounts.erase("edsger");
  const std::int64_t then = total(accounts, before);
  const std::int64_t now = total(accounts, accounts.index().snapshot());
  std::cout << "total before: " << then << ", total now: " << now << '\n';
  return then == now ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc > 1 ? argv[1] : "snapshot_batch.varve");
} catch (const varve::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// SPDX-License-Identifier: Apache-2.0
// A program that varve-stress can torture: it is killed at any moment, and asked what is left.
//
//   varve-stress torture --seconds 60 -- torture_workload
//
// A small bank. Step N moves the money of transfer(N) and counts the steps, in one batch; so after
// a kill the accounts must be those of the first so many transfers, no money may have appeared or
// vanished, and no step that was acknowledged may be missing. With --careless it acknowledges steps
// that are in memory only, and with --torn it moves money in two writes: both are found out.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "varve/varve.hpp"

namespace {

constexpr std::uint64_t kAccountCount = 50;
constexpr std::int64_t kFirstBalance = 1'000;

// ("account", number) has a balance in cents, ("steps", 0) the number of steps.
using Bank = varve::TypedIndex<std::tuple<std::string, std::uint64_t>, std::int64_t>;
const std::tuple<std::string, std::uint64_t> kSteps{"steps", 0};

struct Transfer {
  std::uint64_t from, to;
  std::int64_t amount;
};
// The same in every process: what was done up to a step can be told from its number.
Transfer transfer(std::int64_t step) {
  const std::uint64_t drawn = static_cast<std::uint64_t>(step) * 0x9e3779b97f4a7c15ULL >> 16;
  return {drawn % kAccountCount, drawn / kAccountCount % kAccountCount,
          static_cast<std::int64_t>(drawn >> 32 & 0xff)};
}

std::int64_t balance(const Bank& bank, std::uint64_t account) {
  return bank.get({"account", account}).value_or(kFirstBalance);
}

void take_step(Bank& bank, std::int64_t step, bool torn) {
  const auto [from, to, amount] = transfer(step);
  Bank::Batch batch;
  if (from != to) {
    batch.put({"account", from}, balance(bank, from) - amount);
    if (torn) {  // A kill between the two writes takes the money.
      bank.write(batch);
      batch.clear();
    }
    batch.put({"account", to}, balance(bank, to) + amount);
  }
  batch.put(kSteps, step);
  bank.write(batch);
}

// Until it is killed. A line "ack N" says that step N must never be missing from now on; it counts
// once it is in the pipe, so it must be flushed, and written after the step, not before.
void run(Bank& bank, bool torn) {
  for (std::int64_t step = bank.get(kSteps).value_or(0) + 1;; ++step) {
    take_step(bank, step, torn);
    if (!(std::cout << "ack " << step << std::endl)) throw std::runtime_error("nobody listens");
  }
}

// Legal is the state after the steps that are counted, which are at least those acknowledged. One
// more may be there: the step that was done and killed before its line.
void verify(const Bank& bank, std::int64_t acknowledged) {
  const std::int64_t steps = bank.get(kSteps).value_or(0);
  if (steps < acknowledged || steps > acknowledged + 1) {
    throw std::runtime_error("step " + std::to_string(acknowledged) + " was acknowledged, " +
                             std::to_string(steps) + " steps are there");
  }
  std::vector<std::int64_t> expected(kAccountCount, kFirstBalance);
  for (std::int64_t step = 1; step <= steps; ++step) {
    const auto [from, to, amount] = transfer(step);
    expected[from] -= amount;
    expected[to] += amount;
  }
  std::vector<std::int64_t> found;
  for (std::uint64_t i = 0; i < kAccountCount; ++i) found.push_back(balance(bank, i));
  const std::int64_t total = std::accumulate(found.begin(), found.end(), std::int64_t{0});
  if (total != kFirstBalance * static_cast<std::int64_t>(kAccountCount)) {
    throw std::runtime_error("the money of all accounts is " + std::to_string(total));
  }
  if (found != expected) throw std::runtime_error("the balances are not those of the steps");
}

const char* environment(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view mistake = argc > 1 ? argv[1] : "";
  varve::Options options;
  if (mistake == "--careless") options.durability = varve::Durability::Buffered;
  const std::filesystem::path directory = environment("VARVE_TORTURE_DIR");
  const std::string_view phase = environment("VARVE_TORTURE_PHASE");
  Bank bank = Bank::open(directory / "bank", options);
  if (phase == "run") {
    run(bank, mistake == "--torn");
  } else {
    verify(bank, std::stoll(environment("VARVE_TORTURE_ACKNOWLEDGED")));
    bank.index().close();
  }
} catch (const std::exception& error) {
  std::cerr << "torture_workload: " << error.what() << '\n';
  return 1;
}

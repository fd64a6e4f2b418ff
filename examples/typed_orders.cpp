// SPDX-License-Identifier: Apache-2.0
// Keys and values of C++ types: orders by customer and time, found by customer, by a span of time
// and by the newest first.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <tuple>

#include "varve/varve.hpp"

namespace {

struct Order {
  std::string article;
  std::uint32_t count = 0;
  std::int64_t cents = 0;
};

}  // namespace

// How an Order becomes bytes: its members in this order. The name stands for these bytes and is
// kept with the index. Whoever adds a member changes the name; a program with another one is then
// refused at open instead of reading nonsense.
template <>
struct varve::Codec<Order> : varve::FieldsCodec<&Order::article, &Order::count, &Order::cents> {
  static std::string_view name() { return "order-1"; }
};

namespace {

using Time = std::chrono::sys_seconds;
using Key = std::tuple<std::string, Time>;  // Sorts by customer, then by time.
using Orders = varve::TypedIndex<Key, Order>;

void print(Orders::Cursor found) {
  for (const auto& [key, order] : found) {
    std::cout << "  " << std::get<std::string>(key) << " at "
              << std::get<Time>(key).time_since_epoch().count() << ": " << order.count << " x "
              << order.article << ", " << order.cents << " cents\n";
  }
}

void run(const std::filesystem::path& directory) {
  Orders orders = Orders::open(directory);

  const Time noon{std::chrono::seconds(1'750'000'000)};
  using std::chrono::hours;
  Orders::Batch batch;  // Atomic, like every batch.
  batch.put({"ada", noon}, {.article = "gear", .count = 12, .cents = 4800});
  batch.put({"ada", noon + hours(1)}, {.article = "card", .count = 500, .cents = 2500});
  batch.put({"ada", noon + hours(48)}, {.article = "loom", .count = 1, .cents = 990000});
  batch.put({"adalbert", noon}, {.article = "ink", .count = 2, .cents = 600});
  orders.write(batch);

  std::cout << "ada's orders, not those of adalbert:\n";
  print(orders.scan_prefix(std::tuple("ada")));

  std::cout << "on the first day:\n";
  print(orders.scan({.from = Key("ada", noon), .to = Key("ada", noon + hours(24))}));

  std::cout << "the newest:\n";
  print(orders.scan_prefix(std::tuple("ada"), {.reverse = true, .limit = 1}));

  try {
    varve::TypedIndex<std::uint64_t, Order> wrong(orders.index());
  } catch (const varve::Error& error) {
    std::cout << varve::to_string(error.code()) << ": " << error.what() << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) try {
  run(argc > 1 ? argv[1] : "typed_orders.varve");
} catch (const varve::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

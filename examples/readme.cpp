// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "varve/varve.hpp"

int main() try {
  auto index = varve::SegmentIndex::open("users.varve");  // Created when absent; one owner.
  index.put("user:1", "Ada");                             // Survives the death of the process.
  index.put("user:2", "Grace", {.durability = varve::Durability::Synced});  // And power loss.
  if (auto name = index.get("user:1")) std::cout << *name << '\n';

  varve::WriteBatch batch;  // All of it or nothing.
  batch.put("user:3", "Edsger");
  batch.erase("user:2");
  index.write(batch);

  for (auto [key, value] : index.scan({.prefix = "user:"})) {
    std::cout << key << " = " << value << '\n';
  }
} catch (const varve::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

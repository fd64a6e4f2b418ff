// SPDX-License-Identifier: Apache-2.0
// count_operations ENGINE KIND ENTRIES OPERATIONS DIR: loads, then does so many operations of a
// kind. For counting what one costs under a simulator (bench/count): the difference between two
// runs is that of their operations alone, and repeats on a busy machine as times do not.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/data.hpp"
#include "bench/engine.hpp"

namespace varve::bench {
namespace {

constexpr std::size_t kValueSize = 100;
constexpr std::uint64_t kScanLimit = 10;

struct Arguments {
  std::string engine, kind;
  std::uint64_t entry_count = 0, operation_count = 0;
  std::filesystem::path directory;
};

std::unique_ptr<Engine> make(const Arguments& arguments) {
  EngineSettings settings;
  settings.directory = arguments.directory;
  settings.data_size = (arguments.entry_count + arguments.operation_count) * (16 + kValueSize);
  for (const EngineKind& kind : available_engines()) {
    if (kind.name == arguments.engine) return kind.make(settings);
  }
  throw std::runtime_error("no engine " + arguments.engine + " in this build");
}

class Work {
 public:
  Work(Engine& engine, const Arguments& arguments)
      : engine_(engine),
        arguments_(arguments),
        keys_(KeyShape::Hash16, arguments.entry_count + arguments.operation_count),
        values_(kValueSize) {}

  void load() {
    for (std::uint64_t i = 0; i < arguments_.entry_count; ++i) put(i);
    engine_.settle();
  }
  void operations() {
    Random random(1);
    if (arguments_.kind == "scan") {
      EntryCheck check(values_);
      engine_.scan({}, arguments_.operation_count, check);
      return;
    }
    for (std::uint64_t i = 0; i < arguments_.operation_count; ++i) {
      const std::uint64_t number = random.below(arguments_.entry_count);
      if (arguments_.kind == "put") {
        put(arguments_.entry_count + i);
      } else if (arguments_.kind == "seek") {
        EntryCheck check(values_);
        engine_.scan(keys_.present(number), kScanLimit, check);
      } else {
        get(number);
      }
    }
  }

 private:
  void put(std::uint64_t number) {
    const std::string_view key = keys_.present(number);
    engine_.put(key, values_.make(key, 1));
  }
  void get(std::uint64_t number) {
    const bool present = arguments_.kind == "hit";
    const std::string_view key = present ? keys_.present(number) : keys_.absent(number);
    std::string_view value;
    const bool found = engine_.get(key, value);
    if (found != present || (found && !values_.matches(key, 1, value))) {
      throw std::runtime_error("a wrong answer");
    }
  }

  Engine& engine_;
  const Arguments& arguments_;
  KeyMaker keys_;
  ValueMaker values_;
};

int run(const Arguments& arguments) {
  for (const char* kind : {"put", "hit", "miss", "seek", "scan"}) {
    if (arguments.kind != kind) continue;
    const auto engine = make(arguments);
    engine->open();
    Work work(*engine, arguments);
    work.load();
    if (arguments.kind != "put") engine->compact();
    work.operations();
    engine->close();
    return 0;
  }
  throw std::runtime_error("no kind " + arguments.kind + ": put, hit, miss, seek or scan");
}

}  // namespace
}  // namespace varve::bench

int main(int count, char** values) {
  if (count != 6) {
    std::fprintf(stderr, "usage: count_operations ENGINE KIND ENTRIES OPERATIONS DIR\n");
    return 64;
  }
  try {
    return varve::bench::run({values[1], values[2], std::strtoull(values[3], nullptr, 10),
                              std::strtoull(values[4], nullptr, 10), values[5]});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "count_operations: %s\n", error.what());
    return 1;
  }
}

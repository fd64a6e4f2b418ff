// SPDX-License-Identifier: Apache-2.0
// Whether the runs would notice: indexes with a planted defect, each of which must be found and
// reduced to a handful of operations.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/metamorphic/comparison.hpp"
#include "tests/metamorphic/generator.hpp"
#include "tests/metamorphic/model_subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/file_bytes.hpp"

namespace varve::test::metamorphic {
namespace {

// Forgets erases once it has been flushed.
class ForgetfulSubject final : public IndexSubject {
 public:
  using IndexSubject::IndexSubject;

 private:
  [[nodiscard]] std::string perform(const Operation& operation) override {
    flushed_ = flushed_ || operation.kind == Kind::Flush;
    if (flushed_ && operation.kind == Kind::Erase) return "ok";
    return IndexSubject::perform(operation);
  }
  bool flushed_ = false;
};

// Erases the end of a range as well.
class GreedySubject final : public IndexSubject {
 public:
  using IndexSubject::IndexSubject;

 private:
  [[nodiscard]] std::string perform(const Operation& operation) override {
    if (operation.kind != Kind::EraseRange || operation.keys[0] >= operation.keys[1]) {
      return IndexSubject::perform(operation);
    }
    Operation greedy = operation;
    greedy.keys[1].push_back('\0');
    return IndexSubject::perform(greedy);
  }
};

// Snapshots show the present.
class FlickeringSubject final : public IndexSubject {
 public:
  using IndexSubject::IndexSubject;

 private:
  [[nodiscard]] std::string perform(const Operation& operation) override {
    if (operation.kind == Kind::SnapshotGet) {
      return IndexSubject::perform({.kind = Kind::Get, .keys = operation.keys});
    }
    return IndexSubject::perform(operation);
  }
};

// A batch that erases what it has put loses the erase.
class CarelessSubject final : public IndexSubject {
 public:
  using IndexSubject::IndexSubject;

 private:
  [[nodiscard]] std::string perform(const Operation& operation) override {
    Operation careless = operation;
    std::erase_if(careless.parts, [&](const Operation& part) {
      return part.kind == Kind::Erase &&
             std::any_of(operation.parts.begin(), operation.parts.end(), [&](const auto& other) {
               return other.kind == Kind::Put && other.keys == part.keys;
             });
    });
    return IndexSubject::perform(careless);
  }
};

// Does not survive a second flush.
class FragileSubject final : public IndexSubject {
 public:
  using IndexSubject::IndexSubject;

 private:
  [[nodiscard]] std::string perform(const Operation& operation) override {
    flush_count_ += operation.kind == Kind::Flush ? 1 : 0;
    if (flush_count_ == 2) std::abort();
    return IndexSubject::perform(operation);
  }
  int flush_count_ = 0;
};

Configuration configuration_named(const std::string& name) {
  for (const Configuration& configuration : all_configurations()) {
    if (configuration.name == name) return configuration;
  }
  throw std::invalid_argument("no configuration " + name);
}

template <typename Defective>
Failure found(const std::string& name, Runs runs = Runs::InProcess) {
  Comparison comparison({configuration_named("memory, tiny, bare")}, runs,
                        [](const Configuration& configuration) -> std::unique_ptr<IndexSubject> {
                          return std::make_unique<Defective>(configuration);
                        });
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto failure =
        comparison.run(generated(seed, 1500), "planted-" + name + "-" + std::to_string(::getpid()));
    if (failure) return *std::move(failure);
  }
  FAIL("the planted defect was not found");
  return {};
}

std::size_t operation_count(const Operations& operations) {
  std::size_t count = operations.size();
  for (const Operation& operation : operations) count += operation.parts.size();
  return count;
}

void check_report(const Failure& failure, std::size_t operation_count_max) {
  CAPTURE(failure.report());
  CHECK(operation_count(failure.reduced) <= operation_count_max);
  CHECK(failure.reduced_difference.expected != failure.reduced_difference.found);
  // What was saved is what was run, and fails when it is replayed.
  CHECK(parse_operations(read_file(failure.reduced_list)) == failure.reduced);
  const Operations whole = parse_operations(read_file(failure.whole_list));
  CHECK(whole.size() == 1500);
  CHECK(failure.report().find("# begin\n" + to_text(failure.reduced)) != std::string::npos);
  std::filesystem::remove(failure.whole_list);
  std::filesystem::remove(failure.reduced_list);
}

}  // namespace

TEST_CASE("a planted defect is found, reduced and saved", "[metamorphic][planted]") {
  SECTION("an erase that is forgotten after a flush") {
    const Failure failure = found<ForgetfulSubject>("forgetful");
    check_report(failure, 4);
    const auto has = [&](Kind kind) {
      return std::any_of(failure.reduced.begin(), failure.reduced.end(),
                         [kind](const Operation& operation) { return operation.kind == kind; });
    };
    CHECK(has(Kind::Flush));
    CHECK(has(Kind::Erase));
  }
  SECTION("a range erase that takes its end along") {
    check_report(found<GreedySubject>("greedy"), 4);
  }
  SECTION("a snapshot that shows the present") {
    check_report(found<FlickeringSubject>("flickering"), 3);
  }
  SECTION("an index that aborts its process") {
    const Failure failure = found<FragileSubject>("fragile", Runs::Forked);
    check_report(failure, 2);
    CHECK(failure.difference.found ==
          "a process that ended with status " + std::to_string(128 + SIGABRT));
  }
  SECTION("a batch that loses an erase, in processes of their own") {
    check_report(found<CarelessSubject>("careless-forked", Runs::Forked), 4);
  }
  SECTION("a batch that loses an erase") {
    check_report(found<CarelessSubject>("careless"), 4);
  }
}

TEST_CASE("an index without a defect differs from nothing", "[metamorphic][planted]") {
  Comparison comparison({configuration_named("memory, tiny, bare"),
                         configuration_named("simulated, tiny, synchronized"),
                         configuration_named("simulated, tiny, full now and then, concurrent")});
  const auto failure = comparison.run(generated(3, 400), "sound");
  if (failure) FAIL(failure->report());
  CHECK(comparison.operation_count() == 1200);
}

TEST_CASE("the names of configurations are unique, in all access modes", "[metamorphic]") {
  std::vector<std::string> names;
  for (const Configuration& configuration : all_configurations()) {
    names.push_back(configuration.name);
  }
  CHECK(names.size() >= 3 * 12);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

}  // namespace varve::test::metamorphic

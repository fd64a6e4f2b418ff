// SPDX-License-Identifier: Apache-2.0
#include "tests/support/interleave.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lib/hooks.hpp"
#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

using Catch::Matchers::Contains;

// What a careless counter loses: everything between the load and the store of another thread.
class CarelessCounter {
 public:
  void add() {
    const int before = value_.load();
    VARVE_HOOK("add.loaded");
    value_.store(before + 1);
    VARVE_HOOK("add.stored");
  }
  [[nodiscard]] int value() const { return value_.load(); }

 private:
  std::atomic<int> value_ = 0;
};

}  // namespace

TEST_CASE("a hook that nobody listens to does nothing", "[concurrent][interleave]") {
  CarelessCounter counter;
  counter.add();
  CHECK(counter.value() == 1);
}

TEST_CASE("one thread stands at a hook while another goes ahead", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& loaded = script.stop("add.loaded", "slow");
  script.begin("slow", [&] { counter.add(); });
  loaded.await();
  CHECK(loaded.reached());
  CHECK_FALSE(script.ended("slow"));
  CHECK_FALSE(script.ends_within("slow", std::chrono::milliseconds(1)));
  counter.add();  // This thread has another name and passes.
  CHECK(counter.value() == 1);
  loaded.release();
  script.join("slow");
  CHECK(script.ended("slow"));
  CHECK(counter.value() == 1);  // The update in between is lost, at every run.
  CHECK(script.reached_count("add.loaded") == 2);
  CHECK(script.reached_count("add.stored") == 2);
  CHECK(script.reached_count("nowhere") == 0);
  CHECK(script.reached_by("slow") == std::vector<std::string>{"add.loaded", "add.stored"});
}

TEST_CASE("a stop with a name lets other threads pass", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& loaded = script.stop("add.loaded", "second");
  counter.add();
  script.begin("first", [&] { counter.add(); });
  script.join("first");
  CHECK_FALSE(loaded.reached());
  script.begin("second", [&] { counter.add(); });
  loaded.await();
  loaded.release();
  script.join("second");
  CHECK(counter.value() == 3);
}

TEST_CASE("a stop for any thread holds one, once", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& loaded = script.stop("add.loaded");
  script.begin("first", [&] { counter.add(); });
  loaded.await();
  script.begin("second", [&] { counter.add(); });
  script.join("second");
  CHECK_FALSE(script.ended("first"));
  loaded.release();
  script.join("first");
  counter.add();
  CHECK(counter.value() == 2);
}

TEST_CASE("a stop can wait for the n-th time", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& third = script.stop("add.stored", "worker", 3);
  script.begin("worker", [&] {
    for (int i = 0; i < 5; ++i) counter.add();
  });
  third.await();
  CHECK(counter.value() == 3);
  third.release();
  script.join("worker");
  CHECK(counter.value() == 5);
}

TEST_CASE("two threads take turns as the script says", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& a_loaded = script.stop("add.loaded", "a");
  auto& b_loaded = script.stop("add.loaded", "b");
  auto& a_stored = script.stop("add.stored", "a");
  script.begin("a", [&] { counter.add(); });
  script.begin("b", [&] { counter.add(); });
  a_loaded.await();
  b_loaded.await();
  a_loaded.release();
  a_stored.await();
  CHECK(counter.value() == 1);
  b_loaded.release();
  script.join("b");
  CHECK_FALSE(script.ended("a"));
  a_stored.release();
  script.join("a");
  CHECK(counter.value() == 1);
}

TEST_CASE("a stop that is released before it is reached holds nobody", "[concurrent][interleave]") {
  CarelessCounter counter;
  Interleave script;
  auto& loaded = script.stop("add.loaded", "worker");
  loaded.release();
  script.begin("worker", [&] { counter.add(); });
  script.join("worker");
  CHECK_FALSE(loaded.reached());
  CHECK_THROWS_WITH(loaded.await(), Contains("worker ended without a stop at add.loaded"));
}

TEST_CASE("what a thread throws comes out where it is joined", "[concurrent][interleave]") {
  Interleave script;
  script.begin("worker", [] { throw std::runtime_error("as it happens"); });
  CHECK_THROWS_WITH(script.join("worker"), "as it happens");
  CHECK_THROWS_AS(script.begin("worker", [] {}), std::logic_error);
  CHECK_THROWS_AS(Interleave(), std::logic_error);
}

TEST_CASE("the end of a script lets everybody go", "[concurrent][interleave]") {
  CarelessCounter counter;
  std::thread stranger;
  {
    Interleave script;
    auto& named = script.stop("add.loaded", "worker");
    auto& any = script.stop("add.stored");
    script.begin("worker", [&] { counter.add(); });
    named.await();
    stranger = std::thread([&] { counter.add(); });
    any.await();
  }
  stranger.join();
  counter.add();
  CHECK(counter.value() == 2);
}

// Hooks are reached all the time while scripts begin and end: none is used after its end.
TEST_CASE("scripts come and go beside threads at hooks", "[concurrent][interleave]") {
  CarelessCounter counter;
  std::atomic<bool> going = true;
  std::thread worker([&] {
    while (going.load()) counter.add();
  });
  for (int i = 0; i < 200; ++i) {
    Interleave script;
    auto& loaded = script.stop("add.loaded");
    loaded.await();
    CHECK(loaded.reached());
  }
  going.store(false);
  worker.join();
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/linearizability.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/concurrent_index/history_text.hpp"
#include "tests/support/call_history.hpp"
#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

void accepts(const Lines& lines) {
  INFO(Catch::Detail::stringify(lines));
  CHECK(linearizability_violation(drawn(lines)) == "");
}

void rejects(const Lines& lines, const std::string& why) {
  INFO(Catch::Detail::stringify(lines));
  CHECK_THAT(linearizability_violation(drawn(lines)), Contains(why));
}

}  // namespace

TEST_CASE("histories that one register can have are accepted", "[concurrent][linearizability]") {
  accepts({});
  accepts({"[get 0] [put 1] [get 1] [erase] [get 0] [hasnt] [put 2] [has]"});
  // Calls that run at the same time may be seen in either order.
  accepts({"[   put 1   ]", " [get 0]", "        [get 1]"});
  accepts({"[  put 1  ] [get 2]", "[  put 2  ] [get 2]"});
  accepts({"[  put 1  ] [get 1]", "[  put 2  ] [get 1]"});
  accepts({"[put 1] [   erase   ]", "         [get 1]", "         [get 0]"});
  // The write takes effect between two reads of others that it overlaps.
  accepts(
      {"[put 1] [        put 2       ]", "         [get 1] [get 2]", "         [get 1]  [has]"});
  // Three writes run together; the readers agree on the order 3, 1, 2.
  accepts({"[    put 1                 ]", "[    put 2                 ]",
           "[    put 3                 ]", "       [get 3] [get 1]", "         [get 1] [get 2]"});
}

TEST_CASE("a write that never returned may happen late, or never",
          "[concurrent][linearizability]") {
  accepts({"[put 1 ", "        [get 0] [get 0]"});
  accepts({"[put 1 ", "        [get 0] [get 1]"});
  accepts({"[put 1] [erase ", "                [get 1] [get 0]"});
  accepts({"[put 1] [erase ", "                [get 1] [get 1]"});
  // One erase may take effect once.
  accepts({"[put 1] [erase ", "         [get 1] [get 0] [put 2] [get 2]"});
  accepts({"[erase ", "[erase ", "     [put 1] [get 0] [put 2] [get 2] [get 0]"});
  rejects({"[erase ", "     [put 1] [get 0] [put 2] [get 2] [get 0]"}, "get of nothing");
  rejects({"[put 1 ", "      [get 1] [get 0]"}, "get of nothing");
  rejects({"       [put 1 ", "[get 1]"}, "the future");
  rejects({"[put 1 ", "  [get 1] [put 2] [get 2] [get 1]"}, "get of 1 by thread 1");
}

TEST_CASE("a value that was replaced before the read began is stale",
          "[concurrent][linearizability]") {
  rejects({"[put 1] [put 2] [get 1]"}, "stale: put 2 by thread 0");
  rejects({"[put 1] [put 2]", "                 [get 1]"}, "stale: put 2 by thread 0");
  rejects({"[put 1] [    put 2    ]", "         [put 3]            [get 1]"}, "stale: put");
}

TEST_CASE("a write that nobody sees is lost", "[concurrent][linearizability]") {
  rejects({"[put 1] [get 0]"}, "lost: put 1 by thread 0");
  rejects({"[erase] [put 1]", "                 [get 0]"}, "lost: put 1 by thread 0");
  rejects({"[put 1]", "        [hasnt]"}, "lost: put 1 by thread 0");
  accepts({"  [put 1] [get 0]", "[erase]"});
  rejects({"  [put 1] [has] [hasnt]", "[erase]"}, "wrong, no order of the calls explains it");
}

TEST_CASE("an erased value does not come back", "[concurrent][linearizability]") {
  rejects({"[put 1] [erase] [get 1]"}, "back from the dead: erase by thread 0");
  rejects({"[put 1] [erase] [has]"}, "nothing can have been there");
  rejects({"[put 1] [  erase  ]", "         [get 0] [get 1]"}, "get of 1");
}

TEST_CASE("a value is not read before it is written", "[concurrent][linearizability]") {
  rejects({"[get 1] [put 1]"}, "the future: put 1 by thread 0");
  rejects({"[put 1] [get 7]"}, "nobody wrote that");
  rejects({"[has] [put 1]"}, "nothing can have been there");
}

TEST_CASE("reads do not go back in time", "[concurrent][linearizability]") {
  rejects({"[put 1] [       put 2      ]", "         [get 2] [get 1]"}, "back in time: get of 2");
  rejects({"[put 1] [       put 2      ]", "         [get 2]", "                  [get 1]"},
          "back in time: get of 2 by thread 1");
  // Two readers see two writes in opposite orders.
  rejects({"[      put 1      ]", "[      put 2      ]", "        [get 1]  [get 2]",
           "        [get 2]  [get 1]"},
          "no order of the calls explains it");
}

TEST_CASE("each key is judged alone, and the first wrong answer is reported",
          "[concurrent][linearizability]") {
  CallHistory history = drawn({"[put 1] [get 1] [put 2]         [get 1]"}, 4);
  CHECK_THAT(linearizability_violation(history), Contains("key 4: get of 1"));
  const CallHistory other = drawn({"     [put 1] [get 0]"}, 7);
  history.insert(history.end(), other.begin(), other.end());
  CHECK_THAT(linearizability_violation(history), Contains("key 7: get of nothing"));
  CHECK(linearizability_violation(drawn({"[get 0]"}, 3)) == "");
}

TEST_CASE("a call's log tells what is known about it", "[concurrent][linearizability]") {
  CallRecorder recorder(2);
  {
    CallLog::Call call(recorder.log(0));
    call.put(1, thread_value(0, 5));
    call.erase_range(2, 4);
    call.returned();
  }
  { CallLog::Call(recorder.log(1)).get(1, 9); }  // Failed: told nothing.
  { CallLog::Call(recorder.log(1)).put(1, 9); }  // Failed: may have happened.
  {
    CallLog::Call refused(recorder.log(1));
    refused.put(1, 10);
    refused.refused();
  }
  const CallHistory history = recorder.merged();
  REQUIRE(history.size() == 4);
  CHECK(to_string(history[0]) == "put 0.5 by thread 0 [1, 2]");
  CHECK(to_string(history[2]) == "erase by thread 0 [1, 2]");
  CHECK(history[2].key == 3);
  CHECK(to_string(history[3]) == "put 9 by thread 1 [4, never)");
}

namespace {

// A history that a register did have: each call takes effect at a moment within it.
CallHistory simulated(std::uint64_t seed, std::uint32_t threads, std::uint32_t calls) {
  std::mt19937_64 random(seed);
  struct Running {
    Operation operation;
    bool happened = false;
  };
  std::vector<Running> running(threads);
  for (std::uint32_t thread = 0; thread < threads; ++thread) {
    running[thread] = {.operation = {.thread = thread}, .happened = true};
  }
  CallHistory history;
  ValueNumber value = kAbsent;
  for (Moment now = 1; history.size() < calls; ++now) {
    auto& [operation, happened] = running[random() % threads];
    using enum Operation::Kind;
    if (operation.invoked == 0) {
      operation.kind =
          std::vector{Put, Put, Erase, Get, Get, Get, Operation::Kind::Contains}[random() % 7];
      operation.value = operation.kind == Put ? now : kAbsent;
      operation.invoked = now;
      happened = false;
    } else if (!happened) {
      if (operation.is_write()) value = operation.value;
      if (operation.kind == Get) operation.value = value;
      if (operation.kind == Operation::Kind::Contains) {
        operation.value = value == kAbsent ? kAbsent : kPresent;
      }
      happened = true;
    } else {
      operation.returned = operation.is_write() && random() % 100 == 0 ? kNever : now;
      history.push_back(operation);
      operation.invoked = 0;
    }
  }
  for (auto& [operation, happened] : running) {
    if (operation.invoked == 0 || !operation.is_write()) continue;
    operation.returned = kNever;
    history.push_back(operation);
  }
  return history;
}

}  // namespace

TEST_CASE("long histories of many threads are searched quickly", "[concurrent][linearizability]") {
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    CHECK(linearizability_violation(simulated(seed, 8, 5000)) == "");
  }
  // Generous: a sanitizer build on a loaded machine takes a tenth of it.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
}

// Method: an answer is replaced by the value of another write of the history, one that was over
// and replaced long ago; every such change must be noticed, wherever it is made.
TEST_CASE("one wrong answer in a long history is found", "[concurrent][linearizability]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    CallHistory history = simulated(seed, 6, 2000);
    std::vector<std::size_t> puts, reads;
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (history[i].kind == Operation::Kind::Get) reads.push_back(i);
      if (history[i].kind == Operation::Kind::Put && history[i].returned != kNever) {
        puts.push_back(i);
      }
    }
    std::mt19937_64 random(seed);
    const std::size_t wrong = reads[reads.size() / 4 + random() % (reads.size() / 2)];
    const std::size_t old = random() % (puts.size() / 8);
    history[wrong].value = history[puts[old]].value;
    CHECK_THAT(linearizability_violation(history), Contains("key 0: " + to_string(history[wrong])));
  }
}

}  // namespace varve::test

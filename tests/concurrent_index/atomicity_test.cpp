// SPDX-License-Identifier: Apache-2.0
#include "tests/support/atomicity.hpp"

#include <string>
#include <utility>
#include <vector>

#include "tests/concurrent_index/history_text.hpp"
#include "tests/support/call_history.hpp"
#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

using Catch::Matchers::Contains;
using Seen = std::vector<std::pair<KeyNumber, ValueNumber>>;

const std::vector<KeyGroup> kGroups = {{1, 5, 9}, {2, 6}};

// Each key's lines, by key number.
CallHistory drawn_keys(const std::vector<std::vector<std::string>>& keys) {
  CallHistory history;
  for (std::size_t key = 0; key < keys.size(); ++key) {
    const CallHistory of_key = drawn(keys[key], static_cast<KeyNumber>(key));
    history.insert(history.end(), of_key.begin(), of_key.end());
  }
  return history;
}

// A batch on a whole group, as a call's log has it.
void write_group(CallHistory& history, const KeyGroup& group, Operation write) {
  for (const KeyNumber key : group) {
    write.key = key;
    history.push_back(write);
  }
}

std::string impossible(const Seen& seen, const CallHistory& history, Moment invoked = 1,
                       Moment returned = 99) {
  const View view{
      .how = "scan", .thread = 3, .invoked = invoked, .returned = returned, .seen = seen};
  return impossible_view({view}, history);
}

}  // namespace

TEST_CASE("a view that has a group at two versions is torn", "[concurrent][atomicity]") {
  const auto torn = [](const Seen& seen) {
    return torn_view({{.how = "multi_get", .thread = 2, .invoked = 7, .returned = 8, .seen = seen}},
                     kGroups);
  };
  CHECK(torn({}) == "");
  CHECK(torn({{1, 3}, {2, 4}, {5, 3}, {6, 4}, {9, 3}, {10, 7}}) == "");
  CHECK(torn({{1, 0}, {2, 4}, {5, 0}}) == "");
  CHECK(torn({{1, 3}, {2, 4}, {5, 3}, {9, 2}}) ==
        "multi_get by thread 2 [7, 8] is torn: it saw key 1 with 3 beside key 9 with 2, which are "
        "only written together");
  CHECK_THAT(torn({{2, 4}, {6, 0}}), Contains("key 2 with 4 beside key 6 with nothing"));
}

TEST_CASE("a view of one moment is accepted", "[concurrent][atomicity]") {
  const CallHistory history = drawn_keys({{"[put 1] [put 2]          [erase]"},  //
                                          {"           [  put 7  ] [put 8]"}});
  CHECK(impossible({{0, 0}, {1, 0}}, history) == "");
  CHECK(impossible({{0, 1}, {1, 0}}, history) == "");
  CHECK(impossible({{0, 2}, {1, 0}}, history) == "");
  CHECK(impossible({{0, 1}, {1, 7}}, history) == "");  // put 2 and put 7 overlap.
  CHECK(impossible({{0, 2}, {1, 7}}, history) == "");
  CHECK(impossible({{0, 2}, {1, 8}}, history) == "");
  CHECK(impossible({{0, 0}, {1, 8}}, history) == "");
  CHECK(impossible({{4, 0}}, history) == "");  // Never written.
}

TEST_CASE("a view of two moments is rejected", "[concurrent][atomicity]") {
  const CallHistory history = drawn_keys({{"[put 1] [put 2]          [erase]"},  //
                                          {"           [  put 7  ] [put 8]"}});
  CHECK_THAT(impossible({{0, 1}, {1, 8}}, history),
             Contains("saw no one moment: it is after key 1 with 8 (put 8") &&
                 Contains("before key 0 with 1 was replaced (put 2"));
  CHECK_THAT(impossible({{1, 8}, {0, 1}}, history), Contains("no one moment"));
  CHECK_THAT(impossible({{1, 8}}, history, 1, 9), Contains("and before it returned"));
  CHECK_THAT(impossible({{0, 1}}, history, 40, 50), Contains("it is after it began"));
  CHECK_THAT(impossible({{0, 3}}, history), Contains("nobody wrote"));
  // The key was there from before the other's write until after it.
  const CallHistory present =
      drawn_keys({{"[put 1]          [erase]"}, {"       [put 7] [put 8]"}});
  CHECK(impossible({{0, 0}, {1, 8}}, present) == "");
  CHECK_THAT(impossible({{0, 0}, {1, 7}}, drawn_keys({{"[put 1]                   [erase]"},  //
                                                      {"        [put 7] [put 8]"}})),
             Contains("saw key 0 with nothing, which was so neither after key 1 with 7"));
}

TEST_CASE("a view that has one half of a call is rejected", "[concurrent][atomicity]") {
  // One call writes keys 0 and 1, as a range erase or a batch does.
  const auto both = [](Operation::Kind kind, ValueNumber first, ValueNumber second) {
    CallHistory history = drawn_keys({{"[put 1]"}, {"[put 2]"}});
    Operation write{.kind = kind, .thread = 1, .invoked = 20, .returned = 30};
    write.value = first;
    history.push_back(write);
    write.key = 1;
    write.value = second;
    history.push_back(write);
    return history;
  };
  const CallHistory erased = both(Operation::Kind::Erase, 0, 0);
  CHECK(impossible({{0, 1}, {1, 2}}, erased, 10) == "");
  CHECK(impossible({{0, 0}, {1, 0}}, erased, 10) == "");
  CHECK_THAT(impossible({{0, 0}, {1, 2}}, erased, 10),
             Contains("saw half of a call: erase by thread 1") && Contains("but key 1 with 2"));
  CHECK_THAT(impossible({{0, 1}, {1, 0}}, erased, 10), Contains("half of a call"));
  const CallHistory put = both(Operation::Kind::Put, 3, 4);
  CHECK(impossible({{0, 1}, {1, 2}}, put, 10) == "");
  CHECK(impossible({{0, 3}, {1, 4}}, put, 10) == "");
  CHECK(impossible({{0, 3}}, put, 10) == "");
  CHECK_THAT(impossible({{0, 3}, {1, 2}}, put, 10), Contains("half of a call"));
  CHECK_THAT(impossible({{0, 1}, {1, 4}}, put, 10), Contains("half of a call"));
  // Another write of key 1 that overlaps the call may have come after it.
  CallHistory excused = put;
  excused.push_back(
      {.kind = Operation::Kind::Put, .key = 1, .value = 5, .invoked = 25, .returned = 40});
  CHECK(impossible({{0, 3}, {1, 5}}, excused, 10) == "");
  // Another erase of key 0 may be the one that was seen.
  excused = erased;
  excused.push_back({.kind = Operation::Kind::Erase, .thread = 2, .invoked = 21, .returned = 31});
  CHECK(impossible({{0, 0}, {1, 2}}, excused, 10) == "");
}

TEST_CASE("a write that never returned excuses what it may have done", "[concurrent][atomicity]") {
  const CallHistory history = drawn_keys({{"[put 1] [put 2 "}, {"             [put 7] [put 8]"}});
  CHECK(impossible({{0, 1}, {1, 8}}, history) == "");
  CHECK(impossible({{0, 2}, {1, 8}}, history) == "");
  CHECK(impossible({{0, 2}, {1, 0}}, history) == "");
  CHECK_THAT(impossible({{0, 2}}, history, 1, 3), Contains("no one moment"));
}

// A group's history: two batches, and then reads of single keys.
TEST_CASE("a group is one register, whichever of its keys is read", "[concurrent][atomicity]") {
  const auto violation = [](const std::vector<Operation>& reads) {
    CallHistory history = reads;
    using enum Operation::Kind;
    write_group(history, kGroups[0], {.kind = Put, .value = 1, .invoked = 1, .returned = 2});
    write_group(history, kGroups[0], {.kind = Put, .value = 2, .invoked = 3, .returned = 20});
    return group_violation(history, kGroups);
  };
  const auto get = [](KeyNumber key, ValueNumber value, Moment invoked, std::uint32_t thread = 1) {
    return Operation{.kind = Operation::Kind::Get,
                     .thread = thread,
                     .key = key,
                     .value = value,
                     .invoked = invoked,
                     .returned = invoked + 1};
  };
  CHECK(violation({get(1, 1, 4), get(5, 2, 6), get(9, 2, 8)}) == "");
  // Versions go back for one reader, or for another one who begins later.
  CHECK_THAT(violation({get(5, 2, 6), get(9, 1, 8)}), Contains("back in time: get of 2"));
  CHECK_THAT(violation({get(5, 2, 6), get(9, 1, 8, 2)}), Contains("get of 1 by thread 2"));
  // The writer reads its own write straight after it.
  CHECK(violation({get(9, 2, 21, 0)}) == "");
  CHECK_THAT(violation({get(9, 1, 21, 0)}), Contains("stale: put 2 by thread 0"));
  CHECK_THAT(violation({get(1, 0, 21, 0)}), Contains("lost: put 2 by thread 0"));
}

TEST_CASE("a batch takes effect once, not once per key", "[concurrent][atomicity]") {
  CallHistory history;
  for (const ValueNumber value : {1, 2}) {
    write_group(history, kGroups[0],
                {.kind = Operation::Kind::Put,
                 .thread = static_cast<std::uint32_t>(value),
                 .value = value,
                 .invoked = value,
                 .returned = 30});
  }
  for (Moment now = 4; const ValueNumber value : {1, 2, 1}) {
    history.push_back({.key = 5, .value = value, .invoked = now, .returned = now + 1});
    now += 2;
  }
  CHECK_THAT(group_violation(history, kGroups), Contains("get of 1 by thread 0 [8, 9]"));
}

TEST_CASE("a batch that failed is seen whole or not at all", "[concurrent][atomicity]") {
  CallHistory history;
  write_group(history, kGroups[1], {.kind = Operation::Kind::Put, .value = 3, .invoked = 1});
  Operation get{.thread = 1, .key = 2, .value = 3, .invoked = 4, .returned = 5};
  history.push_back(get);
  get = {.thread = 1, .key = 6, .value = 3, .invoked = 6, .returned = 7};
  history.push_back(get);
  CHECK(group_violation(history, kGroups) == "");
  history.back().value = kAbsent;
  CHECK_THAT(group_violation(history, kGroups), Contains("get of nothing by thread 1"));
}

}  // namespace varve::test

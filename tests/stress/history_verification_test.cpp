// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "stress/failure.hpp"
#include "stress/verification.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::stress {
namespace {

// Writes that a worker traced, and what was found after its kill. None of them had surely survived.
struct TracedWorker {
  test::TemporaryDirectory temporary;
  ExpectedState state = ExpectedState::create(temporary.path() / "expected", 64, 1);
  Contents contents = Contents(64);

  TracedWorker() { state.begin_cycle(0); }

  // One write of `thread` that puts (or erases) `keys` and returns.
  void write(std::uint32_t thread, const std::vector<KeyNumber>& keys, bool erases = false) {
    Trace& trace = state.trace(thread);
    const std::uint32_t number = trace.write_count.load();
    TracedWrite& write = trace.writes[number];
    write.first_change = number * 8;
    for (const KeyNumber key : keys) {
      const KeyWord word = state.word(key);
      const KeyWord after = erases ? word.after_erase() : word.after_put(word.next_generation(0));
      trace.changes[write.first_change + write.change_count++] = {after.bits(), key};
      state.set_word(key, after);
    }
    write.called = state.header().ticket.fetch_add(1);
    write.returned = state.header().ticket.fetch_add(1);
    trace.write_count.store(number + 1);
  }
  void find(KeyNumber key, std::uint64_t generation) {
    contents[key] = {.present = true, .generation = KeyWord::first_generation(0) + generation};
  }
  void verify(Writes writes = Writes::Buffered) const { verify_history(contents, writes, state); }
};

}  // namespace

TEST_CASE_METHOD(TracedWorker, "a batch that is there or missing as a whole is legal", "[stress]") {
  write(0, {1, 2, 3});
  CHECK_NOTHROW(verify());
  find(1, 0), find(2, 0), find(3, 0);
  CHECK_NOTHROW(verify());
}

TEST_CASE_METHOD(TracedWorker, "a torn batch is found", "[stress]") {
  write(0, {1, 2, 3});
  find(1, 0), find(3, 0);
  CHECK_THROWS_AS(verify(), Mismatch);
  CHECK_THROWS_AS(verify(Writes::Mixed), Mismatch);
  CHECK_THROWS_WITH(verify(), Catch::Contains("key 3: expected with key 2 or not at all"));
}

TEST_CASE_METHOD(TracedWorker, "a batch that a later erase has partly hidden is legal",
                 "[stress]") {
  write(0, {1, 2});
  write(1, {2}, true);
  find(1, 0);
  CHECK_NOTHROW(verify());
}

TEST_CASE_METHOD(TracedWorker, "the newest writes may be missing", "[stress]") {
  write(0, {1});
  write(1, {2});
  write(0, {3});
  find(1, 0);
  CHECK_NOTHROW(verify());
  find(2, 0);
  CHECK_NOTHROW(verify());
}

TEST_CASE_METHOD(TracedWorker, "a hole before a write that is there is found", "[stress]") {
  write(0, {1});
  write(1, {2});
  find(2, 0);
  CHECK_THROWS_WITH(verify(), Catch::Contains("key 1: ") && Catch::Contains("before key 2 was"));
  CHECK_NOTHROW(verify(Writes::Mixed));
}

TEST_CASE_METHOD(TracedWorker, "an older generation below a later write is a hole", "[stress]") {
  write(0, {1});
  write(0, {1});
  write(1, {2});
  find(1, 0), find(2, 0);
  CHECK_THROWS_AS(verify(), Mismatch);
  find(1, 1);
  CHECK_NOTHROW(verify());
}

TEST_CASE_METHOD(TracedWorker, "an erase that is missing before a later write is a hole",
                 "[stress]") {
  write(0, {1});
  write(0, {1}, true);
  write(1, {2});
  find(1, 0), find(2, 0);
  CHECK_THROWS_AS(verify(), Mismatch);
}

TEST_CASE_METHOD(TracedWorker, "writes side by side may survive in any order", "[stress]") {
  write(0, {1});
  write(1, {2});
  // Both had begun before either returned.
  state.trace(0).writes[0].returned = 4;
  find(2, 0);
  CHECK_NOTHROW(verify());
}

}  // namespace varve::stress

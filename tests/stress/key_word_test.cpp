// SPDX-License-Identifier: Apache-2.0
#include "stress/key_word.hpp"

#include "tests/support/catch.hpp"

namespace varve::stress {
namespace {

constexpr std::uint64_t kCycle = 3;

KeyWord put(KeyWord word) {
  return word.after_put(word.next_generation(kCycle));
}

}  // namespace

TEST_CASE("a key word goes through puts and erases", "[stress]") {
  const KeyWord fresh;
  CHECK(fresh.deleted());
  CHECK(fresh.generation() == 0);
  const KeyWord first = put(fresh), second = put(first), erased = second.after_erase();
  CHECK(first.generation() == KeyWord::first_generation(kCycle));
  CHECK(second.generation() == first.generation() + 1);
  CHECK(erased.deleted());
  CHECK(erased.generation() == second.generation());
  CHECK(erased.delete_count() == 1);
  CHECK(erased.after_erase() == erased);
  CHECK(put(erased).delete_count() == 1);
  CHECK(first.version() < second.version());
  CHECK(second.version() < erased.version());
  CHECK(erased.version() < put(erased).version());
  // The next cycle's are above, also when a kill takes this one's.
  CHECK(first.next_generation(kCycle + 1) > second.generation() + 1000);
}

TEST_CASE("pending writes are marked and unmarked alone", "[stress]") {
  const KeyWord word = put(put(KeyWord()).after_erase());
  CHECK(word.putting().pending_write());
  CHECK_FALSE(word.putting().pending_delete());
  CHECK(word.erasing().pending_delete());
  CHECK(word.putting().version() == word.version());
  CHECK(word.putting().erasing().returned() == word);
}

TEST_CASE("what is legal without anything pending is the last write", "[stress]") {
  const KeyWord first = put(KeyWord()), second = put(first), erased = second.after_erase();
  const LegalRange present{second, second, kCycle};
  CHECK(present.allows(second.generation()));
  CHECK_FALSE(present.allows(first.generation()));
  CHECK_FALSE(present.allows(second.generation() + 1));
  CHECK_FALSE(present.allows_absence());
  const LegalRange absent{erased, erased, kCycle};
  CHECK(absent.allows_absence());
  CHECK_FALSE(absent.allows(second.generation()));
}

TEST_CASE("what is legal with a write pending is also its outcome", "[stress]") {
  const KeyWord word = put(KeyWord());
  const LegalRange putting{word, word.putting(), kCycle};
  CHECK(putting.allows(word.generation()));
  CHECK(putting.allows(word.generation() + 1));
  CHECK_FALSE(putting.allows(word.generation() + 2));
  CHECK_FALSE(putting.allows_absence());
  const LegalRange erasing{word, word.erasing(), kCycle};
  CHECK(erasing.allows(word.generation()));
  CHECK(erasing.allows_absence());
}

TEST_CASE("between a floor and a later word everything in between is legal", "[stress]") {
  const KeyWord low = put(KeyWord()), erased = low.after_erase(), high = put(put(erased));
  const LegalRange range{low, high, kCycle};
  CHECK(range.allows(low.generation()));
  CHECK(range.allows(high.generation() - 1));
  CHECK(range.allows(high.generation()));
  CHECK(range.allows_absence());  // By the erase that both lie around.
  const LegalRange above{erased, high, kCycle};
  CHECK_FALSE(above.allows(low.generation()));  // Erased for good.
  const LegalRange unerased{low, put(low), kCycle};
  CHECK_FALSE(unerased.allows_absence());
}

}  // namespace varve::stress

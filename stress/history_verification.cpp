// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "stress/failure.hpp"
#include "stress/verification.hpp"

namespace varve::stress {
namespace {

// Whether what was recovered of one key shows that a write survived. Nothing is said where a later
// write to the key may have hidden it.
class Evidence {
 public:
  Evidence(const Contents& contents, Writes writes, const ExpectedState& state)
      : contents_(contents), mixed_(writes == Writes::Mixed), state_(state) {}

  [[nodiscard]] std::optional<bool> survived(const TracedChange& change) const {
    const Found& found = contents_[change.key];
    const KeyWord after(change.word);
    if (!found.present) return absent(change.key, after);
    if (!found.certain) return std::nullopt;
    if (found.generation < after.generation()) return false;
    if (after.deleted()) {
      if (found.generation == after.generation()) return false;
    } else if (found.generation == after.generation()) {
      return true;
    }
    // A later write is there. With one durability for all it stands for those before it.
    return mixed_ ? std::nullopt : std::optional<bool>(true);
  }

 private:
  [[nodiscard]] std::optional<bool> absent(KeyNumber key, KeyWord after) const {
    const LegalRange range = state_.legal(key);
    const std::uint64_t count = after.delete_count();
    if (!after.deleted()) {
      // Only an erase behind it could have hidden it.
      const bool later_erase =
          range.current.delete_count() != count || range.current.pending_delete();
      return later_erase ? std::nullopt : std::optional<bool>(false);
    }
    // Only this erase can have done it, when it is the only one that a kill could have taken. Of
    // mixed writes an erase that found nothing to erase may have outlived it, and done the same.
    const bool only_one =
        !mixed_ && !range.floor.deleted() &&
        (range.current.pending_delete() ? range.floor == range.current.returned()
                                        : range.current.delete_count() == count &&
                                              range.floor.after_erase().delete_count() == count);
    return only_one ? std::optional<bool>(true) : std::nullopt;
  }

  const Contents& contents_;
  const bool mixed_;
  const ExpectedState& state_;
};

template <typename Visit>
void for_each_write(const ExpectedState& state, const Visit& visit) {
  for (std::uint32_t thread = 0; thread < kThreadCountMax; ++thread) {
    const Trace& trace = state.trace(thread);
    const std::uint32_t count = std::min(trace.write_count.load(), Trace::kWritesMax);
    for (std::uint32_t i = 0; i < count; ++i) visit(thread, trace, trace.writes[i]);
  }
}

struct Witness {
  std::uint64_t called = 0;
  KeyNumber key = 0;
};

}  // namespace

void verify_history(const Contents& contents, Writes writes, const ExpectedState& state) {
  const Evidence evidence(contents, writes, state);
  Witness last;  // Of the writes that survived, the one that was called last.
  for_each_write(state, [&](std::uint32_t thread, const Trace& trace, const TracedWrite& write) {
    std::optional<KeyNumber> there, missing;
    for (std::uint32_t i = 0; i < write.change_count; ++i) {
      const TracedChange& change = trace.changes[write.first_change + i];
      const std::optional<bool> survived = evidence.survived(change);
      if (survived) (*survived ? there : missing) = change.key;
    }
    if (there && missing) {
      throw Mismatch(fmt::format(
          "key {}: expected with key {} or not at all, as one write of thread {} changed both "
          "({} keys): found without it",
          *there, *missing, thread, write.change_count));
    }
    if (there && write.called > last.called) last = {write.called, *there};
  });
  // Writes that differ in durability are not lost in the order of their history.
  if (writes == Writes::Mixed) return;
  for_each_write(state, [&](std::uint32_t, const Trace& trace, const TracedWrite& write) {
    const std::uint64_t returned = write.returned.load();
    if (returned == 0 || returned > last.called) return;
    for (std::uint32_t i = 0; i < write.change_count; ++i) {
      const TracedChange& change = trace.changes[write.first_change + i];
      if (evidence.survived(change) != std::optional(false)) continue;
      throw Mismatch(fmt::format(
          "key {}: generation {:#x} was written before key {} was, expected together, found only "
          "the later one",
          change.key, KeyWord(change.word).generation(), last.key));
    }
  });
}

}  // namespace varve::stress

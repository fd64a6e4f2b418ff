// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stress/entries.hpp"
#include "stress/expected_state.hpp"
#include "stress/key_locks.hpp"
#include "stress/plan.hpp"
#include "stress/random.hpp"
#include "varve/segment_index.hpp"

namespace varve::stress {

enum class Role : std::uint8_t { Writer, Reader, Scanner, All };

// What the threads of a worker share.
struct Workplace {
  SegmentIndex& index;
  ExpectedState& state;
  const CyclePlan& plan;
  KeyLocks& locks;
};

// One thread of a worker. Each step is one call of the index, noted in the expected state if it
// writes and checked against it if it reads.
// Errors: Mismatch; what the index throws beyond what the call allows.
class WorkerThread {
 public:
  WorkerThread(const Workplace& workplace, std::uint32_t number, Role role);
  void run();  // Until the expected state says stop.

 private:
  // What a write does to a key: the generation that it puts, or none.
  struct Change {
    KeyNumber key;
    std::optional<std::uint64_t> generation;
  };
  struct HeldSnapshot {
    Snapshot snapshot;
    KeyNumber first, end;
    std::vector<KeyWord> before, after;  // Of these keys, around the taking.
    std::vector<Found> seen;             // By the first reading; empty before it.
  };
  struct Choice;
  static const std::array<Choice, 9> kChoices;

  void step();
  void put();
  void erase();
  void erase_range();
  void write_batch();
  void get();
  void multi_get();
  void scan();
  void use_snapshot();
  void keep_house();

  // Makes the write known before and after; `call` does it. Requires: the keys are locked, each of
  // `changes` once.
  template <typename Call>
  void write(Kind kind, const std::vector<Change>& changes, const Call& call);
  void trace(const std::vector<Change>& changes);
  void note_refusal(const WriteOptions& options, const Error& error);
  void make_room_in_trace(std::size_t change_count);
  [[nodiscard]] WriteOptions draw_write_options();
  [[nodiscard]] KeyWord word_after(const Change& change) const;
  template <typename Save>
  void save(Kind kind, const Save& save);
  void compact();

  [[nodiscard]] Found check_read(KeyNumber key, const std::optional<std::string_view>& bytes,
                                 const LegalRange& range) const;
  [[nodiscard]] LegalRange range_since(KeyNumber key, KeyWord before) const;
  [[nodiscard]] std::vector<KeyWord> words(KeyNumber first, KeyNumber end) const;
  // Takes the rest of a scan of [first, end); `range_of` says what is legal for a key.
  template <typename RangeOf>
  [[nodiscard]] std::vector<Found> check_scan(Cursor& cursor, KeyNumber first, KeyNumber end,
                                              const ScanOptions& how, const RangeOf& range_of);

  [[nodiscard]] KeyNumber any_key();
  void count(Kind kind);

  const Workplace at_;
  const std::uint32_t number_;
  const Role role_;
  const std::uint64_t cycle_;
  const ValueForm form_;
  Random random_;
  Trace& trace_;
  std::string value_, read_;
  std::optional<HeldSnapshot> held_;
};

}  // namespace varve::stress

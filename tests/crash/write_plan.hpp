// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "varve/segment_index.hpp"

namespace varve::test {

using Model = std::map<std::string, std::string>;

struct Change {
  enum class Kind : std::uint8_t { Put, Erase, EraseRange };
  Kind kind = Kind::Put;
  std::string key;
  std::string value;  // EraseRange: its end.
};

// One call that writes.
struct Write {
  std::vector<Change> changes;
  bool batch = false;
  Durability durability = Durability::Process;

  [[nodiscard]] bool logged() const noexcept { return durability != Durability::Buffered; }
};

void apply(const Write& write, SegmentIndex& index);
void apply(const Write& write, Model& model);

// What an index holds, in 128 bits: the sum over its entries, so that one change costs one addition
// and no order matters.
struct Contents {
  std::array<std::uint64_t, 2> sum = {};
  void add(std::string_view key, std::string_view value) noexcept;
  void remove(std::string_view key, std::string_view value) noexcept;
  friend bool operator==(const Contents&, const Contents&) = default;
};
[[nodiscard]] Contents contents_of(const SegmentIndex& index);  // By a forward scan.
[[nodiscard]] Contents contents_of(const Model& model);
[[nodiscard]] Model model_of(const SegmentIndex& index);
// The first difference as a sentence; empty: none.
[[nodiscard]] std::string difference(const Model& expected, const Model& found);

// How far a run had come at some moment: counts of writes, from the first one on.
struct Progress {
  std::size_t issued = 0;   // Begun.
  std::size_t acked = 0;    // Returned.
  std::size_t durable = 0;  // Up to here, those with a log record survive power loss.
  std::size_t flushed = 0;  // Up to here, all do, and also the death of the process.
};

// Every state that an index may be in after a crash, for a fixed list of writes: the only judge.
//
// The writes with a log record survive in their order: of them, the index holds a prefix. Those
// without are flushed for the whole index at one moment. So with a flush that took the first
// `flushed` writes and a log that reaches to `logged` >= `flushed`, it holds the first `flushed`
// writes, and of those up to `logged` the ones that have a record. There is nothing in between: a
// batch is whole or absent, and what was erased and not written again does not come back.
//
// A write that failed counts as issued: it may be present or absent.
class LegalStates {
 public:
  explicit LegalStates(std::vector<Write> writes);

  enum class Crash : std::uint8_t { PowerLoss, ProcessDeath };
  [[nodiscard]] bool allows(const Contents& found, const Progress& progress, Crash crash) const;
  // Why it is not allowed, for a person.
  [[nodiscard]] std::string explain(const Model& found, const Progress& progress,
                                    Crash crash) const;

  [[nodiscard]] const std::vector<Write>& writes() const noexcept { return writes_; }
  // After `count` writes.
  [[nodiscard]] Model model_after(std::size_t count) const;
  [[nodiscard]] const Contents& contents_after(std::size_t count) const { return after_[count]; }

 private:
  struct Point {
    std::uint32_t flushed = 0, logged = 0;
  };
  struct HashContents {
    std::size_t operator()(const Contents& contents) const noexcept {
      return static_cast<std::size_t>(contents.sum[0]);
    }
  };
  [[nodiscard]] static std::size_t least_logged(const Progress& progress, Crash crash) noexcept;

  std::vector<Write> writes_;
  std::vector<Contents> after_;  // After 0, 1, ... writes.
  std::unordered_map<Contents, std::vector<Point>, HashContents> points_;
};

}  // namespace varve::test

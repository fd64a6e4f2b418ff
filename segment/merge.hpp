// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "segment/entry.hpp"

namespace varve::segment {

// Several sources, newest first, as one: keys ascending and, within a key, newest version first
// (a newer source's versions come before an older source's). prev() walks the exact reverse.
//
// The number of sources is small (deltas and runs of one segment), so the next one is found by
// comparing all of them; while one source stays ahead, a step costs a single comparison with the
// runner-up.
class MergingSource final : public EntrySource {
 public:
  explicit MergingSource(std::vector<std::unique_ptr<EntrySource>> newest_first);

  void seek_to_first() override;
  void seek(std::string_view key) override;
  void next() override;
  void seek_to_last() override;
  void seek_before(std::string_view key) override;
  void prev() override;
  [[nodiscard]] bool values_are_stable() const noexcept override { return values_are_stable_; }

  // Which source entry() comes from, as an index into the constructor's list. Requires: valid().
  [[nodiscard]] std::size_t current() const noexcept { return current_; }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  template <bool Forward>
  [[nodiscard]] bool before(std::size_t a, std::size_t b) const noexcept;
  template <bool Forward>
  void select() noexcept;
  template <bool Forward>
  void after_step() noexcept;
  void show(std::size_t index) noexcept;

  std::vector<std::unique_ptr<EntrySource>> sources_;
  std::size_t current_ = kNone;
  std::size_t runner_up_ = kNone;
  bool values_are_stable_ = true;
};

}  // namespace varve::segment

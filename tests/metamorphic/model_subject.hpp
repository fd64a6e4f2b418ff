// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/metamorphic/subject.hpp"

namespace varve::test::metamorphic {

// What an index must answer, by a std::map and the documentation.
class ModelSubject final : public Subject {
 public:
  [[nodiscard]] std::string apply(const Operation& operation) override;
  [[nodiscard]] const Model& model() const noexcept { return model_; }

 private:
  struct Range {
    std::string from, to, prefix;
    bool reverse = false;
    [[nodiscard]] ScanOptions options(std::uint64_t limit) const;
  };
  struct HeldCursor {
    Entries entries;  // As if there were no limit.
    bool reverse = false;
    std::uint64_t limit = 0, left = 0;
    std::size_t position = 0;
    bool ended = false;
  };

  [[nodiscard]] std::optional<std::string> apply_write(const Operation& operation);
  [[nodiscard]] std::optional<std::string> apply_read(const Operation& operation);
  [[nodiscard]] std::optional<std::string> apply_held(const Operation& operation);
  [[nodiscard]] std::string apply_other(const Operation& operation);
  [[nodiscard]] std::string put(const Operation& operation);
  [[nodiscard]] std::string batch(const Operation& operation);
  [[nodiscard]] std::string erase_range(const std::string& from, const std::string& to);
  [[nodiscard]] std::string scan_into(std::size_t slot, const Range& range, std::uint64_t limit);
  [[nodiscard]] std::string open_cursor(const Operation& operation);
  [[nodiscard]] std::string step_cursor(std::size_t slot, std::uint64_t count);
  [[nodiscard]] std::string seek_cursor(std::size_t slot, std::string_view key);
  [[nodiscard]] std::string fail_fast_write(const Operation& operation);
  [[nodiscard]] std::string figures() const;
  void reopened();

  Model model_;
  std::array<std::optional<Model>, kSlotCount> snapshots_;
  std::array<std::optional<HeldCursor>, kSlotCount> cursors_;
  std::array<std::optional<Range>, kSlotCount> resumes_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t put_count_ = 0, erase_count_ = 0;  // Since open.
};

// The answers to all of them.
[[nodiscard]] History model_history(const Operations& operations);

}  // namespace varve::test::metamorphic

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>

namespace varve::stress {

using KeyNumber = std::uint32_t;

// What a key holds: the value of a generation, or nothing, erased after that generation. Versions
// of one key ascend in the order of its writes.
struct Version {
  std::uint64_t generation = 0;
  bool deleted = true;
  friend auto operator<=>(const Version&, const Version&) = default;
};

// What is expected of one key, in 64 bits, so that one store changes it as a whole:
//
//   bits 0..39   generation of the last put; 0: there was none
//   bits 40..55  delete count: erases of a present key, modulo 2^16
//   bit 61       deleted: the last write that returned erased the key, or there was none
//   bit 62       pending delete: an erase has begun and has not returned
//   bit 63       pending write: a put has begun and has not returned
//
// A put that begins takes next_generation(). Generations of one cycle begin above all earlier ones,
// so that a value that a kill has taken is never written again: should it return, it shows.
class KeyWord {
 public:
  constexpr KeyWord() noexcept = default;
  constexpr explicit KeyWord(std::uint64_t bits) noexcept : bits_(bits) {}

  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr std::uint64_t generation() const noexcept {
    return bits_ & kGenerationMask;
  }
  [[nodiscard]] constexpr std::uint64_t delete_count() const noexcept {
    return bits_ >> kGenerationBits & kDeleteCountMask;
  }
  [[nodiscard]] constexpr bool deleted() const noexcept { return (bits_ & kDeleted) != 0; }
  [[nodiscard]] constexpr bool pending_delete() const noexcept {
    return (bits_ & kPendingDelete) != 0;
  }
  [[nodiscard]] constexpr bool pending_write() const noexcept {
    return (bits_ & kPendingWrite) != 0;
  }
  // Of what has returned.
  [[nodiscard]] constexpr Version version() const noexcept { return {generation(), deleted()}; }
  [[nodiscard]] constexpr std::uint64_t next_generation(std::uint64_t cycle) const noexcept {
    const std::uint64_t first = first_generation(cycle);
    return generation() < first ? first : generation() + 1;
  }
  [[nodiscard]] static constexpr std::uint64_t first_generation(std::uint64_t cycle) noexcept {
    return (cycle + 1) << kGenerationsPerCycleBits;
  }

  [[nodiscard]] constexpr KeyWord returned() const noexcept {
    return KeyWord(bits_ & ~(kPendingWrite | kPendingDelete));
  }
  [[nodiscard]] constexpr KeyWord putting() const noexcept {
    return KeyWord(bits_ | kPendingWrite);
  }
  [[nodiscard]] constexpr KeyWord erasing() const noexcept {
    return KeyWord(bits_ | kPendingDelete);
  }
  [[nodiscard]] constexpr KeyWord after_put(std::uint64_t generation) const noexcept {
    return KeyWord((bits_ & kDeleteCountMask << kGenerationBits) | generation);
  }
  // Erasing an absent key changes nothing.
  [[nodiscard]] constexpr KeyWord after_erase() const noexcept {
    if (deleted()) return returned();
    const std::uint64_t count = (delete_count() + 1) & kDeleteCountMask;
    return KeyWord(generation() | count << kGenerationBits | kDeleted);
  }
  friend constexpr bool operator==(const KeyWord&, const KeyWord&) = default;

 private:
  static constexpr int kGenerationBits = 40, kGenerationsPerCycleBits = 18;
  static constexpr std::uint64_t kGenerationMask = (std::uint64_t{1} << kGenerationBits) - 1;
  static constexpr std::uint64_t kDeleteCountMask = 0xffff;
  static constexpr std::uint64_t kDeleted = std::uint64_t{1} << 61;
  static constexpr std::uint64_t kPendingDelete = std::uint64_t{1} << 62;
  static constexpr std::uint64_t kPendingWrite = std::uint64_t{1} << 63;

  std::uint64_t bits_ = kDeleted;
};

// What may be read of a key: everything from `floor`, which had surely returned before, up to
// `current`, which had begun at the latest.
struct LegalRange {
  KeyWord floor, current;
  std::uint64_t cycle = 0;  // In which `current` was written.

  [[nodiscard]] constexpr bool allows_absence() const noexcept {
    return floor.deleted() || current.deleted() || current.pending_delete() ||
           floor.delete_count() != current.delete_count();
  }
  [[nodiscard]] constexpr bool allows(std::uint64_t generation) const noexcept {
    if (Version{generation, false} < floor.version()) return false;
    return generation <= current.generation() ||
           (current.pending_write() && generation == current.next_generation(cycle));
  }
};

}  // namespace varve::stress

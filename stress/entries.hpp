// SPDX-License-Identifier: Apache-2.0
// The keys and values of a run: every one says what it is, so that a wrong one shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stress/key_word.hpp"

namespace varve::stress {

// Ascending with the number; of different lengths, a few of them long.
[[nodiscard]] std::string key_name(KeyNumber key);
// nullopt: `name` is no key_name().
[[nodiscard]] std::optional<KeyNumber> key_number(std::string_view name);
// What the names of the 16 keys from a multiple of 16 on begin with, and no others.
[[nodiscard]] std::string sixteen_prefix(KeyNumber key);

// The bytes of a value: nothing now and then, else
//
//   OFFSET  SIZE  DESCRIPTION
//        0     8  checksum of the seed and of everything behind it
//        8     8  generation
//       16     4  number of the key
//       20     4  size of the value
//       24     -  filler, up to tens of KiB
//
// Integers are little-endian. `seed` tells runs apart.
struct ValueForm {
  std::uint64_t seed = 0;
  [[nodiscard]] std::size_t size(KeyNumber key, std::uint64_t generation) const noexcept;
  void encode(KeyNumber key, std::uint64_t generation, std::string& to) const;
  // The generation of a value that is not empty; nullopt: not a whole value of this key and seed.
  [[nodiscard]] std::optional<std::uint64_t> decode(KeyNumber key, std::string_view bytes) const;
};

// What was read of one key.
struct Found {
  bool present = false;
  std::uint64_t generation = 0;
  bool certain = true;  // False for an empty value, which several generations may have.
  friend bool operator==(const Found&, const Found&) = default;
};

// What `bytes` (nullopt: absent) are; nullopt when `range` does not allow them.
[[nodiscard]] std::optional<Found> resolve(const ValueForm& form, KeyNumber key,
                                           const std::optional<std::string_view>& bytes,
                                           const LegalRange& range);
// "key 17 (varve-stress/00000011): expected ..., found ...": for what resolve() did not allow.
[[nodiscard]] std::string mismatch_text(const ValueForm& form, KeyNumber key,
                                        const std::optional<std::string_view>& bytes,
                                        const LegalRange& range);

}  // namespace varve::stress

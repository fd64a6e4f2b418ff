// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "segment/entry.hpp"

namespace varve::segment {

class Delta;

// What a delta will hold: see Delta::fill_later().
// Lifetime: the delta's, also once it is filled.
// Thread-safety: fill() by one thread at a time; the others by any, also beside it.
class DeltaFiller {
 public:
  // What the delta will say of itself, before it is filled as well. None of them is 0.
  struct Totals {
    std::uint64_t entry_count = 0;
    std::uint64_t data_size = 0;  // Bytes of keys and values.
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
  };
  DeltaFiller() = default;
  DeltaFiller(const DeltaFiller&) = delete;
  DeltaFiller& operator=(const DeltaFiller&) = delete;
  virtual ~DeltaFiller() = default;

  [[nodiscard]] virtual const Totals& totals() const noexcept = 0;
  // Bytes that it has of the delta's pool; they count as the delta's.
  [[nodiscard]] virtual std::size_t memory_size() const noexcept = 0;
  // As Delta::find() of the filled delta, at a cost that grows with what is in it; the value lives
  // as long as this. Errors: those of the place where the entries are.
  [[nodiscard]] virtual FoundEntry find(std::string_view key, std::uint64_t hash,
                                        Sequence at) const = 0;
  // Inserts all of it, in the order of the sequences. After an error the next call goes on where
  // this one stopped. Errors: std::bad_alloc; those of the place where the entries are.
  virtual void fill(Delta& delta) = 0;
};

}  // namespace varve::segment

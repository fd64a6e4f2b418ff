// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "lib/log_format.hpp"
#include "segment/arena.hpp"
#include "segment/delta.hpp"
#include "segment/delta_filler.hpp"

namespace varve::internal {

// The bytes of a log.
struct LogBytes {
  std::shared_ptr<const directory::ImmutableFile> file;
  std::string buffer;      // Where there is no mapping.
  std::string_view bytes;  // Of either.
};

// Operations of one segment, left in logs that were checked, for a delta to be filled with.
//
// Of each operation, its place is kept, and a part of its key's hash to find it by. The logs never
// change where they were read: nothing is recycled that a recovery took over.
// Lifetime: the pool must outlive it. Thread-safety: add() by one thread, before the others.
class LogFiller final : public segment::DeltaFiller {
 public:
  explicit LogFiller(segment::ChunkPool& pool) noexcept : pool_(pool) {}
  LogFiller(const LogFiller&) = delete;
  LogFiller& operator=(const LogFiller&) = delete;
  ~LogFiller() override;

  // `from`: where in `log` the operation begins. Requires: a put or an erase; sequences ascend.
  // Errors: std::bad_alloc, without effect.
  void add(const std::shared_ptr<const LogBytes>& log, std::size_t from, const Operation& operation,
           Sequence sequence);
  // All logs are; otherwise they are held in memory.
  [[nodiscard]] bool is_mapped() const noexcept;
  // What the delta will take, beside this; 0 for none.
  [[nodiscard]] std::size_t delta_size() const noexcept {
    if (totals_.entry_count == 0) return 0;
    return segment::Delta::memory_size_of(totals_.entry_count, totals_.data_size);
  }

  [[nodiscard]] const Totals& totals() const noexcept override { return totals_; }
  [[nodiscard]] std::size_t memory_size() const noexcept override { return memory_size_; }
  // Errors: Corruption where the log is no longer what it was. Cost: a look at 4 bytes of each
  // operation, several at a time.
  [[nodiscard]] segment::FoundEntry find(std::string_view key, std::uint64_t hash,
                                         Sequence at) const override;
  // Errors: std::bad_alloc; Corruption, likewise.
  void fill(segment::Delta& delta) override;

 private:
  struct Place {
    std::size_t from;
    Sequence sequence;
  };
  // Of one log. In its memory lie the places, and behind the last one that has room the tags.
  struct Part {
    std::shared_ptr<const LogBytes> log;
    segment::ChunkPool::Chunk memory;
    std::size_t count = 0, capacity = 0;

    [[nodiscard]] Place* places() const noexcept { return reinterpret_cast<Place*>(memory.data); }
    [[nodiscard]] std::uint32_t* tags() const noexcept {
      return reinterpret_cast<std::uint32_t*>(places() + capacity);
    }
  };
  void begin_part(const std::shared_ptr<const LogBytes>& log);
  [[nodiscard]] static segment::FoundEntry find_in(const Part& part, std::string_view key,
                                                   std::uint32_t tag, Sequence at);
  static void fill_from(const Part& part, std::size_t& next, segment::Delta& delta);

  segment::ChunkPool& pool_;
  Totals totals_;
  std::size_t memory_size_ = 0;
  std::vector<Part> parts_;
  std::size_t next_part_ = 0, next_place_ = 0;  // Where fill() goes on.
};

}  // namespace varve::internal

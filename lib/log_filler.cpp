// SPDX-License-Identifier: Apache-2.0
#include "lib/log_filler.hpp"

#include <algorithm>
#include <new>

#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/insertion_queue.hpp"
#include "varve/error.hpp"

namespace varve::internal {

using segment::ChunkPool;

namespace {

constexpr bool kKeepOlder = false;  // No snapshot outlives its process.

std::uint32_t tag_of(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash >> 32);
}

[[noreturn]] void throw_changed(const LogBytes& log, std::size_t from) {
  throw Error(ErrorCode::Corruption,
              log.file->name() + " at byte " + std::to_string(from) +
                  ": the operation that was there when the log was checked expected, other bytes "
                  "found");
}

Operation operation_at(const LogBytes& log, std::size_t from) {
  OperationReader reader(log.bytes.substr(from));
  Operation operation;
  if (!reader.next(operation)) throw_changed(log, from);
  return operation;
}

}  // namespace

LogFiller::~LogFiller() {
  for (const Part& part : parts_) pool_.release(part.memory);
}

// Small ones first, so that segments with few operations stay cheap.
void LogFiller::begin_part(const std::shared_ptr<const LogBytes>& log) {
  const std::size_t size = std::clamp(memory_size_, ChunkPool::kUnit, ChunkPool::kChunkSize);
  parts_.push_back({.log = log, .memory = {}, .count = 0, .capacity = 0});
  try {
    parts_.back().memory = pool_.allocate(size);
  } catch (...) {
    parts_.pop_back();
    throw;
  }
  Part& part = parts_.back();
  part.capacity = part.memory.size / (sizeof(Place) + sizeof(std::uint32_t));
  memory_size_ += part.memory.size;
}

void LogFiller::add(const std::shared_ptr<const LogBytes>& log, std::size_t from,
                    const Operation& operation, Sequence sequence) {
  if (parts_.empty() || parts_.back().log != log || parts_.back().count == parts_.back().capacity)
    begin_part(log);
  Part& part = parts_.back();
  new (part.places() + part.count) Place{from, sequence};
  new (part.tags() + part.count) std::uint32_t(tag_of(directory::hash64(operation.key)));
  ++part.count;
  if (totals_.entry_count++ == 0) totals_.first_sequence = sequence;
  totals_.last_sequence = sequence;
  totals_.data_size += operation.key.size() + operation.value.size();
}

bool LogFiller::is_mapped() const noexcept {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return part.log->buffer.empty(); });
}

// From the newest one backwards.
segment::FoundEntry LogFiller::find_in(const Part& part, std::string_view key, std::uint32_t tag,
                                       Sequence at) {
  constexpr std::size_t kTogether = 64;
  const std::uint32_t* const tags = part.tags();
  for (std::size_t end = part.count; end != 0;) {
    const std::size_t begin = end - std::min(end, kTogether);
    std::uint32_t match_count = 0;
    for (std::size_t i = begin; i < end; ++i) match_count += tags[i] == tag ? 1 : 0;
    for (std::size_t i = end; match_count != 0; --match_count) {
      do --i;
      while (tags[i] != tag);
      const Place& place = part.places()[i];
      const Operation operation = operation_at(*part.log, place.from);
      if (place.sequence > at) continue;
      if (operation.key != key && !VARVE_MUTANT("replay.tag_is_the_key")) continue;
      return {.found = true,
              .kind = entry_kind(operation.kind),
              .sequence = place.sequence,
              .value = operation.value};
    }
    end = begin;
  }
  return {};
}

segment::FoundEntry LogFiller::find(std::string_view key, std::uint64_t hash, Sequence at) const {
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    const segment::FoundEntry found = find_in(*part, key, tag_of(hash), at);
    if (found.found && !VARVE_MUTANT("replay.newest_not_taken")) return found;
  }
  return {};
}

// `next`: the first place that is not in the delta yet.
void LogFiller::fill_from(const Part& part, std::size_t& next, segment::Delta& delta) {
  InsertionQueue<segment::Delta> queue(kKeepOlder);
  try {
    for (std::size_t i = next; i < part.count; ++i) {
      const Place& place = part.places()[i];
      const Operation operation = operation_at(*part.log, place.from);
      queue.add(delta, entry_kind(operation.kind), operation.key, operation.value, place.sequence);
    }
    queue.finish();
  } catch (...) {
    next += queue.inserted_count();
    throw;
  }
}

void LogFiller::fill(segment::Delta& delta) {
  for (; next_part_ < parts_.size(); ++next_part_) {
    fill_from(parts_[next_part_], next_place_, delta);
    next_place_ = 0;
    if (VARVE_MUTANT("replay.later_logs_not_filled")) return;
  }
  VARVE_HOOK("delta.filled");
}

}  // namespace varve::internal

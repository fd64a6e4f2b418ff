// SPDX-License-Identifier: Apache-2.0
#include "lib/options_check.hpp"

#include <cstdint>
#include <sstream>

#include "varve/error.hpp"

namespace varve {

std::string_view to_string(Access access) noexcept {
  switch (access) {
    case Access::Bare:
      return "bare";
    case Access::Synchronized:
      return "synchronized";
    case Access::Concurrent:
      return "concurrent";
  }
  return "unknown";
}

std::string_view to_string(Durability durability) noexcept {
  switch (durability) {
    case Durability::Buffered:
      return "buffered";
    case Durability::Process:
      return "process";
    case Durability::Synced:
      return "synced";
  }
  return "unknown";
}

std::string_view to_string(Reads reads) noexcept {
  switch (reads) {
    case Reads::Mapped:
      return "mapped";
    case Reads::Buffered:
      return "buffered";
  }
  return "unknown";
}

}  // namespace varve

namespace varve::internal {
namespace {

template <typename T>
void check_range(const char* name, T value, T low, T high) {
  if (value >= low && value <= high) return;  // Also refuses NaN.
  std::ostringstream message;
  message << "option " << name << " is " << value << ", expected " << low << " to " << high;
  throw Error(ErrorCode::InvalidArgument, message.str());
}

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

}  // namespace

void check_options(const Options& options) {
  check_range<std::size_t>("memory_budget", options.memory_budget, 256 * kKiB, 1024 * kGiB);
  check_range<std::size_t>("memory_limit", options.memory_limit, 0, 16 * 1024 * kGiB);
  check_range<std::int64_t>("sync_interval (ms)", options.sync_interval.count(), 0, 86'400'000);
  check_range<std::int64_t>("reader_age_limit (ms)", options.reader_age_limit.count(), 0,
                            86'400'000);
  check_range<std::int64_t>("lock_wait (ms)", options.lock_wait.count(), 0, 86'400'000);
  check_range<std::size_t>("key_codec (bytes)", options.key_codec.size(), 0, 255);
  check_range<std::size_t>("value_codec (bytes)", options.value_codec.size(), 0, 255);
  const Tuning& tuning = options.tuning;
  check_range<std::size_t>("tuning.segment_size", tuning.segment_size, 64 * kKiB, 16 * kGiB);
  check_range<std::size_t>("tuning.block_size", tuning.block_size, 512, 64 * kKiB);
  check_range("tuning.filter_bits_per_key", tuning.filter_bits_per_key, 0.0, 32.0);
  check_range("tuning.compaction_ratio", tuning.compaction_ratio, 0.05, 4.0);
  check_range<std::uint32_t>("tuning.tier_fanout", tuning.tier_fanout, 2, 16);
  check_range<std::uint32_t>("tuning.delta_runs_max", tuning.delta_runs_max, 2, 64);
  check_range<std::uint32_t>("tuning.maintenance_threads", tuning.maintenance_threads, 0, 64);
  check_range("tuning.maintenance_share", tuning.maintenance_share, 0.05, 1.0);
  check_range<std::uint32_t>("tuning.maintenance_nice", tuning.maintenance_nice, 0, 19);
  check_range<std::size_t>("tuning.hot_path_size", tuning.hot_path_size, 0, kGiB);
  check_range<std::size_t>("tuning.reserve_size", tuning.reserve_size, 0, 16 * kGiB);
  check_range<std::size_t>("tuning.log_file_size", tuning.log_file_size, 64 * kKiB, kGiB);
}

std::string options_text(const Options& options) {
  const Tuning& tuning = options.tuning;
  std::ostringstream text;
  text << "durability=" << to_string(options.durability) << '\n'
       << "memory_budget=" << options.memory_budget << '\n'
       << "segment_size=" << tuning.segment_size << '\n'
       << "block_size=" << tuning.block_size << '\n'
       << "filter_bits_per_key=" << tuning.filter_bits_per_key << '\n'
       << "compaction_ratio=" << tuning.compaction_ratio << '\n'
       << "tier_fanout=" << tuning.tier_fanout << '\n'
       << "delta_runs_max=" << tuning.delta_runs_max << '\n'
       << "merge_for_reads=" << tuning.merge_for_reads << '\n'
       << "log_file_size=" << tuning.log_file_size << '\n';
  return text.str();
}

}  // namespace varve::internal

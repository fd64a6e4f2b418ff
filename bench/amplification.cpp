// SPDX-License-Identifier: Apache-2.0
#include "bench/amplification.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <vector>

namespace varve::bench {
namespace {

// What an entry takes beside its key and value, measured. In a delta: a record's header, its place
// in a leaf (which is half full after a split in the middle) and in the filter. In a run: its head,
// position and sizes, and its part of what belongs to the block, less the prefix that it shares
// with it; the run's filter comes on top.
constexpr double kDeltaOverheadRandom = 33, kDeltaOverheadSequential = 25;
constexpr double kRunOverhead = 5.8;
// The chunks that a delta's memory comes in.
constexpr double kFirstChunkSize = 16 << 10, kChunkSize = 64 << 10;
// The load is cut into so many steps for each memory budget.
constexpr double kStepsPerBudget = 512;

struct Slice {
  std::uint32_t tier = 0;
  double size = 0;
};

struct Segment {
  std::uint64_t id = 0;
  double width = 0;           // Its part of the keys that come at random.
  double memory_entries = 0;  // In its delta.
  double main_size = 0;
  std::vector<Slice> slices;  // Newest first.

  [[nodiscard]] double slices_size() const {
    return std::accumulate(slices.begin(), slices.end(), 0.0,
                           [](double sum, const Slice& slice) { return sum + slice.size; });
  }
};

class Model {
 public:
  Model(const PlannedLoad& load, const Options& options)
      : load_(load),
        tuning_(options.tuning),
        budget_(static_cast<double>(options.memory_budget)),
        raw_size_(load.key_size + load.value_size),
        delta_entry_size_(raw_size_ + (load.order == LoadOrder::Random ? kDeltaOverheadRandom
                                                                       : kDeltaOverheadSequential)),
        run_entry_size_(raw_size_ + kRunOverhead + tuning_.filter_bits_per_key / 8) {
    segments_.push_back({.id = take_id(), .width = 1, .slices = {}});
  }

  AmplificationFigures run() {
    const double step = std::max(1.0, budget_ / kStepsPerBudget / delta_entry_size_);
    const auto all = static_cast<double>(load_.entry_count);
    for (double done = 0; done < all; done += step) {
      if (is_memory_due()) do_due_jobs();
      add_entries(std::min(step, all - done));
    }
    do_due_jobs();
    figures_.user_size = all * raw_size_;
    figures_.written_size = figures_.slices_size + figures_.tiers_size + figures_.mains_size;
    figures_.segment_count = segments_.size();
    return figures_;
  }

 private:
  std::uint64_t take_id() { return next_id_++; }
  void add_entries(double count) {
    if (load_.order == LoadOrder::Sequential) {
      segments_.back().memory_entries += count;
      return;
    }
    for (Segment& segment : segments_) segment.memory_entries += count * segment.width;
  }
  [[nodiscard]] double memory_of(const Segment& segment) const {
    const double size = segment.memory_entries * delta_entry_size_;
    if (size <= 0) return 0;
    if (size <= kFirstChunkSize) return kFirstChunkSize;
    return kFirstChunkSize + std::ceil((size - kFirstChunkSize) / kChunkSize) * kChunkSize;
  }
  [[nodiscard]] double memory_size() const {
    return std::accumulate(
        segments_.begin(), segments_.end(), 0.0,
        [this](double sum, const Segment& segment) { return sum + memory_of(segment); });
  }
  [[nodiscard]] bool is_memory_due() const {
    const double size = memory_size();
    return size >= budget_ / 2 && (size >= budget_ || size >= memory_after_flush_ + budget_ / 16);
  }
  // alpha, of which each segment has its own so that they do not fall due together.
  [[nodiscard]] double ratio_of(const Segment& segment) const {
    const std::uint64_t spread = segment.id * 0x9e3779b97f4a7c15ULL >> 48;
    return tuning_.compaction_ratio * (0.8 + 0.4 * static_cast<double>(spread) / 65535.0);
  }

  void do_due_jobs() {
    while (flush() || merge_one() || merge_neighbours()) {
    }
  }

  bool flush() {
    if (!is_memory_due()) return false;
    std::vector<std::size_t> by_size(segments_.size());
    std::iota(by_size.begin(), by_size.end(), 0);
    std::stable_sort(by_size.begin(), by_size.end(), [this](std::size_t a, std::size_t b) {
      return memory_of(segments_[a]) > memory_of(segments_[b]);
    });
    std::vector<std::size_t> chosen;
    double collected = 0;
    for (const std::size_t at : by_size) {
      if (collected >= budget_ / 8) break;
      collected += memory_of(segments_[at]);
      chosen.push_back(at);
    }
    // From the end: a split moves those behind it.
    std::sort(chosen.begin(), chosen.end(), std::greater<>());
    for (const std::size_t at : chosen) flush_one(at);
    memory_after_flush_ = memory_size();
    return true;
  }
  void flush_one(std::size_t at) {
    Segment& segment = segments_[at];
    const double deltas = memory_of(segment) + segment.slices_size();
    if (segment.slices.size() + 1 > tuning_.delta_runs_max ||
        deltas >= ratio_of(segment) * segment.main_size) {
      merge_main(at);
      return;
    }
    const double size = segment.memory_entries * run_entry_size_;
    segment.slices.insert(segment.slices.begin(), Slice{.tier = 0, .size = size});
    segment.memory_entries = 0;
    figures_.slices_size += size;
  }

  bool merge_one() {
    for (std::size_t at = 0; at < segments_.size(); ++at) {
      Segment& segment = segments_[at];
      const double slices_size = segment.slices_size();
      const double due_size = ratio_of(segment) * segment.main_size;
      if (!segment.slices.empty() &&
          (slices_size >= due_size || segment.slices.size() > tuning_.delta_runs_max)) {
        merge_main(at);
        return true;
      }
      if (slices_size < 0.8 * due_size && merge_tier(segment)) return true;
    }
    return false;
  }
  bool merge_tier(Segment& segment) {
    auto& slices = segment.slices;
    for (std::size_t first = 0; first < slices.size();) {
      std::size_t end = first;
      double size = 0;
      for (; end < slices.size() && slices[end].tier == slices[first].tier; ++end) {
        size += slices[end].size;
      }
      if (end - first >= tuning_.tier_fanout) {
        slices[first] = {.tier = slices[first].tier + 1, .size = size};
        slices.erase(slices.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                     slices.begin() + static_cast<std::ptrdiff_t>(end));
        figures_.tiers_size += size;
        return true;
      }
      first = end;
    }
    return false;
  }

  // Everything of the segment into main runs, several where they would be too large.
  void merge_main(std::size_t at) {
    Segment old = segments_[at];
    const auto limit = static_cast<double>(tuning_.segment_size);
    double size = old.memory_entries * run_entry_size_ + old.slices_size() + old.main_size;
    // With ascending keys, the main run can stay as it is.
    const bool appends = load_.order == LoadOrder::Sequential && old.main_size >= limit / 2;
    if (appends) size -= old.main_size;
    figures_.mains_size += size;
    const double count = size <= limit ? 1 : std::max(2.0, std::floor(size / (limit * 3 / 4)));
    std::vector<Segment> children;
    if (appends)
      children.push_back({.id = old.id, .width = 0, .main_size = old.main_size, .slices = {}});
    for (double i = 0; i < count; ++i) {
      children.push_back({.id = children.empty() ? old.id : take_id(),
                          .width = old.width / count,
                          .main_size = size / count,
                          .slices = {}});
    }
    const auto place = segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(at));
    segments_.insert(place, children.begin(), children.end());
  }

  bool merge_neighbours() {
    const double small = static_cast<double>(tuning_.segment_size) / 4;
    const auto size_of = [this](const Segment& segment) {
      return memory_of(segment) + segment.slices_size() + segment.main_size;
    };
    for (std::size_t at = 1; at < segments_.size(); ++at) {
      Segment &left = segments_[at - 1], &right = segments_[at];
      if (size_of(left) >= small || size_of(right) >= small) continue;
      left.width += right.width;
      left.main_size += left.slices_size() + right.slices_size() + right.main_size +
                        (left.memory_entries + right.memory_entries) * run_entry_size_;
      left.memory_entries = 0;
      left.slices.clear();
      figures_.mains_size += left.main_size;
      segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(at));
      return true;
    }
    return false;
  }

  const PlannedLoad load_;
  const Tuning tuning_;
  const double budget_, raw_size_, delta_entry_size_, run_entry_size_;
  double memory_after_flush_ = 0;
  std::uint64_t next_id_ = 1;
  std::vector<Segment> segments_;  // In key order.
  AmplificationFigures figures_;
};

}  // namespace

AmplificationFigures simulate_load(const PlannedLoad& load, const Options& options) {
  return Model(load, options).run();
}

}  // namespace varve::bench

// SPDX-License-Identifier: Apache-2.0
#include "lib/run_store.hpp"

#include <algorithm>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/in_parallel.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

namespace varve::internal {

namespace {

// A run, counted in a sum for as long as it is there, which tells when it is not.
class CountedRun {
 public:
  CountedRun(std::shared_ptr<const segment::Run> run, std::shared_ptr<std::atomic<std::size_t>> sum,
             std::shared_ptr<std::atomic<bool>> let_go) noexcept
      : run_(std::move(run)), sum_(std::move(sum)), let_go_(std::move(let_go)) {
    sum_->fetch_add(run_->memory_size(), std::memory_order_relaxed);
  }
  CountedRun(const CountedRun&) = delete;
  CountedRun& operator=(const CountedRun&) = delete;
  ~CountedRun() {
    sum_->fetch_sub(run_->memory_size(), std::memory_order_relaxed);
    let_go_->store(true, std::memory_order_release);
  }
  [[nodiscard]] const segment::Run* get() const noexcept { return run_.get(); }

 private:
  const std::shared_ptr<const segment::Run> run_;
  const std::shared_ptr<std::atomic<std::size_t>> sum_;
  const std::shared_ptr<std::atomic<bool>> let_go_;
};

}  // namespace

RunStore::SlicePlace RunStore::place_of(const segment::RunRecord& slice) noexcept {
  return {slice.file_number, slice.offset};
}

RunStore::File RunStore::open_file(const segment::RunRecord& record) const {
  const std::string name = run_file_name(record);
  try {
    return directory_.open(name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NotFound) throw;
    throw Error(ErrorCode::Corruption, name + ": the manifest names this file, but it is missing",
                directory_.path() / name);
  }
}

// By any thread.
std::shared_ptr<const segment::Run> RunStore::open_in(const File& file,
                                                      const segment::RunRecord& record,
                                                      LetGo let_go) const {
  const auto counted = std::make_shared<const CountedRun>(
      segment::Run::open(file,
                         {.offset = record.offset,
                          .size = record.size,
                          .seed = run_seed(uuid_, record),
                          .entry_count = record.entry_count,
                          .footer_checksum = record.footer_checksum},
                         reads_, limits_, tables_size() < kPooledTablesMin ? nullptr : pool_),
      tables_size_, std::move(let_go));
  return {counted, counted->get()};
}

std::shared_ptr<const segment::Run> RunStore::open(const segment::RunRecord& record) {
  std::vector<segment::RunLayer> one = {{record, nullptr}};
  open(one, 1);
  return std::move(one.front().run);
}

void RunStore::open(std::vector<segment::RunLayer>& layers, std::size_t thread_count) {
  std::map<std::uint64_t, File> delta_files;  // Those that are not open.
  std::vector<File> files;
  files.reserve(layers.size());
  for (const segment::RunLayer& layer : layers) {
    if (layer.record.kind == segment::RunRecord::Kind::Main) {
      files.push_back(open_file(layer.record));
      continue;
    }
    const auto known = delta_files_.find(layer.record.file_number);
    if (known != delta_files_.end()) {
      files.push_back(known->second.file);
      continue;
    }
    File& file = delta_files[layer.record.file_number];
    if (file == nullptr) file = open_file(layer.record);
    files.push_back(file);
  }
  std::vector<LetGo> let_go(layers.size());
  for (LetGo& one : let_go) one = std::make_shared<std::atomic<bool>>(false);
  in_parallel(layers.size(), thread_count, [&](std::size_t i) {
    layers[i].run = open_in(files[i], layers[i].record, let_go[i]);
  });
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].record.kind == segment::RunRecord::Kind::Main) continue;
    LetGo& slice = live_slices_[place_of(layers[i].record)];
    DeltaFile& delta = delta_files_[layers[i].record.file_number];
    slice = std::move(let_go[i]);  // From here on nothing fails.
    delta.file = files[i];
    ++delta.live_slices;
  }
}

void RunStore::retire(const segment::RunRecord& record) {
  if (record.kind == segment::RunRecord::Kind::Main) {
    dead_files_.push_back(run_file_name(record));
    return;
  }
  const auto it = delta_files_.find(record.file_number);
  VARVE_CHECK(it != delta_files_.end() && it->second.live_slices > 0);
  const auto own = live_slices_.extract(place_of(record));
  VARVE_CHECK(!own.empty());
  if (--it->second.live_slices > 0) {
    dead_slices_.push_back({own.mapped(), record.file_number, record.offset, record.size});
    return;
  }
  delta_files_.erase(it);
  std::erase_if(dead_slices_,
                [&](const DeadSlice& slice) { return slice.file_number == record.file_number; });
  dead_files_.push_back(run_file_name(record));
}

void RunStore::abandon(const segment::RunRecord& record) noexcept {
  if (record.kind == segment::RunRecord::Kind::Main) return;
  const auto it = delta_files_.find(record.file_number);
  if (it == delta_files_.end()) return;
  live_slices_.erase(place_of(record));
  if (--it->second.live_slices == 0) delta_files_.erase(it);
}

void RunStore::sweep() {
  // A removed file stays readable for those who have it open (directory::ImmutableFile).
  while (!dead_files_.empty()) {
    directory_.remove(dead_files_.back());
    dead_files_.pop_back();
  }
  // Punching, unlike removal, takes the bytes from readers: it waits for the last one.
  for (std::size_t i = 0; i < dead_slices_.size();) {
    const DeadSlice& slice = dead_slices_[i];
    if (!slice.let_go->load(std::memory_order_acquire) && !VARVE_MUTANT("punch.under_readers")) {
      ++i;
      continue;
    }
    // Up to the next slice, or to the end of the file behind the last one.
    const std::uint64_t next =
        (slice.offset + slice.size + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
    if (VARVE_MUTANT("punch.too_far")) {
      const std::uint64_t far = delta_files_.at(slice.file_number).file->size();
      directory_.punch(delta_file_name(slice.file_number), slice.offset, far - slice.offset);
    }
    const std::uint64_t end = std::min(next, delta_files_.at(slice.file_number).file->size());
    directory_.punch(delta_file_name(slice.file_number), slice.offset, end - slice.offset);
    dead_slices_[i] = std::move(dead_slices_.back());
    dead_slices_.pop_back();
  }
}

}  // namespace varve::internal

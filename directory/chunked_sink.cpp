// SPDX-License-Identifier: Apache-2.0
#include "directory/chunked_sink.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "directory/mutant.hpp"

namespace varve::directory {

ChunkedSink::~ChunkedSink() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ChunkedSink::append(std::string_view bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (used_ == 0 && bytes.size() >= chunk_size_) {
      await_written();
      write(bytes.substr(0, chunk_size_));
      bytes.remove_prefix(chunk_size_);
      continue;
    }
    char* const to = free_part();
    const std::size_t size = std::min(chunk_size_ - used_, bytes.size());
    if (to != bytes.data()) std::memcpy(to, bytes.data(), size);
    used_ += size;
    bytes.remove_prefix(size);
    if (used_ == chunk_size_) end_chunk();
  }
}

char* ChunkedSink::room(std::size_t size) {
  return size <= chunk_size_ - used_ ? free_part() : nullptr;
}

char* ChunkedSink::free_part() {
  std::optional<LargeBuffer>& chunk = chunks_[filling_];
  if (!chunk.has_value()) chunk.emplace(chunk_size_);
  return chunk->data() + used_;
}

void ChunkedSink::flush() {
  await_written();
  if (used_ != 0) write({chunks_[filling_]->data(), std::exchange(used_, 0)});
}

void ChunkedSink::write(std::string_view chunk) {
  file_.append(chunk);
  file_.start_write_back();
}

void ChunkedSink::end_chunk() {
  await_written();
  const std::string_view chunk(chunks_[filling_]->data(), std::exchange(used_, 0));
  if (pressed_ == nullptr || !pressed_() || !start_thread()) return write(chunk);
  filling_ = 1 - filling_;
  {
    const std::lock_guard lock(mutex_);
    handed_over_ = chunk;
  }
  changed_.notify_all();
}

bool ChunkedSink::start_thread() noexcept {
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { write_handed_over(); });
  } catch (const std::exception&) {
    return false;  // The caller does it as well.
  }
  return true;
}

void ChunkedSink::write_handed_over() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !handed_over_.empty(); });
    if (handed_over_.empty()) return;
    lock.unlock();
    std::exception_ptr failure;
    try {
      write(handed_over_);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = std::move(failure);
    handed_over_ = {};
    changed_.notify_all();
  }
}

void ChunkedSink::await_written() {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return handed_over_.empty(); });
  if (failure_ == nullptr || VARVE_MUTANT("file.failure_behind_forgotten")) return;
  std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace varve::directory

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "directory/directory.hpp"
#include "directory/file_replacer.hpp"
#include "directory/mapping.hpp"

namespace varve::directory {

// Collects what is appended into chunks, each of which the device may begin to write at once.
//
// Most of a write's time goes to pages of the file that it has to get: so, on demand, a thread of
// the sink's own writes one chunk while the caller fills the other:
//
//   filled by append() --full--> handed over --written--> free to be filled
//
// Thread-safety: none; its own thread is its own affair. Errors: those of FileReplacer, those of a
// chunk that was handed over from a later append() or flush().
class ChunkedSink final : public Sink {
 public:
  ChunkedSink(FileReplacer& file, std::size_t chunk_size) : file_(file), chunk_size_(chunk_size) {}
  ChunkedSink(const ChunkedSink&) = delete;
  ChunkedSink& operator=(const ChunkedSink&) = delete;
  ~ChunkedSink() override;

  void append(std::string_view bytes) override;
  [[nodiscard]] char* room(std::size_t size) override;  // Null where a chunk ends.
  [[nodiscard]] std::uint64_t offset() const noexcept override { return size_; }
  [[nodiscard]] std::size_t buffer_size() const noexcept override { return chunk_size_; }
  void write_behind_when(const std::function<bool()>& pressed) override { pressed_ = pressed; }
  // Writes what is left. Afterwards the file is the caller's alone again.
  void flush();

 private:
  [[nodiscard]] char* free_part();  // Of the chunk that is filled.
  void write(std::string_view chunk);
  void end_chunk();
  [[nodiscard]] bool start_thread() noexcept;  // False: the system has no more.
  void write_handed_over() noexcept;           // The thread's body.
  void await_written();

  FileReplacer& file_;  // The thread's while it has a chunk, else the caller's.
  const std::size_t chunk_size_;
  std::function<bool()> pressed_;
  std::uint64_t size_ = 0;
  std::array<std::optional<LargeBuffer>, 2> chunks_;
  std::size_t filling_ = 0;  // Which of them is.
  std::size_t used_ = 0;     // Bytes of it.

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string_view handed_over_;  // Empty: nothing is.
  bool stopping_ = false;
  std::exception_ptr failure_;  // Of a chunk that was handed over.
  std::thread thread_;          // Last: it uses the others.
};

}  // namespace varve::directory

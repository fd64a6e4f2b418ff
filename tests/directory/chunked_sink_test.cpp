// SPDX-License-Identifier: Apache-2.0
#include "directory/chunked_sink.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "directory/file_replacer.hpp"
#include "directory/simulated_file_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using test::error_of;

constexpr std::size_t kChunk = 4096;

std::string random_bytes(std::size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST_CASE("what is written behind is the same file, whenever and in whatever pieces",
          "[directory][sink]") {
  const int kind = GENERATE(0, 1, 2, 3);
  CAPTURE(kind);
  int asked_count = 0;
  const auto pressed = [&] {
    ++asked_count;
    return kind == 1 || (kind == 2 && asked_count % 2 == 0);
  };
  std::mt19937_64 random(7);
  SimulatedFileSystem disk;
  std::string expected;
  int in_place_count = 0;
  {
    FileReplacer file(disk, "run");
    ChunkedSink sink(file, kChunk);
    if (kind != 3) sink.write_behind_when(pressed);
    CHECK(sink.buffer_size() == kChunk);
    for (int i = 0; i < 300; ++i) {
      const std::string piece = random_bytes(random() % (i % 20 == 0 ? 3 * kChunk : 700), random);
      // Half of them where they belong, as far as there is room, which may be more than they take.
      char* const room = i % 2 == 0 ? sink.room(piece.size() + i % 3) : nullptr;
      if (room != nullptr) std::copy(piece.begin(), piece.end(), room);
      if (room != nullptr) ++in_place_count;
      sink.append(room != nullptr ? std::string_view(room, piece.size()) : piece);
      expected += piece;
      CHECK(sink.offset() == expected.size());
    }
    sink.flush();
    file.commit_new();
  }
  CHECK((disk.peek("run") == expected));
  CHECK((kind == 3 || asked_count > 10));
  CHECK(in_place_count > 50);
  CHECK(in_place_count < 150);
}

TEST_CASE("a chunk that cannot be written behind is the error of a later call",
          "[directory][sink]") {
  // Of the last one only flush() can tell.
  const std::size_t chunk_count = GENERATE(2, 8);
  SimulatedFileSystem disk;
  disk.set_capacity(kChunk);
  {
    FileReplacer file(disk, "run");
    ChunkedSink sink(file, kChunk);
    sink.write_behind_when([] { return true; });
    const std::string half(kChunk / 2, 'x');
    const auto write_all = [&] {
      for (std::size_t i = 0; i < 2 * chunk_count; ++i) sink.append(half);
      sink.flush();
    };
    CHECK(error_of(write_all) == ErrorCode::NoSpace);
  }
  CHECK(disk.list().empty());
}

TEST_CASE("a file that is given up while a chunk is written behind leaves nothing",
          "[directory][sink]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  const auto directory = make_posix_directory(disk);
  const auto write = [&](Sink& sink) {
    sink.write_behind_when([] { return true; });
    const std::string bytes(sink.buffer_size() / 2 + 1, 'x');
    for (int i = 0; i < 3; ++i) sink.append(bytes);  // The first chunk is on its way.
    throw std::runtime_error("the merge was cancelled");
  };
  CHECK_THROWS_AS(directory->put_immutable("run", write), std::runtime_error);
  CHECK(disk->list().empty());
}

}  // namespace
}  // namespace varve::directory

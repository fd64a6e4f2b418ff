// SPDX-License-Identifier: Apache-2.0
#include "segment/arena.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

TEST_CASE("chunks of every size are writable, aligned, disjoint and counted exactly",
          "[segment][arena]") {
  ChunkPool pool;
  const std::uint32_t seed = 7;
  CAPTURE(seed);
  std::mt19937 random(seed);
  struct Held {
    ChunkPool::Chunk chunk;
    char fill;
  };
  std::vector<Held> held;
  std::size_t in_use = 0;
  const auto intact = [](const Held& one) {
    return std::all_of(one.chunk.data, one.chunk.data + one.chunk.size,
                       [&one](char byte) { return byte == one.fill; });
  };
  const std::vector<std::size_t> sizes = {ChunkPool::kSmallChunkSize,
                                          ChunkPool::kChunkSize,
                                          5000,
                                          ChunkPool::kPooledSizeMax,
                                          ChunkPool::kPooledSizeMax + 1,
                                          200'000,
                                          2 * kMiB + 1,
                                          1};
  for (int step = 0; step < 600; ++step) {
    if (held.size() < 40 && random() % 5 < 3) {
      const std::size_t size = sizes[random() % sizes.size()];
      Held one{pool.allocate(size), static_cast<char>(random())};
      REQUIRE(one.chunk.size >= size);
      REQUIRE(one.chunk.size < size + ChunkPool::kUnit);
      REQUIRE(reinterpret_cast<std::uintptr_t>(one.chunk.data) % ChunkPool::kUnit == 0);
      std::memset(one.chunk.data, one.fill, one.chunk.size);
      in_use += one.chunk.size;
      held.push_back(one);
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      REQUIRE(intact(held.back()));
      pool.release(held.back().chunk);
      in_use -= held.back().chunk.size;
      held.pop_back();
    }
    REQUIRE(pool.size_in_use() == in_use);
    REQUIRE(pool.size_mapped() >= in_use);
  }
  for (const Held& one : held) {
    REQUIRE(intact(one));
    pool.release(one.chunk);
  }
  CHECK(pool.size_in_use() == 0);
}

TEST_CASE("released chunks are used again and idle regions go back to the kernel",
          "[segment][arena]") {
  ChunkPool pool;
  std::vector<ChunkPool::Chunk> chunks;
  for (int i = 0; i < 320; ++i) chunks.push_back(pool.allocate(ChunkPool::kChunkSize));
  const std::size_t full = pool.size_mapped();
  CHECK(full == 20 * kMiB);
  for (std::size_t i = 0; i < chunks.size(); i += 2) pool.release(chunks[i]);
  for (std::size_t i = 0; i < chunks.size(); i += 2) {
    chunks[i] = pool.allocate(ChunkPool::kChunkSize);
  }
  CHECK(pool.size_mapped() == full);
  for (const ChunkPool::Chunk& chunk : chunks) pool.release(chunk);
  CHECK(pool.size_in_use() == 0);
  CHECK(pool.size_mapped() <= 6 * kMiB);
}

TEST_CASE("a pool keeps what it may until it is trimmed", "[segment][arena]") {
  ChunkPool pool;
  pool.set_kept_size(16 * kMiB);
  std::vector<ChunkPool::Chunk> chunks;
  const auto take = [&](std::size_t size) {
    for (; size > 0; size -= ChunkPool::kPooledSizeMax) {
      chunks.push_back(pool.allocate(ChunkPool::kPooledSizeMax));
    }
  };
  const auto give_back = [&] {
    for (const ChunkPool::Chunk& chunk : chunks) pool.release(chunk);
    chunks.clear();
  };
  take(24 * kMiB);
  give_back();
  CHECK(pool.size_mapped() == 16 * kMiB);
  take(16 * kMiB);
  CHECK(pool.size_mapped() == 16 * kMiB);
  pool.trim();  // All is in use.
  CHECK(pool.size_mapped() == 16 * kMiB);
  give_back();  // Nothing was obtained since.
  CHECK(pool.size_mapped() == ChunkPool::kRegionSize);
  take(12 * kMiB);
  give_back();
  CHECK(pool.size_mapped() == 12 * kMiB);
  pool.trim();
  CHECK(pool.size_mapped() == ChunkPool::kRegionSize);
  CHECK(pool.size_free() == ChunkPool::kRegionSize);
}

TEST_CASE("large pooled chunks fill a region to its end", "[segment][arena]") {
  ChunkPool pool;
  const ChunkPool::Chunk first = pool.allocate(ChunkPool::kPooledSizeMax);
  const ChunkPool::Chunk second = pool.allocate(ChunkPool::kPooledSizeMax);
  CHECK(pool.size_mapped() == ChunkPool::kRegionSize);
  pool.release(first);
  pool.release(second);
}

TEST_CASE("a pool at its limit refuses a chunk and is unchanged", "[segment][arena]") {
  ChunkPool pool;
  pool.set_size_limit(2 * ChunkPool::kChunkSize);
  const ChunkPool::Chunk first = pool.allocate(ChunkPool::kChunkSize);
  CHECK_THROWS_AS(pool.allocate(ChunkPool::kChunkSize + 1), std::bad_alloc);
  CHECK(pool.size_in_use() == ChunkPool::kChunkSize);
  const ChunkPool::Chunk second = pool.allocate(ChunkPool::kChunkSize);
  CHECK_THROWS_AS(pool.allocate(1), std::bad_alloc);
  pool.release(first);
  pool.release(second);
  CHECK_THROWS_AS(pool.allocate(static_cast<std::size_t>(-1)), std::bad_alloc);
}

TEST_CASE("threads share a pool", "[segment][arena][stress]") {
  ChunkPool pool;
  std::atomic<int> damaged = 0;
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < 3; ++number) {
    threads.emplace_back([&pool, &damaged, number] {
      std::mt19937 random(number);
      for (int round = 0; round < 100; ++round) {
        std::vector<ChunkPool::Chunk> chunks;
        for (int i = 0; i < 10; ++i) {
          chunks.push_back(pool.allocate(4096 * (1 + random() % 20)));
          std::memset(chunks.back().data, static_cast<int>(number), chunks.back().size);
        }
        for (const ChunkPool::Chunk& chunk : chunks) {
          damaged += std::count(chunk.data, chunk.data + chunk.size, static_cast<char>(number)) !=
                     static_cast<std::ptrdiff_t>(chunk.size);
          pool.release(chunk);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(damaged == 0);
  CHECK(pool.size_in_use() == 0);
}

TEST_CASE("an arena takes a small chunk first, then large ones, and gives all back",
          "[segment][arena]") {
  ChunkPool pool;
  {
    Arena arena(pool);
    CHECK(arena.memory_size() == 0);
    CHECK(pool.size_in_use() == 0);
    CHECK(arena.allocate(10, 1) != nullptr);
    CHECK(arena.memory_size() == ChunkPool::kSmallChunkSize);
    while (arena.memory_size() == ChunkPool::kSmallChunkSize) {
      CHECK(arena.allocate(100, 4) != nullptr);
    }
    CHECK(arena.memory_size() == ChunkPool::kSmallChunkSize + ChunkPool::kChunkSize);
    CHECK(pool.size_in_use() == arena.memory_size());
  }
  CHECK(pool.size_in_use() == 0);
}

TEST_CASE("allocations of an arena are aligned and do not overlap", "[segment][arena]") {
  ChunkPool pool;
  Arena arena(pool);
  const std::uint32_t seed = 11;
  CAPTURE(seed);
  std::mt19937 random(seed);
  struct Piece {
    char* data;
    std::size_t size;
    char fill;
  };
  std::vector<Piece> pieces;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t size = 1 + random() % (i % 200 == 0 ? 3 * kMiB : i % 20 == 0 ? 70'000 : 300);
    const std::size_t alignment = std::size_t{1} << (random() % 7);
    Piece piece{arena.allocate(size, alignment), size, static_cast<char>(random())};
    REQUIRE(reinterpret_cast<std::uintptr_t>(piece.data) % alignment == 0);
    std::memset(piece.data, piece.fill, size);
    pieces.push_back(piece);
  }
  for (const Piece& piece : pieces) {
    REQUIRE(std::all_of(piece.data, piece.data + piece.size,
                        [&piece](char byte) { return byte == piece.fill; }));
  }
  CHECK(arena.memory_size() == pool.size_in_use());
}

TEST_CASE("a failed arena allocation changes nothing", "[segment][arena]") {
  ChunkPool pool;
  Arena arena(pool);
  CHECK(arena.allocate(100, 8) != nullptr);
  pool.set_size_limit(pool.size_in_use());
  CHECK_THROWS_AS(arena.allocate(20'000, 8), std::bad_alloc);
  CHECK(arena.memory_size() == ChunkPool::kSmallChunkSize);
  CHECK(arena.allocate(100, 8) != nullptr);  // There is still room in the first chunk.
  pool.set_size_limit(kMiB);
  CHECK(arena.allocate(20'000, 8) != nullptr);
}

TEST_CASE("an arena takes what was set aside for it first", "[segment][arena]") {
  const std::size_t size = GENERATE(1, 16'000, 17'000, 300'000);
  CAPTURE(size);
  ChunkPool pool;
  {
    Arena arena(pool);
    arena.reserve(size);
    CHECK(arena.memory_size() == Arena::reserve_size_of(size));
    CHECK(pool.size_in_use() == arena.memory_size());
    pool.set_size_limit(pool.size_in_use());
    std::vector<char*> pieces;
    for (std::size_t taken = 0; taken < size; taken += 100) {
      pieces.push_back(arena.allocate(100, 4));
      std::memset(pieces.back(), static_cast<char>(pieces.size()), 100);
    }
    CHECK(arena.memory_size() == Arena::reserve_size_of(size));
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      CHECK(pieces[i][99] == static_cast<char>(i + 1));
    }
    pool.set_size_limit(kMiB);
    CHECK(arena.allocate(200'000, 8) != nullptr);  // Has a chunk of its own.
    arena.release_reserve();
    CHECK(arena.memory_size() == pool.size_in_use());
    arena.reserve(size);  // Is given back with the rest.
  }
  CHECK(pool.size_in_use() == 0);
}

TEST_CASE("an arena that cannot set all aside sets nothing aside", "[segment][arena]") {
  ChunkPool pool;
  Arena arena(pool);
  pool.set_size_limit(2 * ChunkPool::kChunkSize);
  CHECK_THROWS_AS(arena.reserve(500'000), std::bad_alloc);
  CHECK(arena.memory_size() == 0);
  CHECK(pool.size_in_use() == 0);
}

}  // namespace
}  // namespace varve::segment

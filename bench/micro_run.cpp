// SPDX-License-Identifier: Apache-2.0
// micro_run [ENTRY_COUNT [VALUE_SIZE [KEYS [BLOCK_SIZE]]]]     KEYS: hash16, dec16 or url
// Builds one run in a file and measures the CPU time of building, random finds and scans, mapped
// and buffered.
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "directory/checksum.hpp"
#include "directory/directory.hpp"
#include "segment/run.hpp"
#include "segment/run_writer.hpp"

namespace {

using namespace varve;

// CPU time of this thread: on a busy machine, elapsed time says little.
struct Clock {
  using time_point = double;  // Nanoseconds.
  static time_point now() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  }
};

constexpr std::uint64_t kSeed = 42;
constexpr std::size_t kFindCount = 1'000'000;

double nanoseconds_since(Clock::time_point start) {
  return Clock::now() - start;
}

std::string make_key(std::string_view shape, std::uint64_t i) {
  const std::uint64_t mixed = directory::hash64({reinterpret_cast<const char*>(&i), sizeof i});
  char text[64];
  if (shape == "dec16") {
    std::snprintf(text, sizeof text, "%016llu", static_cast<unsigned long long>(i));
    return text;
  }
  if (shape == "url") {
    std::snprintf(text, sizeof text, "https://host%03u.example/p/%08u",
                  static_cast<unsigned>(mixed % 200), static_cast<unsigned>(i));
    return text;
  }
  std::string key(16, '\0');
  const std::uint64_t second = directory::hash64({reinterpret_cast<const char*>(&i), sizeof i}, 1);
  key.replace(0, 8, reinterpret_cast<const char*>(&mixed), 8);
  key.replace(8, 8, reinterpret_cast<const char*>(&second), 8);
  return key;
}

void measure_finds(const segment::Run& run, const std::vector<std::string>& keys,
                   const char* what) {
  std::string scratch;
  std::uint64_t found = 0;
  std::uint64_t bytes = 0;
  double best = 1e18;
  const std::size_t chunk = keys.size() / 10;
  for (std::size_t from = 0; from + chunk <= keys.size(); from += chunk) {
    const auto start = Clock::now();
    for (std::size_t i = from; i < from + chunk; ++i) {
      const segment::FoundEntry entry = run.find(keys[i], segment::kSequenceMax, scratch);
      found += entry.found ? 1 : 0;
      bytes += entry.value.size();
    }
    best = std::min(best, nanoseconds_since(start) / static_cast<double>(chunk));
  }
  std::printf("  %-28s %8.1f ns (best tenth), %llu found, sum %llu\n", what, best,
              static_cast<unsigned long long>(found), static_cast<unsigned long long>(bytes));
}

void measure_scans(const segment::Run& run, const char* what) {
  for (const bool forward : {true, true, false}) {
    const auto cursor = run.cursor();
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    const auto start = Clock::now();
    for (forward ? cursor->seek_to_first() : cursor->seek_to_last(); cursor->valid();
         forward ? cursor->next() : cursor->prev()) {
      ++count;
      bytes += cursor->entry().key.size() + cursor->entry().value.size();
    }
    std::printf("  %s %-20s %8.1f ns an entry, %llu bytes\n", what,
                forward ? "forward scan" : "reverse scan",
                nanoseconds_since(start) / static_cast<double>(count),
                static_cast<unsigned long long>(bytes));
  }
}

// A directory of our own, gone at the end.
struct Scratch {
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "varve-micro-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "cannot create " + name);
    }
    path = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t entry_count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  const std::size_t value_size = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100;
  const std::string shape = argc > 3 ? argv[3] : "hash16";
  const std::size_t block_size = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 4096;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < 2 * entry_count; ++i) all.push_back(make_key(shape, i));
  std::vector<std::string> keys, absent;  // Alternating, so that misses lie between hits.
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) (i % 2 == 0 ? keys : absent).push_back(all[i]);
  all.clear();
  std::string value(value_size, 'v');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7);

  const Scratch scratch;
  const auto files = directory::make_posix_directory(scratch.path);
  const auto ownership = files->acquire(LockMode::Exclusive, std::chrono::milliseconds(0), true);
  segment::RunSummary summary;
  double build = 0;
  const auto start = Clock::now();
  files->put_immutable("main-1-1.varve", [&](directory::Sink& sink) {
    segment::RunWriter writer(sink, {.seed = kSeed, .block_size = block_size});
    for (const std::string& key : keys) writer.add({.key = key, .value = value});
    summary = writer.finish();
    build = nanoseconds_since(start);
  });
  const auto raw = static_cast<double>(summary.raw_size);
  std::printf(
      "%zu %s keys, values of %zu, blocks of %zu: %.1f ns an entry, %.0f MB/s of raw data "
      "(%.0f MB/s with the sync), size %.3f of raw\n",
      entry_count, shape.c_str(), value_size, block_size, build / static_cast<double>(entry_count),
      raw / build * 1e3, raw / nanoseconds_since(start) * 1e3,
      static_cast<double>(summary.size) / raw);

  std::vector<std::string> hits, misses;
  for (std::size_t i = 0; i < kFindCount; ++i) {
    const std::uint64_t random =
        directory::hash64({reinterpret_cast<const char*>(&i), sizeof i}, 7);
    hits.push_back(keys[random % keys.size()]);
    misses.push_back(absent[random % absent.size()]);
  }
  const segment::RunLocation location{.offset = summary.offset,
                                      .size = summary.size,
                                      .seed = kSeed,
                                      .entry_count = summary.entry_count,
                                      .footer_checksum = summary.footer_checksum};
  for (const Reads reads : {Reads::Mapped, Reads::Buffered}) {
    const auto opening = Clock::now();
    const auto run = segment::Run::open(files->open("main-1-1.varve"), location, reads);
    std::printf("%s: open %.0f us, %llu blocks, %zu bytes of memory\n",
                reads == Reads::Mapped ? "mapped" : "buffered", nanoseconds_since(opening) / 1e3,
                static_cast<unsigned long long>(run->block_count()), run->memory_size());
    measure_scans(*run, "run");
    measure_finds(*run, hits, "find, hits");
    measure_finds(*run, misses, "find, misses");
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer, for every compiler: over each file of a directory, and over
// some changed copies of each, the same ones in every run. A broken invariant ends the process.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

using Bytes = std::vector<std::uint8_t>;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Of the targets that have one.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t size_max,
                                                                     unsigned seed);
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

constexpr std::size_t kMutantsPerFile = 300;
constexpr std::size_t kMutantSizeMax = 80 * 1024;

std::mt19937_64& generator() {
  static std::mt19937_64 random(1);
  return random;
}

// A copy in an allocation of its exact size, so that a sanitizer sees the first byte too far.
void run(const std::uint8_t* data, std::size_t size) {
  const Bytes copy(data, data + size);
  static_cast<void>(LLVMFuzzerTestOneInput(copy.data(), copy.size()));
}

}  // namespace

// Stands for libFuzzer's: a few bytes are changed, inserted or taken out.
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max) {
  std::mt19937_64& random = generator();
  if (size == 0) {
    if (size_max == 0) return 0;
    data[0] = static_cast<std::uint8_t>(random());
    return 1;
  }
  for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
    std::uint8_t* const at = data + random() % size;
    const auto behind = static_cast<std::size_t>(data + size - at);
    switch (random() % 4) {
      case 0:
        *at = static_cast<std::uint8_t>(random());
        break;
      case 1:
        *at = static_cast<std::uint8_t>(*at ^ 1U << random() % 8);
        break;
      case 2:
        if (size == size_max) break;
        std::copy_backward(at, at + behind, at + behind + 1);
        *at = static_cast<std::uint8_t>(random() % 3 == 0 ? 0xFF : random() % 3);
        ++size;
        break;
      default:
        if (size == 1) break;
        std::copy(at + 1, at + behind, at);
        --size;
        break;
    }
  }
  return size;
}

namespace {

// One to three mutations away from a stored input.
void run_mutant(Bytes bytes) {
  std::mt19937_64& random = generator();
  std::size_t size = bytes.size();
  bytes.resize(std::max(kMutantSizeMax, size));
  for (std::size_t rounds = 1 + random() % 3; rounds > 0; --rounds) {
    const auto seed = static_cast<unsigned>(random());
    size = LLVMFuzzerCustomMutator != nullptr
               ? LLVMFuzzerCustomMutator(bytes.data(), size, bytes.size(), seed)
               : LLVMFuzzerMutate(bytes.data(), size, bytes.size());
  }
  run(bytes.data(), size);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    return std::fprintf(stderr, "usage: %s DIRECTORY [CHANGED-COPIES]\n", argv[0]), 2;
  }
  const std::size_t mutants = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : kMutantsPerFile;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) return std::fprintf(stderr, "no files in %s\n", argv[1]), 1;
  run(nullptr, 0);
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    const Bytes bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file || bytes.empty()) return std::fprintf(stderr, "cannot read %s\n", path.c_str()), 1;
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    run(bytes.data(), bytes.size());
    for (std::size_t i = 0; i < mutants; ++i) run_mutant(bytes);
  }
  return 0;
}

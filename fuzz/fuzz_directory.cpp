// SPDX-License-Identifier: Apache-2.0
// Strategy: the input is a whole directory; the mutator changes one file and corrects the checksums
// around the change, as a hostile writer would. Invariants: checking never throws anything but that
// there is no index; what an open throws is one of the documented codes; where a deep check finds
// no damage, an open succeeds and everything can be read, in order, the same whether the files are
// trusted or not; an untrusted open accepts nothing else. (What is read is not compared with what
// a compaction makes of it: runs whose sequences contradict each other are no damage to be seen.)
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "directory/check.hpp"
#include "fuzz/store_archive.hpp"
#include "lib/checker.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/tiny_options.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using namespace varve::internal;
using varve::Error;
using varve::ErrorCode;
using Entries = std::vector<std::pair<std::string, std::string>>;

enum class Way { Trusted, Untrusted, Written };

bool is_documented(ErrorCode code) {
  return code == ErrorCode::Corruption || code == ErrorCode::Unsupported ||
         code == ErrorCode::NotFound || code == ErrorCode::LimitExceeded ||
         code == ErrorCode::AlreadyExists;  // A new file by the name of one that is named.
}

// Everything that can be read; nothing when something cannot.
std::optional<Entries> read_all(const varve::fuzz::Files& files, Way way) {
  varve::Options options = varve::test::tiny_options();
  options.access = varve::Access::Bare;
  options.create_if_missing = false;
  options.read_only = way != Way::Written;
  options.untrusted = way == Way::Untrusted;
  Entries entries;
  try {
    varve::SegmentIndex index = SegmentIndexAccess::open(varve::fuzz::directory_of(files), options);
    if (way == Way::Written) index.compact();
    for (const auto& [key, value] : index.scan()) {
      VARVE_CHECK(entries.empty() || entries.back().first < key || way == Way::Trusted);
      entries.emplace_back(key, value);
    }
    for (const auto& [key, value] : entries) static_cast<void>(index.get(key));
    return entries;
  } catch (const Error& error) {
    if (!is_documented(error.code())) std::fprintf(stderr, "%s\n", error.what());
    VARVE_CHECK(is_documented(error.code()));
    return std::nullopt;
  }
}

bool is_sound(const varve::fuzz::Files& files) {
  const auto directory = varve::fuzz::directory_of(files);
  try {
    const varve::CheckReport report = check_directory(*directory, {.deep = true});
    check_directory_log(*directory, {}, {.untrusted = true});
    static_cast<void>(check_directory(*directory, {}));
    return report.sound();
  } catch (const Error& error) {
    VARVE_CHECK(error.code() == ErrorCode::NotFound);
    return false;
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  varve::fuzz::Files files =
      varve::fuzz::unpack({reinterpret_cast<const char*>(data), seed % 64 == 0 ? 0 : size});
  varve::fuzz::mutate_store(files, seed / 64, [](std::string& part) {
    const std::size_t used = part.size();
    part.resize(used + 64);
    part.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(part.data()), used, part.size()));
  });
  const std::string archive = varve::fuzz::pack(files);
  if (archive.size() > size_max) return LLVMFuzzerMutate(data, size, size_max);
  std::memcpy(data, archive.data(), archive.size());
  return archive.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const varve::fuzz::Files files = varve::fuzz::unpack({reinterpret_cast<const char*>(data), size});
  const bool sound = is_sound(files);
  const auto trusted = read_all(files, Way::Trusted);
  const auto untrusted = read_all(files, Way::Untrusted);
  VARVE_CHECK(sound || !untrusted);
  if (!sound) return 0;
  VARVE_CHECK(trusted.has_value() && trusted == untrusted);
  static_cast<void>(read_all(files, Way::Written));
  return 0;
}

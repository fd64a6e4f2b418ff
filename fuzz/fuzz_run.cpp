// SPDX-License-Identifier: Apache-2.0
// Strategy: the input is the image of a run, with a first byte that chooses its place in the file;
// what the manifest would say of it is taken from its footer. The mutator changes one part of the
// run and makes the other parts agree with it (run_repair.hpp). Invariants: a run opens mapped and
// read by block alike; damage is Corruption or Unsupported and nothing else; a run in which
// verify() finds nothing gives its entries forward, backward and by key, and the same ones in both
// modes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/directory.hpp"
#include "fuzz/run_repair.hpp"
#include "segment/run.hpp"
#include "segment/run_format.hpp"
#include "varve/error.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using namespace varve::segment;
using varve::Error;
using varve::ErrorCode;
using varve::Reads;

// An exact allocation, so that a sanitizer sees the first byte too far.
class ExactFile final : public varve::directory::ImmutableFile {
 public:
  ExactFile(std::uint64_t padding, std::string_view image)
      : size_(padding + image.size()), bytes_(std::make_unique<char[]>(size_)) {
    image.copy(bytes_.get() + padding, image.size());
  }
  const std::string& name() const noexcept override { return name_; }
  std::uint64_t size() const noexcept override { return size_; }
  void read(std::uint64_t offset, std::span<char> out) const override {
    VARVE_CHECK(offset <= size_ && out.size() <= size_ - offset);
    if (!out.empty()) std::memcpy(out.data(), bytes_.get() + offset, out.size());
  }
  std::string_view map() const override { return {bytes_.get(), size_}; }

 private:
  std::string name_ = "file";
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

struct Version {
  std::string key;
  Sequence sequence = 0;
  Kind kind = Kind::Value;
  std::string value;
  friend bool operator==(const Version&, const Version&) = default;
};

Version version_of(const EntryView& entry) {
  return {.key = std::string(entry.key),
          .sequence = entry.sequence,
          .kind = entry.kind,
          .value = std::string(entry.value)};
}

// False when `call` threw what damage may throw; anything else ends the process.
template <typename Call>
bool succeeds(Call call) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    VARVE_CHECK(error.code() == ErrorCode::Corruption || error.code() == ErrorCode::Unsupported);
    return false;
  }
}

// All entries in one direction, as far as they can be read.
std::optional<std::vector<Version>> read_all(const Run& run, bool reverse) {
  std::vector<Version> all;
  const auto cursor = run.cursor();
  const bool whole = succeeds([&] {
    reverse ? cursor->seek_to_last() : cursor->seek_to_first();
    while (cursor->valid()) {
      VARVE_CHECK(all.size() < run.entry_count());
      all.push_back(version_of(cursor->entry()));
      reverse ? cursor->prev() : cursor->next();
    }
  });
  if (!whole) return std::nullopt;
  return all;
}

// Seeks and finds by the keys of the run itself and near them: whatever the bytes, no crash.
void probe(const Run& run, const std::vector<Version>& versions, bool sound) {
  std::string scratch;
  const auto cursor = run.cursor();
  for (const Version& version : versions) {
    const std::string& key = version.key;
    for (const std::string& near : {key, key + '\0', key.substr(0, key.size() / 2)}) {
      succeeds([&] { static_cast<void>(run.find(near, version.sequence, scratch)); });
      succeeds([&] { cursor->seek(near); });
      succeeds([&] { cursor->seek_before(near); });
    }
    if (!sound) continue;
    const FoundEntry found = run.find(key, version.sequence, scratch);
    VARVE_CHECK(found.found && found.sequence == version.sequence && found.kind == version.kind);
    VARVE_CHECK(found.value == version.value);
    VARVE_CHECK(run.may_contain(varve::directory::hash64(key)));
    cursor->seek(key);
    VARVE_CHECK(cursor->valid() && cursor->entry().key == key);
    cursor->seek_before(key);
    VARVE_CHECK(!cursor->valid() || cursor->entry().key < key);
  }
}

std::optional<std::vector<Version>> examine(const Run& run) {
  std::size_t finding_count = 0;
  run.verify([&](const RunFinding& finding) {
    VARVE_CHECK(!finding.what.empty() && finding.offset >= run.location().offset);
    ++finding_count;
  });
  auto forward = read_all(run, false);
  auto backward = read_all(run, true);
  VARVE_CHECK(forward.has_value() == backward.has_value());
  VARVE_CHECK(finding_count > 0 || forward.has_value());
  probe(run, forward.value_or(std::vector<Version>{{.key = "key", .value = {}}}),
        finding_count == 0);
  if (!forward) return forward;
  VARVE_CHECK(forward->size() == run.entry_count());
  std::reverse(backward->begin(), backward->end());
  VARVE_CHECK(*forward == *backward);
  if (finding_count > 0) return forward;
  for (std::size_t i = 1; i < forward->size(); ++i) {
    const Version &before = (*forward)[i - 1], &here = (*forward)[i];
    const int order = before.key.compare(here.key);
    VARVE_CHECK(order < 0 || (order == 0 && before.sequence > here.sequence));
  }
  return forward;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  std::string image;
  if (size > 1) image.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::uint8_t place = size > 0 ? data[0] : 0;
  const std::uint64_t offset = varve::fuzz::run_offset(place);
  if (seed % 64 == 0) image.clear();
  varve::fuzz::mutate_run(image, {.offset = offset}, seed / 64, [&](std::string& part) {
    const std::size_t used = part.size();
    part.resize(used + 64);
    part.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(part.data()), used, part.size()));
  });
  if (image.size() + 1 > size_max) return LLVMFuzzerMutate(data, size, size_max);
  data[0] = place;
  std::memcpy(data + 1, image.data(), image.size());
  return image.size() + 1;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view image(reinterpret_cast<const char*>(data) + 1, size - 1);
  RunLocation location{.offset = varve::fuzz::run_offset(data[0]),
                       .size = image.size(),
                       .seed = varve::fuzz::kRunSeed};
  if (image.size() >= kRunFooterSize) {
    const char* const footer = image.data() + image.size() - kRunFooterSize;
    location.entry_count = varve::directory::load_le<std::uint64_t>(footer + 32);
    location.footer_checksum = varve::directory::load_le<std::uint64_t>(footer + 120);
  }
  const auto file = std::make_shared<ExactFile>(location.offset, image);
  std::shared_ptr<const Run> mapped, buffered;
  const bool opens = succeeds([&] { mapped = Run::open(file, location, Reads::Mapped); });
  VARVE_CHECK(opens == succeeds([&] { buffered = Run::open(file, location, Reads::Buffered); }));
  if (!opens) return 0;
  VARVE_CHECK(examine(*mapped) == examine(*buffered));
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/checksum.hpp"
#include "directory/directory.hpp"
#include "segment/run.hpp"
#include "segment/run_writer.hpp"
#include "varve/error.hpp"

namespace varve::segment::test {

class StringSink final : public directory::Sink {
 public:
  explicit StringSink(std::size_t offset = 0) : bytes(offset, '\0') {}
  void append(std::string_view piece) override { bytes += piece; }
  [[nodiscard]] std::uint64_t offset() const noexcept override { return bytes.size(); }
  std::string bytes;
};

// A file whose bytes a test may change under its readers.
class StringFile final : public directory::ImmutableFile {
 public:
  StringFile(std::string content, bool mappable) : bytes(std::move(content)), mappable_(mappable) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes.size(); }
  void read(std::uint64_t offset, std::span<char> out) const override {
    if (offset > bytes.size() || out.size() > bytes.size() - offset) {
      throw Error(ErrorCode::Corruption, "read past the end", name_);
    }
    if (refused_offset >= offset && refused_offset < offset + out.size()) {
      throw Error(ErrorCode::Io, "device error", name_);
    }
    std::memcpy(out.data(), bytes.data() + offset, out.size());
  }
  [[nodiscard]] std::string_view map() const override {
    return mappable_ ? std::string_view(bytes) : std::string_view();
  }
  std::string bytes;
  std::uint64_t refused_offset = ~std::uint64_t{0};  // A read of this byte is an Io error.

 private:
  std::string name_ = "main-7-1.varve";
  bool mappable_;
};

struct Version {
  std::string key;
  Sequence sequence = 0;
  Kind kind = Kind::Value;
  std::string value = {};
  friend bool operator==(const Version&, const Version&) = default;
};
// The order of a run.
inline bool before(const Version& a, const Version& b) {
  const int order = a.key.compare(b.key);
  return order != 0 ? order < 0 : a.sequence > b.sequence;
}

struct Image {
  std::string bytes;
  RunSummary summary;
  std::uint64_t seed = 0;
  [[nodiscard]] RunLocation location() const {
    return {.offset = summary.offset,
            .size = summary.size,
            .seed = seed,
            .entry_count = summary.entry_count,
            .footer_checksum = summary.footer_checksum};
  }
};

inline Image write_image(const std::vector<Version>& versions, std::size_t block_size,
                         std::uint64_t offset = 0, double filter_bits = 12) {
  Image image;
  image.seed = directory::file_seed("uuid", directory::ChecksumDomain::MainRun, 7, 1);
  StringSink sink(offset);
  RunWriter writer(
      sink, {.seed = image.seed, .block_size = block_size, .filter_bits_per_key = filter_bits});
  for (const Version& version : versions) {
    writer.add({.key = version.key,
                .value = version.value,
                .sequence = version.sequence,
                .kind = version.kind});
  }
  image.summary = writer.finish();
  image.bytes = std::move(sink.bytes);
  return image;
}

inline std::shared_ptr<const Run> open_image(const Image& image, Reads reads) {
  return Run::open(std::make_shared<StringFile>(image.bytes, reads == Reads::Mapped),
                   image.location(), reads);
}

inline std::vector<RunFinding> findings(const Run& run) {
  std::vector<RunFinding> all;
  run.verify([&all](const RunFinding& finding) { all.push_back(finding); });
  return all;
}

enum class Shape : std::uint8_t { Random16, Decimal, Url, Binary, Prefixes, OneByte, Huge };
inline constexpr Shape kShapes[] = {Shape::Random16, Shape::Decimal, Shape::Url, Shape::Binary,
                                    Shape::Prefixes, Shape::OneByte, Shape::Huge};

using Random = std::mt19937_64;

inline std::string make_key(Shape shape, Random& random) {
  const std::uint64_t number = random();
  switch (shape) {
    case Shape::Random16:
      return std::string(reinterpret_cast<const char*>(&number), 8) + std::to_string(random() % 90);
    case Shape::Decimal: {
      const std::string digits = std::to_string(number % 100'000);
      return "000000" + std::string(5 - digits.size(), '0') + digits;
    }
    case Shape::Url:
      return "https://example" + std::to_string(number % 3) + ".org/" +
             std::string(number % 40, 'p') + "/" + std::to_string(random() % 1000);
    case Shape::Binary: {  // Zeros and 0xFF, where padding and signs would go wrong.
      std::string key(1 + number % 9, '\0');
      for (char& byte : key) byte = "\0\0\xFF\x01"[random() % 4];
      return key;
    }
    case Shape::Prefixes:  // Every key is the beginning of the longer ones.
      return std::string(1 + number % 300, 'a');
    case Shape::OneByte:
      return std::string(1, static_cast<char>(number));
    case Shape::Huge: {
      std::string key(number % 2 == 0 ? 65536 : 60'000 + random() % 5536, 'k');
      const std::string digits = std::to_string(random());
      key.replace(key.size() - digits.size(), digits.size(), digits);
      return key;
    }
  }
  return {};
}

// Distinct keys of one shape, ascending, some with several versions and tombstones.
inline std::vector<Version> make_versions(Shape shape, std::size_t key_count, std::size_t value_max,
                                          std::uint64_t seed) {
  Random random(seed);
  std::set<std::string> keys;
  for (std::size_t i = 0; i < key_count; ++i) keys.insert(make_key(shape, random));
  std::vector<Version> versions;
  for (const std::string& key : keys) {
    const std::size_t count = random() % 4 == 0 ? 1 + random() % 12 : 1;
    Sequence sequence = count == 1 && random() % 2 == 0 ? 0 : 1'000'000 + random() % 1000;
    for (std::size_t i = 0; i < count; ++i) {
      Version version{.key = key, .sequence = sequence};
      version.kind = random() % 5 == 0 ? Kind::Tombstone : Kind::Value;
      if (version.kind == Kind::Value) {
        version.value.assign(random() % 8 == 0
                                 ? random() % (value_max + 1)
                                 : random() % (std::min(value_max, std::size_t{120}) + 1),
                             static_cast<char>(random()));
      }
      versions.push_back(std::move(version));
      sequence = i + 2 == count ? 0 : sequence - 1 - random() % 50'000;
    }
  }
  return versions;
}

inline Version current(const EntrySource& source) {
  const EntryView& entry = source.entry();
  return {.key = std::string(entry.key),
          .sequence = entry.sequence,
          .kind = entry.kind,
          .value = std::string(entry.value)};
}

}  // namespace varve::segment::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "lib/manifest.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/tiny_options.hpp"

namespace varve::test {

using Files = std::map<std::string, std::string>;    // All bytes by name.
using Entries = std::map<std::string, std::string>;  // What an index holds.

inline Files files_of(const directory::Directory& directory) {
  Files files;
  for (const directory::FileInfo& file : directory.list()) {
    files[file.name] = directory.read_all(file.name, UINT64_MAX);
  }
  return files;
}

inline std::shared_ptr<directory::Directory> directory_of(const Files& files) {
  auto directory = directory::make_memory_directory("index");
  for (const auto& [name, bytes] : files) directory->replace(name, bytes);
  return directory;
}

// The files of a small index whose process was killed, and what may be read from it.
struct StoreImage {
  Files files;
  internal::Manifest manifest;
  std::vector<Entries> states;  // After each write that is in the live log; the last one is whole.
  std::vector<std::string> keys;  // Every key that was ever written.

  [[nodiscard]] const Entries& whole() const { return states.back(); }
};

// Few runs are merged, so that there are several.
inline Options image_options() {
  Options options = tiny_options();
  options.access = Access::Synchronized;  // The same writes, the same files.
  options.tuning.compaction_ratio = 4;
  options.tuning.tier_fanout = 16;
  options.tuning.delta_runs_max = 64;
  return options;
}

inline std::string image_key(int i) {
  std::string number = std::to_string(i);
  return "key-" + std::string(4 - number.size(), '0') + number;
}
inline std::string image_value(int i, int version) {
  return std::string(static_cast<std::size_t>(150 + i % 60), static_cast<char>('a' + i % 26)) +
         "/" + std::to_string(i) + "/" + std::to_string(version);
}

// Writes to an index in memory and keeps what it holds.
class ImageWriter {
 public:
  [[nodiscard]] SegmentIndex& index() noexcept { return index_; }
  [[nodiscard]] const Entries& entries() const noexcept { return entries_; }
  [[nodiscard]] Files files() const { return files_of(*directory_); }
  void reopen() {
    index_.close();
    index_ = internal::SegmentIndexAccess::open(directory_, image_options());
  }
  void put(int i, int version) {
    index_.put(image_key(i), image_value(i, version));
    entries_[image_key(i)] = image_value(i, version);
  }
  void erase(int i) {
    index_.erase(image_key(i));
    entries_.erase(image_key(i));
  }
  void erase_range(int from, int to) {
    index_.erase_range(image_key(from), image_key(to));
    entries_.erase(entries_.lower_bound(image_key(from)), entries_.lower_bound(image_key(to)));
  }
  void put_batch(int from, int to, int version) {
    WriteBatch batch;
    for (int i = from; i < to; ++i) {
      batch.put(image_key(i), image_value(i, version));
      entries_[image_key(i)] = image_value(i, version);
    }
    index_.write(batch);
  }

 private:
  std::shared_ptr<directory::Directory> directory_ = directory::make_memory_directory("index");
  SegmentIndex index_ = internal::SegmentIndexAccess::open(directory_, image_options());
  Entries entries_;
};

class ImageBuilder {
 public:
  StoreImage build() {
    for (int i = 0; i < 600; ++i) writer_.put(i, 1);
    writer_.index().flush();
    writer_.index().compact();
    for (int i = 0; i < 600; i += 25) writer_.put(i, 2);
    writer_.erase(90);
    writer_.erase(410);
    writer_.erase_range(100, 110);
    writer_.erase_range(500, 505);
    writer_.index().flush();
    for (int i = 2; i < 600; i += 60) writer_.put(i, 3);
    writer_.index().flush();
    writer_.index().compact({.to = "key-0001"});  // Kills the first segment's slices.
    for (int i = 7; i < 600; i += 100) writer_.put(i, 4);
    writer_.index().flush();
    image_.states.push_back(writer_.entries());
    write_log();
    image_.files = writer_.files();
    image_.manifest = internal::decode_manifest(image_.files.at("MANIFEST"), "MANIFEST");
    for (int i = 0; i < 620; ++i) image_.keys.push_back(image_key(i));
    return std::move(image_);
  }

 private:
  void write_log() {
    for (int i = 0; i < 20; ++i) logged([&] { writer_.put(i * 31, 5); });
    logged([&] { writer_.erase(300); });
    logged([&] { writer_.erase_range(200, 230); });
    logged([&] { writer_.put_batch(600, 605, 6); });
    for (int i = 205; i < 210; ++i) logged([&] { writer_.put(i, 7); });
  }
  template <typename Write>
  void logged(Write write) {
    write();
    image_.states.push_back(writer_.entries());
  }

  ImageWriter writer_;
  StoreImage image_;
};

// Built once; every test reads it only.
inline const StoreImage& store_image() {
  static const StoreImage image = ImageBuilder().build();
  return image;
}

}  // namespace varve::test

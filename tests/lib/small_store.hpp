// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/checker.hpp"
#include "tests/lib/store_image.hpp"

namespace varve::test {

// A store of every kind of file, each of a few KiB, so that each of its bits can be flipped; and
// what it was before.
struct SmallStore {
  StoreImage image;
  // The whole directory at moments before, oldest first; the last one is the image itself. And
  // what the index held after each write since the first of them.
  std::vector<Files> generations;
  std::vector<Entries> history;
};

class SmallStoreBuilder {
 public:
  SmallStore build() {
    make_segments();
    take_generation();
    for (int i = 0; i < 600; i += 36) write([&] { writer_.put(i, 2); });
    write([&] { writer_.erase(48); });
    write([&] { writer_.erase(480); });
    write([&] { writer_.erase_range(100, 140); });
    write([&] { writer_.erase_range(500, 505); });
    take_generation();
    writer_.index().flush();
    take_generation();
    for (int i = 2; i < 600; i += 90) write([&] { writer_.put(i, 3); });
    writer_.index().flush();
    take_generation();
    writer_.index().compact({.to = "key-0001"});  // Kills the first segment's slices.
    take_generation();
    for (int i = 7; i < 600; i += 150) write([&] { writer_.put(i, 4); });
    writer_.index().flush();
    take_generation();
    store_.image.states.push_back(writer_.entries());
    write_log();
    finish();
    return std::move(store_);
  }

 private:
  // Segments split by their size, and are small once most of their keys are gone.
  void make_segments() {
    for (int i = 0; i < 600; ++i) writer_.put(i, 1);
    writer_.index().flush();
    writer_.index().compact();
    for (int i = 0; i < 600; i += 6) writer_.erase_range(i + 1, i + 6);
    writer_.index().compact();
    writer_.reopen();  // With a new log.
    store_.history.push_back(writer_.entries());
  }
  void write_log() {
    const auto logged = [&](auto call) {
      write(call);
      store_.image.states.push_back(writer_.entries());
    };
    for (int i = 0; i < 6; ++i) logged([&] { writer_.put(i * 93, 5); });
    logged([&] { writer_.erase(300); });
    logged([&] { writer_.erase_range(200, 230); });
    logged([&] { writer_.put_batch(600, 604, 6); });
    for (int i = 205; i < 208; ++i) logged([&] { writer_.put(i, 7); });
  }
  template <typename Call>
  void write(Call call) {
    call();
    store_.history.push_back(writer_.entries());
  }
  void take_generation() { store_.generations.push_back(short_logs(writer_.files())); }
  // Without most of what lies behind the records: a log may be shorter than it was preallocated.
  static Files short_logs(Files files) {
    const auto directory = directory_of(files);
    std::map<std::string, std::uint64_t> ends;
    internal::check_directory_log(*directory,
                                  [&](const LogRecordInfo& record) {
                                    ends[internal::log_file_name(record.log_number)] =
                                        record.offset + record.size;
                                  },
                                  {});
    for (auto& [name, bytes] : files) {
      if (name.starts_with("log-")) bytes.resize(std::max<std::uint64_t>(ends[name], 4096) + 520);
    }
    return files;
  }
  void finish() {
    take_generation();
    StoreImage& image = store_.image;
    image.files = store_.generations.back();
    image.manifest = internal::decode_manifest(image.files.at("MANIFEST"), "MANIFEST");
    for (int i = 0; i < 608; ++i) image.keys.push_back(image_key(i));
    std::erase_if(image.keys, [&](const std::string& key) {
      return std::none_of(store_.history.begin(), store_.history.end(),
                          [&](const Entries& state) { return state.contains(key); });
    });
    image.keys.push_back("key");
    image.keys.push_back("zzz");
  }

  ImageWriter writer_;
  SmallStore store_;
};

// Built once; every test reads it only.
inline const SmallStore& small_store() {
  static const SmallStore store = SmallStoreBuilder().build();
  return store;
}

}  // namespace varve::test

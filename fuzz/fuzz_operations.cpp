// SPDX-License-Identifier: Apache-2.0
// Strategy: the input is a sequence of calls on an index, and now and then of damage: the files as
// a killed process leaves them, one of them changed, and the index opened from these. Invariants:
// without damage every answer is that of a map; with it an answer is that of a map too, as it was
// after the last write or, where the log was damaged, after an earlier one of the same log, or it
// is Corruption.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "fuzz/store_archive.hpp"
#include "lib/checker.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/tiny_options.hpp"

namespace {

using namespace varve::internal;
using varve::Error;
using varve::ErrorCode;
using Model = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t kCallsMax = 100, kValueSizeMax = 200;

varve::Options options() {
  varve::Options options = varve::test::tiny_options();
  options.access = varve::Access::Synchronized;
  options.tuning.compaction_ratio = 1;
  return options;
}

varve::fuzz::Files files_of(const varve::directory::Directory& directory) {
  varve::fuzz::Files files;
  for (const auto& file : directory.list()) {
    files[file.name] = directory.read_all(file.name, UINT64_MAX);
  }
  return files;
}

class Player {
 public:
  explicit Player(std::string_view calls) : reader_(calls) { open({}); }

  void play() {
    for (std::size_t i = 0; i < kCallsMax && reader_.ok() && reader_.remaining() > 0; ++i) {
      if (!play_one(reader_.le<std::uint8_t>())) return;
    }
    check_all();
  }

 private:
  bool play_one(std::uint8_t call) {
    switch (call % 12) {
      case 8:
        index_.flush();
        return true;
      case 9:
        index_.compact();
        return true;
      case 10:
        check_all();
        index_.close();
        open(files_of(*directory_));
        return true;
      case 11:
        return damage();
      default:
        write(call % 12);
        return true;
    }
  }

  // A key of few that there are, so that they meet.
  std::string key() {
    const auto byte = reader_.le<std::uint8_t>();
    return std::string(1U + (byte & 3U), static_cast<char>('a' + (byte >> 2) % 16));
  }
  std::string value() {
    const auto size = reader_.le<std::uint16_t>() % kValueSizeMax;
    return std::string(size, static_cast<char>(reader_.le<std::uint8_t>()));
  }
  void write(int kind) {
    if (kind == 0) {
      const std::string from = key(), to = key();
      index_.erase_range(from, to);
      if (from < to) model_.erase(model_.lower_bound(from), model_.lower_bound(to));
    } else if (kind == 1) {
      const std::string erased = key();
      index_.erase(erased);
      model_.erase(erased);
    } else {
      const std::string written = key(), bytes = value();
      index_.put(written, bytes);
      model_[written] = bytes;
    }
    history_.push_back(model_);
  }

  void open(const varve::fuzz::Files& files) {
    index_ = varve::SegmentIndex();
    directory_ = varve::fuzz::directory_of(files);
    index_ = SegmentIndexAccess::open(directory_, options());
    history_ = {model_};
  }

  void check_all() const {
    Model found;
    for (const auto& [key, value] : index_.scan()) found.emplace(key, value);
    VARVE_CHECK(found == model_);
    for (const auto& [key, value] : model_) VARVE_CHECK(index_.get(key) == value);
  }

  // Changes some bytes of one file and looks what can still be read. False: nothing more to do.
  bool damage() {
    varve::fuzz::Files files = files_of(*directory_);
    auto file = std::next(files.begin(), reader_.le<std::uint8_t>() % files.size());
    if (file->second.empty()) return false;
    const std::size_t at = reader_.le<std::uint32_t>() % file->second.size();
    const std::size_t size =
        std::min<std::size_t>(1 + reader_.le<std::uint8_t>() % 16, file->second.size() - at);
    const std::string before = file->second;
    for (std::size_t i = at; i < at + size; ++i) {
      file->second[i] = static_cast<char>(file->second[i] ^ reader_.le<std::uint8_t>());
    }
    if (reader_.le<std::uint8_t>() % 4 == 0) file->second.resize(at);
    std::vector<Model> states = {model_};
    if (file->first.starts_with("log-")) states = history_;
    if (file->second == before) states = {model_};
    return read_damaged(files, states);
  }

  // False: it cannot be opened any more. What can be read decides which state it is in.
  bool read_damaged(const varve::fuzz::Files& files, const std::vector<Model>& states) {
    static_cast<void>(check_quietly(files));
    try {
      index_ = varve::SegmentIndex();
      directory_ = varve::fuzz::directory_of(files);
      index_ = SegmentIndexAccess::open(directory_, options());
      Model found;
      for (const auto& [key, value] : index_.scan()) found.emplace(key, value);
      for (const auto& [key, value] : found) VARVE_CHECK(index_.get(key) == value);
      VARVE_CHECK(std::find(states.begin(), states.end(), found) != states.end());
      model_ = found;
      history_ = {model_};
      return true;
    } catch (const Error& error) {
      VARVE_CHECK(error.code() == ErrorCode::Corruption);
      return false;
    }
  }

  static bool check_quietly(const varve::fuzz::Files& files) {
    return check_directory(*varve::fuzz::directory_of(files), {.deep = true}).sound();
  }

  varve::directory::ByteReader reader_;
  std::shared_ptr<varve::directory::Directory> directory_;
  varve::SegmentIndex index_;
  Model model_;
  std::vector<Model> history_;  // Since the log was begun, or longer.
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Player({reinterpret_cast<const char*>(data), size}).play();
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "stress/store_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "stress/failure.hpp"
#include "varve/directory_lock.hpp"

namespace varve::stress {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void overwrite(const fs::path& path, std::size_t offset, std::string_view bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw Obstacle(path.string() + ": cannot be overwritten");
}

// The largest file whose name begins so; empty: there is none.
fs::path largest_file(const fs::path& store, std::string_view beginning) {
  fs::path largest;
  std::uintmax_t size = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(store)) {
    const bool named = entry.path().filename().string().starts_with(beginning);
    if (!named || entry.file_size() <= size) continue;
    size = entry.file_size();
    largest = entry.path();
  }
  return largest;
}

bool shorten_log(const fs::path& store) {
  const fs::path log = largest_file(store, "log-");
  if (log.empty()) return false;
  const std::string bytes = read_file(log);
  const std::size_t size = bytes.find_last_not_of('\0') + 1;
  if (size < 16'384) return false;
  overwrite(log, size / 2, std::string(size - size / 2, '\0'));
  return true;
}

// A main run is used to its last byte; a delta file may have parts that are dead. Which of the runs
// count after a kill only the manifest knows.
bool flip_bits(const fs::path& store) {
  bool flipped = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(store)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("main-") || !name.ends_with(".varve")) continue;
    const std::string bytes = read_file(entry.path());
    if (bytes.empty()) continue;
    const char changed = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
    overwrite(entry.path(), bytes.size() / 2, {&changed, 1});
    flipped = true;
  }
  return flipped;
}

}  // namespace

void copy_store(const fs::path& from, const fs::path& to) {
  try {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  } catch (const fs::filesystem_error& error) {
    throw Obstacle(error.what());
  }
}

void remove_store(const fs::path& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  if (error) throw Obstacle(fmt::format("{}: {}", directory.string(), error.message()));
}

fs::path make_run_directory() {
  std::string name = (fs::temp_directory_path() / "varve-stress-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw_errno(name.c_str());
  return name;
}

std::vector<fs::path> stores_below(const fs::path& root) {
  std::vector<fs::path> stores;
  const auto look = [&](const fs::path& directory) {
    if (lock_status(directory).state != LockState::NotInitialized) stores.push_back(directory);
  };
  look(root);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory() && !entry.is_symlink()) look(entry.path());
  }
  std::sort(stores.begin(), stores.end());
  return stores;
}

std::optional<Plant> parse_plant(std::string_view name) {
  if (name.empty()) return Plant::None;
  if (name == "stale-store") return Plant::StaleStore;
  if (name == "short-log") return Plant::ShortLog;
  if (name == "flipped-bits") return Plant::FlippedBits;
  return std::nullopt;
}

bool damage_store(Plant plant, const fs::path& store, const fs::path& older) {
  switch (plant) {
    case Plant::None:
      return false;
    case Plant::StaleStore:
      if (!fs::exists(older)) return false;
      copy_store(older, store);
      return true;
    case Plant::ShortLog:
      return shorten_log(store);
    case Plant::FlippedBits:
      return flip_bits(store);
  }
  return false;
}

}  // namespace varve::stress

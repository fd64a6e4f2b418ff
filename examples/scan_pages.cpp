// SPDX-License-Identifier: Apache-2.0
// A listing in pages, as a web service gives them out: each page ends with a token, and the next
// request, perhaps to another process after a restart, goes on from there.
#include <cstddef>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "varve/varve.hpp"

namespace {

constexpr std::size_t kPageSize = 4;

struct Page {
  std::vector<std::string> keys;
  std::string next;  // Empty: this was the last page.
};

// One request. Without a token it begins the listing of `prefix`; a token brings its own range.
Page read_page(const varve::SegmentIndex& index, std::string_view prefix, std::string_view token) {
  Page page;
  varve::Cursor cursor = index.scan({.prefix = prefix, .limit = kPageSize, .resume = token});
  while (cursor.next()) page.keys.emplace_back(cursor.key());
  if (cursor.end_reason() == varve::ScanEnd::Limit) page.next = cursor.resume_token();
  return page;
}

void fill(varve::SegmentIndex& index) {
  varve::WriteBatch batch;
  for (int number = 0; number < 10; ++number) {
    std::ostringstream key;
    key << "photo:" << std::setw(3) << std::setfill('0') << number;
    batch.put(key.str(), "...");
  }
  batch.put("video:000", "...");
  index.write(batch);
}

void run(const std::filesystem::path& directory) {
  {
    auto index = varve::SegmentIndex::open(directory);
    fill(index);
    index.close();
  }
  std::string token;
  do {
    // A fresh handle for every page: a token needs no open cursor, no memory and no session.
    const auto index = varve::SegmentIndex::open(directory);
    const Page page = read_page(index, "photo:", token);
    std::cout << "page:";
    for (const std::string& key : page.keys) std::cout << ' ' << key;
    std::cout << '\n';
    token = page.next;
  } while (!token.empty());
}

}  // namespace

int main(int argc, char** argv) try {
  run(argc > 1 ? argv[1] : "scan_pages.varve");
} catch (const varve::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

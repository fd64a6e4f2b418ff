// SPDX-License-Identifier: Apache-2.0
// Strategy: the first byte says whether the rest is a token as it is, or the body of one that gets
// the right checksum. Invariants: a token is taken or is refused as InvalidArgument, by a scan of
// an index no different from scan_range(); a token that is taken is, but for a range
// that its bounds leave empty, the only one for its range; the scan gives what its range says, and
// goes on after any number of entries where it stopped.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/directory.hpp"
#include "lib/engine_cursor.hpp"
#include "lib/manifest.hpp"
#include "lib/segment_index_access.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace {

using namespace varve::internal;
using varve::ErrorCode;

// Keys of one to three letters in several segments.
class Fixture {
 public:
  Fixture() : directory_(varve::directory::make_memory_directory()), index_(open()) {
    for (char a = 'a'; a <= 'e'; ++a) {
      for (const std::string& key :
           {std::string{a}, std::string{a, '\0'}, std::string{a, a}, std::string{a, '\xff'}}) {
        keys_.push_back(key);
        index_.put(key, std::string(8'000, a));
      }
    }
    index_.compact();
    VARVE_CHECK(index_.statistics().segments.size() > 2);
    uuid_ = decode_manifest(directory_->read_all(kManifestName, kManifestSizeMax), "MANIFEST").uuid;
  }
  varve::SegmentIndex& index() { return index_; }
  const std::string& uuid() const { return uuid_; }

  std::vector<std::string> expected(const ScanRange& range) const {
    std::vector<std::string> keys;
    for (const std::string& key : keys_) {
      if (range.empty || key < range.from || (!range.to.empty() && key >= range.to)) continue;
      keys.push_back(key);
    }
    if (range.reverse) std::reverse(keys.begin(), keys.end());
    return keys;
  }

 private:
  varve::SegmentIndex open() {
    varve::Options options;
    options.memory_budget = 256 << 10;
    options.tuning.segment_size = 64 << 10;
    options.tuning.log_file_size = 64 << 10;
    return SegmentIndexAccess::open(directory_, options);
  }
  std::shared_ptr<varve::directory::Directory> directory_;
  varve::SegmentIndex index_;
  std::vector<std::string> keys_;
  std::string uuid_;
};

// False when the call refuses the token.
template <typename Call>
bool accepts(Call call) {
  try {
    call();
    return true;
  } catch (const varve::Error& error) {
    VARVE_CHECK(error.code() == ErrorCode::InvalidArgument);
    return false;
  }
}

std::string sign(std::string body, const std::string& uuid) {
  varve::directory::append_le(
      body,
      varve::directory::hash64(body, varve::directory::file_seed(
                                         uuid, varve::directory::ChecksumDomain::ResumeToken, 0)));
  std::string token;
  for (const char c : body) {
    token += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    token += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return token;
}

// Appends the keys of at most `limit` entries; returns what resumes behind them.
std::string scan(varve::SegmentIndex& index, std::string_view token, std::uint64_t limit,
                 std::vector<std::string>& keys) {
  varve::ScanOptions options;
  options.resume = token;
  options.limit = limit;
  varve::Cursor cursor = index.scan(options);
  while (cursor.next()) keys.emplace_back(cursor.key());
  return cursor.resume_token();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  if (size < 2) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string token = (data[0] & 1) != 0 ? bytes : sign(bytes, fixture.uuid());
  varve::ScanOptions options;
  options.resume = token;
  ScanRange range;
  const bool good = accepts([&] { range = scan_range(options, fixture.uuid()); });
  std::vector<std::string> all;
  std::string rest;
  VARVE_CHECK(good == accepts([&] { rest = scan(fixture.index(), token, UINT64_MAX, all); }));
  if (!good) return 0;
  // A range whose bounds leave nothing is taken as empty, whether or not its flag says so.
  const bool says_empty = ((token[3] - '0') & 2) != 0;
  if (range.empty == says_empty) {
    VARVE_CHECK(encode_resume_token(range, fixture.uuid()) == token);
  }
  VARVE_CHECK(all == fixture.expected(range));
  VARVE_CHECK(scan(fixture.index(), rest, UINT64_MAX, all) == rest);
  VARVE_CHECK(all == fixture.expected(range));  // Nothing was left.

  std::vector<std::string> parts;
  rest = scan(fixture.index(), token, data[0] >> 1, parts);
  static_cast<void>(scan(fixture.index(), rest, UINT64_MAX, parts));
  VARVE_CHECK(parts == all);
  return 0;
}

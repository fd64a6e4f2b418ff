// SPDX-License-Identifier: Apache-2.0
#include "lib/scan_range.hpp"

#include <algorithm>
#include <cstdint>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "varve/error.hpp"

namespace varve::internal {

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

namespace {

// RESUME TOKEN, as hexadecimal text               format 1; integers little-endian
//
//   offset  size  field
//        0     1  format          1
//        1     1  flags           bit 0: reverse, bit 1: nothing is left
//        2     -  from            varint size, bytes
//        -     -  to              varint size, bytes
//      end-8   8  checksum        XXH3-64 of the bytes before, seeded by the index's uuid
constexpr char kTokenFormat = 1;
constexpr char kHexDigits[] = "0123456789abcdef";

std::uint64_t token_checksum(std::string_view bytes, const std::string& uuid) {
  return directory::hash64(bytes,
                           directory::file_seed(uuid, directory::ChecksumDomain::ResumeToken, 0));
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

[[noreturn]] void refuse_token(const char* why) {
  throw Error(ErrorCode::InvalidArgument,
              std::string("the scan's resume token is not one of this index: ") + why);
}

ScanRange decode_resume_token(std::string_view token, const std::string& uuid) {
  std::string bytes;
  if (token.size() % 2 != 0) refuse_token("odd length");
  for (std::size_t i = 0; i < token.size(); i += 2) {
    const int high = hex_value(token[i]), low = hex_value(token[i + 1]);
    if (high < 0 || low < 0) refuse_token("a character is not hexadecimal");
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  if (bytes.size() < 12) refuse_token("too short");
  const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - 8);
  if (directory::load_le<std::uint64_t>(bytes.data() + body.size()) != token_checksum(body, uuid) &&
      !VARVE_MUTANT("token.checksum_ignored")) {
    refuse_token("its checksum does not match");
  }
  if (body[0] != kTokenFormat) refuse_token("unknown format");
  directory::ByteReader reader(body.substr(2));
  ScanRange range;
  range.from = reader.sized();
  range.to = reader.sized();
  if (!reader.ok() || reader.remaining() != 0) refuse_token("its fields do not fit");
  if ((body[1] & ~3) != 0) refuse_token("unknown flags");
  range.reverse = (body[1] & 1) != 0;
  range.empty = (body[1] & 2) != 0 || (!range.to.empty() && range.from >= range.to);
  return range;
}

}  // namespace

std::string encode_resume_token(const ScanRange& rest, const std::string& uuid) {
  std::string bytes{kTokenFormat, static_cast<char>((rest.reverse ? 1 : 0) | (rest.empty ? 2 : 0))};
  directory::append_varint(bytes, rest.from.size());
  bytes += rest.from;
  directory::append_varint(bytes, rest.to.size());
  bytes += rest.to;
  directory::append_le(bytes, token_checksum(bytes, uuid));
  std::string token;
  for (const char c : bytes) {
    token.push_back(kHexDigits[static_cast<unsigned char>(c) >> 4]);
    token.push_back(kHexDigits[static_cast<unsigned char>(c) & 15]);
  }
  return token;
}

ScanRange scan_range(const ScanOptions& options, const std::string& uuid) {
  if (!options.resume.empty()) return decode_resume_token(options.resume, uuid);
  ScanRange range;
  range.from = std::max(options.from, options.prefix);
  range.to = options.to;
  lower_end(range.to, prefix_end(options.prefix));
  range.reverse = options.reverse;
  range.empty = !range.to.empty() && range.from >= range.to;
  return range;
}

}  // namespace varve::internal

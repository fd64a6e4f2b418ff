// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/error_of.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {

// The codes of every call that an index offers, each made once.
inline std::vector<std::optional<ErrorCode>> try_everything(SegmentIndex& index) {
  WriteBatch batch;
  batch.put("k", "v");
  std::string value;
  const std::vector<std::function<void()>> calls = {
      [&] { index.put("k", "v"); },
      [&] { index.erase("k"); },
      [&] { index.erase_range("a", "z"); },
      [&] { index.erase_prefix("a"); },
      [&] { index.write(batch); },
      [&] { static_cast<void>(index.get("k")); },
      [&] { static_cast<void>(index.get("k", value)); },
      [&] { static_cast<void>(index.contains("k")); },
      [&] { static_cast<void>(index.multi_get({})); },
      [&] { static_cast<void>(index.scan()); },
      [&] { static_cast<void>(index.snapshot()); },
      [&] { index.sync(); },
      [&] { index.flush(); },
      [&] { index.compact(); },
      [&] { static_cast<void>(index.maintain()); },
      [&] { static_cast<void>(index.statistics()); },
      [&] { static_cast<void>(index.options()); },
      [&] { index.set_codecs("u32", "str"); },
  };
  std::vector<std::optional<ErrorCode>> codes;
  for (const auto& call : calls) codes.push_back(error_of(call));
  return codes;
}

inline bool all_are(const std::vector<std::optional<ErrorCode>>& codes, ErrorCode code) {
  return std::all_of(codes.begin(), codes.end(), [&](const auto& one) { return one == code; });
}

}  // namespace varve::test

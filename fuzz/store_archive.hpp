// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "directory/directory.hpp"

namespace varve::fuzz {

using Files = std::map<std::string, std::string>;  // Bytes by name.

// A whole directory in one input: for each file a byte that says what it is, the varint numbers of
// its name and its sized bytes. Any bytes are an archive, perhaps of no files.
[[nodiscard]] Files unpack(std::string_view archive);
[[nodiscard]] std::string pack(const Files& files);

// Two segments with a main run, a slice and tombstones each, and a log; one of several.
[[nodiscard]] Files fresh_store(std::uint32_t choice);

// Changes one file of the store by `mutate`, and corrects sizes and checksums around the change, so
// that readers get as far as that. A few choices leave them wrong, or change the set of files.
void mutate_store(Files& files, std::uint32_t choice,
                  const std::function<void(std::string&)>& mutate);

[[nodiscard]] std::shared_ptr<directory::Directory> directory_of(const Files& files);

}  // namespace varve::fuzz

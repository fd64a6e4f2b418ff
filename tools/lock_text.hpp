// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "varve/directory_lock.hpp"

namespace varve::tools {

// "2026-11-21T01:12:09Z"; empty when it is not known.
[[nodiscard]] std::string utc_text(std::int64_t unix_seconds);
[[nodiscard]] bool is_held(const LockStatus& status);
// "  pid 4711 (program) host db3 since 2026-11-21T01:12:09Z epoch 7 (writing)", as far as known.
[[nodiscard]] std::string holder_text(const LockHolder& holder);
[[nodiscard]] nlohmann::ordered_json lock_status_json(const LockStatus& status);

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "varve/check.hpp"

namespace varve::tools {

// One line: severity, file and offset, what is wrong, expected and found, the keys, what to do.
[[nodiscard]] std::string finding_text(const CheckFinding& finding);
[[nodiscard]] nlohmann::ordered_json findings_json(const std::vector<CheckFinding>& findings);

// "DAMAGED  2 errors, 1 warning, 0 notes" or "sound  ...".
[[nodiscard]] std::string verdict_text(const std::vector<CheckFinding>& findings);

// One line of JSON, without control characters.
[[nodiscard]] std::string json_line(const nlohmann::ordered_json& json);
// Bytes as a JSON member that is text or, with "_hex" after its name, hexadecimal.
void set_json_bytes(nlohmann::ordered_json& object, const std::string& name,
                    const std::string& bytes);

}  // namespace varve::tools

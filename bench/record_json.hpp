// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <ostream>
#include <string>

#include "bench/record.hpp"

namespace varve::bench {

void write_json(std::ostream& out, const Record& record);
// Errors: std::runtime_error that names the file, when it cannot be read, is no record, or is of
// another schema.
[[nodiscard]] Record read_json(const std::filesystem::path& path);

// What a session tells the process that started it, as one line each.
[[nodiscard]] std::string encode_measurement(const std::string& workload, const Measurement& m);
[[nodiscard]] std::string encode_failure(const std::string& text);
struct SessionMessage {
  std::string workload;  // Empty: a failure.
  Measurement measurement;
  std::string failure;
};
// A line that is no message is a failure, whose text is the line.
[[nodiscard]] SessionMessage decode_message(const std::string& line);

}  // namespace varve::bench

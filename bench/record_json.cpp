// SPDX-License-Identifier: Apache-2.0
#include "bench/record_json.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace varve::bench {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Latencies, count, seconds, quantiles_ns, longest_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measurement, operation_count, wall_seconds, foreground_seconds,
                                   cpu_seconds, user_size, written_size, disk_size, raw_size,
                                   anonymous_size, mapped_size, thread_count, segment_count,
                                   latencies)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScalePoint, parameter, value)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Result, repeat, engine, workload, point, measurement)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Failure, repeat, engine, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Machine, processor, core_count, memory_size, kernel, file_system,
                                   memory_limit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EngineNote, name, version, configuration, caution)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RecordedSettings, entry_count, read_count, synced_count,
                                   value_size, key_shape, access, reads, segment_size, memory_limit,
                                   cgroup, seed, repeat_count)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Record, schema, varve_version, commit, build, compiler, started,
                                   command, load, machine, settings, engines, results, failures)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SessionMessage, workload, measurement, failure)

namespace {

using Json = nlohmann::json;

// A message of an engine may hold bytes that are no UTF-8.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void write_json(std::ostream& out, const Record& record) {
  Json json = record;
  json["quantiles"] = kQuantiles;  // For readers; those of a schema are fixed.
  out << dump(json, 1) << '\n';
}

Record read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  try {
    const Json json = Json::parse(file);
    const int schema = json.at("schema").get<int>();
    if (schema != Record::kSchema) {
      throw std::runtime_error("schema " + std::to_string(schema) + ", this program knows " +
                               std::to_string(Record::kSchema));
    }
    return json.get<Record>();
  } catch (const std::exception& error) {
    throw std::runtime_error(path.string() + " is no record of varve-bench: " + error.what());
  }
}

std::string encode_measurement(const std::string& workload, const Measurement& m) {
  SessionMessage message;
  message.workload = workload;
  message.measurement = m;
  return dump(Json(message), -1) + '\n';
}
std::string encode_failure(const std::string& text) {
  SessionMessage message;
  message.failure = text;
  return dump(Json(message), -1) + '\n';
}
SessionMessage decode_message(const std::string& line) {
  SessionMessage message;
  try {
    message = Json::parse(line).get<SessionMessage>();
  } catch (const Json::exception&) {
    message.failure = line;
  }
  return message;
}

}  // namespace varve::bench

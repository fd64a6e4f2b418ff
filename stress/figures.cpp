// SPDX-License-Identifier: Apache-2.0
#include "stress/figures.hpp"

#include <fmt/format.h>

#include <fstream>

#include "stress/failure.hpp"
#include "varve/options.hpp"

namespace varve::stress {
namespace {

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace

std::string figures_text(const Figures& figures) {
  return fmt::format(
      "{} cycles in {:.1f} s: {} kills, {} closes, {} live copies; {} operations, {} recovered "
      "from logs, {} keys compared, {} deep checks",
      figures.cycles, figures.seconds, figures.kills, figures.closes, figures.copies,
      figures.operations, figures.recovered, figures.keys_read, figures.checks);
}

void write_json(const Figures& figures, const std::filesystem::path& file) {
  std::string json = fmt::format(
      "{{\n  \"mode\": \"{}\",\n  \"seed\": {},\n  \"sound\": {},\n  \"problem\": {},\n"
      "  \"seconds\": {:.3f},\n  \"cycles\": {},\n  \"kills\": {},\n  \"closes\": {},\n"
      "  \"copies\": {},\n  \"checks\": {},\n  \"operations\": {},\n  \"recovered\": {},\n"
      "  \"lost\": {},\n  \"keys_read\": {},\n  \"damaged\": {},\n  \"access\": {{",
      figures.mode, figures.seed, figures.problem.empty(), json_string(figures.problem),
      figures.seconds, figures.cycles, figures.kills, figures.closes, figures.copies,
      figures.checks, figures.operations, figures.recovered, figures.lost, figures.keys_read,
      figures.damaged);
  for (std::size_t i = 0; i < figures.access.size(); ++i) {
    json += fmt::format("{}\"{}\": {}", i == 0 ? "" : ", ",
                        varve::to_string(static_cast<Access>(i)), figures.access[i]);
  }
  json += "},\n  \"calls\": {";
  for (std::size_t i = 0; i < kKindCount; ++i) {
    json += fmt::format("{}\"{}\": {}", i == 0 ? "" : ", ", to_string(static_cast<Kind>(i)),
                        figures.kinds[i]);
  }
  json += "}\n}\n";
  std::ofstream out(file, std::ios::binary);
  out << json;
  if (!out.flush()) throw Obstacle(file.string() + ": cannot be written");
}

}  // namespace varve::stress

// SPDX-License-Identifier: Apache-2.0
// The command on an index that was made to harm whoever looks at it.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/command.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

using namespace std::string_literals;

namespace {

namespace fs = std::filesystem;

// What a terminal would obey: colours, titles, a bell, C1 controls, and what is no UTF-8.
const std::string kControls =
    "\x1b[31m\x1b]0;title\x07\b\r\x7f \xc2\x9b"
    "2J \xff\xfe \xe2\x82 tab\tline\nend"s;

struct Printed {
  int status = 0;
  std::string text;  // Both streams.
};

Printed print(const varve::tools::Arguments& arguments) {
  std::istringstream in;
  std::ostringstream out, err;
  Printed printed;
  printed.status = varve::tools::run(arguments, in, out, err);
  printed.text = out.str() + err.str();
  return printed;
}

// The first byte of `text` that may not be printed, with what is around it; empty: none. Tabs and
// newlines are what the formats themselves put between fields and lines.
std::string first_control(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 = byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    const bool is_control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f || is_c1;
    if (!is_control && varve::tools::utf8_length(text, i) != 0) {
      i += varve::tools::utf8_length(text, i) - 1;
      continue;
    }
    return varve::tools::escaped(text.substr(i < 40 ? 0 : i - 40, 60));
  }
  return {};
}

// Controls wherever an index can have bytes of its maker's choice: keys, values, fences, codecs'
// names, and the names of files beside it.
struct HostileIndex {
  varve::test::TemporaryDirectory temporary;
  fs::path path = temporary.path() / "db";

  HostileIndex() {
    varve::Options options;
    options.access = varve::Access::Bare;
    options.key_codec = options.value_codec = kControls;
    options.memory_budget = 256 << 10;
    options.tuning.segment_size = 64 << 10;
    varve::SegmentIndex index = varve::SegmentIndex::open(path, options);
    for (int i = 0; i < 300; ++i) {
      index.put(std::to_string(i % 10) + kControls + std::to_string(i), std::string(400, '\x1b'));
    }
    index.compact();
    for (int i = 0; i < 256; ++i) index.put(std::string(1, static_cast<char>(i)) + "\n", kControls);
    index.flush();
    index.put("in the log" + kControls, kControls);
    index.erase_range("a" + kControls, "b" + kControls);
    // As a killed process leaves it.
    fs::copy(path, temporary.path() / "killed");
    index.close();
    path = temporary.path() / "killed";
    for (const std::string& name : {kControls.substr(0, 30), "delta-77.varve"s, "\x1b[2J.tmp"s}) {
      std::ofstream(path / name) << kControls;
    }
  }
  [[nodiscard]] std::vector<fs::path> files(const std::string& prefix) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
    }
    return found;
  }
  // Every command that shows something, in each of its forms.
  [[nodiscard]] std::vector<varve::tools::Arguments> commands() const {
    const std::string db = path.string();
    return {{"check", db},
            {"check", db, "--deep", "--no-progress"},
            {"check", db, "--deep", "--json", "--untrusted"},
            {"stat", db},
            {"stat", db, "--json"},
            {"stat", db, "--segments"},
            {"scan", db},
            {"scan", db, "--json", "--untrusted"},
            {"scan", db, "--hex", "--reverse"},
            {"scan", db, "--limit", "3"},
            {"dump", db, "--no-progress"},
            {"dump", db, "--format", "jsonl", "--untrusted", "--no-progress"},
            {"get", db, "in the log" + kControls, "--escaped"},
            {"get", db, "in the log" + kControls, "--json"},
            {"get", db, "absent" + kControls},
            {"log", "verify", db},
            {"log", "verify", db, "--json"},
            {"log", "dump", db, "--untrusted"},
            {"log", "dump", db, "--json"},
            {"lock", "status", db},
            {"lock", "status", db, "--json"},
            {"check", db + kControls}};
  }
  void expect_no_control(const std::string& what) const {
    for (const varve::tools::Arguments& command : commands()) {
      const Printed printed = print(command);
      std::string text;
      for (const std::string& argument : command) text += argument.substr(0, 20) + " ";
      INFO(what << ": varve " << varve::tools::escaped(text));
      CHECK_FALSE(printed.text.empty());
      CHECK(first_control(printed.text) == "");
      CHECK(printed.status != varve::tools::kExitUsage);
    }
  }
};

TEST_CASE("nothing that an index holds reaches a terminal as a control character",
          "[tools][security]") {
  const HostileIndex index;
  index.expect_no_control("whole");
  CHECK(print({"check", index.path.string(), "--deep"}).status == varve::tools::kExitOk);
}

TEST_CASE("nor does a message about its damage", "[tools][security]") {
  const HostileIndex index;
  for (const std::string prefix : {"main-", "delta-", "log-", "MANIFEST"}) {
    const fs::path file = index.files(prefix).front();
    const std::string sound = varve::test::read_file(file);
    for (const std::size_t at : {std::size_t{30}, sound.size() - 100}) {
      std::string bytes = sound;
      for (std::size_t i = at; i < std::min(bytes.size(), at + 12); ++i) bytes[i] = '\x1b';
      varve::test::write_file(file, bytes);
      index.expect_no_control(prefix + " at " + std::to_string(at));
    }
    varve::test::write_file(file, sound);
  }
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
#include "tools/command.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

using namespace std::string_literals;
using nlohmann::json;
using varve::SegmentIndex;
using varve::test::TemporaryDirectory;

namespace {

struct Result {
  int status = 0;
  std::string out, err;
};
Result run(const varve::tools::Arguments& arguments, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out, err;
  Result result;
  result.status = varve::tools::run(arguments, in, out, err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  INFO("in: " << text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// An index in a fresh directory, and the command run on it.
struct Fixture {
  TemporaryDirectory temporary;
  std::string db = (temporary.path() / "db").string();

  [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
    const std::string path = (temporary.path() / name).string();
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  void load(const std::string& tsv) const { REQUIRE(run({"load", db}, tsv).status == 0); }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "any bytes survive load and dump in both text formats",
                 "[tools][load][dump]") {
  {
    SegmentIndex index = SegmentIndex::create(db);
    std::mt19937 random(11);
    for (int i = 0; i < 400; ++i) {
      std::string key(1 + random() % 20, '\0'), value(random() % 200, '\0');
      for (char& c : key) c = static_cast<char>(random());
      for (char& c : value) c = static_cast<char>(random());
      index.put(key, value);
    }
    index.put("plain", "text \"quoted\" \\ gr\xc3\xbc\xc3\x9f");
    index.put(std::string(varve::kKeySizeMax, 'k'), std::string(300'000, '\n'));
    index.put("empty", "");
    index.close();
  }
  const std::string reference = run({"dump", db}).out;
  REQUIRE(lines_of(reference).size() > 300);
  for (const std::string format : {"tsv", "jsonl"}) {
    CAPTURE(format);
    const std::string copy = (temporary.path() / ("copy-" + format)).string();
    const Result dump = run({"dump", db, "--format", format});
    CHECK(dump.status == 0);
    const Result load = run({"load", copy, file("d." + format, dump.out), "--batch", "7"});
    CHECK(load.status == 0);
    CHECK(run({"dump", copy}).out == reference);
    CHECK(run({"dump", copy, "--format", format}).out == dump.out);
  }
}

TEST_CASE_METHOD(Fixture, "NUL-separated entries keep tabs, newlines and backslashes",
                 "[tools][load][dump]") {
  const std::string input = "a\tb\0v\\1\0k\n\0\0"s;
  const Result load = run({"load", db, "-", "--format", "nul"}, input);
  CHECK(load.out == "acknowledged 2\n");
  CHECK(run({"dump", db, "--format", "nul"}).out == input);
  const Result found = run({"get", db, "--keys", "-", "--format", "nul"}, "k\n\0a\tb\0"s);
  CHECK(found.status == 0);
  CHECK(found.out == "k\n\0\0a\tb\0v\\1\0"s);
  CHECK(run({"get", db, "--keys", "-", "--format", "nul"}, "k\n"s).status == 64);  // No NUL.
  CHECK(run({"put", db, "z", "-"}, "a\0b"s).status == 0);
  CHECK(run({"dump", db, "--format", "nul"}).status == 64);
  for (const std::string& cut : {"k\0v"s, "k"s, "k\0"s}) {
    const Result result = run({"load", db, "--format", "nul"}, cut);
    CHECK(result.status == 64);
    contains(result.err, "entry 1");
  }
}

TEST_CASE_METHOD(Fixture, "a bad line is named with its place, and what came before it is loaded",
                 "[tools][load]") {
  struct Case {
    std::string format, line, expected;
  };
  const std::vector<Case> cases = {
      {"tsv", "no tab", "line 3, column 7: KEY, a tab and VALUE expected"},
      {"tsv", "k\ta\\qb", "line 3, column 4: \\t \\n \\r \\\\ or \\xHH expected, \"\\\\qb\" found"},
      {"tsv", "\tvalue", "a key of 1 to 65536 bytes expected, 0 found"},
      {"tsv", "k\tv\r", "line 3, column 4: a carriage return"},
      {"jsonl", "{\"key\":\"k\"", "line 3, column 11: a JSON object expected"},
      {"jsonl", "[1]", "a JSON object expected, array found"},
      {"jsonl", "{\"key\":1e400}", "line 3, column 1: a JSON object expected: "},
      {"jsonl", "{\"key\":\"k\"}", "either \"value\" or \"value_hex\" expected, neither found"},
      {"jsonl", "{\"key\":1,\"value\":\"\"}", "\"key\": a string expected, number found"},
      {"jsonl", "{\"key\":\"k\",\"value_hex\":\"0g\"}", "pairs of hexadecimal digits expected"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.line);
    const bool tsv = one.format == "tsv";
    const std::string good = tsv ? "a\t1\nb\t2\n"
                                 : "{\"key\":\"a\",\"value\":\"1\"}\n"
                                   "{\"key\":\"b\",\"value_hex\":\"32\"}\n";
    const std::string last = tsv ? "\nz\t3\n" : "\n{\"key\":\"z\",\"value\":\"3\"}\n";
    const std::string index = db + std::to_string(&one - cases.data());
    const Result result =
        run({"load", index, "-", "--format", one.format, "--batch", "100"}, good + one.line + last);
    CHECK(result.status == 64);
    contains(result.err, one.expected);
    contains(result.err, "2 entries were acknowledged");
    CHECK(run({"dump", index}).out == "a\t1\nb\t2\n");
    const Result skipping = run({"load", index, "-", "--format", one.format, "--skip-bad", "1"},
                                good + one.line + last);
    CHECK(skipping.status == 0);
    CHECK(skipping.out == "acknowledged 3\n");
    CHECK(run({"get", index, "z"}).out == "3\n");
  }
}

TEST_CASE_METHOD(Fixture, "load reports what is acknowledged as it goes", "[tools][load]") {
  std::string tsv;
  for (int i = 0; i < 25; ++i) tsv += "k" + std::to_string(i) + "\tv\n";
  CHECK(run({"load", db, "--report-every", "10"}, tsv).out ==
        "acknowledged 10\nacknowledged 20\nacknowledged 25\n");
  const json summary = json::parse(run({"load", db, "--json", "--durability", "synced"}, tsv).out);
  CHECK(summary["schema"] == 1);
  CHECK(summary["acknowledged"] == 25);
  CHECK(summary["statistics"]["since_open"]["put_count"] == 25);
  CHECK(run({"load", db, "/nonexistent.tsv"}).status == 74);
  CHECK(run({"load", db, temporary.path().string(), "--format", "tsv"}).status == 74);
  CHECK(run({"load", db, "data.xyz"}).status == 64);
}

TEST_CASE_METHOD(Fixture, "get prints the value, and its absence is status 1", "[tools][get]") {
  load("key\ta\\x00b\n");
  CHECK(run({"get", db, "key"}).out == "a\0b\n"s);
  CHECK(run({"get", db, "key", "--raw"}).out == "a\0b"s);
  CHECK(run({"get", db, "6b6579", "--hex"}).out == "610062\n");
  CHECK(json::parse(run({"get", db, "key", "--json"}).out)["value"] == "a\0b"s);
  const Result absent = run({"get", db, "other"});
  CHECK(absent.status == 1);
  CHECK(absent.out.empty());
  CHECK(run({"get", db, "--keys", "-"}, "key\nother\n").status == 1);
  CHECK(run({"get", db}).status == 64);
  CHECK(run({"get", db, "xyz", "--hex"}).status == 64);
}

TEST_CASE_METHOD(Fixture, "keys that look like options or lists are keys", "[tools][put]") {
  for (const std::string key : {"-k", "--", "{}", "[a,b]", "%%", "a b"}) {
    CAPTURE(key);
    CHECK(run({"put", db, "--", key, key}).status == 0);
    CHECK(run({"get", db, "--", key}).out == key + "\n");
    CHECK(run({"del", db, "--", key}).status == 0);
    CHECK(run({"get", db, "--", key}).status == 1);
  }
}

TEST_CASE_METHOD(Fixture, "del takes a key, a prefix or a range, and never everything by mistake",
                 "[tools][del]") {
  load("a1\t\na2\t\nb1\t\nb2\t\nc1\t\nc2\t\n");
  const auto keys = [&] {
    std::string all;
    for (const std::string& line : lines_of(run({"scan", db, "--keys-only"}).out)) all += line;
    return all;
  };
  CHECK(run({"del", db, "--prefix", "a", "--dry-run"}).out == "would delete 2 entries\n");
  CHECK(keys() == "a1a2b1b2c1c2");
  CHECK(run({"del", db, "--prefix", "a"}).status == 0);
  CHECK(keys() == "b1b2c1c2");
  CHECK(run({"del", db, "--range", "b2", "c2"}).status == 0);
  CHECK(keys() == "b1c2");
  CHECK(run({"del", db, "b1"}).status == 0);
  CHECK(run({"del", db, "absent"}).status == 0);
  CHECK(keys() == "c2");
  CHECK(run({"del", db}).status == 64);
  CHECK(run({"del", db, "--prefix", ""}).status == 64);
  CHECK(run({"del", db, "--range", "", ""}).status == 64);
  CHECK(run({"del", db, "--range", "b", "a"}).status == 64);
  CHECK(run({"del", db, "c2", "--prefix", "c"}).status == 64);
  CHECK(keys() == "c2");
  CHECK(run({"del", db, "--all"}).status == 0);
  CHECK(keys().empty());
}

TEST_CASE_METHOD(Fixture, "scan takes bounds, direction and a limit, and goes on from its token",
                 "[tools][scan]") {
  load("a\t1\nb\t2\nc\t3\nd\t4\ne\\xff\t5\n");
  CHECK(run({"scan", db, "--from", "b", "--to", "d"}).out == "b\t2\nc\t3\n");
  CHECK(run({"scan", db, "--reverse", "--limit", "2"}).out == "e\\xff\t5\nd\t4\n");
  CHECK(run({"scan", db, "--prefix", "65", "--hex"}).out == "65ff\t35\n");
  CHECK(run({"scan", db, "--prefix", "e\\xff", "--escaped", "--raw"}).out == "e\xff\t5\n");

  const auto first = lines_of(run({"scan", db, "--limit", "2", "--json"}).out);
  REQUIRE(first.size() == 3);
  CHECK(json::parse(first[1])["key"] == "b");
  const json end = json::parse(first[2]);
  CHECK(end["end"] == "Limit");
  const auto rest = lines_of(run({"scan", db, "--json", "--resume", end["resume"]}).out);
  REQUIRE(rest.size() == 4);
  CHECK(json::parse(rest[0])["key"] == "c");
  CHECK(json::parse(rest[2])["key_hex"] == "65ff");
  CHECK(json::parse(rest[3])["end"] == "End");
  CHECK(run({"scan", db, "--resume", "nonsense"}).status == 64);
}

TEST_CASE_METHOD(Fixture, "stat, compact and check tell their figures as one JSON object",
                 "[tools][stat]") {
  load("a\t1\nb\t2\n");
  const json stat = json::parse(run({"stat", db, "--segments", "--json"}).out);
  CHECK(stat["schema"] == 1);
  CHECK(stat["segment_count"] == 1);
  CHECK(stat["segments"].size() == 1);
  CHECK(stat["run_entry_count"].get<int>() + stat["memory_entry_count"].get<int>() == 2);
  contains(run({"stat", db, "--segments"}).out, "segments      1\n");
  const json compacted = json::parse(run({"compact", db, "--json"}).out);
  CHECK(compacted["statistics"]["delta_run_count"] == 0);
  const json checked = json::parse(run({"check", db, "--deep", "--json"}).out);
  CHECK(checked["sound"] == true);
  CHECK(checked["findings"].empty());
  const Result text = run({"check", db});
  CHECK(text.status == 0);
  contains(lines_of(text.out).back(), "result: sound");
}

TEST_CASE_METHOD(Fixture, "estimate tells an index's memory before it is opened",
                 "[tools][estimate]") {
  std::string tsv;
  for (int i = 0; i < 5000; ++i) tsv += "key" + std::to_string(i) + "\tvalue\n";
  load(tsv);
  const json estimate = json::parse(run({"estimate", db, "--json"}).out);
  CHECK(estimate["schema"] == 1);
  const json at_open = estimate["at_open"], at_most = estimate["at_most"];
  std::uint64_t sum = 0;
  for (const char* owner :
       {"active_deltas", "frozen_deltas", "held_by_readers", "pool_free", "sparse_indexes",
        "filters", "held_runs", "tables_free", "jobs", "cursors", "snapshots", "hot_path",
        "log_buffer", "structure", "statistics"}) {
    sum += at_open.at(std::string(owner) + "_size").get<std::uint64_t>();
  }
  CHECK(at_open["total_size"] == sum);
  // As the index itself says of the same.
  const json memory = json::parse(run({"stat", db, "--json"}).out)["memory"];
  CHECK(at_open["filters_size"] == memory["filters_size"]);
  CHECK(at_open["mapped_runs_size"] == memory["mapped_runs_size"]);
  CHECK(at_most["active_deltas_size"] == 128 << 20);
  const json limited =
      json::parse(run({"estimate", db, "--json", "--memory-limit", "40MiB"}).out)["at_most"];
  CHECK(limited["total_size"] <= 42 << 20);  // Deltas come in pieces of 2 MiB.
  contains(run({"estimate", db}).out, "together ");
  CHECK(run({"estimate", db + "-absent"}).status == 74);
}

TEST_CASE_METHOD(Fixture, "damage is status 2 and named with file and offset", "[tools][check]") {
  std::string tsv;
  for (int i = 0; i < 1000; ++i) tsv += "key" + std::to_string(i) + "\tvalue\n";
  load(tsv);
  REQUIRE(run({"compact", db}).status == 0);
  std::filesystem::path run_file;
  for (const auto& entry : std::filesystem::directory_iterator(db)) {
    if (entry.path().filename().string().starts_with("main-")) run_file = entry.path();
  }
  REQUIRE_FALSE(run_file.empty());
  {
    std::fstream file(run_file, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    const int byte = file.peek();
    file.seekp(100);
    file.put(static_cast<char>(byte ^ 0x40));
  }
  const Result result = run({"check", db, "--deep"});
  CHECK(result.status == 2);
  contains(result.out, "DAMAGED " + run_file.filename().string() + " at byte ");
  contains(lines_of(result.out).back(), "result: DAMAGED  1 error");
  const json report = json::parse(run({"check", db, "--deep", "--json"}).out);
  CHECK(report["sound"] == false);
  CHECK(report["findings"][0]["file"] == run_file.filename().string());
  CHECK(run({"dump", db}).status == 2);
  CHECK(run({"get", db, "key0"}).status == 2);
}

TEST_CASE_METHOD(Fixture, "a held index is status 4 and its holder is named", "[tools][lock]") {
  CHECK(run({"lock", "status", db}).status == 74);
  load("a\t1\n");
  CHECK(run({"lock", "status", db}).status == 1);
  CHECK(run({"lock", "status", db}).out == "free\n");
  SegmentIndex index = SegmentIndex::open(db);
  for (const varve::tools::Arguments& arguments :
       std::vector<varve::tools::Arguments>{{"get", db, "a", "--wait", "0"},
                                            {"put", db, "a", "1", "--wait", "0"},
                                            {"check", db, "--wait", "1ms"},
                                            {"load", db, "--wait", "1ms"}}) {
    CAPTURE(arguments[0]);
    const Result result = run(arguments, "a\t1\n");
    CHECK(result.status == 4);
    CHECK(result.out.empty());
    contains(result.err, std::to_string(::getpid()));
  }
  const Result status = run({"lock", "status", db});
  CHECK(status.status == 4);
  contains(status.out, "held  pid " + std::to_string(::getpid()));
  CHECK(json::parse(run({"lock", "status", db, "--json"}).out)["holder"]["pid"] == ::getpid());
}

TEST_CASE_METHOD(Fixture, "wrong usage is status 64, and an absent index 74", "[tools][usage]") {
  CHECK(run({}).status == 64);
  contains(run({"chekc", db}).err, "did you mean check?");
  contains(run({"scan", db, "--limt", "3"}).err, "did you mean --limit?");
  contains(run({"scan", db, "--revers=3"}).err, "did you mean --reverse?");
  for (const varve::tools::Arguments& arguments :
       std::vector<varve::tools::Arguments>{{"scan"},
                                            {"scan", db, "--limit", "x"},
                                            {"scan", db, "a", "b"},
                                            {"get", db, "-k"},
                                            {"get", db, "k", "--wait", "soon"},
                                            {"load", db, "--batch", "0"},
                                            {"lock", db},
                                            {"load", db, "--durability", "maybe"},
                                            {"load", db, "--segment-size", "1"},
                                            {"log"}}) {
    CAPTURE(arguments);
    const Result result = run(arguments);
    CHECK(result.status == 64);
    CHECK(result.out.empty());
    CHECK_FALSE(result.err.empty());
  }
  for (const char* command : {"get", "del", "scan", "dump", "stat", "compact", "check"}) {
    CAPTURE(command);
    varve::tools::Arguments arguments = {command, db};
    if (command == "get"s || command == "del"s) arguments.push_back("k");
    const Result result = run(arguments);
    CHECK(result.status == 74);
    contains(result.err, db);
    CHECK_FALSE(std::filesystem::exists(db));
  }
}

TEST_CASE("every command explains itself", "[tools][usage]") {
  const Result all = run({"--help"});
  CHECK(all.status == 0);
  for (const varve::tools::Command& command : varve::tools::commands()) {
    CAPTURE(command.name);
    contains(all.out, std::string(command.name));
    if (command.name == "version") continue;
    const Result help = run({std::string(command.name), "--help"});
    CHECK(help.status == 0);
    contains(help.out, "DIR");
  }
  CHECK(run({"version"}).out == "varve 0.1.0\n");
  CHECK(json::parse(run({"version", "--json"}).out)["version"] == "0.1.0");
}

TEST_CASE_METHOD(Fixture, "the log's records are verified and printed", "[tools][log]") {
  load("a\t1\n");
  {
    SegmentIndex index = SegmentIndex::open(db);
    // What a killed process leaves: the files as they are while the index is open.
    index.put("k\xff", "v\t");
    index.erase_prefix("p");
    std::filesystem::copy(db, db + "-killed", std::filesystem::copy_options::recursive);
  }
  const std::string killed = db + "-killed";
  CHECK(run({"log", "verify", killed}).status == 0);
  const json report = json::parse(run({"log", "verify", killed, "--json"}).out);
  CHECK(report["record_count"] == 2);
  const Result dump = run({"log", "dump", killed});
  CHECK(dump.status == 0);
  contains(dump.out, "  put\tk\\xff\tv\\t\n");
  contains(dump.out, "  erase_range\tp\tq\n");
  const auto lines = lines_of(run({"log", "dump", killed, "--json"}).out);
  REQUIRE(lines.size() == 2);
  CHECK(json::parse(lines[0])["operations"][0]["key_hex"] == "6bff");
}

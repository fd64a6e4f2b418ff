// SPDX-License-Identifier: Apache-2.0
// A directory of files stands for a cgroup, as making real ones is not a test's right. What the
// kernel makes of the figures is not tested here.
#include "bench/memory_limit.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using varve::bench::MemoryCgroup;
using varve::test::TemporaryDirectory;

namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}
std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a cgroup that cannot be limited is an error and leaves nothing", "[bench][memory]") {
  const TemporaryDirectory temporary;
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path(), "child", 1 << 20),
                    Catch::StartsWith("--cgroup: ") && Catch::EndsWith(" is not a cgroup"));
  CHECK(std::filesystem::is_empty(temporary.path()));
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path() / "absent", "child", 1 << 20),
                    Catch::StartsWith("cannot create "));
}

TEST_CASE("a cgroup without the memory controller says what it lacks", "[bench][memory]") {
  const TemporaryDirectory temporary;
  write_file(temporary.path() / "cgroup.procs", "");
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path(), "child", 1 << 20),
                    Catch::Contains("of version 1, a group of the memory hierarchy is wanted"));
  write_file(temporary.path() / "cgroup.controllers", "cpu pids\n");
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path(), "child", 1 << 20),
                    Catch::Contains("has no memory controller: cgroup.controllers"));
  write_file(temporary.path() / "cgroup.controllers", "cpu memory pids\n");
  CHECK_THROWS_WITH(MemoryCgroup(temporary.path(), "child", 1 << 20),
                    Catch::Contains("+memory into ") && Catch::Contains("cgroup.subtree_control"));
  CHECK_FALSE(std::filesystem::exists(temporary.path() / "child"));
}

TEST_CASE("a cgroup of either version is limited, entered and asked", "[bench][memory]") {
  const bool second = GENERATE(false, true);
  const TemporaryDirectory temporary;
  const std::filesystem::path child = temporary.path() / "child";
  std::filesystem::create_directory(child);
  const std::filesystem::path limit = child / (second ? "memory.max" : "memory.limit_in_bytes");
  for (const auto& path : {limit, child / "cgroup.procs", child / "memory.swap.max"}) {
    write_file(path, "");
  }
  {
    const MemoryCgroup cgroup(temporary.path(), "child", 64 << 20);
    CHECK(read_file(limit) == "67108864");
    CHECK(read_file(child / "memory.swap.max") == (second ? "0" : ""));
    cgroup.enter();
    CHECK(read_file(child / "cgroup.procs") == std::to_string(::getpid()));
    CHECK(cgroup.killed_count() == 0);
    write_file(child / (second ? "memory.events" : "memory.oom_control"),
               second ? "low 0\nmax 12\noom 3\noom_kill 2\n"
                      : "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    CHECK(cgroup.killed_count() == 2);
  }
  std::filesystem::remove(child / "cgroup.procs");
  std::filesystem::create_directory(child / "cgroup.procs");
  const MemoryCgroup cgroup(temporary.path(), "child", 64 << 20);
  CHECK_THROWS_WITH(cgroup.enter(), Catch::StartsWith("cannot write ") &&
                                        Catch::EndsWith("cgroup.procs: Is a directory"));
}

// SPDX-License-Identifier: Apache-2.0
#include "lib/file_names.hpp"

#include <string>

#include "tests/support/catch.hpp"

namespace varve::internal {
namespace {

using Type = FileName::Type;

TEST_CASE("a file name that was made is parsed back", "[lib][file_names]") {
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{9},
                                     std::uint64_t{10}, std::uint64_t{UINT64_MAX}}) {
    CHECK(parse_file_name(log_file_name(number)) == FileName{Type::Log, number, 0});
    CHECK(parse_file_name(delta_file_name(number)) == FileName{Type::Delta, number, 0});
    CHECK(parse_file_name(main_file_name(number, 7)) == FileName{Type::Main, number, 7});
    CHECK(parse_file_name(main_file_name(7, number)) == FileName{Type::Main, 7, number});
  }
  CHECK(parse_file_name("LOCK") == FileName{Type::Lock});
  CHECK(parse_file_name("MANIFEST") == FileName{Type::Manifest});
  CHECK(log_file_name(12) == "log-12.varve");
  CHECK(main_file_name(7, 3) == "main-7-3.varve");
}

TEST_CASE("temporary files are known by the name they were to have", "[lib][file_names]") {
  for (const char* name :
       {"MANIFEST.tmp", "LOCK.tmp", "delta-3.varve.tmp", "main-1-2.varve.tmp", "log-9.varve.tmp"}) {
    CHECK(parse_file_name(name) == FileName{Type::Temporary});
  }
}

TEST_CASE("names that are not exactly ours are foreign", "[lib][file_names]") {
  for (const char* name : {"",
                           ".",
                           "..",
                           "lock",
                           "Lock",
                           "manifest",
                           "Manifest",
                           "MANIFEST~",
                           "MANIFEST.bak",
                           "#MANIFEST#",
                           ".MANIFEST.swp",
                           "MANIFEST ",
                           " MANIFEST",
                           "MANIFEST.tmp.tmp",
                           ".tmp",
                           "notes.tmp",
                           "log-1.tmp",
                           "log-.varve",
                           "log-01.varve",
                           "log-00.varve",
                           "log-1.Varve",
                           "LOG-1.varve",
                           "log-1.varve~",
                           "log-1.varve.bak",
                           "log-1.varve.1",
                           "log--1.varve",
                           "log-+1.varve",
                           "log- 1.varve",
                           "log-1 .varve",
                           "log-0x1.varve",
                           "log-1e3.varve",
                           "log-18446744073709551616.varve",
                           "log-99999999999999999999999.varve",
                           "log-1-2.varve",
                           "log_1.varve",
                           "log1.varve",
                           "delta-01.varve",
                           "delta-1-1.varve",
                           "delta-.varve",
                           "main-1.varve",
                           "main-1-.varve",
                           "main--1.varve",
                           "main-01-1.varve",
                           "main-1-01.varve",
                           "main-1-2-3.varve",
                           "main-1-18446744073709551616.varve",
                           "Main-1-2.varve",
                           ".varve",
                           "varve",
                           "log-1.varve/",
                           "../log-1.varve",
                           "log-1",
                           "core"}) {
    INFO(name);
    CHECK_FALSE(parse_file_name(name));
  }
  CHECK_FALSE(parse_file_name(std::string("LOCK\0", 5)));
  CHECK_FALSE(parse_file_name(std::string("log-1\0.varve", 12)));
}

}  // namespace
}  // namespace varve::internal

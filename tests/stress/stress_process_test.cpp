// SPDX-License-Identifier: Apache-2.0
#include "tests/stress/stress_command.hpp"

using varve::test::StressCommand;

TEST_CASE_METHOD(StressCommand, "killed workers lose nothing and leave nothing wrong",
                 "[stress][process]") {
  // The seed's first four cycles draw every access mode, a live copy and calls of every kind.
  const int status = run("--cycles 40 --seed 20262772 --keys 2000 --json json --verbose");
  CAPTURE(read("out"), read("err"));
  REQUIRE(status == 0);
  for (const char* const access : {"bare", "synchronized", "concurrent"}) {
    CAPTURE(access);
    CHECK(figure(access) > 0);
  }
  CHECK(figure("kills") > 0);
  CHECK(figure("copies") > 0);
  CHECK(figure("recovered") > 0);  // Else the log was never what saved the writes.
  CHECK(figure("checks") >= figure("cycles"));
  CHECK(figure("keys_read") >= 2000 * (figure("cycles") - 1));
  for (const char* const kind : {"puts", "erases", "range_erases", "batches", "reads", "scans",
                                 "snapshot_reads", "flushes", "compactions", "syncs"}) {
    CAPTURE(kind);
    CHECK(figure(kind) > 0);
  }
  CHECK(kept_count() == 0);
}

TEST_CASE_METHOD(StressCommand, "a store that is replaced by an older copy is found out",
                 "[stress][process]") {
  CHECK(run("--cycles 3 --seed 5 --plant stale-store --json json") == 1);
  CAPTURE(read("out"), read("err"));
  CHECK(said("MISMATCH in cycle 1: key "));
  CHECK(said("expected "));
  CHECK(said(", found "));
  CHECK(said("seed 5, cycle seed 0x"));
  CHECK(figure("damaged") == 1);
  CHECK(read("json").find("\"sound\": false") != std::string::npos);
  CHECK(kept_count() == 1);
}

TEST_CASE_METHOD(StressCommand, "a log that lost its newer half is found out",
                 "[stress][process]") {
  // Damaged is the first store that a worker has written to before it was killed.
  CHECK(run("--cycles 20 --seed 6 --plant short-log --json json --dir kept") == 1);
  CAPTURE(read("out"), read("err"));
  CHECK(said("MISMATCH in cycle "));
  CHECK(figure("damaged") == 1);
  CHECK(std::filesystem::exists(temporary.path() / "kept/store/MANIFEST"));
  CHECK(std::filesystem::exists(temporary.path() / "kept/expected"));
}

TEST_CASE_METHOD(StressCommand, "a flipped bit is found out", "[stress][process]") {
  CHECK(run("--cycles 20 --seed 7 --plant flipped-bits --json json") == 1);
  CAPTURE(read("out"), read("err"));
  CHECK(said("the deep check found damage: main-"));
  CHECK(figure("damaged") >= 1);
}

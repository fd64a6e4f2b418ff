// SPDX-License-Identifier: Apache-2.0
// How long it takes from the call of open until the first get has been answered.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kOpenCount = 5;

// Added up over several openings; sizes are those after the last.
void add(Measurement& sum, const Measurement& more) {
  const Measurement before = sum;
  sum = more;
  sum.operation_count += before.operation_count;
  sum.wall_seconds += before.wall_seconds;
  sum.foreground_seconds += before.foreground_seconds;
  sum.cpu_seconds += before.cpu_seconds;
  sum.written_size += before.written_size;
}

std::uint64_t ns(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e9);
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Measurement Session::open_clean() {
  require_warm();
  Measurement result;
  LatencyHistogram times;
  for (std::uint64_t i = 0; i < kOpenCount; ++i) {
    engine_->close();
    open_ = false;
    const Measurement one = measure(1, 0, [&] {
      engine_->open();
      expect_hit(order_[erased_count_]);
    });
    open_ = true;
    times.add(ns(one.wall_seconds));
    add(result, one);
  }
  result.latencies["open"] = summary(times, result.wall_seconds);
  warm_ = false;
  return result;
}

// A child loads the store and is killed when its last put has returned, in the middle of whatever
// it does in the background. Not one entry may be missing afterwards.
Measurement Session::open_killed() {
  start_empty();
  engine_->close();  // No thread of the engine may be left when we fork.
  open_ = false;
  int ends[2];
  if (::pipe(ends) != 0) fail("pipe");
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::close(ends[0]);
    load_and_wait_for_death(ends[1]);
  }
  ::close(ends[1]);
  char ready = 0;
  ssize_t got = 0;
  while ((got = ::read(ends[0], &ready, 1)) < 0 && errno == EINTR) {
  }
  ::close(ends[0]);
  ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (got != 1) throw std::runtime_error(engine_name_ + ": the load before the kill failed");

  Measurement result = measure(1, 0, [&] {
    engine_->open();
    open_ = true;
    expect_hit(order_.back());  // The last put.
  });
  LatencyHistogram times;
  times.add(ns(result.wall_seconds));
  result.latencies["open"] = summary(times, result.wall_seconds);
  loaded_ = true;
  expect_count(count_entries(), live_count(), "the scan after a kill");
  verify_changes();
  return result;
}

[[noreturn]] void Session::load_and_wait_for_death(int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // It must not wait for a session that has died.
  try {
    engine_->open();
    for (const std::uint32_t number : order_) {
      const std::string_view key = keys_.present(number);
      engine_->put(key, values_.make(key, 0));
    }
    if (::write(ready, "r", 1) == 1) {
      for (;;) ::pause();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", engine_name_.c_str(), error.what());
  }
  ::_exit(EXIT_FAILURE);
}

}  // namespace varve::bench

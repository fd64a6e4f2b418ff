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

// False: the other end is closed.
bool read_byte(int from, char& byte) {
  ssize_t got = 0;
  while ((got = ::read(from, &byte, 1)) < 0 && errno == EINTR) {
  }
  return got == 1;
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
  engine_->close();
  open_ = false;
  const bool loaded = loader_->load_and_die();
  loader_.reset();
  if (!loaded) throw std::runtime_error(engine_name_ + ": the load before the kill failed");

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

void Session::start_loader() {
  loader_ = std::make_unique<Loader>([this](int ready) { load_and_wait_for_death(ready); });
}

Session::Loader::Loader(const std::function<void(int ready)>& load) {
  int go[2], ready[2];
  if (::pipe(go) != 0) fail("pipe");
  if (::pipe(ready) != 0) fail("pipe");
  process_ = ::fork();
  if (process_ < 0) fail("fork");
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // It must not wait for a session that has died.
    ::close(go[1]);
    ::close(ready[0]);
    char told = 0;
    if (read_byte(go[0], told)) load(ready[1]);
    ::_exit(EXIT_FAILURE);
  }
  ::close(go[0]);
  ::close(ready[1]);
  go_ = go[1];
  ready_ = ready[0];
}

Session::Loader::~Loader() {
  if (process_ > 0) await_end();
  ::close(go_);
  ::close(ready_);
}

bool Session::Loader::load_and_die() {
  std::signal(SIGPIPE, SIG_IGN);  // One that has died already is told of below.
  char byte = 'g';
  const bool loaded = ::write(go_, &byte, 1) == 1 && read_byte(ready_, byte);
  await_end();
  return loaded;
}

void Session::Loader::await_end() noexcept {
  ::kill(process_, SIGKILL);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = 0;
}

[[noreturn]] void Session::load_and_wait_for_death(int ready) {
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

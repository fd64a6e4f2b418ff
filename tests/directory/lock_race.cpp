// SPDX-License-Identifier: Apache-2.0
//
// varve_lock_race [--acquisitions N] [--seconds S] [--processes P] [--seed X]
//   Processes take and release one directory while owners are killed and stopped at random, LOCK is
//   deleted or replaced under them, and children forked from owners keep their descriptors. Ends
//   after N acquisitions (all rounds together), or after S seconds when N is 0. Exit status: 0 no
//   two owners met and N was reached in S seconds, 1 otherwise, 2 could not run.
//
// The judge is a table in shared memory, a slot per process. An owner first writes what it is into
// its slot, then looks at all the others: of two that own at once, at least one sees the other. The
// slot of a process that is about to be killed is marked before the signal and emptied once the
// process is reaped. No outcome depends on how long anything takes.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "directory/ownership.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using varve::Error;
using varve::ErrorCode;
using varve::LockMode;
using varve::directory::Ownership;

constexpr int kProcessesMax = 64;
enum Role : int { kNone = 0, kReader = 1, kWriter = 2 };

struct Slot {
  std::atomic<int> role;
  std::atomic<int> doomed;
};
struct Shared {
  Slot slots[kProcessesMax];
  std::atomic<int> stop;
  std::atomic<std::uint64_t> exclusive, shared, refused, stale, double_owners, false_alarms,
      losses_noticed, keepers, errors, deletions, kills, stops;
};

struct Settings {
  std::uint64_t acquisitions = 20'000;
  int seconds = 120;
  int processes = 6;
  std::uint64_t seed = 1;
};

// A slot whose process is being killed may still show a role, which then counts for nothing. That
// is asked first: both are taken back together when the process has ended.
bool conflicts(const Slot& other, Role mine) {
  if (other.doomed.load() != 0) return false;
  const int role = other.role.load();
  return mine == kWriter ? role != kNone : role == kWriter;
}

void judge(Shared& shared, int slot, int processes, Role role) {
  shared.slots[slot].role.store(role);
  for (int look = 0; look < 3; ++look) {
    for (int other = 0; other < processes; ++other) {
      if (other == slot || !conflicts(shared.slots[other], role)) continue;
      ++shared.double_owners;
      return;
    }
    std::this_thread::yield();
  }
}

// Forks a child that holds the owner's descriptors, shows that it may not use them, and lives on
// for a moment, sometimes beyond its parent.
void fork_keeper(Shared& shared, Ownership& owner, std::uint64_t random) {
  if (::fork() != 0) return;
  try {
    owner.verify();
    ++shared.false_alarms;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ForkedHandle) ++shared.false_alarms;
  }
  if (random % 2 == 0) owner.release();
  ::usleep(static_cast<::useconds_t>(random % 3000));
  ++shared.keepers;
  ::_exit(0);
}

void own_once(Shared& shared, const fs::path& path, int slot, const Settings& settings,
              bool adversary, std::uint64_t random) {
  const Role role = random % 8 == 0 ? kReader : kWriter;
  varve::directory::OwnershipRequest request;
  request.mode = role == kReader ? LockMode::Shared : LockMode::Exclusive;
  std::unique_ptr<Ownership> owner;
  try {
    if (random % 5 == 0) {  // Some wait, so that the sign of a waiting writer is in play.
      request.wait = milliseconds{20};
      owner = varve::directory::acquire_posix_ownership(path, request);
    } else {
      owner = varve::directory::try_acquire_posix_ownership(path, request);
    }
  } catch (const Error& error) {
    // The adversary may replace LOCK by the same name again and again, or by no file at all.
    if (error.code() != ErrorCode::Locked) ++shared.errors;
    if (error.code() != ErrorCode::Locked && !adversary) ++shared.false_alarms;
  }
  if (owner == nullptr) {
    ++shared.refused;
    return;
  }
  judge(shared, slot, settings.processes, role);
  if (owner->recovered_stale()) ++shared.stale;
  try {
    if (role == kWriter) owner->set_phase(true, random);
    if (random % 97 == 0) fork_keeper(shared, *owner, random / 97);
    owner->verify();
  } catch (const Error& error) {
    ++(error.code() == ErrorCode::ReadOnly && adversary ? shared.losses_noticed
                                                        : shared.false_alarms);
  }
  judge(shared, slot, settings.processes, role);
  ++(role == kReader ? shared.shared : shared.exclusive);
  shared.slots[slot].role.store(kNone);
}

[[noreturn]] void work(Shared& shared, const fs::path& path, int slot, const Settings& settings,
                       bool adversary, std::uint64_t seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGCHLD, SIG_IGN);  // Keepers are reaped by the kernel.
  std::mt19937_64 random(seed);
  while (shared.stop.load() == 0) own_once(shared, path, slot, settings, adversary, random());
  ::_exit(0);
}

[[noreturn]] void delete_lock_files(Shared& shared, const fs::path& path, std::uint64_t seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::mt19937_64 random(seed);
  const fs::path lock = path / "LOCK";
  while (shared.stop.load() == 0) {
    if (random() % 4 == 0) {
      const fs::path other = path / "other";
      std::ofstream(other) << "not a record";
      if (::rename(other.c_str(), lock.c_str()) == 0) ++shared.deletions;
    } else if (::unlink(lock.c_str()) == 0) {
      ++shared.deletions;
    }
    ::usleep(static_cast<::useconds_t>(random() % 300));
  }
  ::_exit(0);
}

class Round {
 public:
  Round(Shared& shared, fs::path path, const Settings& settings, bool adversary, std::uint64_t seed)
      : shared_(shared),
        path_(std::move(path)),
        settings_(settings),
        adversary_(adversary),
        random_(seed) {}

  void run(std::uint64_t acquisitions, Clock::time_point deadline) {
    shared_.stop.store(0);
    workers_.resize(static_cast<std::size_t>(settings_.processes));
    for (int slot = 0; slot < settings_.processes; ++slot) start(slot);
    ::pid_t deleter = -1;
    if (adversary_) {
      const std::uint64_t seed = random_();
      deleter = ::fork();
      if (deleter == 0) delete_lock_files(shared_, path_, seed);
    }
    const std::uint64_t begin = shared_.exclusive + shared_.shared;
    while (Clock::now() < deadline &&
           (acquisitions == 0 || shared_.exclusive + shared_.shared - begin < acquisitions)) {
      ::usleep(2000 + static_cast<::useconds_t>(random_() % 8000));
      disturb(static_cast<int>(random_() % static_cast<std::uint64_t>(settings_.processes)));
    }
    shared_.stop.store(1);
    for (const ::pid_t worker : workers_) ::waitpid(worker, nullptr, 0);
    if (deleter > 0) ::waitpid(deleter, nullptr, 0);
    for (Slot& slot : shared_.slots) slot.role.store(kNone);
  }

 private:
  void start(int slot) {
    const std::uint64_t seed = random_();
    const ::pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) work(shared_, path_, slot, settings_, adversary_, seed);
    workers_[static_cast<std::size_t>(slot)] = pid;
  }

  // Stops an owner for a while in which others must stay out, or kills it.
  void disturb(int slot) {
    const ::pid_t pid = workers_[static_cast<std::size_t>(slot)];
    if (random_() % 3 == 0) {
      ::kill(pid, SIGSTOP);
      ++shared_.stops;
      ::usleep(static_cast<::useconds_t>(random_() % 4000));
      ::kill(pid, SIGCONT);
      return;
    }
    shared_.slots[slot].doomed.store(1);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ++shared_.kills;
    shared_.slots[slot].role.store(kNone);
    shared_.slots[slot].doomed.store(0);
    start(slot);
  }

  Shared& shared_;
  const fs::path path_;
  const Settings& settings_;
  const bool adversary_;
  std::mt19937_64 random_;
  std::vector<::pid_t> workers_;
};

bool parse(int count, char** arguments, Settings& settings) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const auto value = std::strtoull(arguments[i + 1], nullptr, 10);
    if (name == "--acquisitions") {
      settings.acquisitions = value;
    } else if (name == "--seconds") {
      settings.seconds = static_cast<int>(value);
    } else if (name == "--processes") {
      settings.processes = static_cast<int>(value);
    } else if (name == "--seed") {
      settings.seed = value;
    } else {
      return false;
    }
  }
  return count % 2 == 1 && settings.processes >= 2 && settings.processes <= kProcessesMax;
}

int report(const Shared& shared, const Settings& settings, double seconds) {
  const std::uint64_t acquisitions = shared.exclusive + shared.shared;
  std::cout << acquisitions << " acquisitions (" << shared.shared << " shared, " << shared.stale
            << " after a crash), " << shared.refused << " refusals, " << shared.kills << " kills, "
            << shared.stops << " stops, " << shared.deletions << " deletions of LOCK, "
            << shared.losses_noticed << " noticed by owners, " << shared.keepers
            << " forked keepers, " << shared.errors << " errors, " << seconds << " s\n"
            << shared.double_owners << " double owners, " << shared.false_alarms << " false alarms"
            << std::endl;
  varve::test::tell_reached(acquisitions, "acquisitions");
  varve::test::tell_reached(shared.kills, "killed owners");
  const bool enough = acquisitions > 0 && acquisitions >= settings.acquisitions;
  return shared.double_owners == 0 && shared.false_alarms == 0 && enough ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  Settings settings;
  if (!parse(count, arguments, settings)) {
    std::cerr << "usage: varve_lock_race [--acquisitions N] [--seconds S] [--processes P] "
                 "[--seed X]\n";
    return 2;
  }
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  Shared& shared = *new (memory) Shared{};
  try {
    const varve::test::TemporaryDirectory temporary;
    std::ofstream(temporary.path() / "MANIFEST") << "An index whose LOCK may be missing.\n";
    const auto begin = Clock::now();
    const auto half = std::chrono::milliseconds(settings.seconds) * 500;
    Round(shared, temporary.path(), settings, false, settings.seed)
        .run(settings.acquisitions / 2, begin + half);
    Round(shared, temporary.path(), settings, true, settings.seed + 1)
        .run(settings.acquisitions - settings.acquisitions / 2, begin + 2 * half);
    return report(shared, settings, std::chrono::duration<double>(Clock::now() - begin).count());
  } catch (const std::exception& failure) {
    std::cerr << "varve_lock_race: " << failure.what() << '\n';
    return 2;
  }
}

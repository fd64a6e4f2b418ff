// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/concurrent_index/workout_keys.hpp"
#include "tests/concurrent_index/workout_thread.hpp"
#include "tests/support/atomicity.hpp"
#include "tests/support/call_history.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

// How long a call may wait for one that is held at a hook before that one goes on.
constexpr std::chrono::milliseconds kWaitAllowed{20};

// Where the first call is held: the `pass`-th time that it reaches `hook`.
struct Place {
  std::string hook;
  std::uint64_t pass = 1;
};

struct Act {
  const char* name;
  bool reads;  // Never waits in a mode whose readers take no lock.
  void (*run)(SegmentIndex& index, WorkoutThread& thread);
};

template <void (WorkoutThread::*kCall)()>
void call(SegmentIndex&, WorkoutThread& thread) {
  (thread.*kCall)();
}

const std::array<Act, 12> kActs = {{
    {"put", false, call<&WorkoutThread::put>},
    {"erase_range", false, call<&WorkoutThread::erase_range>},
    {"batch on singles", false, call<&WorkoutThread::write_singles>},
    {"batch on a group", false, call<&WorkoutThread::write_group>},
    {"get", true, call<&WorkoutThread::get>},
    {"multi_get", true, call<&WorkoutThread::multi_get>},
    {"scan", true, [](SegmentIndex&, WorkoutThread& thread) { thread.scan_all(); }},
    {"snapshot", true,
     [](SegmentIndex&, WorkoutThread& thread) {
       thread.take_snapshot();
       thread.read_snapshot();
       thread.let_go();
     }},
    {"flush", false, call<&WorkoutThread::flush>},
    {"compact", false, [](SegmentIndex& index, WorkoutThread&) { index.compact(); }},
    {"sync", false, [](SegmentIndex& index, WorkoutThread&) { index.sync(); }},
    {"close", false, [](SegmentIndex& index, WorkoutThread&) { index.close(); }},
}};

// One index, filled, on which `first` is held at a place while `second` runs.
class HandOver {
 public:
  HandOver(Access access, const Act& first, const Act& second, std::uint64_t seed)
      : first_(first), second_(second), recorder_(4) {
    options_ = tiny_options();
    options_.access = access;
    directory_ = directory::make_memory_directory();
    index_ = SegmentIndexAccess::open(directory_, options_);
    for (std::uint32_t i = 0; i < 4; ++i) {
      threads_.push_back(std::make_unique<WorkoutThread>(index_, recorder_.log(i), seed));
      threads_.back()->focus();
    }
    threads_[0]->fill();
    index_.compact();
    for (int i = 0; i < 20; ++i) threads_[0]->put();
  }
  // The hooks that `first` reaches when it is alone.
  std::vector<std::string> hooks_of_first() {
    Interleave script;
    begin(script, first_, 1);
    script.join("first");
    return script.reached_by("first");
  }
  // False: `first` did not pass there so often this time; background jobs had left it less to do.
  bool run(const Place& place) {
    bool held = true;
    {
      Interleave script;
      auto& stop = script.stop(place.hook, "first", place.pass);
      begin(script, first_, 1);
      held = stop.await_or_end();
      begin(script, second_, 2);
      const bool waits_never = second_.reads && options_.access == Access::Concurrent;
      if (waits_never) {
        script.join("second");
      } else {
        static_cast<void>(script.ends_within("second", kWaitAllowed));
      }
      stop.release();
      script.join("first");
      script.join("second");
    }
    check();
    return held;
  }

 private:
  void begin(Interleave& script, const Act& act, std::size_t thread) {
    script.begin(thread == 1 ? "first" : "second", [this, &act, thread] {
      try {
        act.run(index_, *threads_[thread]);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::Closed) throw;
      }
    });
  }
  // Everything that was seen, and what a reopening finds, must be one linearizable history.
  void check() {
    index_.close();
    index_ = SegmentIndexAccess::open(directory_, options_);
    threads_[3]->read_all();
    std::vector<View> views;
    for (const auto& thread : threads_) {
      REQUIRE(thread->problem() == "");
      views.insert(views.end(), thread->views().begin(), thread->views().end());
    }
    REQUIRE(torn_view(views, key_groups()) == "");
    REQUIRE(impossible_view(views, recorder_.merged()) == "");
    REQUIRE(group_violation(recorder_.merged(), key_groups()) == "");
  }

  const Act& first_;
  const Act& second_;
  Options options_;
  std::shared_ptr<directory::Directory> directory_;
  SegmentIndex index_;
  CallRecorder recorder_;
  std::vector<std::unique_ptr<WorkoutThread>> threads_;
};

// Each hook once, and once more at its middle and its last pass.
std::vector<Place> places_in(const std::vector<std::string>& hooks) {
  std::vector<Place> places;
  for (const std::string& hook : std::set<std::string>(hooks.begin(), hooks.end())) {
    const auto count = static_cast<std::uint64_t>(std::count(hooks.begin(), hooks.end(), hook));
    for (const std::uint64_t pass : std::set<std::uint64_t>{1, (count + 1) / 2, count}) {
      places.push_back({hook, pass});
    }
  }
  return places;
}

}  // namespace

// Method: each call is held at each hook that it passes, and each other call runs meanwhile, from
// its beginning to its end or to where it must wait. All pairs and hooks are tried, none sampled;
// a hook that is added to the engine is tried from then on.
TEST_CASE("each call may stop at each hook while each other call runs",
          "[concurrent][interleave]") {
  const Access access = GENERATE(Access::Synchronized, Access::Concurrent);
  std::uint64_t seed = setting("VARVE_STRESS_SEED", 1), held_count = 0, missed_count = 0;
  for (const Act& first : kActs) {
    for (const Act& second : kActs) {
      ++seed;
      const std::vector<std::string> hooks = HandOver(access, first, second, seed).hooks_of_first();
      for (const Place& place : places_in(hooks)) {
        CAPTURE(to_string(access), first.name, second.name, place.hook, place.pass);
        const bool held = HandOver(access, first, second, seed).run(place);
        CHECK((held || access == Access::Concurrent));
        ++(held ? held_count : missed_count);
      }
    }
  }
  tell_reached(held_count, "histories");
  CHECK(held_count >= kActs.size() * kActs.size());
  CHECK(missed_count <= held_count / 20);
}

}  // namespace varve::test

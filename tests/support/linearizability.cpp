// SPDX-License-Identifier: Apache-2.0
#include "tests/support/linearizability.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/support/linearizability_report.hpp"

namespace varve::test {
namespace {

constexpr std::size_t kRunningMax = 64;

// A state that the register may be in: its value, and which of the running calls have happened.
struct State {
  ValueNumber value = kAbsent;
  std::uint64_t happened = 0;  // By slot.
  friend bool operator==(const State&, const State&) = default;
};
struct StateHash {
  std::size_t operator()(const State& state) const noexcept {
    return (state.value * 0x9e3779b97f4a7c15ULL) ^ (state.happened * 0xc2b2ae3d27d4eb4fULL);
  }
};
// Each with the least number of never-returned erases that lead to it.
using States = std::unordered_map<State, std::uint32_t, StateHash>;

struct Event {
  Moment moment = 0;
  bool is_return = false;
  std::size_t operation = 0;
};

bool answers(const Operation& read, ValueNumber value) {
  if (read.kind == Operation::Kind::Get) return read.value == value;
  return (read.value == kAbsent) == (value == kAbsent);
}

// Puts that never returned end where they were first read, or are left out.
CallHistory bounded(const CallHistory& operations) {
  std::unordered_map<ValueNumber, std::vector<Moment>> reads;
  for (const Operation& read : operations) {
    if (read.kind == Operation::Kind::Get) reads[read.value].push_back(read.returned);
  }
  CallHistory result;
  for (Operation operation : operations) {
    if (operation.kind == Operation::Kind::Put && operation.returned == kNever) {
      for (const Moment moment : reads[operation.value]) {
        if (moment > operation.invoked) operation.returned = std::min(operation.returned, moment);
      }
      if (operation.returned == kNever) continue;
    }
    result.push_back(operation);
  }
  return result;
}

// The search over the calls of one key.
class RegisterSearch {
 public:
  explicit RegisterSearch(const CallHistory& operations) : operations_(bounded(operations)) {
    states_.emplace(State{}, 0);
  }
  // The read that cannot be explained, and the values that it could have given.
  [[nodiscard]] std::optional<UnexplainedRead> run() {
    for (const Event& event : events()) {
      const Operation& operation = operations_[event.operation];
      if (!event.is_return) {
        begin(event.operation);
      } else if (!finish(slots_.at(event.operation))) {
        return UnexplainedRead{operation, possible_};
      } else {
        slots_.erase(event.operation);
      }
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::vector<Event> events() const {
    std::vector<Event> events;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      events.push_back({operations_[i].invoked, false, i});
      if (operations_[i].returned != kNever) events.push_back({operations_[i].returned, true, i});
    }
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return std::tie(a.moment, a.is_return, a.operation) <
             std::tie(b.moment, b.is_return, b.operation);
    });
    return events;
  }

  void begin(std::size_t number) {
    if (operations_[number].returned == kNever) {
      ++open_erases_;
      return;
    }
    if (running_ == ~std::uint64_t{0}) {
      throw std::runtime_error("more calls run on one key than the search can keep apart");
    }
    const int slot = std::countr_one(running_);
    running_ |= bit(slot);
    calls_[static_cast<std::size_t>(slot)] = &operations_[number];
    slots_[number] = slot;
    if (operations_[number].is_write()) return;
    States states;
    for (const auto& [state, used] : states_) keep(states, with_reads(state), used);
    states_ = std::move(states);
  }

  // Leaves the states in which the call in `slot` has happened. False: there is none.
  bool finish(int slot) {
    States seen, finished;
    std::vector<std::pair<State, std::uint32_t>> work(states_.begin(), states_.end());
    while (!work.empty()) {
      const auto [state, used] = work.back();
      work.pop_back();
      if (state.happened & bit(slot)) {
        keep(finished, {state.value, state.happened & ~bit(slot)}, used);
      } else if (keep(seen, state, used)) {
        expand(state, used, work);
      }
    }
    if (finished.empty()) {
      for (const auto& [state, used] : seen) possible_.insert(state.value);
      return false;
    }
    running_ &= ~bit(slot);
    states_ = std::move(finished);
    return true;
  }

  void expand(const State& state, std::uint32_t used,
              std::vector<std::pair<State, std::uint32_t>>& work) const {
    for (std::uint64_t left = running_ & ~state.happened; left != 0; left &= left - 1) {
      const int slot = std::countr_zero(left);
      const Operation& call = *calls_[static_cast<std::size_t>(slot)];
      if (!call.is_write()) continue;
      work.emplace_back(with_reads({call.value, state.happened | bit(slot)}), used);
    }
    if (state.value != kAbsent && used < open_erases_) {
      work.emplace_back(with_reads({kAbsent, state.happened}), used + 1);
    }
  }

  // Lets every running read happen that the state's value answers.
  [[nodiscard]] State with_reads(State state) const {
    for (std::uint64_t left = running_ & ~state.happened; left != 0; left &= left - 1) {
      const int slot = std::countr_zero(left);
      const Operation& call = *calls_[static_cast<std::size_t>(slot)];
      if (!call.is_write() && answers(call, state.value)) state.happened |= bit(slot);
    }
    return state;
  }

  // True when the state is new, or was reached with fewer erases than before.
  static bool keep(States& states, const State& state, std::uint32_t used) {
    const auto [it, is_new] = states.emplace(state, used);
    if (is_new) return true;
    if (it->second <= used) return false;
    it->second = used;
    return true;
  }
  static std::uint64_t bit(int slot) { return std::uint64_t{1} << slot; }

  CallHistory operations_;
  States states_;
  std::array<const Operation*, kRunningMax> calls_{};  // By slot.
  std::uint64_t running_ = 0;                          // Slots in use.
  std::unordered_map<std::size_t, int> slots_;         // Of running operations.
  std::uint32_t open_erases_ = 0;                      // Begun so far, of those never returned.
  std::set<ValueNumber> possible_;
};

}  // namespace

std::string linearizability_violation(const CallHistory& history) {
  std::map<KeyNumber, CallHistory> keys;
  for (const Operation& operation : history) keys[operation.key].push_back(operation);
  std::optional<UnexplainedRead> first;
  for (const auto& [key, operations] : keys) {
    std::optional<UnexplainedRead> found = RegisterSearch(operations).run();
    if (found && (!first || found->read.returned < first->read.returned)) first = std::move(found);
  }
  return first ? explain(*first, keys[first->read.key]) : std::string();
}

}  // namespace varve::test

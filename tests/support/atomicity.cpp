// SPDX-License-Identifier: Apache-2.0
#include "tests/support/atomicity.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "tests/support/linearizability.hpp"

namespace varve::test {
namespace {

std::string to_string(const View& view) {
  return std::string(view.how) + " by thread " + std::to_string(view.thread) + " [" +
         std::to_string(view.invoked) + ", " + std::to_string(view.returned) + "]";
}

// The longest time that a key can have had a value: from the write's begin to the end of the first
// write that came surely after it.
struct Lifetime {
  Moment begin = 0, end = kNever;
  const Operation* made_by = nullptr;   // Null: it was so from the start.
  const Operation* ended_by = nullptr;  // Null: it may be so to this day.
};

// All lifetimes of one key's values; those of its absence are many.
class Lifetimes {
 public:
  explicit Lifetimes(std::vector<const Operation*> writes) : writes_(std::move(writes)) {
    std::sort(writes_.begin(), writes_.end(),
              [](const Operation* a, const Operation* b) { return a->invoked < b->invoked; });
    // first_over_[i]: of the writes from the i-th on, the one that is over first.
    first_over_.resize(writes_.size() + 1, nullptr);
    for (std::size_t i = writes_.size(); i-- > 0;) {
      const Operation* later = first_over_[i + 1];
      const bool sooner = later == nullptr || writes_[i]->returned < later->returned;
      first_over_[i] = sooner ? writes_[i] : later;
    }
    absent_.push_back(lifetime(nullptr));
    for (const Operation* write : writes_) {
      if (write->kind == Operation::Kind::Erase) {
        absent_.push_back(lifetime(write));
      } else {
        values_.emplace(write->value, lifetime(write));
      }
    }
  }
  [[nodiscard]] const Lifetime* find(ValueNumber value) const {
    const auto it = values_.find(value);
    return it == values_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const std::vector<Lifetime>& absent() const { return absent_; }

 private:
  [[nodiscard]] Lifetime lifetime(const Operation* write) const {
    Lifetime lifetime{.made_by = write};
    auto after = writes_.begin();
    if (write != nullptr) {
      lifetime.begin = write->invoked;
      after = std::upper_bound(
          writes_.begin(), writes_.end(), write->returned,
          [](Moment moment, const Operation* other) { return moment < other->invoked; });
    }
    lifetime.ended_by = first_over_[static_cast<std::size_t>(after - writes_.begin())];
    if (lifetime.ended_by != nullptr) lifetime.end = lifetime.ended_by->returned;
    if (lifetime.end == kNever) lifetime.ended_by = nullptr;
    return lifetime;
  }
  std::vector<const Operation*> writes_;      // By invocation.
  std::vector<const Operation*> first_over_;  // Parallel to writes_, and one more.
  std::unordered_map<ValueNumber, Lifetime> values_;
  std::vector<Lifetime> absent_;
};

// All writes of a history: by key, and by the call that made them.
class Writes {
 public:
  explicit Writes(const CallHistory& history) {
    std::map<KeyNumber, std::vector<const Operation*>> writes;
    for (const Operation& operation : history) {
      if (!operation.is_write()) continue;
      writes[operation.key].push_back(&operation);
      calls_[{operation.thread, operation.invoked}].push_back(&operation);
    }
    for (auto& [key, of_key] : writes) keys_.emplace(key, Lifetimes(std::move(of_key)));
  }
  [[nodiscard]] const Lifetimes* find(KeyNumber key) const {
    const auto it = keys_.find(key);
    return it == keys_.end() ? nullptr : &it->second;
  }
  // What the call that made `write` wrote.
  [[nodiscard]] const std::vector<const Operation*>& call_of(const Operation& write) const {
    return calls_.at({write.thread, write.invoked});
  }

 private:
  std::map<KeyNumber, Lifetimes> keys_;
  std::map<std::pair<std::uint32_t, Moment>, std::vector<const Operation*>> calls_;
};

std::string sighting(KeyNumber key, ValueNumber value) {
  return "key " + std::to_string(key) + " with " + value_to_string(value);
}

// Narrows the time in which the view's moment can lie, key by key.
class MomentSearch {
 public:
  MomentSearch(const View& view, const Writes& writes)
      : view_(view), writes_(writes), begin_(view.invoked), end_(view.returned) {}
  [[nodiscard]] std::string problem() {
    for (const auto& [key, value] : view_.seen) {
      if (value != kAbsent && !narrow(key, value)) return problem_;
    }
    for (const auto& [key, value] : view_.seen) {
      if (possible_lives(key, value).empty()) {
        return to_string(view_) + " saw " + sighting(key, value) + ", which was so neither after" +
               began_by_ + " nor before" + ended_by_;
      }
    }
    const std::map<KeyNumber, ValueNumber> seen(view_.seen.begin(), view_.seen.end());
    for (const auto& [key, value] : view_.seen) {
      const std::vector<Lifetime> lives = possible_lives(key, value);
      if (lives.size() != 1 || lives.front().made_by == nullptr) continue;
      if (!whole(*lives.front().made_by, seen)) return problem_;
    }
    return {};
  }

 private:
  // Whether the call that has happened at the key of `write` has happened at its other keys.
  bool whole(const Operation& write, const std::map<KeyNumber, ValueNumber>& seen) {
    for (const Operation* other : writes_.call_of(write)) {
      const auto at = seen.find(other->key);
      if (at == seen.end()) continue;
      const std::vector<Lifetime> lives = possible_lives(at->first, at->second);
      const bool is_older = std::all_of(lives.begin(), lives.end(), [&](const Lifetime& life) {
        return life.made_by == nullptr || life.made_by->returned < other->invoked;
      });
      if (!is_older) continue;
      problem_ = to_string(view_) + " saw half of a call: " + to_string(write) + " at key " +
                 std::to_string(write.key) + ", but " + sighting(at->first, at->second) +
                 " instead of " + to_string(*other);
      return false;
    }
    return true;
  }
  bool narrow(KeyNumber key, ValueNumber value) {
    const Lifetimes* of_key = writes_.find(key);
    const Lifetime* life = of_key == nullptr ? nullptr : of_key->find(value);
    if (life == nullptr) {
      problem_ = to_string(view_) + " saw " + sighting(key, value) + ", which nobody wrote";
      return false;
    }
    if (life->begin > begin_) {
      begin_ = life->begin;
      began_by_ = " " + sighting(key, value) + " (" + to_string(*life->made_by) + ")";
    }
    if (life->end < end_) {
      end_ = life->end;
      ended_by_ = " " + sighting(key, value) + " was replaced (" + to_string(*life->ended_by) + ")";
    }
    if (begin_ <= end_) return true;
    problem_ = to_string(view_) + " saw no one moment: it is after" + began_by_ + " and before" +
               ended_by_;
    return false;
  }
  // The lifetimes of `value` that the view's moment may lie in.
  [[nodiscard]] std::vector<Lifetime> possible_lives(KeyNumber key, ValueNumber value) const {
    const Lifetimes* of_key = writes_.find(key);
    if (of_key == nullptr) return {Lifetime{}};  // Never written, thus always absent.
    if (value != kAbsent) return {*of_key->find(value)};
    std::vector<Lifetime> lives;
    for (const Lifetime& life : of_key->absent()) {
      if (life.begin <= end_ && begin_ <= life.end) lives.push_back(life);
    }
    return lives;
  }
  const View& view_;
  const Writes& writes_;
  Moment begin_, end_;
  std::string began_by_ = " it began", ended_by_ = " it returned";
  std::string problem_;
};

}  // namespace

std::string torn_view(const std::vector<View>& views, const std::vector<KeyGroup>& groups) {
  std::unordered_map<KeyNumber, std::size_t> group_of;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (const KeyNumber key : groups[group]) group_of[key] = group;
  }
  for (const View& view : views) {
    std::map<std::size_t, std::pair<KeyNumber, ValueNumber>> first;
    for (const auto& [key, value] : view.seen) {
      const auto group = group_of.find(key);
      if (group == group_of.end()) continue;
      const auto [it, is_first] = first.try_emplace(group->second, key, value);
      if (is_first || it->second.second == value) continue;
      return to_string(view) + " is torn: it saw " + sighting(it->second.first, it->second.second) +
             " beside " + sighting(key, value) + ", which are only written together";
    }
  }
  return {};
}

std::string impossible_view(const std::vector<View>& views, const CallHistory& history) {
  const Writes writes(history);
  for (const View& view : views) {
    std::string problem = MomentSearch(view, writes).problem();
    if (!problem.empty()) return problem;
  }
  return {};
}

std::string group_violation(const CallHistory& history, const std::vector<KeyGroup>& groups) {
  std::unordered_map<KeyNumber, KeyNumber> leader_of;
  for (const KeyGroup& group : groups) {
    for (const KeyNumber key : group) leader_of[key] = group.front();
  }
  // A batch is one write of its group's register; each answer is a read of it.
  std::set<std::tuple<KeyNumber, std::uint32_t, Moment>> written;
  CallHistory registers;
  for (Operation operation : history) {
    const auto leader = leader_of.find(operation.key);
    if (leader != leader_of.end()) {
      operation.key = leader->second;
      const bool is_first =
          !operation.is_write() ||
          written.emplace(operation.key, operation.thread, operation.invoked).second;
      if (!is_first) continue;
    }
    registers.push_back(operation);
  }
  return linearizability_violation(registers);
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/reducer.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace varve::test::metamorphic {
namespace {

class Reduction {
  using Clock = std::chrono::steady_clock;

 public:
  Reduction(const Operations& operations, const std::function<bool(const Operations&)>& fails,
            const ReductionLimits& limits)
      : best_(operations),
        fails_(fails),
        tried_count_max_(limits.tried_count_max),
        end_(Clock::now() + limits.time_max) {}

  Reduced run() {
    bool smaller = true;
    while (smaller && !gave_up_) {
      const Operations before = best_;
      leave_out_operations();
      for (std::size_t i = 0; i < best_.size(); ++i) simplify(i);
      shorten_keys();
      smaller = best_ != before;
    }
    return {std::move(best_), tried_count_, gave_up_};
  }

 private:
  bool try_it(Operations candidate) {
    if (gave_up_ || candidate == best_) return false;
    if (tried_count_ == tried_count_max_ || Clock::now() >= end_) {
      gave_up_ = true;
      return false;
    }
    ++tried_count_;
    if (!fails_(candidate)) return false;
    best_ = std::move(candidate);
    return true;
  }

  // Leaves out pieces of `list` for as long as accept(what is left) holds, of half of the list at
  // first, at last of one element.
  template <typename Element, typename Accept>
  static void leave_out(std::vector<Element> list, const Accept& accept) {
    for (std::size_t size = std::max<std::size_t>(list.size() / 2, 1); !list.empty(); size /= 2) {
      for (std::size_t begin = 0; begin < list.size();) {
        const auto at = list.begin() + static_cast<std::ptrdiff_t>(begin);
        const std::size_t count = std::min(size, list.size() - begin);
        std::vector<Element> rest(list.begin(), at);
        rest.insert(rest.end(), at + static_cast<std::ptrdiff_t>(count), list.end());
        if (accept(rest)) {
          list = std::move(rest);
        } else {
          begin += count;
        }
      }
      if (size == 1) return;
    }
  }

  void leave_out_operations() {
    leave_out(best_, [this](const Operations& rest) { return try_it(rest); });
  }

  // Whether the list still fails when operation `i` is `changed`.
  bool try_instead(std::size_t i, const Operation& changed) {
    Operations candidate = best_;
    candidate[i] = changed;
    return try_it(std::move(candidate));
  }

  void simplify(std::size_t i) {
    leave_out(best_[i].parts, [&](const Operations& rest) {
      Operation changed = best_[i];
      changed.parts = rest;
      return try_instead(i, changed);
    });
    if (kind_info(best_[i].kind).key_count == kAny) {
      leave_out(best_[i].keys, [&](const std::vector<std::string>& rest) {
        Operation changed = best_[i];
        changed.keys = rest;
        return !rest.empty() && try_instead(i, changed);
      });
    }
    for (std::size_t n = 0; n < best_[i].numbers.size(); ++n) {
      shrink_number(i, [n](Operation& in) -> std::uint64_t& { return in.numbers[n]; });
    }
    if (!best_[i].values.empty()) {
      shrink_number(i, [](Operation& in) -> std::uint64_t& { return in.values[0].size; });
      shrink_number(i, [](Operation& in) -> std::uint64_t& { return in.values[0].seed; });
    }
    for (std::size_t p = 0; p < best_[i].parts.size(); ++p) {
      if (best_[i].parts[p].values.empty()) continue;
      const auto value = [p](Operation& in) -> Value& { return in.parts[p].values[0]; };
      shrink_number(i, [&](Operation& in) -> std::uint64_t& { return value(in).size; });
      shrink_number(i, [&](Operation& in) -> std::uint64_t& { return value(in).seed; });
    }
  }

  // Takes 0 if it may be, else comes down by ever smaller steps, as far as it goes.
  template <typename Field>
  void shrink_number(std::size_t i, const Field& field) {
    const auto try_number = [&](std::uint64_t number) {
      Operation changed = best_[i];
      field(changed) = number;
      return try_instead(i, changed);
    };
    const auto present = [&] { return field(best_[i]); };
    if (present() == 0 || try_number(0)) return;
    for (std::uint64_t step = present() / 2; step > 0;) {
      if (step >= present() || !try_number(present() - step)) step /= 2;
    }
  }

  // Every key of the list, however often it stands there, becomes another one everywhere.
  void shorten_keys() {
    std::vector<std::string> keys;
    for_each_key(best_, [&](std::string& key) { keys.push_back(key); });
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    char letter = 'a';
    for (const std::string& key : keys) {
      if (key.empty()) continue;
      const bool one_letter = key.size() == 1 && key.front() >= 'a' && key.front() <= 'z';
      if (!one_letter && letter <= 'z' && rename_key(key, std::string(1, letter))) {
        ++letter;
        continue;
      }
      if (one_letter) {
        letter = static_cast<char>(std::max<int>(letter, key.front() + 1));
        continue;
      }
      for (std::string shorter = key.substr(0, key.size() / 2); !shorter.empty();
           shorter.resize(shorter.size() / 2)) {
        if (!rename_key(key, shorter)) break;
      }
    }
  }

  bool rename_key(const std::string& from, const std::string& to) {
    Operations candidate = best_;
    for_each_key(candidate, [&](std::string& key) {
      if (key == from) key = to;
    });
    return try_it(std::move(candidate));
  }

  template <typename Visit>
  static void for_each_key(Operations& operations, const Visit& visit) {
    for (Operation& operation : operations) {
      for (std::string& key : operation.keys) visit(key);
      for_each_key(operation.parts, visit);
    }
  }

  Operations best_;
  const std::function<bool(const Operations&)>& fails_;
  const std::uint64_t tried_count_max_;
  const Clock::time_point end_;
  std::uint64_t tried_count_ = 0;
  bool gave_up_ = false;
};

}  // namespace

Reduced reduce(const Operations& operations, const std::function<bool(const Operations&)>& fails,
               const ReductionLimits& limits) {
  return Reduction(operations, fails, limits).run();
}

}  // namespace varve::test::metamorphic

// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/history.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace varve::test {
namespace {

std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Small deterministic generator for one operation.
class Dice {
 public:
  explicit Dice(std::uint64_t state) noexcept : state_(state) {}
  std::uint64_t below(std::uint64_t end) noexcept { return mix(state_++) % end; }

 private:
  std::uint64_t state_;
};

std::string key_of(std::uint64_t n) {
  const std::string digits = std::to_string(n);
  switch (n % 3) {
    case 0:
      return "user:" + std::string(6 - digits.size(), '0') + digits;
    case 1:
      return std::string("b\0", 2) + digits;
    default:
      return "https://example.org/a/rather/long/path/" + digits;
  }
}

std::string value_of(Dice& dice, std::uint64_t number) {
  std::string value = std::to_string(number) + ':';
  const std::uint64_t size = dice.below(50) == 0 ? dice.below(5000) : dice.below(200);
  value.append(size, static_cast<char>('a' + dice.below(26)));
  return value;
}

struct IndexTarget {
  SegmentIndex& index;
  const WriteOptions& options;
  void put(const std::string& key, const std::string& value) { index.put(key, value, options); }
  void erase(const std::string& key) { index.erase(key, options); }
  void erase_range(const std::string& from, const std::string& to) {
    index.erase_range(from, to, options);
  }
  WriteBatch batch;
  void begin() { batch.clear(); }
  void batch_put(const std::string& key, const std::string& value) { batch.put(key, value); }
  void batch_erase(const std::string& key) { batch.erase(key); }
  void batch_erase_range(const std::string& from, const std::string& to) {
    batch.erase_range(from, to);
  }
  void commit() { index.write(batch, options); }
};

struct ModelTarget {
  Model& model;
  void put(const std::string& key, const std::string& value) { model[key] = value; }
  void erase(const std::string& key) { model.erase(key); }
  void erase_range(const std::string& from, const std::string& to) {
    if (from < to) model.erase(model.lower_bound(from), model.lower_bound(to));
  }
  void begin() {}
  void batch_put(const std::string& key, const std::string& value) { put(key, value); }
  void batch_erase(const std::string& key) { erase(key); }
  void batch_erase_range(const std::string& from, const std::string& to) { erase_range(from, to); }
  void commit() {}
};

}  // namespace

template <typename Target>
void History::run(std::uint64_t number, Target&& target) const {
  Dice dice(mix(seed_) ^ mix(number));
  const auto any_key = [&dice] { return key_of(dice.below(kKeyCount)); };
  const std::uint64_t choice = dice.below(200);
  if (choice < 130) {
    const std::string key = any_key();
    target.put(key, value_of(dice, number));
  } else if (choice < 160) {
    target.erase(any_key());
  } else if (choice < 198) {
    target.begin();
    const std::uint64_t count = 1 + dice.below(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t kind = dice.below(20);
      const std::string key = any_key();
      if (kind < 14) {
        target.batch_put(key, value_of(dice, number));
      } else if (kind < 19) {
        target.batch_erase(key);
      } else {
        target.batch_erase_range(key, key + "5");
      }
    }
    target.commit();
  } else {
    const std::string from = any_key();
    target.erase_range(from, choice == 198 ? from + "9" : from.substr(0, from.size() - 2) + "~");
  }
}

void History::apply(std::uint64_t number, SegmentIndex& index, const WriteOptions& options) const {
  run(number, IndexTarget{index, options, {}});
}

void History::apply(std::uint64_t number, Model& model) const {
  run(number, ModelTarget{model});
}

Model contents(const SegmentIndex& index) {
  Model found;
  for (const auto& [key, value] : index.scan()) found.emplace_hint(found.end(), key, value);
  return found;
}

namespace {

std::string printable(std::string_view key) {
  std::string text(key);
  std::replace(text.begin(), text.end(), '\0', '.');
  return text;
}

}  // namespace

std::string difference(const Model& expected, const Model& found) {
  auto e = expected.begin();
  auto f = found.begin();
  for (; e != expected.end() && f != found.end(); ++e, ++f) {
    if (*e == *f) continue;
    if (e->first == f->first) {
      return "key " + printable(e->first) + ": expected " + e->second.substr(0, 20) + ", found " +
             f->second.substr(0, 20);
    }
    return e->first < f->first ? "key " + printable(e->first) + " is missing"
                               : "key " + printable(f->first) + " should not be there";
  }
  if (e != expected.end()) return "key " + printable(e->first) + " is missing at the end";
  if (f != found.end()) return "key " + printable(f->first) + " should not be there, at the end";
  return {};
}

std::string read_difference(const SegmentIndex& index, const Model& expected) {
  for (std::uint64_t n = 0; n < History::kKeyCount; ++n) {
    const std::string key = key_of(n);
    const auto it = expected.find(key);
    const std::optional<std::string> value = index.get(key);
    if (value.has_value() != (it != expected.end()))
      return "get " + printable(key) + ": wrong presence";
    if (value && *value != it->second) return "get " + printable(key) + ": wrong value";
  }
  auto it = expected.rbegin();
  for (const auto& [key, value] : index.scan({.reverse = true})) {
    if (it == expected.rend() || it->first != key || it->second != value) {
      return "reverse scan differs at " + printable(key);
    }
    ++it;
  }
  return it == expected.rend() ? "" : "reverse scan ends early, before " + printable(it->first);
}

Options tiny_options() {
  Options options;
  options.access = Access::Bare;
  options.memory_budget = 256 << 10;
  options.tuning.segment_size = 64 << 10;
  options.tuning.block_size = 1024;
  options.tuning.log_file_size = 128 << 10;
  return options;
}

}  // namespace varve::test

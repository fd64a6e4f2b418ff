// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/write_plan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace varve::test {
namespace {

std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Not one of the formats' checksums.
void absorb(std::array<std::uint64_t, 2>& state, std::string_view bytes) noexcept {
  const auto word = [&state](std::uint64_t value) {
    state[0] = std::rotl((state[0] ^ value) * 0x9fb21c651e98df25ULL, 29);
    state[1] = std::rotl((state[1] + value) * 0xd6e8feb86659fd93ULL, 37) ^ value;
  };
  word(bytes.size());
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), 8);
    word(value);
  }
  std::uint64_t rest = 0;
  for (const char byte : bytes) rest = rest << 8 | static_cast<unsigned char>(byte);
  word(rest);
}

std::array<std::uint64_t, 2> entry_sum(std::string_view key, std::string_view value) noexcept {
  std::array<std::uint64_t, 2> state = {0x2545f4914f6cdd1dULL, 0x94d049bb133111ebULL};
  absorb(state, key);
  absorb(state, value);
  return {mix(state[0]), mix(state[1] + state[0])};
}

// A model that knows its sum.
class SummedModel {
 public:
  void apply(const Write& write) {
    for (const Change& change : write.changes) apply(change);
  }
  [[nodiscard]] const Contents& contents() const noexcept { return contents_; }

 private:
  void apply(const Change& change) {
    switch (change.kind) {
      case Change::Kind::Put: {
        const auto [at, added] = model_.try_emplace(change.key, change.value);
        if (!added) {
          contents_.remove(at->first, at->second);
          at->second = change.value;
        }
        contents_.add(change.key, change.value);
        break;
      }
      case Change::Kind::Erase:
        erase(model_.find(change.key));
        break;
      case Change::Kind::EraseRange:
        for (auto at = model_.lower_bound(change.key);
             at != model_.end() && (change.value.empty() || at->first < change.value);) {
          erase(at++);
        }
        break;
    }
  }
  void erase(Model::iterator at) {
    if (at == model_.end()) return;
    contents_.remove(at->first, at->second);
    model_.erase(at);
  }

  Model model_;
  Contents contents_;
};

std::string printable(std::string_view key) {
  std::string text(key.substr(0, 40));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '.';
  }
  return text;
}

}  // namespace

void apply(const Write& write, SegmentIndex& index) {
  const WriteOptions options{.durability = write.durability};
  if (write.batch) {
    WriteBatch batch;
    for (const Change& change : write.changes) {
      if (change.kind == Change::Kind::Put) batch.put(change.key, change.value);
      if (change.kind == Change::Kind::Erase) batch.erase(change.key);
      if (change.kind == Change::Kind::EraseRange) batch.erase_range(change.key, change.value);
    }
    index.write(batch, options);
    return;
  }
  const Change& change = write.changes.front();
  if (change.kind == Change::Kind::Put) index.put(change.key, change.value, options);
  if (change.kind == Change::Kind::Erase) index.erase(change.key, options);
  if (change.kind == Change::Kind::EraseRange) {
    index.erase_range(change.key, change.value, options);
  }
}

void apply(const Write& write, Model& model) {
  for (const Change& change : write.changes) {
    if (change.kind == Change::Kind::Put) model[change.key] = change.value;
    if (change.kind == Change::Kind::Erase) model.erase(change.key);
    if (change.kind == Change::Kind::EraseRange) {
      model.erase(model.lower_bound(change.key),
                  change.value.empty() ? model.end() : model.lower_bound(change.value));
    }
  }
}

void Contents::add(std::string_view key, std::string_view value) noexcept {
  const auto entry = entry_sum(key, value);
  sum[0] += entry[0];
  sum[1] += entry[1];
}
void Contents::remove(std::string_view key, std::string_view value) noexcept {
  const auto entry = entry_sum(key, value);
  sum[0] -= entry[0];
  sum[1] -= entry[1];
}

Contents contents_of(const SegmentIndex& index) {
  Contents contents;
  for (const auto& [key, value] : index.scan()) contents.add(key, value);
  return contents;
}
Contents contents_of(const Model& model) {
  Contents contents;
  for (const auto& [key, value] : model) contents.add(key, value);
  return contents;
}
Model model_of(const SegmentIndex& index) {
  Model found;
  for (const auto& [key, value] : index.scan()) found.emplace_hint(found.end(), key, value);
  return found;
}

std::string difference(const Model& expected, const Model& found) {
  for (const auto& [key, value] : expected) {
    const auto at = found.find(key);
    if (at == found.end()) return "key " + printable(key) + " is missing";
    if (at->second != value) {
      return "key " + printable(key) + ": expected " + printable(value) + ", found " +
             printable(at->second);
    }
  }
  for (const auto& [key, value] : found) {
    if (!expected.contains(key)) return "key " + printable(key) + " should not be there";
  }
  return {};
}

LegalStates::LegalStates(std::vector<Write> writes) : writes_(std::move(writes)) {
  SummedModel model;
  after_.push_back(model.contents());
  for (const Write& write : writes_) {
    model.apply(write);
    after_.push_back(model.contents());
  }
  const auto count = static_cast<std::uint32_t>(writes_.size());
  SummedModel flushed;
  for (std::uint32_t f = 0; f <= count; ++f) {
    points_[after_[f]].push_back({f, f});
    // Where a write has a log record, the state is the same as with a flush behind it.
    if (f < count && !writes_[f].logged()) {
      SummedModel logged = flushed;
      for (std::uint32_t i = f; i < count; ++i) {
        if (writes_[i].logged()) logged.apply(writes_[i]);
        points_[logged.contents()].push_back({f, i + 1});
      }
    }
    if (f < count) flushed.apply(writes_[f]);
  }
}

std::size_t LegalStates::least_logged(const Progress& progress, Crash crash) noexcept {
  return crash == Crash::PowerLoss ? progress.durable : progress.acked;
}

bool LegalStates::allows(const Contents& found, const Progress& progress, Crash crash) const {
  const auto at = points_.find(found);
  if (at == points_.end()) return false;
  const std::size_t least = least_logged(progress, crash);
  return std::any_of(at->second.begin(), at->second.end(), [&](const Point& point) {
    if (point.flushed < progress.flushed || point.logged > progress.issued) return false;
    // Beyond where the log must reach, only writes without a record may be missing.
    for (std::size_t i = point.logged; i < least; ++i) {
      if (writes_[i].logged()) return false;
    }
    return true;
  });
}

std::string LegalStates::explain(const Model& found, const Progress& progress, Crash crash) const {
  std::string text = "no legal state: " + std::to_string(progress.issued) + " issued, " +
                     std::to_string(progress.acked) + " acked, " +
                     std::to_string(progress.durable) + " durable, " +
                     std::to_string(progress.flushed) + " flushed; ";
  const auto at = points_.find(contents_of(found));
  if (at != points_.end()) {
    const Point& point = at->second.back();
    return text + "found what was there after " + std::to_string(point.flushed) +
           " writes and the log up to " + std::to_string(point.logged);
  }
  const std::size_t least = std::max(progress.flushed, least_logged(progress, crash));
  return text + "after " + std::to_string(least) + ": " + difference(model_after(least), found) +
         "; after " + std::to_string(progress.issued) + ": " +
         difference(model_after(progress.issued), found);
}

Model LegalStates::model_after(std::size_t count) const {
  Model model;
  for (std::size_t i = 0; i < count; ++i) apply(writes_[i], model);
  return model;
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/linearizability_report.hpp"

#include <algorithm>
#include <cstddef>

namespace varve::test {
namespace {

constexpr std::size_t kExcerptMax = 16;

bool before(const Operation& a, const Operation& b) {
  return a.returned < b.invoked;
}

const Operation* put_of(ValueNumber value, const CallHistory& operations) {
  for (const Operation& operation : operations) {
    if (operation.kind == Operation::Kind::Put && operation.value == value) return &operation;
  }
  return nullptr;
}

// A write that lies wholly between `put` and `read`.
const Operation* replacement(const Operation& put, const Operation& read,
                             const CallHistory& operations) {
  const Operation* found = nullptr;
  for (const Operation& write : operations) {
    if (!write.is_write() || !before(put, write) || !before(write, read)) continue;
    if (found == nullptr || write.invoked > found->invoked) found = &write;
  }
  return found;
}

// A read that was over before `read` began and had seen a put that began after `put` was over.
const Operation* newer_read(const Operation& put, const Operation& read,
                            const CallHistory& operations) {
  for (const Operation& other : operations) {
    if (other.kind != Operation::Kind::Get || !before(other, read)) continue;
    const Operation* newer = put_of(other.value, operations);
    if (newer != nullptr && before(put, *newer)) return &other;
  }
  return nullptr;
}

std::string wrong_value(const Operation& read, const CallHistory& operations) {
  const Operation* put = put_of(read.value, operations);
  if (put == nullptr) return "nobody wrote that";
  if (before(read, *put)) return "the future: " + to_string(*put) + " had not begun";
  const Operation* write = replacement(*put, read, operations);
  if (write != nullptr && write->kind == Operation::Kind::Erase) {
    return "back from the dead: " + to_string(*write) + " had erased it";
  }
  if (write != nullptr) return "stale: " + to_string(*write) + " had replaced it";
  const Operation* newer = newer_read(*put, read, operations);
  if (newer != nullptr) return "back in time: " + to_string(*newer) + " had seen a newer value";
  return "no order of the calls explains it";
}

// Nothing was found although `put` was over and no erase had begun that could come after it.
std::string wrong_absence(const Operation& read, const CallHistory& operations) {
  for (auto put = operations.rbegin(); put != operations.rend(); ++put) {
    if (put->kind != Operation::Kind::Put || !before(*put, read)) continue;
    const bool erasable =
        std::any_of(operations.begin(), operations.end(), [&](const Operation& erase) {
          return erase.kind == Operation::Kind::Erase && !before(erase, *put) &&
                 !before(read, erase);
        });
    if (!erasable) return "lost: " + to_string(*put) + " was over, and nobody erased it since";
  }
  return "no order of the calls explains it";
}

std::string diagnosis(const Operation& read, const CallHistory& operations) {
  if (read.value == kAbsent) return wrong_absence(read, operations);
  if (read.value == kPresent) return "nothing can have been there";
  return wrong_value(read, operations);
}

}  // namespace

std::string explain(const UnexplainedRead& unexplained, const CallHistory& operations) {
  const Operation& read = unexplained.read;
  std::string text = "key " + std::to_string(read.key) + ": " + to_string(read) + " is wrong, " +
                     diagnosis(read, operations) + "; possible:";
  for (const ValueNumber value : unexplained.possible) text += " " + value_to_string(value);
  CallHistory nearby;
  for (const Operation& operation : operations) {
    if (operation.invoked <= read.returned) nearby.push_back(operation);
  }
  std::sort(nearby.begin(), nearby.end(),
            [](const Operation& a, const Operation& b) { return a.invoked < b.invoked; });
  const std::size_t skipped = nearby.size() > kExcerptMax ? nearby.size() - kExcerptMax : 0;
  for (std::size_t i = skipped; i < nearby.size(); ++i) text += "\n  " + to_string(nearby[i]);
  return text;
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/call_history.hpp"

#include <algorithm>

namespace varve::test {

std::string value_to_string(ValueNumber value) {
  if (value == kAbsent) return "nothing";
  if (value == kPresent) return "something";
  if (value >> 32 == 0) return std::to_string(value);
  return std::to_string((value >> 32) - 1) + "." + std::to_string(value & 0xffffffff);
}

std::string to_string(const Operation& operation) {
  std::string text;
  switch (operation.kind) {
    case Operation::Kind::Put:
      text = "put " + value_to_string(operation.value);
      break;
    case Operation::Kind::Erase:
      text = "erase";
      break;
    case Operation::Kind::Get:
      text = "get of " + value_to_string(operation.value);
      break;
    case Operation::Kind::Contains:
      text = "contains, found " + value_to_string(operation.value);
      break;
  }
  text += " by thread " + std::to_string(operation.thread) + " [" +
          std::to_string(operation.invoked) + ", ";
  text += operation.returned == kNever ? "never)" : std::to_string(operation.returned) + "]";
  return text;
}

CallLog::Call::~Call() {
  CallHistory& operations = log_.operations_;
  const auto begin = operations.begin() + static_cast<std::ptrdiff_t>(first_);
  if (returned_ == kNever) {
    operations.erase(
        std::remove_if(begin, operations.end(), [](const Operation& o) { return !o.is_write(); }),
        operations.end());
    return;
  }
  std::for_each(begin, operations.end(), [this](Operation& o) { o.returned = returned_; });
}

void CallLog::Call::erase_range(KeyNumber first, KeyNumber end) {
  for (KeyNumber key = first; key < end; ++key) erase(key);
}

void CallLog::Call::add(Operation::Kind kind, KeyNumber key, ValueNumber value) {
  log_.operations_.push_back(
      {.kind = kind, .thread = log_.thread_, .key = key, .value = value, .invoked = invoked_});
}

void CallLog::saw(KeyNumber key, ValueNumber value, Moment invoked, Moment returned) {
  operations_.push_back({.kind = Operation::Kind::Get,
                         .thread = thread_,
                         .key = key,
                         .value = value,
                         .invoked = invoked,
                         .returned = returned});
}

CallRecorder::CallRecorder(std::uint32_t thread_count) {
  for (std::uint32_t thread = 0; thread < thread_count; ++thread) {
    logs_.push_back(std::make_unique<CallLog>(clock_, thread));
  }
}

CallHistory CallRecorder::merged() const {
  CallHistory history;
  for (const auto& log : logs_) {
    history.insert(history.end(), log->operations().begin(), log->operations().end());
  }
  std::stable_sort(history.begin(), history.end(),
                   [](const Operation& a, const Operation& b) { return a.invoked < b.invoked; });
  return history;
}

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/medium.hpp"

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace varve::test::metamorphic {

using directory::Fault;
using directory::SimulatedFileSystem;
using FileOperation = directory::Operation;

Medium::Medium(const Configuration& configuration,
               const std::shared_ptr<SimulatedFileSystem>& start)
    : mappable_(configuration.mappable) {
  switch (configuration.medium) {
    case MediumKind::Memory:
      memory_ = directory::make_memory_directory();
      break;
    case MediumKind::Simulated:
      replace(start != nullptr ? start->after_kill() : std::make_shared<SimulatedFileSystem>());
      break;
    case MediumKind::Posix:
      temporary_.emplace();
      break;
  }
}

std::shared_ptr<directory::Directory> Medium::directory() const {
  if (memory_ != nullptr) return memory_;
  if (simulated_ != nullptr) return directory::make_posix_directory(simulated_);
  return directory::make_posix_directory(temporary_->path() / "index");
}

void Medium::replace(std::shared_ptr<SimulatedFileSystem> next) {
  if (simulated_ != nullptr) clear_faults();
  simulated_ = std::move(next);
  simulated_->set_mappable(mappable_);
}

void Medium::kill() {
  replace(simulated_->after_kill());
}

void Medium::lose_power(std::uint64_t number) {
  const std::vector<directory::RebootPolicy> policies = directory::reboot_policies(16);
  replace(simulated_->after_reboot(policies[number % policies.size()]));
}

// Only where a real medium may be full: not where a log is written that has its blocks already.
void Medium::plan_fault(std::uint64_t number) {
  struct Place {
    FileOperation operation;
    const char* name_part;
  };
  constexpr std::array<Place, 8> kPlaces = {{{FileOperation::Create, "delta"},
                                             {FileOperation::Write, "delta"},
                                             {FileOperation::Write, "MANIFEST"},
                                             {FileOperation::Create, "log"},
                                             {FileOperation::Write, "main"},
                                             {FileOperation::Allocate, "log"},
                                             {FileOperation::Rename, "MANIFEST"},
                                             {FileOperation::Create, "main"}}};
  const Place& place = kPlaces[number % kPlaces.size()];
  clear_faults();
  fault_ = simulated_->add_fault({.operation = place.operation,
                                  .name_part = place.name_part,
                                  .nth = 0,
                                  .error_number = ENOSPC,
                                  .partial_size = number % 700});
}

void Medium::clear_faults() {
  fault_count_ = fault_count();
  fault_.reset();
  simulated_->clear_faults();
}

std::uint64_t Medium::fault_count() const noexcept {
  return fault_count_ + (fault_ ? simulated_->fired(*fault_) : 0);
}

}  // namespace varve::test::metamorphic

// SPDX-License-Identifier: Apache-2.0
#include "varve/error.hpp"

#include <utility>

namespace varve {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "InvalidArgument";
    case ErrorCode::NotFound:
      return "NotFound";
    case ErrorCode::AlreadyExists:
      return "AlreadyExists";
    case ErrorCode::Locked:
      return "Locked";
    case ErrorCode::Busy:
      return "Busy";
    case ErrorCode::Io:
      return "Io";
    case ErrorCode::NoSpace:
      return "NoSpace";
    case ErrorCode::ReadOnly:
      return "ReadOnly";
    case ErrorCode::Corruption:
      return "Corruption";
    case ErrorCode::Unsupported:
      return "Unsupported";
    case ErrorCode::Mismatch:
      return "Mismatch";
    case ErrorCode::Invalidated:
      return "Invalidated";
    case ErrorCode::Cancelled:
      return "Cancelled";
    case ErrorCode::Closed:
      return "Closed";
    case ErrorCode::ForkedHandle:
      return "ForkedHandle";
    case ErrorCode::LimitExceeded:
      return "LimitExceeded";
    case ErrorCode::OutOfMemory:
      return "OutOfMemory";
    case ErrorCode::PotentialDeadlock:
      return "PotentialDeadlock";
  }
  return "Unknown";
}

struct Error::Details {
  ErrorCode code;
  std::filesystem::path path;
  std::error_code system;
  std::chrono::nanoseconds retry_after{0};
};

Error::Error(const std::string& message, std::shared_ptr<const Details> details)
    : std::runtime_error(message), details_(std::move(details)) {}

Error Error::busy(const std::string& reason, std::chrono::nanoseconds retry_after) {
  return {reason, std::make_shared<const Details>(Details{ErrorCode::Busy, {}, {}, retry_after})};
}

Error::Error(ErrorCode code, const std::string& message, std::filesystem::path path,
             std::error_code system)
    : std::runtime_error(message),
      details_(std::make_shared<const Details>(Details{code, std::move(path), system, {}})) {}
Error::Error(const Error&) noexcept = default;
Error& Error::operator=(const Error&) noexcept = default;
Error::~Error() = default;

ErrorCode Error::code() const noexcept {
  return details_->code;
}
const std::filesystem::path& Error::path() const noexcept {
  return details_->path;
}
std::error_code Error::system() const noexcept {
  return details_->system;
}
std::chrono::nanoseconds Error::retry_after() const noexcept {
  return details_->retry_after;
}

}  // namespace varve

// SPDX-License-Identifier: Apache-2.0
#include "directory/system_failure.hpp"

#include <cerrno>
#include <string>
#include <system_error>

namespace varve::directory {
namespace {

ErrorCode code_of(int error_number) noexcept {
  switch (error_number) {
    case ENOENT:
      return ErrorCode::NotFound;
    case EEXIST:
      return ErrorCode::AlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::NoSpace;
    case EROFS:
      return ErrorCode::ReadOnly;
    case ENOMEM:
      return ErrorCode::OutOfMemory;
    default:
      return ErrorCode::Io;
  }
}

}  // namespace

Error system_failure(int error_number, std::string_view operation,
                     const std::filesystem::path& path) {
  const std::error_code system(error_number, std::generic_category());
  std::string message = "cannot ";
  message.append(operation).append(" ").append(path.string()).append(": ");
  message.append(system.message());
  return {code_of(error_number), message, path, system};
}

Error taken_name(const std::filesystem::path& path) {
  return {ErrorCode::AlreadyExists,
          "cannot create " + path.string() + ": something has that name; move it away", path};
}

}  // namespace varve::directory

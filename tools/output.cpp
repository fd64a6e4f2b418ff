// SPDX-License-Identifier: Apache-2.0
#include "tools/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <system_error>

namespace varve::tools {

OutputFailure::OutputFailure(int error_number)
    : std::runtime_error("cannot write the output: " +
                         (error_number == 0 ? std::string("the stream failed")
                                            : std::generic_category().message(error_number))),
      error_number_(error_number) {}

bool OutputFailure::reader_is_gone() const noexcept {
  return error_number_ == EPIPE;
}

void Output::write(std::string_view text) {
  buffer_.append(text);
  written();
}

void Output::flush() {
  errno = 0;
  out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  if (out_) out_.flush();
  const int error_number = errno;  // The streams lose it.
  if (!out_) throw OutputFailure(error_number);
  buffer_.clear();
}

bool is_terminal(const std::ostream& stream) noexcept {
  if (&stream == &std::cout) return ::isatty(STDOUT_FILENO) == 1;
  if (&stream == &std::cerr) return ::isatty(STDERR_FILENO) == 1;
  return false;
}

}  // namespace varve::tools

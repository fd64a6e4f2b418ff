// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <string_view>

namespace varve::tools {

// What was written did not arrive: a full disk, a closed descriptor, a reader that went away.
class OutputFailure : public std::runtime_error {
 public:
  explicit OutputFailure(int error_number);
  [[nodiscard]] bool reader_is_gone() const noexcept;

 private:
  int error_number_;
};

// The data that a command prints, in large writes. finish() must be called: output that is not
// known to have arrived is a failure, and a destructor could not say so.
// Thread-safety: none. Errors: OutputFailure.
class Output {
 public:
  explicit Output(std::ostream& out) : out_(out) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // To append to; call written() now and then.
  [[nodiscard]] std::string& buffer() noexcept { return buffer_; }
  void written() {
    if (buffer_.size() >= kBufferSize) flush();
  }
  void write(std::string_view text);
  void flush();
  void finish_with(std::string_view text) {
    write(text);
    flush();
  }

 private:
  static constexpr std::size_t kBufferSize = std::size_t{64} << 10;
  std::ostream& out_;
  std::string buffer_;
};

// True when `stream` is std::cout or std::cerr and shown on a terminal.
[[nodiscard]] bool is_terminal(const std::ostream& stream) noexcept;

}  // namespace varve::tools

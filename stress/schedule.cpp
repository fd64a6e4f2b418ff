// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <system_error>

#include "stress/failure.hpp"
#include "stress/run.hpp"

namespace varve::stress {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void note_interrupt(int) {
  interrupted = 1;
}

}  // namespace

RunDirectory::RunDirectory(const std::filesystem::path& given)
    : path_(given.empty() ? make_run_directory() : given), kept_(!given.empty()) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) throw Obstacle(path_.string() + ": " + error.message());
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;  // What is left in a directory for temporary files is no failure.
  if (!kept_) std::filesystem::remove_all(path_, ignored);
}

Schedule::Schedule(const RunOptions& options)
    : options_(options), start_(std::chrono::steady_clock::now()) {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, note_interrupt);
}

bool Schedule::goes_on(std::uint64_t cycles_done) const {
  if (interrupted != 0) return false;
  return options_.cycles != 0 ? cycles_done < options_.cycles : seconds() < options_.seconds;
}

double Schedule::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace varve::stress

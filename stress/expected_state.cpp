// SPDX-License-Identifier: Apache-2.0
#include "stress/expected_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "stress/failure.hpp"

namespace varve::stress {
namespace {

constexpr std::uint64_t kMagic = 0x3144455443505845ULL;  // "EXPCTED1"
constexpr std::size_t kHeaderSize = 8192;
static_assert(sizeof(ExpectedState::Header) <= kHeaderSize);

}  // namespace

void throw_errno(const char* what) {
  throw Obstacle(fmt::format("{}: {}", what, std::system_category().message(errno)));
}

std::string_view to_string(Kind kind) noexcept {
  constexpr std::array<std::string_view, kKindCount> kNames = {
      "puts",           "erases",  "range_erases", "batches", "reads",  "scans",
      "snapshot_reads", "flushes", "compactions",  "syncs",   "refused"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::size_t ExpectedState::size_of(std::uint32_t key_count) noexcept {
  return kHeaderSize + 2 * sizeof(std::uint64_t) * std::size_t{key_count} +
         kThreadCountMax * sizeof(Trace);
}

ExpectedState ExpectedState::create(const std::filesystem::path& path, std::uint32_t key_count,
                                    std::uint64_t seed) {
  ExpectedState state(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, key_count);
  state.header_ = new (state.memory_) Header;
  state.header_->seed = seed;
  state.header_->key_count = key_count;
  for (KeyNumber key = 0; key < key_count; ++key) {
    new (state.words_ + key) std::atomic<std::uint64_t>(KeyWord().bits());
    new (state.floors_ + key) std::atomic<std::uint64_t>(KeyWord().bits());
  }
  // The traces are as the file's zeros make them.
  state.header_->magic = kMagic;
  return state;
}

ExpectedState ExpectedState::open(const std::filesystem::path& path) {
  return {path, O_RDWR | O_CLOEXEC, 0};
}

ExpectedState::ExpectedState(const std::filesystem::path& path, int flags,
                             std::uint32_t key_count) {
  const int fd = ::open(path.c_str(), flags, 0600);
  if (fd < 0) throw_errno(path.c_str());
  if ((flags & O_CREAT) != 0 && ::ftruncate(fd, static_cast<off_t>(size_of(key_count))) != 0) {
    ::close(fd);
    throw_errno(path.c_str());
  }
  map(fd);
  if ((flags & O_CREAT) == 0) {
    if (header_->magic != kMagic || size_of(header_->key_count) != size_) {
      ::munmap(memory_, size_);
      throw Obstacle(path.string() + ": no file of expected states of this program");
    }
    key_count = header_->key_count;
  }
  words_ = reinterpret_cast<std::atomic<std::uint64_t>*>(memory_ + kHeaderSize);
  floors_ = words_ + key_count;
  traces_ = reinterpret_cast<Trace*>(floors_ + key_count);
}

void ExpectedState::map(int fd) {
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  size_ = known ? static_cast<std::size_t>(status.st_size) : 0;
  void* const memory = size_ < kHeaderSize
                           ? MAP_FAILED
                           : ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) throw_errno("mapping the expected states");
  memory_ = static_cast<std::byte*>(memory);
  header_ = reinterpret_cast<Header*>(memory_);
}

ExpectedState::ExpectedState(ExpectedState&& other) noexcept
    : size_(other.size_),
      memory_(std::exchange(other.memory_, nullptr)),
      header_(other.header_),
      words_(other.words_),
      floors_(other.floors_),
      traces_(other.traces_) {}

ExpectedState::~ExpectedState() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

void ExpectedState::raise_floor(KeyNumber key, KeyWord to) const noexcept {
  std::uint64_t bits = floors_[key].load();
  while (KeyWord(bits).version() < to.version()) {
    if (floors_[key].compare_exchange_weak(bits, to.bits())) return;
  }
}

void ExpectedState::settle(KeyNumber key, KeyWord word) const noexcept {
  words_[key].store(word.bits());
  floors_[key].store(word.bits());
}

LegalRange ExpectedState::legal(KeyNumber key) const noexcept {
  return {.floor = floor(key), .current = word(key), .cycle = header_->cycle.load()};
}

void ExpectedState::begin_cycle(std::uint64_t cycle) const noexcept {
  header_->cycle.store(cycle);
  header_->phase.store(WorkerPhase::Starting);
  header_->stop.store(0);
  header_->ticket.store(1);
  header_->operation_count.store(0);
  for (auto& count : header_->counts) count.store(0);
  for (std::uint32_t thread = 0; thread < kThreadCountMax; ++thread) {
    traces_[thread].write_count.store(0);
  }
}

void ExpectedState::tell_problem(std::string_view text) const noexcept {
  std::uint32_t nobody = 0;
  if (!header_->problem_owner.compare_exchange_strong(nobody, 1)) return;
  const std::size_t size = std::min(text.size(), header_->problem.size() - 1);
  std::memcpy(header_->problem.data(), text.data(), size);
  header_->problem[size] = '\0';
  header_->problem_told.store(1);
}

std::string ExpectedState::problem() const {
  return header_->problem_told.load() != 0 ? std::string(header_->problem.data()) : std::string();
}

}  // namespace varve::stress

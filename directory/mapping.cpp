// SPDX-License-Identifier: Apache-2.0
#include "directory/mapping.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "varve/error.hpp"

namespace varve::directory {
namespace {

// Reserves `size` bytes at an aligned address: nothing can be stored there, nothing is charged.
// Null when there is no room.
char* reserve_aligned(std::size_t size) noexcept {
  const std::size_t reserved = size + kHugePageSize;
  void* const raw =
      ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(raw);
  const std::size_t head = (kHugePageSize - address % kHugePageSize) % kHugePageSize;
  char* const aligned = static_cast<char*>(raw) + head;
  // What lies outside of the result is ours alone, so giving it back races with nobody. The result
  // itself is never unmapped before something else is mapped over it: another thread's mapping
  // could slip in between, and MAP_FIXED would destroy that.
  if (head != 0) ::munmap(raw, head);
  const std::size_t tail = reserved - head - size;
  if (tail != 0) ::munmap(aligned + size, tail);
  return aligned;
}

std::size_t round_up(std::size_t size, std::size_t to) noexcept {
  return (size + to - 1) / to * to;
}

constexpr std::size_t kPageSizeMax = std::size_t{64} << 10;  // Of any system we run on.

bool is_mappable_size(std::uint64_t size) noexcept {
  return size != 0 && size <= std::numeric_limits<std::size_t>::max() / 2;
}

// An owned region of address space.
class Region {
 public:
  Region(char* data, std::size_t reserved) noexcept : data_(data), reserved_(reserved) {}
  Region(Region&& other) noexcept : data_(other.data_), reserved_(other.reserved_) {
    other.data_ = nullptr;
  }
  Region& operator=(Region&&) = delete;
  ~Region() {
    if (data_ != nullptr) ::munmap(data_, reserved_);
  }
  [[nodiscard]] char* data() const noexcept { return data_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  char* data_;
  std::size_t reserved_;
};

Region map_shared(int fd, std::size_t size, int protection) noexcept {
  if (size < kHugePageSize) {
    void* const mapped = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
    return {mapped == MAP_FAILED ? nullptr : static_cast<char*>(mapped), size};
  }
  const std::size_t reserved = round_up(size, kPageSizeMax);
  Region region(reserve_aligned(reserved), reserved);
  if (!region) return region;
  void* const mapped = ::mmap(region.data(), size, protection, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped == MAP_FAILED) return {nullptr, 0};
  return region;
}

class PosixReadableMapping final : public ReadableMapping {
 public:
  PosixReadableMapping(Region region, std::size_t size) noexcept
      : region_(std::move(region)), size_(size) {}
  [[nodiscard]] std::string_view bytes() const noexcept override { return {region_.data(), size_}; }

 private:
  Region region_;
  std::size_t size_;
};

class PosixWritableMapping final : public WritableMapping {
 public:
  PosixWritableMapping(Region region, std::size_t size) noexcept
      : region_(std::move(region)), size_(size) {}
  [[nodiscard]] char* data() noexcept override { return region_.data(); }
  [[nodiscard]] std::size_t size() const noexcept override { return size_; }
  void populate([[maybe_unused]] std::size_t offset,
                [[maybe_unused]] std::size_t size) noexcept override {
#if defined(MADV_POPULATE_WRITE)
    const std::size_t from = offset / kPageSizeMax * kPageSizeMax;
    if (from >= size_) return;
    const std::size_t length = std::min(size_ - from, size + (offset - from));
    // A kernel before 5.14 refuses; the stores then fault one page at a time.
    static_cast<void>(::madvise(region_.data() + from, length, MADV_POPULATE_WRITE));
#endif
  }
  void let_go(std::size_t from, std::size_t to) noexcept override {
    const std::size_t begin = round_up(from, kPageSizeMax);
    const std::size_t end = std::min(to, size_) / kPageSizeMax * kPageSizeMax;
    // Of a shared mapping this drops no data; refused, it costs only speed.
    if (begin < end)
      static_cast<void>(::madvise(region_.data() + begin, end - begin, MADV_DONTNEED));
  }
  void prefer_huge_pages([[maybe_unused]] std::size_t from,
                         [[maybe_unused]] bool wanted) noexcept override {
#if defined(MADV_HUGEPAGE)
    const std::size_t begin = round_up(from, kHugePageSize);
    if (begin >= size_) return;
    // Refused where the system has none, which is as good as granted.
    static_cast<void>(
        ::madvise(region_.data() + begin, size_ - begin, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
#endif
  }

 private:
  Region region_;
  std::size_t size_;
};

}  // namespace

std::unique_ptr<ReadableMapping> map_file_readable(int fd, std::uint64_t size) {
  if (!is_mappable_size(size)) return nullptr;
  Region region = map_shared(fd, static_cast<std::size_t>(size), PROT_READ);
  if (!region) return nullptr;
  return std::make_unique<PosixReadableMapping>(std::move(region), static_cast<std::size_t>(size));
}

std::unique_ptr<WritableMapping> map_file_writable([[maybe_unused]] int fd,
                                                   [[maybe_unused]] std::uint64_t size) {
#if defined(__linux__)
  if (!is_mappable_size(size)) return nullptr;
  Region region = map_shared(fd, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE);
  if (!region) return nullptr;
  return std::make_unique<PosixWritableMapping>(std::move(region), static_cast<std::size_t>(size));
#else
  return nullptr;
#endif
}

LargeBuffer::LargeBuffer(std::size_t size) : data_(nullptr), size_(round_up(size, kHugePageSize)) {
  data_ = reserve_aligned(size_);
  if (data_ == nullptr || ::mprotect(data_, size_, PROT_READ | PROT_WRITE) != 0) {
    if (data_ != nullptr) ::munmap(data_, size_);
    throw Error(ErrorCode::OutOfMemory,
                "cannot get a write buffer of " + std::to_string(size_) + " bytes");
  }
#if defined(MADV_HUGEPAGE)
  static_cast<void>(::madvise(data_, size_, MADV_HUGEPAGE));  // Refused is as good as granted.
#endif
}

LargeBuffer::~LargeBuffer() {
  ::munmap(data_, size_);
}

}  // namespace varve::directory

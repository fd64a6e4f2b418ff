// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "directory/check.hpp"
#include "directory/lock_class.hpp"
#include "segment/cpu.hpp"
#include "segment/version.hpp"
#include "segment/view.hpp"
#include "segment/writer_mutex.hpp"

namespace varve::segment {

// One key range of an index: its current view, its version, and what its writer keeps.
//
// Invariant: the view is replaced whole, never changed; every replacement and every delta write is
// preceded by a bump of the version. Once retired, the segment changes no more: another one owns
// its keys.
// Thread-safety: view(), version() and retired() by any thread that keeps retired views alive (by
// an epoch pin, or by being the only thread); everything else by the segment's one writer at a
// time: who holds writer_mutex(), where there are several threads.
class Segment {
 public:
  // Takes over the caller's reference to `view`. `upper` empty: no end. `lock_class`: of its writer
  // mutex, in which the id is its place.
  Segment(std::uint64_t id, std::string lower, std::string upper, std::uint64_t version,
          const View* view, const directory::LockClass& lock_class) noexcept
      : view_(view),
        id_(id),
        lower_(std::move(lower)),
        upper_(std::move(upper)),
        version_(version),
        writer_mutex_(lock_class, order_number(id)) {}
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() { view_.load(std::memory_order_relaxed)->release(); }

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& lower() const noexcept { return lower_; }
  [[nodiscard]] const std::string& upper() const noexcept { return upper_; }
  [[nodiscard]] bool owns(std::string_view key) const noexcept {
    return key >= lower_ && (upper_.empty() || key < upper_);
  }
  [[nodiscard]] const View& view() const noexcept { return *view_.load(std::memory_order_acquire); }
  [[nodiscard]] const VersionController& version() const noexcept { return version_; }

  // Excludes a second writer. Unused where there is only one thread.
  [[nodiscard]] WriterMutex& writer_mutex() noexcept { return writer_mutex_; }
  // The segment was split or merged away: a writer that found it by an old route must look again.
  [[nodiscard]] bool retired() const noexcept { return retired_.load(std::memory_order_acquire); }
  void retire() noexcept {
    version_.bump();
    retired_.store(true, std::memory_order_release);
  }

  // What reads of this segment cost together, by a sample of them; old reads count less and less.
  // Thread-safety: any thread.
  void note_read(std::uint32_t cost) noexcept {
    read_cost_.fetch_add(cost, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t read_cost() const noexcept {
    return read_cost_.load(std::memory_order_relaxed);
  }
  void age_read_cost() noexcept {
    read_cost_.store(read_cost() - read_cost() / 8, std::memory_order_relaxed);
  }

  // The sequence of the last write, of a key or of a range, that may be in here. Whoever sees a
  // write finds it here already: it moves before the write becomes visible.
  [[nodiscard]] Sequence last_write() const noexcept {
    return last_write_.load(std::memory_order_acquire);
  }
  void note_write(Sequence sequence) noexcept {  // Requires: ascending.
    last_write_.store(sequence, std::memory_order_release);
  }

  // Adds a version of a key to the active delta. In two halves, the first one asks for what the
  // second one needs: between them, nothing may happen to this segment but other insertions.
  [[nodiscard]] Delta::Place find_place(std::string_view key, std::uint64_t hash) const noexcept {
    return view().active->find_place(key, hash);
  }
  void insert(const Delta::Place& place, std::string_view key, std::uint64_t hash, Kind kind,
              std::string_view value, Sequence sequence, bool keep_older) {
    version_.bump();
    note_write(sequence);
    view().active->insert(place, key, hash, kind, value, sequence, keep_older);
  }
  void insert(std::string_view key, std::uint64_t hash, Kind kind, std::string_view value,
              Sequence sequence, bool keep_older) {
    insert(find_place(key, hash), key, hash, kind, value, sequence, keep_older);
  }
  // So that the version is not below that of the segment's main run, which may have had to take a
  // later one because a file's name was taken.
  void raise_version(std::uint64_t version) noexcept { version_.raise(version); }
  // Publishes `next` (taking over the caller's reference) and hands back the retired view, whose
  // reference is now the caller's to release once no reader can be in it.
  [[nodiscard]] const View* publish(const View* next) noexcept {
    version_.bump();
    return view_.exchange(next, std::memory_order_acq_rel);
  }

 private:
  // Every split takes new ids: 2^32 of them are out of reach.
  static std::uint32_t order_number(std::uint64_t id) noexcept {
    VARVE_CHECK(id < directory::Mutex::kOnly);
    return static_cast<std::uint32_t>(id);
  }

  // What readers need, in a line that only a job writes to.
  alignas(kLineSize) std::atomic<const View*> view_;
  std::atomic<bool> retired_ = false;
  const std::uint64_t id_;
  const std::string lower_;
  const std::string upper_;
  // Every write's.
  alignas(kLineSize) VersionController version_;
  std::atomic<Sequence> last_write_ = 0;
  WriterMutex writer_mutex_;
  std::atomic<std::uint64_t> read_cost_ = 0;
};

}  // namespace varve::segment

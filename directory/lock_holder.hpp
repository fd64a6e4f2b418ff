// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "directory/lock_record.hpp"
#include "varve/directory_lock.hpp"

namespace varve::directory {

// Who holds a directory: facts about processes for lock records and messages. Everything here is
// read from /proc, is for people, and takes no part in any decision about ownership.

// An open record that describes the calling process: identity, host, program, since now.
[[nodiscard]] LockRecord describe_this_process();

// True only when the process that wrote the record certainly ended: same boot, same pid namespace,
// and its pid is free or belongs to a process that started at another time.
[[nodiscard]] bool is_gone(const LockRecord& record, const LockRecord& this_process);

// The flock(2) holder of the file {device, inode} as /proc/locks tells it, where it does.
struct FlockHolder {
  std::int64_t pid = 0;  // Of the process that locked; it may be gone. 0 when not visible to us.
  LockMode mode = LockMode::Exclusive;
};
[[nodiscard]] std::optional<FlockHolder> find_flock_holder(std::uint64_t device,
                                                           std::uint64_t inode);
// The holder that only its pid is known of: the program's name from /proc while it runs.
// `gone` is set when there is no such process.
[[nodiscard]] LockHolder describe_process(const FlockHolder& holder, const LockRecord& this_process,
                                          bool& gone);

// "orders is held by pid 4711 (orderd) on db3 since 2026-11-21T01:12:09Z, epoch 7"
[[nodiscard]] std::string describe(const std::filesystem::path& directory,
                                   const LockStatus& status);

}  // namespace varve::directory

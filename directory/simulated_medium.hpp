// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "directory/simulated_file_system.hpp"

namespace varve::directory {

// One file of a simulated file system: what the page cache shows, and what the medium holds.
struct SimulatedInode {
  // Shared with mappings. Replaced, not resized, while a reader maps it.
  std::shared_ptr<std::string> current = std::make_shared<std::string>();
  std::string durable;
  // Sectors that a failed sync declared clean, with what they held then: another sync writes them
  // only if they have changed since.
  std::map<std::size_t, std::string> dropped;
  std::uint64_t writable_mapping_count = 0;
  std::uint64_t user_count = 0;   // Open files and mappings: they keep an inode without a name.
  std::set<std::uint64_t> holes;  // Pages that were punched out and not written since.

  // Requires: no writable mapping.
  void resize(std::uint64_t size);
  void punch(std::uint64_t offset, std::uint64_t size);
  // Pages of the medium that the inode takes.
  [[nodiscard]] std::uint64_t page_count() const noexcept;
  // Likewise, once [offset, offset + size) is written or allocated.
  [[nodiscard]] std::uint64_t page_count_with(std::uint64_t offset,
                                              std::uint64_t size) const noexcept;
  void fill_holes(std::uint64_t offset, std::uint64_t size);
  void sync();
  void drop_unsynced();
  // Of what was written by a call: also where it is what it was, it is no longer called clean.
  void dirty_again(std::size_t offset, std::size_t size);
};

// A change of the directory that power loss may undo.
struct SimulatedNameChange {
  std::string removed;  // Empty: none.
  std::string added;    // Empty: none.
  std::shared_ptr<SimulatedInode> inode;
  std::shared_ptr<SimulatedInode> replaced;  // What `added` named before, if anything.
};

// The files and names of a simulated file system, as seen now and as on the medium.
// Thread-safety: none.
class SimulatedMedium {
 public:
  using Names = std::map<std::string, std::shared_ptr<SimulatedInode>, std::less<>>;

  [[nodiscard]] const Names& names() const noexcept { return names_; }
  [[nodiscard]] std::shared_ptr<SimulatedInode> find(std::string_view name) const;  // Or null.
  std::shared_ptr<SimulatedInode> create(std::string_view name);  // Requires: absent.
  void rename(std::string_view from, std::string_view to);        // Requires: `from`.
  void remove(std::string_view name);                             // Requires: present.
  void sync_names();
  void plant(std::string_view name, std::string bytes);

  [[nodiscard]] SimulatedFileSystem::Fingerprint fingerprint() const;

  // 0: no end. Files with a name and files in use count, by pages of kPageSize.
  static constexpr std::uint64_t kPageSize = 4096;
  void set_capacity(std::uint64_t size) noexcept { capacity_ = size; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::uint64_t used_size() const;
  [[nodiscard]] std::optional<std::uint64_t> free_size() const;
  // How many of the `size` bytes at `offset` there is room for, and whether for all.
  [[nodiscard]] std::uint64_t room_for(const SimulatedInode& inode, std::uint64_t offset,
                                       std::uint64_t size) const;

  // Copies that share nothing with this one.
  [[nodiscard]] SimulatedMedium clone() const;
  [[nodiscard]] SimulatedMedium after_power_loss(const RebootPolicy& policy) const;

 private:
  void lose_name(const std::shared_ptr<SimulatedInode>& inode);

  Names names_;
  Names durable_names_;
  std::vector<SimulatedNameChange> unsynced_;  // From durable_names_ to names_.
  std::uint64_t capacity_ = 0;
  // May still be in use without a name.
  std::vector<std::weak_ptr<SimulatedInode>> nameless_;
};

}  // namespace varve::directory

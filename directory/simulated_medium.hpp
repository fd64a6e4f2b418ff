// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
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

  // Requires: no writable mapping.
  void resize(std::uint64_t size);
  void sync();
  void drop_unsynced();
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

  // Copies that share nothing with this one.
  [[nodiscard]] SimulatedMedium clone() const;
  [[nodiscard]] SimulatedMedium after_power_loss(const RebootPolicy& policy) const;

 private:
  Names names_;
  Names durable_names_;
  std::vector<SimulatedNameChange> unsynced_;  // From durable_names_ to names_.
};

}  // namespace varve::directory

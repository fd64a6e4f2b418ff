// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "tests/lib/small_store.hpp"
#include "varve/check.hpp"

namespace varve::test {

// The image that damage is done to: small_store().image.
[[nodiscard]] const StoreImage& damage_image();
[[nodiscard]] std::string log_name();
[[nodiscard]] inline bool is_log(const std::string& name) {
  return name.starts_with("log-");
}
[[nodiscard]] inline bool is_run(const std::string& name) {
  return name.starts_with("main-") || name.starts_with("delta-");
}
// Where the records of the live log end.
[[nodiscard]] std::uint64_t log_end();
// The files that the manifest names, and MANIFEST.
[[nodiscard]] const std::vector<std::string>& live_files();

// False for the bytes that no checksum covers and no reader looks at, which is the whole list:
//   - slices of a delta file that were merged away, up to where the next live one begins;
//   - what is behind the records of the log: zeros, or a log that it was recycled from.
// Nor can a loss be seen that left_no_trace() below tells of, and bytes behind the last live slice
// of a delta file may be a dead slice.
[[nodiscard]] const std::vector<bool>& bytes_in_use(const std::string& name);

// `bytes` are the log with damage in it, which looks as if its last records had never been written:
// from the first damaged record on there is no whole one, and the tag of that one is gone. The log
// was not synced that far, so nothing can tell that they were there.
[[nodiscard]] bool left_no_trace(std::string_view bytes);

// The directory with one or more files changed.
class Damaged {
 public:
  directory::Directory& operator*() const { return *directory_; }
  [[nodiscard]] std::shared_ptr<directory::Directory> get() const { return directory_; }
  void set(const std::string& name, std::string_view bytes) { directory_->replace(name, bytes); }
  void remove(const std::string& name) { directory_->remove(name); }

 private:
  std::shared_ptr<directory::Directory> directory_ = directory_of(damage_image().files);
};

[[nodiscard]] CheckReport deep_check(const Damaged& damaged);
// The finding about `name` that counts: damage, or the warning about a torn log. Every image was
// left open, which is a warning about MANIFEST. Null: none.
[[nodiscard]] const CheckFinding* find_report(const CheckReport& report, const std::string& name);

// How an index may be used after the damage.
enum class Use { Read, Write, Compact };

// Empty when all that is read is one of `states`, or Error{Corruption}; else what is wrong.
[[nodiscard]] std::string misreading(const std::shared_ptr<directory::Directory>& directory,
                                     Use use, std::vector<const Entries*> states);
// The states that may be read once `name` is damaged: the last one, or any prefix of the log's
// records when it is the log.
[[nodiscard]] std::vector<const Entries*> states_with_damage_in(const std::string& name);
// As above, with these states.
[[nodiscard]] std::string misreading(const Damaged& damaged, Use use, const std::string& name);

[[nodiscard]] std::string random_bytes(std::size_t size, unsigned seed);

}  // namespace varve::test

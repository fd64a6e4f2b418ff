// SPDX-License-Identifier: Apache-2.0
// Options are written with the fields that one cares about, which must not warn under -Wextra: each
// field of these structs has an initializer, also where its type would do without one. One field of
// each struct is named here, the first or one between others.
#include "varve/varve.hpp"

namespace varve::test {

[[nodiscard]] Options designated_options();
Options designated_options() {
  return {.lock_health = {.enabled = true},
          .lock_wait = std::chrono::milliseconds(1),
          .tuning = {.block_size = 512}};
}
[[nodiscard]] Options codec_options();
Options codec_options() {
  return {.value_codec = "text"};
}
[[nodiscard]] WriteOptions write_options();
WriteOptions write_options() {
  return {.durability = Durability::Synced};
}
[[nodiscard]] ScanOptions scan_options();
ScanOptions scan_options() {
  return {.prefix = "user:"};
}
[[nodiscard]] CompactOptions compact_options();
CompactOptions compact_options() {
  return {.from = "a"};
}
[[nodiscard]] CheckOptions check_options();
CheckOptions check_options() {
  return {.deep = true};
}

}  // namespace varve::test

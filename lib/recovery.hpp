// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "directory/directory.hpp"
#include "lib/core.hpp"
#include "varve/options.hpp"

namespace varve::internal {

enum class OpenMode : std::uint8_t {
  Open,    // What is there, or (Options::create_if_missing) a new index.
  Create,  // Only a new one: AlreadyExists otherwise.
};

// Takes the directory's lock, reads the manifest, opens the runs, checks and replays the log,
// removes strays of ours, takes the log over and raises the writer epoch. A crash in the middle of
// it leaves what was there, perhaps with some of it flushed; the manifest replacement at the end
// says who owns it. Errors: Locked, NotFound, AlreadyExists, Corruption (naming file and offset),
// Unsupported, Mismatch, Io, NoSpace.
[[nodiscard]] std::unique_ptr<Core> open_core(
    const std::shared_ptr<directory::Directory>& directory, const Options& options, OpenMode mode);

// Lays a range tombstone over the segments in [from, to) that hold anything. `only_unflushed`, for
// replaying: not over those whose runs have it already.
void apply_range_erase(Core& core, std::string_view from, std::string_view to, Sequence sequence,
                       bool only_unflushed);

}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "directory/mutex.hpp"
#include "lib/engine_locks.hpp"
#include "lib/job_board.hpp"
#include "lib/published_sequence.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::internal {

// What a core has in addition when several threads are in it at the same time. A core without one
// has a single caller at a time, and pays for nothing of this.
//
// Lock order, outermost first:
//
//   jobs     planning and installing structural jobs: flush, merge, split
//   catalog  the manifest's replacement and what belongs to it: the list of logs
//   segments writer_mutex(), by id
//   log      handing out sequences and appending their records
//
// Readers take none of them: they pin an epoch, and what they find is retired, not freed.
struct Concurrency {
  explicit Concurrency(const EngineLocks& locks)
      : jobs(locks.jobs), catalog(locks.catalog), log(locks.log) {}

  JobBoard jobs;
  directory::Mutex catalog;
  directory::Mutex log;
  PublishedSequence published;
  concurrent::EpochDomain domain;  // Retired views and route maps.
};

}  // namespace varve::internal

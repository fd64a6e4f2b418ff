// SPDX-License-Identifier: Apache-2.0
#include "lib/catalog.hpp"

#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "directory/mutant.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

// Opening a file, the first step of all, fails for want of something that the process or the system
// has too little of; no later step does.
bool is_exhaustion(const std::error_code& error) noexcept {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system || error == std::errc::not_enough_memory;
}

}  // namespace

bool Catalog::is_on_disk(const std::string& bytes) const noexcept {
  try {
    return directory_.read_all(kManifestName, kManifestSizeMax) == bytes;
  } catch (...) {
    return true;  // Nobody knows.
  }
}

void Catalog::replace(const directory::Ownership& ownership,
                      const std::function<void(Manifest&)>& edit) {
  failure_.rethrow_if_failed();
  // All memory is taken before the disk is touched: what is there then is also what is here.
  auto replacement = std::make_shared<Manifest>(*manifest());
  edit(*replacement);
  ++replacement->edit;
  const std::string bytes = encode_manifest(*replacement);
  try {
    if (!VARVE_MUTANT("manifest.owner_not_verified")) ownership.verify();
    directory_.replace(kManifestName, bytes);
  } catch (const directory::SyncError&) {  // Whatever the reason: it cannot be tried again.
    if (!VARVE_MUTANT("manifest.failed_sync_not_latched")) {
      failure_.record(std::current_exception());
    }
    throw;
  } catch (const Error& error) {
    // Without space the old manifest stays, unless it was the sync after the renaming that failed.
    const bool untouched =
        (error.code() == ErrorCode::NoSpace && !is_on_disk(bytes)) || is_exhaustion(error.system());
    if (!untouched && !VARVE_MUTANT("manifest.failure_not_latched")) {
      failure_.record(std::current_exception());
    }
    throw;
  } catch (const std::bad_alloc&) {  // Within the steps of the replacement.
    if (is_on_disk(bytes)) failure_.record(std::current_exception());
    throw;
  }
  bytes_written_.fetch_add(bytes.size(), std::memory_order_relaxed);
  std::shared_ptr<const Manifest> present = std::move(replacement);
  const std::lock_guard lock(mutex_);
  manifest_.swap(present);
}

}  // namespace varve::internal

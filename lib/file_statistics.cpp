// SPDX-License-Identifier: Apache-2.0
#include "varve/file_statistics.hpp"

#include "directory/directory.hpp"
#include "lib/file_names.hpp"
#include "lib/index_statistics.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

namespace varve {
namespace {

using internal::FileName;

struct Listing {
  bool has_manifest = false, has_data = false;
};

Listing add_files(const directory::Directory& directory, FileStatistics& figures) {
  Listing listing;
  for (const directory::FileInfo& file : directory.list()) {
    const auto name = internal::parse_file_name(file.name);
    if (!name) continue;
    ++figures.file_count;
    figures.disk_size += file.size;
    switch (name->type) {
      case FileName::Type::Manifest:
        listing.has_manifest = true;
        break;
      case FileName::Type::Log:
        ++figures.log_file_count;
        figures.log_disk_size += file.size;
        listing.has_data = true;
        break;
      case FileName::Type::Delta:
      case FileName::Type::Main:
        listing.has_data = true;
        break;
      case FileName::Type::Lock:
      case FileName::Type::Reserve:
      case FileName::Type::Temporary:
        break;
    }
  }
  return listing;
}

}  // namespace

FileStatistics file_statistics(const std::filesystem::path& path) {
  const auto directory = directory::make_posix_directory(path, {.allow_network_file_system = true});
  FileStatistics figures;
  const Listing listing = add_files(*directory, figures);
  if (!listing.has_manifest) {
    if (listing.has_data) {
      throw Error(ErrorCode::Corruption, "MANIFEST is missing, but there are files of an index",
                  path);
    }
    throw Error(ErrorCode::NotFound, "there is no index in " + path.string(), path);
  }
  figures.lock = directory->lock_status();
  // It is replaced whole, by a rename: what is read is one of its states, old or new.
  const internal::Manifest manifest = internal::decode_manifest(
      directory->read_all(internal::kManifestName, internal::kManifestSizeMax),
      (path / internal::kManifestName).string());
  figures.uuid = manifest.uuid;
  figures.writer_epoch = manifest.writer_epoch;
  figures.manifest_edit = manifest.edit;
  figures.last_sequence = manifest.last_sequence;
  figures.closed_cleanly = manifest.closed_cleanly;
  figures.live_log_count = manifest.logs.size();
  figures.runs = internal::run_statistics(manifest);
  return figures;
}

}  // namespace varve

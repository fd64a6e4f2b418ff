// SPDX-License-Identifier: Apache-2.0
#include "fuzz/store_archive.hpp"

#include <cstring>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "fuzz/run_repair.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"
#include "segment/run_format.hpp"
#include "varve/error.hpp"

namespace varve::fuzz {
namespace {

using directory::load_le;
using directory::store_le;
using namespace varve::internal;

constexpr std::size_t kFilesMax = 32;
const std::string kManifest(kManifestName);

std::string name_of(std::uint8_t kind, std::uint64_t number, std::uint64_t version) {
  switch (kind % 6) {
    case 0:
      return kManifest;
    case 1:
      return log_file_name(number);
    case 2:
      return delta_file_name(number);
    case 3:
      return main_file_name(number, version);
    case 4:
      return "LOCK";
    default:
      return "file-" + std::to_string(number);
  }
}

RunRecord record_of(std::string_view image, RunRecord record) {
  const char* const footer = image.data() + image.size() - segment::kRunFooterSize;
  record.size = image.size();
  record.entry_count = load_le<std::uint64_t>(footer + 32);
  record.tombstone_count = load_le<std::uint64_t>(footer + 40);
  record.raw_size = load_le<std::uint64_t>(footer + 56);
  record.footer_checksum = load_le<std::uint64_t>(footer + 120);
  return record;
}

// Puts one run where `record` says, and what the manifest must say of it.
void add_run(Files& files, Manifest& manifest, SegmentRecord& segment, RunRecord record,
             std::uint32_t choice) {
  std::string& file = files[run_file_name(record)];
  file.resize((file.size() + segment::kRunAlignment - 1) / segment::kRunAlignment *
              segment::kRunAlignment);
  record.offset = file.size();
  record.last_sequence = manifest.last_sequence;
  const std::string image =
      fresh_run({.offset = record.offset, .seed = run_seed(manifest.uuid, record)}, choice);
  file += image;
  record = record_of(image, record);
  if (record.kind == RunRecord::Kind::Main) {
    segment.main = record;
  } else {
    segment.slices.insert(segment.slices.begin(), record);
  }
}

std::string fresh_log(const Manifest& manifest, std::uint64_t number) {
  std::string log(kLogHeaderSize, '\0');
  encode_log_header({.uuid = manifest.uuid,
                     .number = number,
                     .first_sequence = manifest.last_sequence + 1,
                     .boot_id = {}},
                    log.data());
  std::string operations;
  append_operation(operations, OperationKind::Put, "key-1007", "from the log");
  append_operation(operations, OperationKind::EraseRange, "key-1010", "key-1020");
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const std::size_t at = log.size();
    log.resize(at + log_record_size(operations.size()));
    encode_log_record(log.data() + at, log_seed(manifest.uuid, number), at,
                      manifest.last_sequence + 2 * i, operations);
  }
  log.resize(log.size() + 64);
  return log;
}

// Makes records of what stands behind a log's header, one behind the other, until one does not fit.
void repair_log(std::string& log, const Manifest& manifest, std::uint64_t number) {
  if (log.size() < kLogHeaderSize) return;
  store_le(log.data() + 4088,
           directory::hash64({log.data(), 4088},
                             directory::file_seed({}, directory::ChecksumDomain::Log, 0)));
  const std::uint64_t seed = log_seed(manifest.uuid, number);
  for (std::size_t at = kLogHeaderSize; at + kLogRecordHeaderSize <= log.size();) {
    char* const record = log.data() + at;
    const auto payload_size = load_le<std::uint32_t>(record + 8);
    if (payload_size > log.size() - at || log_record_size(payload_size) > log.size() - at) return;
    if (load_le<std::uint64_t>(record + 16) == 0) return;
    at += encode_log_record(record, seed, at, load_le<std::uint64_t>(record + 16),
                            {record + kLogRecordHeaderSize, payload_size});
  }
}

void repair_manifest(std::string& manifest) {
  if (manifest.size() < 112) return;
  std::memcpy(manifest.data(), "VARVEMAN\1\0\0\0", 12);
  store_le(manifest.data() + 16, std::uint64_t{manifest.size()});
  const std::size_t at = manifest.size() - 8;
  store_le(manifest.data() + at, manifest_checksum(std::string_view(manifest).substr(0, at)));
}

std::optional<Manifest> manifest_of(const Files& files) {
  const auto it = files.find(kManifest);
  if (it == files.end()) return std::nullopt;
  try {
    return decode_manifest(it->second, kManifest);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Changes a run of the manifest, which then says of it what is there.
void mutate_one_run(Files& files, Manifest manifest, std::uint32_t choice,
                    const std::function<void(std::string&)>& mutate) {
  std::vector<RunRecord*> runs;
  for (SegmentRecord& segment : manifest.segments) {
    if (segment.main) runs.push_back(&*segment.main);
    for (RunRecord& slice : segment.slices) runs.push_back(&slice);
  }
  if (runs.empty()) return;
  RunRecord& record = *runs[choice % runs.size()];
  const auto it = files.find(run_file_name(record));
  // Where no run can lie none can be written anew.
  if (it == files.end() || record.offset % segment::kRunAlignment != 0 ||
      record.offset > it->second.size() || record.size > it->second.size() - record.offset) {
    return;
  }
  std::string& file = it->second;
  std::string image = file.substr(record.offset, record.size);
  mutate_run(image, {.offset = record.offset, .seed = run_seed(manifest.uuid, record)}, choice / 4,
             mutate);
  const bool is_last = record.offset + record.size >= file.size();
  if (image.size() != record.size && !is_last) return;
  file.replace(record.offset, record.size, image);
  record = record_of(image, record);
  files[kManifest] = encode_manifest_unchecked(manifest);
}

// Takes a file away, or puts it in the place of another.
void mutate_names(Files& files, std::uint32_t choice) {
  const auto one = std::next(files.begin(), choice % files.size());
  const auto other = std::next(files.begin(), choice / 64 % files.size());
  if (choice % 3 == 0) {
    std::swap(one->second, other->second);
  } else if (choice % 3 == 1) {
    one->second = other->second;
  } else {
    files.erase(one);
  }
}

}  // namespace

Files unpack(std::string_view archive) {
  Files files;
  directory::ByteReader reader(archive);
  while (reader.ok() && reader.remaining() > 0 && files.size() < kFilesMax) {
    const auto kind = reader.le<std::uint8_t>();
    const std::uint64_t number = reader.varint(), version = reader.varint();
    const std::string_view bytes = reader.sized();
    if (reader.ok()) files[name_of(kind, number, version)] = bytes;
  }
  return files;
}

std::string pack(const Files& files) {
  std::string archive;
  for (const auto& [name, bytes] : files) {
    const auto parsed = parse_file_name(name);
    std::uint8_t kind = 5;
    if (name == kManifest) kind = 0;
    if (name == "LOCK") kind = 4;
    if (parsed && parsed->type == FileName::Type::Log) kind = 1;
    if (parsed && parsed->type == FileName::Type::Delta) kind = 2;
    if (parsed && parsed->type == FileName::Type::Main) kind = 3;
    archive.push_back(static_cast<char>(kind));
    directory::append_varint(archive, parsed ? parsed->number : 0);
    directory::append_varint(archive, parsed ? parsed->version : 0);
    directory::append_varint(archive, bytes.size());
    archive += bytes;
  }
  return archive;
}

Files fresh_store(std::uint32_t choice) {
  Files files;
  Manifest manifest;
  manifest.uuid = "u";
  manifest.last_sequence = 1000;
  manifest.next_segment_id = manifest.next_delta_number = manifest.next_log_number = 9;
  // Keys of the runs begin with "key-" or 'a': all belong to the second segment.
  SegmentRecord first, second;
  first.id = 1;
  second.id = 2;
  second.version = 1;
  second.fence = "a";
  const RunRecord main{.kind = RunRecord::Kind::Main, .file_number = 2, .file_version = 1};
  add_run(files, manifest, second, main, choice % 24);
  for (std::uint32_t i = 0; i < 1 + choice % 3; ++i) {
    add_run(files, manifest, second, {.file_number = 5}, choice / 7 % 24 + i);
  }
  second.range_tombstones = {{.from = "key-1050", .to = "key-1060", .sequence = 900}};
  manifest.segments = {first, second};
  manifest.logs = {{.number = 4}};
  manifest.checkpoint = 1000;
  files[log_file_name(4)] = fresh_log(manifest, 4);
  files[kManifest] = encode_manifest(manifest);
  return files;
}

void mutate_store(Files& files, std::uint32_t choice,
                  const std::function<void(std::string&)>& mutate) {
  if (files.empty()) {
    files = fresh_store(choice);
    return;
  }
  const std::optional<Manifest> manifest = manifest_of(files);
  const std::uint32_t part = choice % 16;
  choice /= 16;
  if (!manifest || part == 0) {
    mutate(std::next(files.begin(), choice % files.size())->second);  // Nothing is corrected.
  } else if (part < 5) {
    mutate(files[kManifest]);
    repair_manifest(files[kManifest]);
  } else if (part < 9 && !manifest->logs.empty()) {
    const std::uint64_t number = manifest->logs[choice % manifest->logs.size()].number;
    std::string& log = files[log_file_name(number)];
    std::string records = log.size() > kLogHeaderSize ? log.substr(kLogHeaderSize) : "";
    mutate(choice % 8 == 0 ? log : records);
    if (choice % 8 != 0 && log.size() >= kLogHeaderSize)
      log.replace(kLogHeaderSize, log.size(), records);
    repair_log(log, *manifest, number);
  } else if (part < 15) {
    mutate_one_run(files, *manifest, choice, mutate);
  } else {
    mutate_names(files, choice);
  }
}

std::shared_ptr<directory::Directory> directory_of(const Files& files) {
  auto directory = directory::make_memory_directory("index");
  for (const auto& [name, bytes] : files) directory->replace(name, bytes);
  return directory;
}

}  // namespace varve::fuzz

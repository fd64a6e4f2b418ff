// SPDX-License-Identifier: Apache-2.0
// Options::untrusted and CheckOptions::untrusted: a directory that was made to harm.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "lib/checker.hpp"
#include "lib/read_limits.hpp"
#include "lib/run_store.hpp"
#include "segment/block.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::internal {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::Files;
using test::store_image;
using test::thrown_by;

Options options_for(bool untrusted) {
  Options options = test::image_options();
  options.untrusted = untrusted;
  return options;
}

// Fails the test when a file is mapped.
class UnmappedFile final : public directory::ImmutableFile {
 public:
  explicit UnmappedFile(std::shared_ptr<const ImmutableFile> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return inner_->name(); }
  [[nodiscard]] std::uint64_t size() const noexcept override { return inner_->size(); }
  void read(std::uint64_t offset, std::span<char> out) const override { inner_->read(offset, out); }
  [[nodiscard]] std::string_view map() const override {
    FAIL_CHECK(name() << " is mapped");
    return inner_->map();
  }

 private:
  std::shared_ptr<const ImmutableFile> inner_;
};

class UnmappedDirectory final : public directory::Directory {
 public:
  explicit UnmappedDirectory(std::shared_ptr<Directory> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const fs::path& path() const noexcept override { return inner_->path(); }
  void put_immutable(std::string_view name,
                     const std::function<void(directory::Sink&)>& write) override {
    inner_->put_immutable(name, write);
  }
  void replace(std::string_view name, std::string_view bytes) override {
    inner_->replace(name, bytes);
  }
  [[nodiscard]] std::shared_ptr<const directory::ImmutableFile> open(
      std::string_view name) const override {
    return std::make_shared<UnmappedFile>(inner_->open(name));
  }
  [[nodiscard]] std::string read_all(std::string_view name, std::uint64_t size_max) const override {
    return inner_->read_all(name, size_max);
  }
  void punch(std::string_view name, std::uint64_t offset, std::uint64_t size) override {
    inner_->punch(name, offset, size);
  }
  void remove(std::string_view name) override { inner_->remove(name); }
  [[nodiscard]] std::vector<directory::FileInfo> list() const override { return inner_->list(); }
  [[nodiscard]] std::unique_ptr<directory::LogFile> create_log(std::string_view name,
                                                               std::size_t capacity) override {
    return inner_->create_log(name, capacity);
  }
  [[nodiscard]] std::unique_ptr<directory::LogFile> recycle_log(std::string_view old_name,
                                                                std::string_view name,
                                                                std::size_t capacity) override {
    return inner_->recycle_log(old_name, name, capacity);
  }
  [[nodiscard]] std::unique_ptr<directory::LogFile> resume_log(std::string_view name,
                                                               std::size_t synced_end,
                                                               std::size_t end) override {
    return inner_->resume_log(name, synced_end, end);
  }
  [[nodiscard]] std::unique_ptr<directory::Ownership> acquire(LockMode mode,
                                                              std::chrono::milliseconds wait,
                                                              bool create) override {
    return inner_->acquire(mode, wait, create);
  }
  [[nodiscard]] LockStatus lock_status() const override { return inner_->lock_status(); }

 private:
  std::shared_ptr<Directory> inner_;
};

// The image, with one block of a main run changed so that only its order is wrong: what a hostile
// writer makes, who can compute every checksum. Two neighbouring heads change places.
Files image_with_wrong_order() {
  Files files = store_image().files;
  const Manifest& manifest = store_image().manifest;
  const auto segment = std::find_if(manifest.segments.begin(), manifest.segments.end(),
                                    [](const SegmentRecord& one) { return one.main.has_value(); });
  std::string& bytes = files.at(run_file_name(*segment->main));
  const std::size_t size = directory::load_le<std::uint32_t>(bytes.data() + 8) * std::size_t{64};
  const std::size_t prefix = directory::load_le<std::uint32_t>(bytes.data() + 16);
  REQUIRE(directory::load_le<std::uint32_t>(bytes.data() + 12) >= 2);
  char* const heads = bytes.data() + 24 + (prefix + 3) / 4 * 4;
  REQUIRE(!std::equal(heads, heads + 4, heads + 4));
  std::swap_ranges(heads, heads + 4, heads + 4);
  const std::uint64_t seed =
      directory::part_seed(run_seed(manifest.uuid, *segment->main), std::uint64_t{0});
  directory::store_le(bytes.data(),
                      segment::block_checksum(std::string_view(bytes).substr(0, size), seed));
  return files;
}

void write_files(const fs::path& path, const Files& files) {
  for (const auto& [name, bytes] : files) test::write_file(path / name, bytes);
}

TEST_CASE("a sound index gives the same when it is not trusted, and no file is mapped",
          "[lib][untrusted]") {
  for (const bool read_only : {true, false}) {
    Options options = options_for(true);
    options.read_only = read_only;
    const SegmentIndex index = SegmentIndexAccess::open(
        std::make_shared<UnmappedDirectory>(test::directory_of(store_image().files)), options);
    test::Entries found;
    for (const auto& [key, value] : index.scan()) found.emplace(key, value);
    CHECK((found == store_image().whole()));
    for (const std::string& key : store_image().keys) static_cast<void>(index.get(key));
  }
  Options options = options_for(true);
  SegmentIndex fresh = SegmentIndex::open_in_memory(options);
  fresh.put("k", "v");
  CHECK(fresh.get("k") == "v");
}

TEST_CASE("damage that only a deep check sees is found before an untrusted index is used",
          "[lib][untrusted]") {
  const Files files = image_with_wrong_order();
  // Nothing that is looked at by an ordinary open is wrong.
  static_cast<void>(SegmentIndexAccess::open(test::directory_of(files), options_for(false)));
  const auto directory = test::directory_of(files);
  const Error error =
      thrown_by([&] { static_cast<void>(SegmentIndexAccess::open(directory, options_for(true))); });
  CHECK(error.code() == ErrorCode::Corruption);
  CHECK(error.path().filename().string().starts_with("main-"));
  CHECK(std::string(error.what()).find("expected") != std::string::npos);
  CHECK((test::files_of(*directory) == files));
}

TEST_CASE("a file that wants more memory than an untrusted one may have is refused",
          "[lib][untrusted]") {
  const test::TemporaryDirectory temporary;
  write_files(temporary.path(), store_image().files);
  Options options = options_for(true);
  options.read_only = true;
  const auto open = [&] { static_cast<void>(SegmentIndex::open(temporary.path(), options)); };
  CHECK_FALSE(error_of(open).has_value());
  const auto damaged = [&](const std::string& name) {
    const CheckReport report = check(temporary.path(), {.deep = true, .untrusted = true});
    return std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
      return finding.file == name && finding.severity == Severity::Damage;
    });
  };
  const std::string log = log_file_name(store_image().manifest.logs.back().number);
  for (const auto& [name, size_max] :
       {std::pair(std::string("MANIFEST"), kReadLimitsUntrusted.manifest_size_max),
        std::pair(log, kReadLimitsUntrusted.log_size_max)}) {
    INFO(name);
    const auto size = fs::file_size(temporary.path() / name);
    fs::resize_file(temporary.path() / name, size_max + 1);  // Sparse.
    CHECK(error_of(open) == ErrorCode::LimitExceeded);
    CHECK(damaged(name));
    fs::resize_file(temporary.path() / name, size);
    CHECK_FALSE(damaged(name));
  }
}

TEST_CASE("the sections and blocks of a run are held to their limits", "[lib][untrusted]") {
  const Manifest& manifest = store_image().manifest;
  const RunRecord& record = *manifest.segments.back().main;
  const auto directory = test::directory_of(store_image().files);
  const segment::RunLocation location{.offset = record.offset,
                                      .size = record.size,
                                      .seed = run_seed(manifest.uuid, record),
                                      .entry_count = record.entry_count,
                                      .footer_checksum = record.footer_checksum};
  const auto open = [&](const segment::RunLimits& limits) {
    return error_of([&] {
      static_cast<void>(segment::Run::open(directory->open(run_file_name(record)), location,
                                           Reads::Buffered, limits));
    });
  };
  CHECK_FALSE(open({}).has_value());
  CHECK(open({.sections_size_max = 64}) == ErrorCode::LimitExceeded);
  CHECK(open({.block_size_max = 64}) == ErrorCode::LimitExceeded);
  CHECK_FALSE(open({.sections_size_max = record.size, .block_size_max = 64 << 10}).has_value());
}

TEST_CASE("a directory that others may write to is noted", "[lib][check][security]") {
  const test::TemporaryDirectory temporary;
  write_files(temporary.path(), store_image().files);
  const auto noted = [&](fs::perms permissions) {
    fs::permissions(temporary.path(), permissions);
    const CheckReport report = check(temporary.path());
    CHECK(report.sound());
    return std::any_of(report.findings.begin(), report.findings.end(), [](const auto& finding) {
      return finding.file.empty() && finding.severity == Severity::Note;
    });
  };
  CHECK_FALSE(noted(fs::perms::owner_all));
  CHECK_FALSE(noted(fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec));
  CHECK(noted(fs::perms::owner_all | fs::perms::group_write));
  CHECK(noted(fs::perms::owner_all | fs::perms::others_write));
}

}  // namespace
}  // namespace varve::internal

// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "directory/bytes.hpp"
#include "segment/block.hpp"
#include "segment/run_format.hpp"
#include "tests/segment/run_fixture.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using test::current;
using test::findings;
using test::Image;
using test::open_image;
using test::Shape;
using test::Version;
using test::write_image;

constexpr Reads kBothReads[] = {Reads::Mapped, Reads::Buffered};

// Runs `call`; true when it threw Corruption. Any other exception fails the test.
bool corrupt(const std::function<void()>& call) {
  try {
    call();
    return false;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Corruption);
    CHECK(error.path() == "main-7-1.varve");
    return true;
  }
}

// Reads everything of a damaged run: each answer is right or an Error.
void check_never_wrong(const Image& image, const std::vector<Version>& versions) {
  for (const Reads reads : kBothReads) {
    std::shared_ptr<const Run> run;
    if (corrupt([&] { run = open_image(image, reads); })) continue;
    CHECK_FALSE(findings(*run).empty());
    std::string scratch;
    for (const Version& version : versions) {
      corrupt([&] {
        const FoundEntry found = run->find(version.key, version.sequence, scratch);
        REQUIRE(found.found);
        REQUIRE(found.value == version.value);
        REQUIRE(found.kind == version.kind);
      });
    }
    const auto cursor = run->cursor();
    corrupt([&] {
      std::size_t i = 0;
      for (cursor->seek_to_first(); cursor->valid(); cursor->next(), ++i) {
        REQUIRE(i < versions.size());
        REQUIRE(current(*cursor) == versions[i]);
      }
      REQUIRE(i == versions.size());
    });
  }
}

std::vector<Version> small_model() {
  return test::make_versions(Shape::Url, 12, 60, 11);
}

// Rewrites the footer with `change` applied and right checksums, and the location as well.
template <typename Change>
Image with_footer(Image image, Change change) {
  const std::uint64_t offset = image.bytes.size() - kRunFooterSize;
  RunFooter footer =
      parse_footer(std::string_view(image.bytes).substr(offset), image.location(), "file");
  change(footer);
  image.bytes.replace(offset, kRunFooterSize, encode_footer(footer, image.seed, offset));
  image.summary.footer_checksum = footer.footer_checksum;
  image.summary.entry_count = footer.entry_count;
  return image;
}

// Replaces the separator section by one of the same size that begins with `bytes`.
Image with_separators(Image image, std::string bytes) {
  RunFooter before;
  with_footer(image, [&before](RunFooter& footer) { before = footer; });
  bytes.resize(before.filter_offset - before.separators_offset);
  image.bytes.replace(before.separators_offset, bytes.size(), bytes);
  return with_footer(std::move(image), [&](RunFooter& footer) {
    footer.separators_checksum =
        directory::hash64(bytes, directory::part_seed(image.seed, footer.separators_offset));
  });
}

// Applies `change` to the first block and corrects its checksum.
template <typename Change>
Image with_first_block(Image image, Change change) {
  const std::size_t size = directory::load_le<std::uint32_t>(image.bytes.data() + 8) * kBlockUnit;
  std::string block = image.bytes.substr(0, size);
  change(block);
  directory::store_le(block.data(), block_checksum(block, directory::part_seed(image.seed, 0)));
  image.bytes.replace(0, size, block);
  return image;
}

}  // namespace

TEST_CASE("after any one flipped bit no answer is wrong and verify() reports it",
          "[segment][run][damage]") {
  const auto versions = small_model();
  const Image sound = write_image(versions, 512);
  for (std::size_t byte = 0; byte < sound.bytes.size(); ++byte) {
    Image image = sound;
    image.bytes[byte] = static_cast<char>(image.bytes[byte] ^ (1 << byte % 8));
    CAPTURE(byte);
    check_never_wrong(image, versions);
  }
}

TEST_CASE("a run that is cut short anywhere is refused", "[segment][run][damage]") {
  const Image sound = write_image(small_model(), 512);
  for (std::size_t size = 0; size < sound.bytes.size(); ++size) {
    Image image = sound;
    image.bytes.resize(size);
    // The file is shorter than the manifest says, or the manifest is of the same length.
    CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
    image.summary.size = size;
    CHECK(corrupt([&] { (void)open_image(image, Reads::Buffered); }));
  }
}

TEST_CASE("blocks that changed places are found out", "[segment][run][damage]") {
  std::vector<Version> versions;
  for (int i = 100; i < 200; ++i) versions.push_back({.key = std::to_string(i), .value = "same"});
  Image image = write_image(versions, 512);
  std::size_t first = directory::load_le<std::uint32_t>(image.bytes.data() + 8) * kBlockUnit;
  REQUIRE(directory::load_le<std::uint32_t>(image.bytes.data() + first + 8) * kBlockUnit == first);
  std::swap_ranges(image.bytes.begin(), image.bytes.begin() + static_cast<std::ptrdiff_t>(first),
                   image.bytes.begin() + static_cast<std::ptrdiff_t>(first));
  check_never_wrong(image, versions);
  const auto run = open_image(image, Reads::Mapped);
  const auto found = findings(*run);
  REQUIRE(found.size() == 2);
  CHECK(found[0].offset == 0);
  CHECK(found[0].first_key == "100");
  CHECK(found[1].offset == first);
  CHECK(found[0].last_key == found[1].first_key);
  std::string scratch;
  CHECK_THROWS_WITH(run->find("100", 0, scratch),
                    Catch::Contains("main-7-1.varve, block's checksum at byte 0") &&
                        Catch::Contains("keys from \"100\""));
  CHECK(run->find("199", 0, scratch).found);  // The rest still answers.
}

TEST_CASE("a run of another file, index or place is refused", "[segment][run][damage]") {
  const Image sound = write_image(small_model(), 512);
  Image image = sound;
  image.seed ^= 1;
  CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
  image = sound;
  image.bytes.insert(0, 4096, '\0');
  image.summary.offset = 4096;
  CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
  image = sound;
  ++image.summary.footer_checksum;
  CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
  image = sound;
  ++image.summary.entry_count;
  CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
}

TEST_CASE("a newer format is Unsupported", "[segment][run][damage]") {
  Image image = write_image(small_model(), 512);
  const std::size_t footer = image.bytes.size() - kRunFooterSize;
  image.bytes[footer + 8] = 2;
  const std::uint64_t checksum =
      directory::hash64(std::string_view(image.bytes).substr(footer, kRunFooterSize - 8),
                        directory::part_seed(image.seed, footer));
  directory::store_le(image.bytes.data() + footer + kRunFooterSize - 8, checksum);
  image.summary.footer_checksum = checksum;
  try {
    (void)open_image(image, Reads::Mapped);
    FAIL("opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Unsupported);
  }
}

TEST_CASE("a hostile footer with right checksums is refused before anything is allocated",
          "[segment][run][hostile]") {
  const Image sound = write_image(small_model(), 512);
  const std::uint64_t extremes[] = {
      0, 1, 63, 65, ~std::uint64_t{0}, 1U << 20, 1ULL << 40, 1ULL << 63, ~std::uint64_t{63}};
  std::uint64_t RunFooter::*const fields[] = {
      &RunFooter::run_size,          &RunFooter::block_count,   &RunFooter::entry_count,
      &RunFooter::separators_offset, &RunFooter::filter_offset, &RunFooter::separators_checksum,
      &RunFooter::filter_checksum};
  for (std::uint64_t RunFooter::*field : fields) {
    for (const std::uint64_t extreme : extremes) {
      const Image image = with_footer(sound, [&](RunFooter& footer) { footer.*field = extreme; });
      CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
    }
    for (const int delta : {-64, -1, 1, 64}) {
      const Image image = with_footer(sound, [&](RunFooter& footer) { footer.*field += delta; });
      CHECK(corrupt([&] { (void)open_image(image, Reads::Mapped); }));
    }
  }
  std::uint64_t RunFooter::*const totals[] = {&RunFooter::key_count, &RunFooter::tombstone_count,
                                              &RunFooter::raw_size, &RunFooter::sequence_max};
  for (std::uint64_t RunFooter::*field : totals) {
    const Image image = with_footer(sound, [&](RunFooter& footer) { ++(footer.*field); });
    CHECK(findings(*open_image(image, Reads::Mapped)).size() == 1);
  }
}

TEST_CASE("a hostile separator section with right checksums is refused",
          "[segment][run][hostile]") {
  const Image sound = write_image(small_model(), 512);
  RunFooter footer;
  with_footer(sound, [&footer](RunFooter& found) { footer = found; });
  const std::string section =
      sound.bytes.substr(footer.separators_offset, footer.filter_offset - footer.separators_offset);
  REQUIRE_FALSE(corrupt([&] { (void)open_image(with_separators(sound, section), Reads::Mapped); }));
  for (std::size_t at = 0; at < section.size(); ++at) {
    for (const char byte : {'\0', '\x01', '\x7F', '\x80', '\xFF'}) {
      std::string changed = section;
      if (changed[at] == byte) continue;
      changed[at] = byte;
      const Image image = with_separators(sound, changed);
      // Refused, or a run whose searches stay inside it and which verify() reports, unless the
      // byte only made another separator that also separates.
      for (const Reads reads : kBothReads) {
        std::shared_ptr<const Run> run;
        if (corrupt([&] { run = open_image(image, reads); })) continue;
        std::string scratch;
        for (const Version& version : small_model()) {
          corrupt([&] { (void)run->find(version.key, kSequenceMax, scratch); });
        }
        (void)findings(*run);
      }
    }
  }
}

TEST_CASE("a hostile block with a right checksum is an Error or another block, never a crash",
          "[segment][run][hostile]") {
  const auto versions = small_model();
  const Image sound = write_image(versions, 512);
  const std::size_t size = directory::load_le<std::uint32_t>(sound.bytes.data() + 8) * kBlockUnit;
  for (std::size_t at = 8; at < size; ++at) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      const Image image = with_first_block(
          sound, [&](std::string& block) { block[at] = static_cast<char>(block[at] ^ flip); });
      for (const Reads reads : kBothReads) {
        const auto run = open_image(image, reads);
        const auto cursor = run->cursor();
        std::size_t count = 0;
        corrupt([&] {
          for (cursor->seek_to_first(); cursor->valid(); cursor->next()) ++count;
          CHECK(count == versions.size());
        });
        std::string scratch;
        corrupt([&] { (void)run->find(versions[0].key, kSequenceMax, scratch); });
        (void)findings(*run);
      }
    }
  }
}

TEST_CASE("verify() reports what checksums cannot see", "[segment][run][verify]") {
  std::vector<Version> versions;
  for (int i = 100; i < 200; ++i) versions.push_back({.key = std::to_string(i), .value = "v"});
  const Image sound = write_image(versions, 512);
  const auto report_of = [](const Image& image) {
    std::string all;
    for (const RunFinding& finding : findings(*open_image(image, Reads::Mapped))) {
      all += finding.what + "; ";
    }
    return all;
  };
  CHECK(report_of(sound).empty());
  const std::size_t heads = kBlockHeaderSize + 4;  // Behind the prefix "1", padded.
  const auto swapped = with_first_block(sound, [&](std::string& block) {
    std::swap_ranges(block.begin() + heads + 4, block.begin() + heads + 8,
                     block.begin() + heads + 8);
  });
  CHECK_THAT(report_of(swapped), Catch::Contains("block's order of entries"));
  const auto other_key =
      with_first_block(sound, [&](std::string& block) { block[heads + 4 * 3 + 3] = '\x7F'; });
  CHECK_THAT(report_of(other_key), Catch::Contains("run's filter"));
  const auto first = with_first_block(sound, [&](std::string& block) { block[heads + 2] -= 1; });
  CHECK_THAT(report_of(first), Catch::Contains("block's first key"));
  Image decayed = sound;  // What open() saw is not what verify() sees.
  const auto file = std::make_shared<test::StringFile>(sound.bytes, true);
  const auto run = Run::open(file, sound.location(), Reads::Mapped);
  file->bytes[file->bytes.size() - kRunFooterSize - 1] ^= 1;
  REQUIRE(findings(*run).size() == 1);
  CHECK(findings(*run)[0].what == "run's filter, checksum");
}

TEST_CASE("a refused read is an Io error for the keys concerned only, and a finding",
          "[segment][run][damage]") {
  std::vector<Version> versions;
  for (int i = 100; i < 200; ++i) versions.push_back({.key = std::to_string(i), .value = "v"});
  const Image image = write_image(versions, 512);
  const auto file = std::make_shared<test::StringFile>(image.bytes, false);
  const auto run = Run::open(file, image.location(), Reads::Buffered);
  file->refused_offset = 10;
  std::string scratch;
  try {
    (void)run->find("100", 0, scratch);
    FAIL("read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Io);
  }
  CHECK(run->find("199", 0, scratch).found);
  const auto cursor = run->cursor();
  CHECK_THROWS_AS(cursor->seek_to_first(), Error);
  CHECK_FALSE(cursor->valid());
  cursor->seek("199");
  CHECK(cursor->valid());
  REQUIRE(findings(*run).size() == 1);
  CHECK(findings(*run)[0].entry_count > 10);
}

}  // namespace varve::segment

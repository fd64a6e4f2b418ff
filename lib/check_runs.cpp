// SPDX-License-Identifier: Apache-2.0
#include "lib/check_runs.hpp"

#include <algorithm>
#include <functional>

#include "directory/checksum.hpp"
#include "lib/run_store.hpp"
#include "segment/run.hpp"
#include "segment/run_blocks.hpp"
#include "segment/run_format.hpp"
#include "segment/run_verify.hpp"

namespace varve::internal {

namespace {

segment::RunLocation location_of(const Manifest& manifest, const RunRecord& record) {
  return {.offset = record.offset,
          .size = record.size,
          .seed = run_seed(manifest.uuid, record),
          .entry_count = record.entry_count,
          .footer_checksum = record.footer_checksum};
}

segment::RunFooter read_footer(const directory::ImmutableFile& file,
                               const segment::RunLocation& location) {
  std::string bytes(segment::kRunFooterSize, '\0');
  file.read(location.offset + location.size - segment::kRunFooterSize, bytes);
  return segment::parse_footer(bytes, location, file.name());
}

}  // namespace

void RunChecker::add(const std::string& name, const segment::RunFinding& finding) {
  CheckFinding& added =
      findings_.damage(name, finding.offset, "the " + finding.what + " does not hold");
  added.expected = finding.expected;
  added.found = finding.found;
  added.first_key = finding.first_key;
  added.last_key = finding.last_key;
  added.entry_count = finding.entry_count;
}

void RunChecker::check(const std::shared_ptr<const directory::ImmutableFile>& file,
                       const PlacedRun& run) {
  const RunRecord& record = *run.record;
  const std::string& name = file->name();
  ++report_.run_count;
  report_.entry_count += record.entry_count;
  std::shared_ptr<const segment::Run> open;
  try {
    open = segment::Run::open(file, location_of(manifest_, record), Reads::Buffered, limits_);
    check_footer(*file, run);
  } catch (const Error& error) {
    CheckFinding& finding = findings_.damage(name, record.offset, error);
    finding.entry_count = record.entry_count;
    if (open == nullptr && deep_) salvage(file, run);
    if (open == nullptr) return;
  }
  report_.block_count += open->block_count();
  check_keys(name, run, open->smallest_key(), open->largest_key());
  if (deep_) open->verify([&](const segment::RunFinding& finding) { add(name, finding); });
}

void RunChecker::check_footer(const directory::ImmutableFile& file, const PlacedRun& run) {
  const RunRecord& record = *run.record;
  const segment::RunFooter footer = read_footer(file, location_of(manifest_, record));
  report_.size += deep_ ? record.size : record.size - footer.separators_offset;
  const auto expect = [&](const char* what, std::uint64_t expected, std::uint64_t found) {
    if (expected == found) return;
    CheckFinding& finding =
        findings_.damage(file.name(), record.offset + record.size - segment::kRunFooterSize,
                         std::string("the run's ") + what + " differs from the manifest's");
    finding.expected = std::to_string(expected);
    finding.found = std::to_string(found);
    finding.entry_count = record.entry_count;
  };
  expect("tombstone count", record.tombstone_count, footer.tombstone_count);
  expect("raw size", record.raw_size, footer.raw_size);
  if (footer.sequence_max <= record.last_sequence) return;
  expect("largest sequence", record.last_sequence, footer.sequence_max);
}

// The order within the run, and that its blocks keep to these two keys, is up to Run::verify().
void RunChecker::check_keys(const std::string& name, const PlacedRun& run,
                            std::string_view smallest, std::string_view largest) {
  const bool below = smallest < run.lower;
  const bool above = !run.upper.empty() && largest >= run.upper;
  if (!below && !above) return;
  CheckFinding& finding =
      findings_.damage(name, run.record->offset, "the run has keys that belong to another segment");
  finding.expected =
      "keys from " + segment::printable_key(run.lower) +
      (run.upper.empty() ? std::string(" on") : " to below " + segment::printable_key(run.upper));
  finding.found =
      "keys from " + segment::printable_key(smallest) + " to " + segment::printable_key(largest);
  finding.first_key = smallest;
  finding.last_key = largest;
  finding.entry_count = run.record->entry_count;
  finding.advice = kAdviceSalvage;
}

// A run that cannot be opened may still have sound blocks and further damage. What was reported
// already, the part that Run::open() stumbled over, is not reported again.
void RunChecker::salvage(const std::shared_ptr<const directory::ImmutableFile>& file,
                         const PlacedRun& run) {
  const std::uint64_t known = report_.findings.back().offset;
  const segment::RunLocation location = location_of(manifest_, *run.record);
  try {
    if (location.size < segment::kRunFooterSize || location.offset > file->size() ||
        location.size > file->size() - location.offset ||
        location.offset % segment::kRunAlignment != 0) {
      return;
    }
    const segment::RunFooter footer = read_footer(*file, location);
    std::string bytes(static_cast<std::size_t>(footer.filter_offset - footer.separators_offset),
                      '\0');
    const std::uint64_t at = location.offset + footer.separators_offset;
    file->read(at, bytes);
    if (directory::hash64(bytes, directory::part_seed(location.seed, at)) !=
        footer.separators_checksum) {
      return;
    }
    const segment::RunSeparators separators =
        segment::parse_separators(bytes, footer, location, file->name());
    const segment::RunBlocks blocks(file, location, {}, separators);
    report_.block_count += footer.block_count;
    report_.size += run.record->size;
    segment::verify_run(blocks, footer, segment::Filter(), [&](const segment::RunFinding& finding) {
      if (finding.offset != known) add(file->name(), finding);
    });
  } catch (const Error&) {
    // The same failure as before: without footer and separators no block can be found.
  }
}

void RunChecker::check_padding(const directory::ImmutableFile& file, const RunRecord& slice) {
  const std::uint64_t from = slice.offset + slice.size;
  if (from >= file.size()) return;
  const std::uint64_t over = from % kSliceAlignment;
  const std::uint64_t size = std::min(over == 0 ? 0 : kSliceAlignment - over, file.size() - from);
  try {
    std::string bytes(static_cast<std::size_t>(size), '\0');
    file.read(from, bytes);
    const std::size_t wrong = bytes.find_first_not_of('\0');
    if (wrong == std::string::npos) return;
    CheckFinding& finding =
        findings_.damage(file.name(), from + wrong,
                         "bytes behind a slice that Varve did not write; no entry of "
                         "the index is concerned");
    finding.expected = "zeros";
    finding.found = segment::printable_key(std::string_view(bytes).substr(wrong, 1));
  } catch (const Error& error) {
    findings_.damage(file.name(), from, error);
  }
}

}  // namespace varve::internal

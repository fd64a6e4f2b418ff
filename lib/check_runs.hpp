// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "directory/directory.hpp"
#include "lib/check_report.hpp"
#include "lib/manifest.hpp"
#include "segment/run.hpp"

namespace varve::internal {

// A run of the manifest and the keys that its segment may hold: [lower, upper), upper empty: no
// end.
struct PlacedRun {
  const RunRecord* record = nullptr;
  std::string_view lower, upper;
};

// Compares runs with what the manifest says of them. Reads past any mapping, so that a medium that
// fails is an errno and not a signal.
// Thread-safety: one thread. Errors: none for what is on disk; all of that becomes findings.
class RunChecker {
 public:
  RunChecker(const Manifest& manifest, bool deep, const segment::RunLimits& limits,
             CheckReport& report)
      : manifest_(manifest),
        deep_(deep),
        limits_(limits),
        report_(report),
        findings_(report.findings) {}

  // `file`: the one that holds the run; its length may be wrong.
  void check(const std::shared_ptr<const directory::ImmutableFile>& file, const PlacedRun& run);
  // Behind a slice lie zeros up to where the next one may begin.
  void check_padding(const directory::ImmutableFile& file, const RunRecord& slice);

 private:
  void check_footer(const directory::ImmutableFile& file, const PlacedRun& run);
  void check_keys(const std::string& name, const PlacedRun& run, std::string_view smallest,
                  std::string_view largest);
  void salvage(const std::shared_ptr<const directory::ImmutableFile>& file, const PlacedRun& run);
  void add(const std::string& name, const segment::RunFinding& finding);

  const Manifest& manifest_;
  const bool deep_;
  const segment::RunLimits& limits_;
  CheckReport& report_;
  Findings findings_;
};

}  // namespace varve::internal

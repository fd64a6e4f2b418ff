// SPDX-License-Identifier: Apache-2.0
// varve-bench: Varve beside other embedded stores, same data, same durability, answers checked.
// docs/BENCHMARKS.md says what is measured and how to read it.
#include <CLI/CLI.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "bench/amplification_command.hpp"
#include "bench/compare.hpp"
#include "bench/html_report.hpp"
#include "bench/record_json.hpp"
#include "bench/run_command.hpp"

namespace varve::bench {
namespace {

// "5%" or "0.05".
double parse_share(const std::string& text) {
  std::size_t used = 0;
  double share = -1;
  try {
    share = std::stod(text, &used);
  } catch (const std::logic_error&) {
  }
  if (text.substr(used) == "%") {
    share /= 100;
  } else if (used != text.size()) {
    share = -1;
  }
  if (!(share >= 0)) throw std::invalid_argument("--threshold: not a share: " + text);
  return share;
}

class CompareCommand {
 public:
  explicit CompareCommand(CLI::App& app) : app_(*app.add_subcommand("compare")) {
    app_.description("Say what has changed from one file that --json wrote to another");
    app_.add_option("before", before_, "The first file")->required()->check(CLI::ExistingFile);
    app_.add_option("after", after_, "The second file")->required()->check(CLI::ExistingFile);
    app_.add_option("--threshold", threshold_, "What may change without being noticed")
        ->capture_default_str();
    app_.add_flag("--fail", fail_, "End with status 1 when anything is slower");
  }
  [[nodiscard]] bool parsed() const { return app_.parsed(); }
  [[nodiscard]] int run() const {
    const Record before = read_json(before_), after = read_json(after_);
    const auto changes = compare(before, after, parse_share(threshold_));
    print_comparison(std::cout, before, after, changes);
    bool slower = false;
    for (const Change& change : changes) slower |= change.verdict == Verdict::Slower;
    return slower && fail_ ? 1 : 0;
  }

 private:
  CLI::App& app_;
  std::string before_, after_, threshold_ = "5%";
  bool fail_ = false;
};

class ReportCommand {
 public:
  explicit ReportCommand(CLI::App& app) : app_(*app.add_subcommand("report")) {
    app_.description("Make an HTML report of a file that --json wrote");
    app_.add_option("json", json_, "The file")->required()->check(CLI::ExistingFile);
    app_.add_option("--out", out_, "The report")->required();
  }
  [[nodiscard]] bool parsed() const { return app_.parsed(); }
  [[nodiscard]] int run() const {
    const Record record = read_json(json_);
    std::ofstream file(out_);
    write_html_report(file, record);
    file.close();
    if (!file) throw std::runtime_error("cannot write " + out_);
    return 0;
  }

 private:
  CLI::App& app_;
  std::string json_, out_;
};

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  using namespace varve::bench;
  CLI::App app{"Measures Varve beside other embedded key-value stores"};
  app.require_subcommand(0, 1);
  RunCommand run(app);
  const CompareCommand compare(app);
  const ReportCommand report(app);
  const AmplificationCommand amplification(app);
  CLI11_PARSE(app, argc, argv);
  std::string command = "varve-bench";
  for (int i = 1; i < argc; ++i) command.append(" ").append(argv[i]);
  try {
    if (compare.parsed()) return compare.run();
    if (report.parsed()) return report.run();
    if (amplification.parsed()) {
      amplification.run();
      return 0;
    }
    return run.run(command);
  } catch (const std::exception& error) {
    std::cerr << "varve-bench: " << error.what() << "\n";
    return 2;
  }
}

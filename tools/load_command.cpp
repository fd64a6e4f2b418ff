// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/entry_format.hpp"
#include "tools/findings.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/statistics_json.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

struct LoadArguments {
  std::string file = "-", format;
  std::uint64_t batch = 1, report_every = 0, skip_bad = 0;
};

// The data, and its size where that is known.
struct Source {
  std::istream* stream = nullptr;
  std::ifstream file;
  std::string name;
  std::uint64_t size = 0;
};

void open_source(Source& source, const std::string& file, std::istream& in) {
  if (file == "-") {
    source.stream = &in;
    source.name = "standard input";
    struct ::stat status {};
    if (&in == &std::cin && ::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode)) {
      source.size = static_cast<std::uint64_t>(status.st_size);
    }
    return;
  }
  errno = 0;
  source.file.open(file, std::ios::binary);
  if (!source.file) {
    throw Error(ErrorCode::Io, "cannot open the file " + file + ": " +
                                   std::generic_category().message(errno == 0 ? EIO : errno));
  }
  source.stream = &source.file;
  source.name = file;
  std::error_code unknown;
  const std::uintmax_t size = std::filesystem::file_size(file, unknown);
  if (!unknown) source.size = size;
}

EntryFormat format_of(const LoadArguments& arguments) {
  if (!arguments.format.empty()) return parse_entry_format(arguments.format);
  if (arguments.file == "-") return EntryFormat::Tsv;
  const std::optional<EntryFormat> format = entry_format_of(arguments.file);
  if (format) return *format;
  throw UsageError(
      fmt::format("{}: the name does not tell the format: give --format tsv, jsonl or "
                  "nul",
                  arguments.file));
}

// Reads entries and writes them, and tells what was acknowledged.
class Loader {
 public:
  Loader(SegmentIndex& index, EntryReader& reader, Progress& progress, Output& output,
         const LoadArguments& arguments, std::ostream& err)
      : index_(index),
        reader_(reader),
        progress_(progress),
        output_(output),
        arguments_(arguments),
        err_(err) {}

  void run(std::uint64_t total_size) {
    while (next()) {
      if (arguments_.batch > 1) {
        batch_.put(reader_.key(), reader_.value());
        // A batch of large values is cut short of what one batch may hold.
        if (batch_.count() >= arguments_.batch || batch_.size() >= kBatchBytes) write_batch();
      } else {
        index_.put(reader_.key(), reader_.value());
        acknowledge(1);
      }
      progress_.update(reader_.bytes_read(), total_size, acknowledged_);
    }
    write_batch();
  }
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

 private:
  static constexpr std::size_t kBatchBytes = 16 << 20;

  bool next() {
    while (true) {
      try {
        return reader_.next();
      } catch (const BadLine& bad) {
        if (skipped_ == arguments_.skip_bad) {
          write_batch();  // What came before the bad line is loaded, whatever the batch size.
          throw;
        }
        ++skipped_;
        progress_.clear();
        err_ << "varve: skipped: " << bad.what() << '\n';
      }
    }
  }
  void write_batch() {
    if (batch_.empty()) return;
    const std::size_t count = batch_.count();
    index_.write(batch_);
    batch_.clear();
    acknowledge(count);
  }
  void acknowledge(std::uint64_t count) {
    const std::uint64_t before = acknowledged_;
    acknowledged_ += count;
    const std::uint64_t every = arguments_.report_every;
    if (every == 0 || before / every == acknowledged_ / every) return;
    output_.finish_with(fmt::format("acknowledged {}\n", acknowledged_));
  }

  SegmentIndex& index_;
  EntryReader& reader_;
  Progress& progress_;
  Output& output_;
  const LoadArguments& arguments_;
  std::ostream& err_;
  WriteBatch batch_;
  std::uint64_t acknowledged_ = 0, skipped_ = 0;
};

void add_options(CommandLine& line, LoadArguments& load) {
  line.with_wait().with_json("the summary as one JSON object").with_no_progress().with_writing();
  CLI::App& app = line.app();
  app.add_option("FILE", load.file, "what to load; - or none: the standard input");
  app.add_option(
      "--format", load.format,
      "tsv (key TAB value, with \\t \\n \\r \\\\ \\xHH), jsonl ({\"key\":..,"
      "\"value\":..}, or key_hex, value_hex) or nul (key NUL value NUL); default: by the "
      "file's extension, tsv for the standard input");
  app.add_option("--batch", load.batch, "entries per atomic write; default: 1");
  app.add_option("--report-every", load.report_every,
                 "prints \"acknowledged COUNT\" at once after so many entries");
  app.add_option("--skip-bad", load.skip_bad,
                 "how many bad lines to report and leave out before giving up; default: 0");
}

}  // namespace

int load_command(const Arguments& arguments, std::istream& in, std::ostream& out,
                 std::ostream& err) {
  LoadArguments load;
  CommandLine line("load", "Puts the entries of a file into an index, which is made if absent.");
  add_options(line, load);
  line.parse(arguments);
  if (load.batch == 0) throw UsageError("--batch: at least 1 expected, 0 found");

  Source source;
  const EntryFormat format = format_of(load);
  open_source(source, load.file, in);
  SegmentIndex index = SegmentIndex::open(line.directory(), line.write_options(true));
  EntryReader reader(*source.stream, format, source.name);
  Output output(out);
  Progress progress(err, !line.no_progress(), "entries");
  Loader loader(index, reader, progress, output, load, err);
  const auto tell_what_is_safe = [&](const std::string& why) {
    progress.clear();
    err << "varve: " << why << "; " << loader.acknowledged()
        << " entries were acknowledged before and stay\n";
  };
  try {
    loader.run(source.size);
  } catch (const OutputFailure& failure) {
    // Unlike for a command that only prints, the rest of the work was not done.
    tell_what_is_safe(failure.what());
    return kExitFailed;
  } catch (const std::exception&) {
    tell_what_is_safe("loading stopped");
    throw;
  }
  const Statistics figures = index.statistics();
  index.close();
  progress.clear();
  const double seconds = static_cast<double>(progress.elapsed().count()) / 1000;
  if (line.json()) {
    nlohmann::ordered_json summary = {{"schema", 1},
                                      {"acknowledged", loader.acknowledged()},
                                      {"skipped", loader.skipped()},
                                      {"seconds", seconds},
                                      {"read_size", reader.bytes_read()}};
    summary["statistics"] = statistics_json(figures, false);
    output.finish_with(json_line(summary));
  } else {
    output.finish_with(fmt::format("acknowledged {}\n", loader.acknowledged()));
    err << fmt::format(
        "loaded {} entries in {}{}\n", human_count(loader.acknowledged()),
        human_duration(progress.elapsed()),
        loader.skipped() == 0 ? "" : fmt::format(", left out {} bad lines", loader.skipped()));
  }
  return kExitOk;
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>
#include <ostream>
#include <system_error>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/http_server.hpp"
#include "tools/output.hpp"
#include "tools/stop_signals.hpp"
#include "tools/text.hpp"
#include "tools/watch.hpp"
#include "varve/error.hpp"
#include "varve/prometheus.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

constexpr std::uint16_t kPortDefault = 9464;

// The directory's own name: what a label can tell indexes apart by.
std::string name_of(const std::filesystem::path& directory) {
  const std::filesystem::path whole = std::filesystem::absolute(directory).lexically_normal();
  const std::string name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  return is_utf8(name) ? name : hex(name);
}

HttpResponse not_found() {
  return {.status = 404, .body = "404 Not Found: metrics are at /metrics\n"};
}

}  // namespace

int serve_metrics_command(const Arguments& arguments, std::istream&, std::ostream& out,
                          std::ostream& err) {
  CommandLine line("serve-metrics", "Serves an index's figures to Prometheus until it is stopped.");
  std::string address = "127.0.0.1";
  std::uint16_t port = kPortDefault;
  bool files = false;
  line.with_wait().with_json("the line that says where it serves is a JSON object");
  line.app().add_option("--port", port, "TCP port; 0: any free one, which is printed");
  line.app().add_option("--address", address,
                        "numeric address to listen on; default: 127.0.0.1, this machine only");
  line.app().add_flag("--files", files,
                      "what the files tell, without opening the index: also while another process "
                      "writes to it, and in nobody's way");
  line.parse(arguments);

  // The index stays open, and so held for reading, as long as it is served.
  std::optional<SegmentIndex> index;
  const std::string name = name_of(line.directory());
  if (files) {
    static_cast<void>(file_statistics(line.directory()));
  } else {
    try {
      index.emplace(SegmentIndex::open(line.directory(), line.read_options()));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Locked) err << kFilesHint;
      throw;
    }
  }
  const StopSignals stop;
  HttpServer server(address, port);
  const std::string url = server.url("/metrics");
  Output(out).finish_with(
      line.json() ? fmt::format("{{\"schema\":1,\"port\":{},\"url\":\"{}\"}}\n", server.port(), url)
                  : fmt::format("serving {}\n", url));
  server.serve(
      [&](std::string_view path) -> HttpResponse {
        if (path != "/metrics") return not_found();
        return {.content_type = std::string(kPrometheusContentType),
                .body = index ? to_prometheus(index->statistics(), name)
                              : to_prometheus(file_statistics(line.directory()), name)};
      },
      stop.fd());
  if (index) index->close();
  return kExitOk;
}

}  // namespace varve::tools

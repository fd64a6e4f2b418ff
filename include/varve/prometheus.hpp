// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "varve/export.hpp"
#include "varve/file_statistics.hpp"
#include "varve/statistics.hpp"

namespace varve {

// Figures as Prometheus text (exposition format 0.0.4), for a program that serves metrics of its
// own: answer a GET of /metrics with this text as the content type kPrometheusContentType.
//
//   response.body = own_metrics() + varve::to_prometheus(index.statistics(), "orders");
//
// Names begin with "varve_"; units are seconds and bytes; what only grows since open ends in
// "_total". Operations are a label: varve_operations_total{index="orders",operation="get",
// result="ok"}. Latencies (of a sample, see OperationsByKind) are a histogram and, over all of the
// time since open, quantiles. There is nothing per segment, so the size does not grow with the
// index: about 40 KiB. No key or value of the index is in it.
// Cost: that of the text; statistics() looks at every segment and at every file's size.
inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

// `name` becomes the label "index" of every line; empty: no such label.
[[nodiscard]] VARVE_EXPORT std::string to_prometheus(const Statistics& figures,
                                                     std::string_view name = {});

// Several indexes of one process: the format wants the lines of one metric together, so texts of
// single indexes must not simply be joined.
struct NamedStatistics {
  std::string_view name;  // Different for each.
  const Statistics* figures = nullptr;
};
[[nodiscard]] VARVE_EXPORT std::string to_prometheus(std::span<const NamedStatistics> indexes);

// What the files of an index tell: the part of the above that another process can see.
[[nodiscard]] VARVE_EXPORT std::string to_prometheus(const FileStatistics& figures,
                                                     std::string_view name = {});

}  // namespace varve

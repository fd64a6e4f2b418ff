// SPDX-License-Identifier: Apache-2.0
#include "bench/html_report.hpp"

#include <sstream>
#include <string>

#include "bench/html.hpp"
#include "bench/svg_plot.hpp"
#include "tests/bench/markup_check.hpp"
#include "tests/bench/sample_record.hpp"
#include "tests/support/catch.hpp"

using namespace varve::bench;
using varve::test::add_results;
using varve::test::check_markup;
using varve::test::Markup;
using varve::test::sample_record;

namespace {

std::string html_of(const Record& record) {
  std::ostringstream out;
  write_html_report(out, record);
  return out.str();
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("the checker of markup sees what is not well-formed", "[bench][html]") {
  CHECK(check_markup("<!DOCTYPE html>\n<a b=\"1\" c=\"2\"><d/>x &amp; y</a>").error.empty());
  for (const char* wrong :
       {"<a>", "<a></b>", "<a><b></a></b>", "</a>", "<a b=1></a>", "<a b=\"1\" b=\"2\"></a>",
        "<a>&</a>", "<a>&nbsp;</a>", "<a b=\"<\"/>", "<a", "<>", "a > b", "<a b=\"1/>"}) {
    CAPTURE(wrong);
    CHECK_FALSE(check_markup(wrong).error.empty());
  }
  const Markup markup = check_markup("<a>1<b/>2 &lt;</a><b></b>");
  CHECK(markup.elements.at("b") == 2);
  CHECK(markup.text == "12 <");
}

TEST_CASE("the report is well-formed, needs nothing else, and holds every series",
          "[bench][html]") {
  Record record = sample_record();
  for (const std::uint64_t entries : {1000, 2000, 4000}) {
    for (const char* engine : {"null", "varve", "slow"}) {
      add_results(record, engine, "scan", {5, 6, 7}, 0, {"entries", entries});
    }
  }
  for (const std::uint32_t threads : {1, 2}) {
    add_results(record, "varve", "concurrent_read", {50, 60}, threads);
  }
  record.failures.push_back({0, "slow", "broke <here> & there"});
  const std::string html = html_of(record);
  const Markup markup = check_markup(html);
  CHECK(markup.error.empty());
  CAPTURE(markup.error);
  for (const char* part :
       {"read_hit", "scan entries=1K", "scan entries=2K", "scan entries=4K", "concurrent_read@1",
        "concurrent_read@2", "options <a> & b", "ASSERTIONS ARE COMPILED IN", "0123456789ab",
        "varve-bench --n 5 <&\"'>", "FAILED: slow, repeat 1: broke <here> & there",
        "scan: time of an operation by entries", "concurrent_read: time of an operation by threads",
        "A processor, 2 cores", "p99.99"}) {
    CAPTURE(part);
    CHECK(markup.text.find(part) != std::string::npos);
  }
  // Lines: four engines' latencies of read_hit; three of scan over entries and in each of its three
  // groups' latencies; one of concurrent_read over threads and in each of its two.
  CHECK(markup.elements.at("polyline") == 4 + 3 + 3 * 3 + 1 + 2);
  // Bars, with the harness marked in those of engines that store, where it was measured: read_hit
  // has three such, each group of scan two.
  CHECK(count_of(html, "class=\"inner\"") == 3 + 3 * 2);
  CHECK(markup.elements.at("rect") == (4 + 3) + 3 * (3 + 2) + 2);
  for (const char* foreign : {"http:", "https:", "<script", "<link", "<img", "@import", "url("}) {
    CAPTURE(foreign);
    CHECK(html.find(foreign) == std::string::npos);
  }
  CHECK(html.find("prefers-color-scheme: dark") != std::string::npos);
}

TEST_CASE("ahead and behind are marked when every repeat says so", "[bench][html]") {
  const auto marks = [](std::vector<double> own, std::vector<double> peer) {
    Record record = sample_record();
    record.results.clear();
    add_results(record, "varve", "scan", std::move(own));
    add_results(record, "fast", "scan", std::move(peer));
    const std::string html = html_of(record);
    return std::string(count_of(html, "class=\"ahead\"") > 0 ? "ahead " : "") +
           (count_of(html, "class=\"behind\"") > 0 ? "behind " : "") +
           (count_of(html, "class=\"even\"") > 0 ? "even" : "");
  };
  CHECK(marks({10, 10}, {20, 11}) == "ahead ");
  CHECK(marks({20, 11}, {10, 10}) == "behind ");
  CHECK(marks({10, 20}, {20, 10}) == "even");
}

TEST_CASE("a record without results makes a report all the same", "[bench][html]") {
  Record record = sample_record();
  record.results.clear();
  CHECK(check_markup(html_of(record)).error.empty());
}

TEST_CASE("plots stay inside their frames, whatever the figures", "[bench][html]") {
  const auto line = [](std::vector<LinePoint> points) {
    return line_plot("t & u", {{0, "a"}, {1, "b"}}, {{"<name>", 1, std::move(points)}});
  };
  for (const std::string& plot :
       {line({{0, {5, 4, 6}}, {1, {5e9, 0, 6e9}}}), line({{0, {0, 0, 0}}}), line({}),
        line({{0, {1, 1, 1}}}), bar_plot("t", {{"a", 9, {0, 0, 0}, 5}})}) {
    CAPTURE(plot);
    CHECK(check_markup(plot).error.empty());
    CHECK(plot.find("nan") == std::string::npos);
    CHECK(plot.find("inf") == std::string::npos);
  }
  CHECK(duration_text(0) == "0");
  CHECK(duration_text(9.5) == "9.5 ns");
  CHECK(duration_text(999.7) == "1 us");
  CHECK(duration_text(2'500'000) == "2.5 ms");
  CHECK(duration_text(3e12) == "3000 s");
  CHECK(escaped("<&>\"\x01") == "&lt;&amp;&gt;&quot;?");
}

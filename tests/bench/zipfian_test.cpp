// SPDX-License-Identifier: Apache-2.0
#include "bench/zipfian.hpp"

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "bench/ycsb.hpp"
#include "tests/support/catch.hpp"

using namespace varve::bench;

namespace {

// The share of all draws that the law gives to the first `hot` of `count` ranks.
double lawful_share(std::uint64_t hot, std::uint64_t count) {
  double hot_sum = 0, sum = 0;
  for (std::uint64_t r = 1; r <= count; ++r) {
    sum += std::pow(static_cast<double>(r), -Zipfian::kYcsbTheta);
    if (r == hot) hot_sum = sum;
  }
  return hot_sum / sum;
}

double share_of(const std::map<YcsbKind, std::uint64_t>& counts, YcsbKind kind) {
  std::uint64_t sum = 0;
  for (const auto& [each, count] : counts) sum += count;
  const auto found = counts.find(kind);
  return found == counts.end() ? 0 : static_cast<double>(found->second) / static_cast<double>(sum);
}

}  // namespace

TEST_CASE("the hottest ranks get what the law gives them", "[bench][zipfian]") {
  for (const std::uint64_t count : {1000ULL, 50'000ULL, 400'000ULL}) {
    CAPTURE(count);
    const Zipfian zipfian(count);
    Random random(1);
    constexpr int kDrawCount = 200'000;
    std::vector<int> draws(count);
    for (int i = 0; i < kDrawCount; ++i) ++draws.at(zipfian.next(random));
    const auto share = [&](std::uint64_t hot) {
      double sum = 0;
      for (std::uint64_t r = 0; r < hot; ++r) sum += draws[r];
      return sum / kDrawCount;
    };
    for (const std::uint64_t hot : {std::uint64_t{1}, std::uint64_t{2}, count / 100, count / 5}) {
      CAPTURE(hot);
      CHECK(share(hot) == Approx(lawful_share(hot, count)).margin(0.02));
    }
    CHECK(share(count / 100) > 0.35);  // Far from uniform, which would give 0.01.
  }
}

TEST_CASE("few ranks are drawn without leaving them, and a rank more is one more",
          "[bench][zipfian]") {
  for (std::uint64_t count = 1; count < 5; ++count) {
    Zipfian zipfian(count);
    Random random(2);
    std::set<std::uint64_t> drawn;
    for (int i = 0; i < 1000; ++i) drawn.insert(zipfian.next(random));
    CHECK(drawn.size() == count);
    CHECK(*drawn.rbegin() == count - 1);
    zipfian.grow();
    for (int i = 0; i < 1000; ++i) drawn.insert(zipfian.next(random));
    CHECK(drawn.size() == count + 1);
  }
  Zipfian grown(900);
  const Zipfian made(1000);
  while (grown.count() < made.count()) grown.grow();
  Random first(3), second(3);
  for (int i = 0; i < 1000; ++i) CHECK(grown.next(first) == made.next(second));
}

TEST_CASE("YCSB's mixes are those of its workload files", "[bench][ycsb]") {
  using Shares = std::map<YcsbKind, double>;
  const std::map<char, Shares> expected = {
      {'A', {{YcsbKind::Read, 0.5}, {YcsbKind::Update, 0.5}}},
      {'B', {{YcsbKind::Read, 0.95}, {YcsbKind::Update, 0.05}}},
      {'C', {{YcsbKind::Read, 1}}},
      {'D', {{YcsbKind::Read, 0.95}, {YcsbKind::Insert, 0.05}}},
      {'E', {{YcsbKind::Scan, 0.95}, {YcsbKind::Insert, 0.05}}},
      {'F', {{YcsbKind::Read, 0.5}, {YcsbKind::Modify, 0.5}}},
  };
  constexpr std::uint64_t kEntryCount = 5000, kCount = 100'000;
  for (const auto& [name, shares] : expected) {
    CAPTURE(name);
    const auto operations = make_ycsb_operations(ycsb_mix(name), kEntryCount, kCount, 1);
    REQUIRE(operations.size() == kCount);
    std::map<YcsbKind, std::uint64_t> counts;
    std::uint64_t next_number = kEntryCount, scan_sum = 0;
    for (const YcsbOperation& operation : operations) {
      ++counts[operation.kind];
      if (operation.kind == YcsbKind::Insert) {
        CHECK(operation.number == next_number++);
      } else {
        REQUIRE(operation.number < next_number);
      }
      if (operation.kind == YcsbKind::Scan) {
        REQUIRE(operation.scan_limit >= 1);
        REQUIRE(operation.scan_limit <= 100);
        scan_sum += operation.scan_limit;
      }
    }
    for (const auto& [kind, share] : shares) {
      CHECK(share_of(counts, kind) == Approx(share).margin(0.01));
    }
    CHECK(counts.size() == shares.size());
    if (name == 'E') {
      CHECK(static_cast<double>(scan_sum) / static_cast<double>(counts[YcsbKind::Scan]) ==
            Approx(50.5).margin(1));
    }
  }
}

TEST_CASE("hot keys are scattered, and with D they are the latest", "[bench][ycsb]") {
  constexpr std::uint64_t kEntryCount = 10'000, kCount = 100'000;
  std::map<std::uint32_t, std::uint64_t> counts;
  for (const YcsbOperation& operation :
       make_ycsb_operations(ycsb_mix('C'), kEntryCount, kCount, 1)) {
    ++counts[operation.number];
  }
  std::multimap<std::uint64_t, std::uint32_t, std::greater<>> hottest;
  for (const auto& [number, count] : counts) hottest.emplace(count, number);
  std::uint64_t hot_sum = 0, in_first_tenth = 0, i = 0;
  for (const auto& [count, number] : hottest) {
    if (i++ == kEntryCount / 100) break;
    hot_sum += count;
    in_first_tenth += number < kEntryCount / 10;
  }
  CHECK(static_cast<double>(hot_sum) / kCount ==
        Approx(lawful_share(kEntryCount / 100, kEntryCount)).margin(0.02));
  CHECK(in_first_tenth < 30);  // Of a hundred; ten are to be expected.

  std::uint64_t next_number = kEntryCount, latest_count = 0, read_count = 0;
  for (const YcsbOperation& operation :
       make_ycsb_operations(ycsb_mix('D'), kEntryCount, kCount, 1)) {
    if (operation.kind == YcsbKind::Insert) {
      ++next_number;
    } else {
      ++read_count;
      latest_count += operation.number + 100 >= next_number;
    }
  }
  CHECK(static_cast<double>(latest_count) / static_cast<double>(read_count) ==
        Approx(lawful_share(100, kEntryCount + kCount / 40)).margin(0.03));
}

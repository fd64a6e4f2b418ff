// SPDX-License-Identifier: Apache-2.0
// The least that a program can do with varve: headers and library must be of one version, and an
// Error must be caught as what it is across the library's border.
#include <iostream>

#include "varve/error.hpp"
#include "varve/segment_index.hpp"
#include "varve/version.hpp"

int main() {
  if (varve::version() != VARVE_VERSION_STRING) {
    std::cerr << "headers " VARVE_VERSION_STRING ", library " << varve::version() << '\n';
    return 1;
  }
  try {
    varve::Options options;
    options.create_if_missing = false;
    const varve::SegmentIndex index = varve::SegmentIndex::open("there-is-no-index-here", options);
  } catch (const varve::Error& error) {
    std::cout << varve::version() << ": " << error.what() << '\n';
    return error.code() == varve::ErrorCode::NotFound ? 0 : 1;
  }
  std::cerr << "opening what is not there has succeeded\n";
  return 1;
}

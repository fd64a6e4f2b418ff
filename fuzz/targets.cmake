# SPDX-License-Identifier: Apache-2.0
# The fuzz targets, each with a corpus of its name, and what they need beyond fuzz_TARGET.cpp.
set(varve_fuzz_targets
  batch codec directory fence_tree filter lock_record log manifest operations resume_token run)
set(varve_fuzz_sources_run "${CMAKE_CURRENT_LIST_DIR}/run_repair.cpp")
set(varve_fuzz_sources_directory
  "${CMAKE_CURRENT_LIST_DIR}/run_repair.cpp" "${CMAKE_CURRENT_LIST_DIR}/store_archive.cpp")
set(varve_fuzz_sources_operations ${varve_fuzz_sources_directory})
# Those over the command's parsers.
set(varve_fuzz_tool_targets entry_format http_request text)

# SPDX-License-Identifier: Apache-2.0
# Writes HEADER, which names the commit of SOURCE_DIR, at every build; only when it has changed, so
# that nothing is compiled again for nothing.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
                WORKING_DIRECTORY "${SOURCE_DIR}"
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
                RESULT_VARIABLE result ERROR_QUIET)
if(NOT result STREQUAL "0")
  set(commit "")
endif()
file(CONFIGURE OUTPUT "${HEADER}" CONTENT
"// SPDX-License-Identifier: Apache-2.0
#pragma once
#define VARVE_BENCH_COMMIT \"@commit@\"
" @ONLY)

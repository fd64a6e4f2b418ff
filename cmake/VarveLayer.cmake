# SPDX-License-Identifier: Apache-2.0
# One floor of the house (directory, segment, lib): an object library, so that the tests can link
# the internals that the finished library hides.
function(varve_add_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(varve_${name} OBJECT ${LAYER_SOURCES})
  target_link_libraries(varve_${name} PRIVATE varve_settings ${LAYER_LIBRARIES})
  target_compile_definitions(varve_${name} PRIVATE
    varve_EXPORTS $<$<BOOL:${VARVE_MUTANTS}>:VARVE_ENABLE_MUTANTS>)
  # Here only: tests lock in ways that cannot be followed.
  target_compile_options(varve_${name} PRIVATE
    $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wthread-safety>)
  if(NOT BUILD_SHARED_LIBS)
    target_compile_definitions(varve_${name} PRIVATE VARVE_STATIC_DEFINE)
  endif()
  set_target_properties(varve_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()

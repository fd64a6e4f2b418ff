# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` and the Debian packages hold. Components: varve (the shared library),
# dev (headers, static library, CMake and pkg-config files), tools (the varve command).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(varve_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/varve")

install(TARGETS varve EXPORT varveTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT varve NAMELINK_COMPONENT dev
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT varve)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/varve"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev FILES_MATCHING PATTERN "*.hpp")
install(EXPORT varveTargets NAMESPACE varve::
  DESTINATION "${varve_cmake_dir}" COMPONENT dev)

# The command is exported as varve::command, in a file of its own: it is another component, and
# a consumer of the library alone must not be asked for it.
if(TARGET varve_command)
  set_target_properties(varve_command PROPERTIES EXPORT_NAME command)
  if(BUILD_SHARED_LIBS AND NOT DEFINED CMAKE_INSTALL_RPATH)
    set_target_properties(varve_command PROPERTIES
      INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  endif()
  install(TARGETS varve_command EXPORT varveToolsTargets
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tools)
  install(EXPORT varveToolsTargets NAMESPACE varve::
    DESTINATION "${varve_cmake_dir}" COMPONENT tools)
endif()

get_target_property(varve_library_type varve TYPE)
if(varve_library_type STREQUAL "STATIC_LIBRARY")
  set(varve_is_static TRUE)
else()
  set(varve_is_static FALSE)
endif()
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/varveConfig.cmake.in" "${PROJECT_BINARY_DIR}/varveConfig.cmake"
  INSTALL_DESTINATION "${varve_cmake_dir}"
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a minor version may change the interface: 0.1.3 serves a request for 0.1 only.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/varveConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/varveConfig.cmake" "${PROJECT_BINARY_DIR}/varveConfigVersion.cmake"
  DESTINATION "${varve_cmake_dir}" COMPONENT dev)

# The prefix is found from where the file lies, so that an installed tree can be moved and
# `cmake --install --prefix` needs no configuration of its own. Absolute install directories (as
# Nix and some distributions give) stay as they are.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(varve_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH varve_pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" varve_pc_prefix "\${pcfiledir}/${varve_pc_up}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(varve_pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(varve_pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
if(varve_is_static)
  # A static library's users always need its private parts.
  set(varve_pc_cflags " -DVARVE_STATIC_DEFINE")
  set(varve_pc_libs " -lpthread")
  set(varve_pc_libs_private "")
else()
  set(varve_pc_cflags "")
  set(varve_pc_libs "")
  set(varve_pc_libs_private "-lpthread")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/varve.pc.in" "${PROJECT_BINARY_DIR}/varve.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/varve.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)

if(PROJECT_IS_TOP_LEVEL)
  include(VarvePackages)
endif()

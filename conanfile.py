# SPDX-License-Identifier: Apache-2.0
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class VarveConan(ConanFile):
    name = "varve"
    description = "Segmented, ordered, embedded key-value index engine"
    license = "Apache-2.0"
    topics = ("key-value", "database", "storage-engine", "lsm", "embedded")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False], "tools": [True, False]}
    default_options = {"shared": False, "fPIC": True, "tools": False}
    implements = ["auto_shared_fpic"]
    exports_sources = (
        "CMakeLists.txt", "LICENSE", "bench/*", "cmake/*", "directory/*", "examples/*", "fuzz/*",
        "include/*", "lib/*", "segment/*", "tests/*", "tools/*",
    )

    def set_version(self):
        # CMakeLists.txt is the one place that says it; a package's sources have no git history.
        text = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
        self.version = re.search(r"project\(varve VERSION ([0-9.]+)", text).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        # Header-only here, and in no public header.
        self.requires("xxhash/[>=0.8.1 <0.9]", transitive_headers=False)
        if self.options.tools:
            self.requires("cli11/[>=2.1.2 <3]", transitive_headers=False)
            self.requires("fmt/[>=9.1 <12]", transitive_headers=False)
            self.requires("nlohmann_json/[>=3.11.2 <4]", transitive_headers=False)

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.22]")
        self.test_requires("catch2/2.13.10")

    def validate(self):
        check_min_cppstd(self, 20)

    @property
    def _with_tests(self):
        return not self.conf.get("tools.build:skip_test", default=True, check_type=bool)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["VARVE_BUILD_TOOLS"] = bool(self.options.tools)
        toolchain.cache_variables["VARVE_BUILD_TESTS"] = self._with_tests
        toolchain.cache_variables["VARVE_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["VARVE_INSTALL"] = True
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()
        if self._with_tests:
            cmake.ctest(cli_args=["--output-on-failure", "--label-regex", "unit"])

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        # Conan's generators write these for each consumer; ours would be in their way.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "varve")
        self.cpp_info.set_property("cmake_target_name", "varve::varve")
        self.cpp_info.set_property("pkg_config_name", "varve")
        self.cpp_info.libs = ["varve"]
        self.cpp_info.requires = ["xxhash::xxhash"]
        if self.options.tools:
            self.cpp_info.requires += ["cli11::cli11", "fmt::fmt", "nlohmann_json::nlohmann_json"]
        if not self.options.shared:
            self.cpp_info.defines = ["VARVE_STATIC_DEFINE"]
            if self.settings.os in ("Linux", "FreeBSD"):
                self.cpp_info.system_libs = ["pthread"]

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "tests/support/catch.hpp"

namespace varve::test {

namespace fs = std::filesystem;

// Something that is none of an index's files, under a name that it may need.
enum class Plant { Symlink, DanglingSymlink, HardLink, Fifo, Socket, Directory };

inline void plant(Plant what, const fs::path& path, const fs::path& victim) {
  switch (what) {
    case Plant::Symlink:
      return fs::create_symlink(victim, path);
    case Plant::DanglingSymlink:
      return fs::create_symlink(victim.parent_path() / "nowhere", path);
    case Plant::HardLink:
      return fs::create_hard_link(victim, path);
    case Plant::Fifo:
      REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
      return;
    case Plant::Socket: {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      REQUIRE(path.string().size() < sizeof address.sun_path);
      std::strcpy(address.sun_path, path.c_str());
      REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
      ::close(fd);
      return;
    }
    case Plant::Directory:
      fs::create_directory(path);
      return;
  }
}
inline constexpr Plant kPlants[] = {Plant::Symlink, Plant::DanglingSymlink, Plant::HardLink,
                                    Plant::Fifo,    Plant::Socket,          Plant::Directory};

}  // namespace varve::test

// SPDX-License-Identifier: Apache-2.0
#include "tools/http_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::tools {
namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

// One end of a TCP connection to this machine.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(fd_); }

  // As much as the server takes.
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (size <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  void end_sending() const { ::shutdown(fd_, SHUT_WR); }
  // Everything until the server closes, or is silent for a minute.
  [[nodiscard]] std::string receive() const {
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    REQUIRE(::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    std::string all;
    char buffer[4096];
    for (;;) {
      const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(size));
    }
  }

 private:
  int fd_;
};

// More than the kernel takes from the server for a client that does not read.
constexpr std::size_t kLargeSize = std::size_t{64} << 20;

// A server on a thread of its own.
class Served {
 public:
  explicit Served(const HttpLimits& limits = {}) : server_("127.0.0.1", 0, limits) {
    REQUIRE(::pipe(stop_) == 0);
    thread_ = std::thread([this] {
      server_.serve(
          [](std::string_view path) -> HttpResponse {
            if (path == "/throw") throw std::runtime_error("it broke");
            if (path == "/large") return {.body = std::string(kLargeSize, 'x')};
            if (path != "/metrics") return {.status = 404, .body = "no\n"};
            return {.content_type = "text/x-test", .body = "figures\n"};
          },
          stop_[0]);
    });
  }
  ~Served() {
    stop();
    ::close(stop_[0]);
    ::close(stop_[1]);
  }
  void stop() {
    if (!thread_.joinable()) return;
    CHECK(::write(stop_[1], "", 1) == 1);
    thread_.join();
  }
  [[nodiscard]] std::string answer(std::string_view request) const {
    const Client client(server_.port());
    client.send(request);
    return client.receive();
  }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  [[nodiscard]] const HttpServer& server() const { return server_; }

 private:
  HttpServer server_;
  int stop_[2] = {-1, -1};
  std::thread thread_;
};

std::string status_of(const std::string& answer) {
  return answer.substr(0, answer.find("\r\n"));
}

}  // namespace

TEST_CASE("a GET is answered, with headers that say what and how much", "[tools][http]") {
  const Served served;
  CHECK(served.answer("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/x-test\r\nContent-Length: 8\r\nConnection: close\r\n"
        "Cache-Control: no-store\r\n\r\nfigures\n");
  CHECK(served.answer("GET /metrics?a=b HTTP/1.0\n\n").ends_with("\r\n\r\nfigures\n"));
  CHECK(served.server().url("/metrics") ==
        "http://127.0.0.1:" + std::to_string(served.port()) + "/metrics");
}

TEST_CASE("a HEAD gets the headers alone", "[tools][http]") {
  const Served served;
  const std::string answer = served.answer("HEAD /metrics HTTP/1.1\r\n\r\n");
  CHECK(status_of(answer) == "HTTP/1.1 200 OK");
  CHECK(answer.find("Content-Length: 8\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("what is no GET of something there is refused by its status", "[tools][http]") {
  const Served served;
  const auto status = [&](std::string_view request) { return status_of(served.answer(request)); };
  CHECK(status("GET /other HTTP/1.1\r\n\r\n") == "HTTP/1.1 404 Not Found");
  CHECK(status("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc") ==
        "HTTP/1.1 405 Method Not Allowed");
  CHECK(served.answer("PUT / HTTP/1.1\r\n\r\n").find("Allow: GET, HEAD\r\n") != std::string::npos);
  CHECK(status("GET /metrics HTTP/2.0\r\n\r\n") == "HTTP/1.1 505 HTTP Version Not Supported");
  for (const std::string_view bad :
       {"\r\n\r\n"sv, "GET\r\n\r\n"sv, "GET /metrics\r\n\r\n"sv, "GET  HTTP/1.1\r\n\r\n"sv,
        "GET metrics HTTP/1.1\r\n\r\n"sv, "GET /a b HTTP/1.1\r\n\r\n"sv,
        "GET /\x01 HTTP/1.1\r\n\r\n"sv, "\x16\x03\x01\x02\x00\x01\n\n"sv}) {
    CAPTURE(bad);
    CHECK(status(bad) == "HTTP/1.1 400 Bad Request");
  }
  const std::string failed = served.answer("GET /throw HTTP/1.1\r\n\r\n");
  CHECK(status_of(failed) == "HTTP/1.1 500 Internal Server Error");
  CHECK(failed.ends_with("it broke\n"));
  CHECK(status("GET /metrics HTTP/1.1\r\n\r\n") == "HTTP/1.1 200 OK");  // And it goes on.
}

TEST_CASE("a request in pieces is one request", "[tools][http]") {
  const Served served;
  const Client client(served.port());
  for (const char c : std::string_view("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client.send({&c, 1});
  }
  CHECK(status_of(client.receive()) == "HTTP/1.1 200 OK");
}

TEST_CASE("a request that is too large is refused, however it goes on", "[tools][http]") {
  const Served served;
  const std::string header(100, 'h');
  std::string request = "GET /metrics HTTP/1.1\r\n";
  for (int i = 0; i < 2'000; ++i) request += header + ": x\r\n";
  CHECK(status_of(served.answer(request)) == "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(status_of(served.answer(std::string(9'000, 'G'))) ==
        "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST_CASE("who is slow, silent or gone is in nobody's way", "[tools][http]") {
  HttpLimits limits;
  limits.timeout = 2s;
  const Served served(limits);
  const Client silent(served.port()), slow(served.port()), half(served.port());
  slow.send("GET /metrics HTTP/1.1\r\n");
  half.send("GET /metr");
  half.end_sending();
  CHECK(status_of(served.answer("GET /metrics HTTP/1.1\r\n\r\n")) == "HTTP/1.1 200 OK");
  CHECK(half.receive().empty());
  CHECK(status_of(slow.receive()) == "HTTP/1.1 408 Request Timeout");
  CHECK(silent.receive().empty());
}

TEST_CASE("who does not take its answer is given up", "[tools][http]") {
  HttpLimits limits;
  limits.timeout = 2s;
  limits.connection_count_max = 1;
  const Served served(limits);
  const Client deaf(served.port());
  deaf.send("GET /large HTTP/1.1\r\n\r\n");
  // Its connection is the only one, so this waits until it is given up.
  CHECK(status_of(served.answer("GET /metrics HTTP/1.1\r\n\r\n")) == "HTTP/1.1 200 OK");
  CHECK(deaf.receive().size() < kLargeSize);
}

TEST_CASE("a large answer arrives whole", "[tools][http]") {
  const Served served;
  const std::string answer = served.answer("GET /large HTTP/1.1\r\n\r\n");
  CHECK(answer.size() - answer.find("\r\n\r\n") - 4 == kLargeSize);
}

TEST_CASE("more clients than connections are all served", "[tools][http]") {
  HttpLimits limits;
  limits.connection_count_max = 2;
  const Served served(limits);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<Client>(served.port()));
  for (const auto& client : clients) client->send("GET /metrics HTTP/1.1\r\n\r\n");
  for (auto& client : clients) {
    CHECK(status_of(client->receive()) == "HTTP/1.1 200 OK");
    client.reset();
  }
}

TEST_CASE("it stops while clients are connected", "[tools][http]") {
  Served served;
  const Client idle(served.port());
  const Client half(served.port());
  half.send("GET /");
  served.stop();
}

TEST_CASE("an address that is none, or in use, is an error that names it", "[tools][http]") {
  const HttpServer first("127.0.0.1", 0);
  const auto message = [](const std::string& address, std::uint16_t port) {
    try {
      const HttpServer server(address, port);
    } catch (const std::system_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("localhost", 0).find("localhost") != std::string::npos);
  CHECK(message("", 0).find("no numeric address") != std::string::npos);
  const std::string in_use = message("127.0.0.1", first.port());
  CHECK(in_use.find("127.0.0.1:" + std::to_string(first.port())) != std::string::npos);
}

}  // namespace varve::tools

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>

namespace varve::tools {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};
// Answers a GET (or HEAD) of `path`, which is without the query. What it throws becomes a 500.
using HttpHandler = std::function<HttpResponse(std::string_view path)>;

struct HttpLimits {
  std::size_t request_size_max = std::size_t{8} << 10;  // Request line and headers, in bytes.
  std::size_t connection_count_max = 16;                // The others wait in the kernel's queue.
  // For a request to arrive, for an answer to be taken, and for a client to close, each.
  std::chrono::milliseconds timeout{5'000};
};

// Serves GET by HTTP/1.1, one request a connection, on one thread: as much as a collector of
// metrics needs, and nothing that a slow or hostile client could hold up or make grow.
//
//   Reading --whole request, or a bad one--> Writing --all sent--> Closing --client closed--> gone
//   any of them --timeout, or an error of the connection--> gone (Reading answers 408 first)
//
// Closing waits for the client, because closing a socket with unread bytes could destroy the answer
// on its way.
// Thread-safety: one thread. Errors: std::system_error when the socket cannot be had.
class HttpServer {
 public:
  // `address`: a numeric IPv4 or IPv6 address. Port 0: a free one, see port().
  HttpServer(const std::string& address, std::uint16_t port, const HttpLimits& limits = {});
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url(std::string_view path) const;  // "http://127.0.0.1:9464/metrics"

  // Serves until `stop_fd` is readable.
  void serve(const HttpHandler& handler, int stop_fd);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t { Reading, Writing, Closing, Gone };
  struct Connection {
    int fd = -1;
    Phase phase = Phase::Reading;
    std::string in, out;
    std::size_t sent_size = 0, ignored_size = 0;
    Clock::time_point deadline;
  };

  void wait(int stop_fd, bool& stopped, bool& can_accept);
  void accept_all();
  void read(Connection& connection, const HttpHandler& handler);
  void write(Connection& connection);
  void ignore_rest(Connection& connection) const;
  void answer(Connection& connection, const HttpResponse& response, bool with_body) const;
  void end_late(Connection& connection);
  [[nodiscard]] HttpResponse respond(std::string_view head, const HttpHandler& handler,
                                     bool& with_body) const;

  const HttpLimits limits_;
  std::string address_;
  std::uint16_t port_ = 0;
  int fd_ = -1;
  std::list<Connection> connections_;
  Clock::time_point accept_from_;  // Later than now: there was no descriptor for a connection.
};

}  // namespace varve::tools

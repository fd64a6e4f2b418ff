// SPDX-License-Identifier: Apache-2.0
#include "tools/http_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "tools/http_request.hpp"

namespace varve::tools {

namespace {

constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::size_t kIgnoredSizeMax = std::size_t{64} << 10;

std::system_error failure(const std::string& what) {
  return {errno, std::generic_category(), what};
}

void make_nonblocking(int fd) noexcept {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

bool would_block() noexcept {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

HttpResponse error_response(int status) {
  return {.status = status, .body = fmt::format("{} {}\n", status, reason_of(status))};
}

}  // namespace

HttpServer::HttpServer(const std::string& address, std::uint16_t port, const HttpLimits& limits)
    : limits_(limits), address_(address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    throw std::system_error(EINVAL, std::generic_category(),
                            address + " is no numeric address (" + ::gai_strerror(error) + ")");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  fd_ = ::socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  if (fd_ < 0) throw failure("cannot make a socket");
  make_nonblocking(fd_);
  const int yes = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::bind(fd_, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd_, 64) != 0 ||
      ::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    const std::system_error why = failure(fmt::format("cannot listen on {}:{}", address, port));
    ::close(fd_);
    throw why;
  }
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

HttpServer::~HttpServer() {
  for (const Connection& connection : connections_) ::close(connection.fd);
  ::close(fd_);
}

std::string HttpServer::url(std::string_view path) const {
  const bool is_ipv6 = address_.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}{}", is_ipv6 ? "[" : "", address_, is_ipv6 ? "]" : "", port_,
                     path);
}

void HttpServer::serve(const HttpHandler& handler, int stop_fd) {
  for (;;) {
    bool stopped = false, can_accept = false;
    wait(stop_fd, stopped, can_accept);
    if (stopped) return;
    // Those that poll() had nothing to say of find that out themselves: they are few.
    for (Connection& connection : connections_) {
      if (connection.phase == Phase::Reading) read(connection, handler);
      if (connection.phase == Phase::Writing) write(connection);
      if (connection.phase == Phase::Closing) ignore_rest(connection);
      if (connection.phase != Phase::Gone) end_late(connection);
      if (connection.phase == Phase::Gone) ::close(connection.fd);
    }
    connections_.remove_if([](const Connection& one) { return one.phase == Phase::Gone; });
    if (can_accept) accept_all();
  }
}

// Until something can be done, or a deadline has passed.
void HttpServer::wait(int stop_fd, bool& stopped, bool& can_accept) {
  std::vector<pollfd> polled = {{.fd = stop_fd, .events = POLLIN, .revents = 0}};
  const auto now = Clock::now();
  auto until = Clock::time_point::max();
  const bool accepts = connections_.size() < limits_.connection_count_max && now >= accept_from_;
  polled.push_back({.fd = accepts ? fd_ : -1, .events = POLLIN, .revents = 0});
  if (now < accept_from_) until = accept_from_;
  for (const Connection& connection : connections_) {
    const bool writes = connection.phase == Phase::Writing;
    polled.push_back({.fd = connection.fd,
                      .events = static_cast<short>(writes ? POLLOUT : POLLIN),
                      .revents = 0});
    until = std::min(until, connection.deadline);
  }
  int timeout_ms = -1;
  if (until != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }
  const int count = ::poll(polled.data(), static_cast<nfds_t>(polled.size()), timeout_ms);
  if (count < 0) {
    if (errno == EINTR) return;
    throw failure("cannot wait for requests");
  }
  stopped = polled[0].revents != 0;
  can_accept = polled[1].revents != 0;
}

void HttpServer::accept_all() {
  while (connections_.size() < limits_.connection_count_max) {
    const int fd = ::accept(fd_, nullptr, nullptr);
    if (fd < 0) {
      // What is left is that there are no descriptors or no memory, or that the client has gone.
      if (!would_block() && errno != ECONNABORTED) accept_from_ = Clock::now() + kAcceptPause;
      return;
    }
    make_nonblocking(fd);
    Connection& connection = connections_.emplace_back();
    connection.fd = fd;
    connection.deadline = Clock::now() + limits_.timeout;
  }
}

void HttpServer::read(Connection& connection, const HttpHandler& handler) {
  char buffer[4096];
  const ssize_t size = ::recv(connection.fd, buffer, sizeof buffer, 0);
  if (size < 0) {
    if (!would_block()) connection.phase = Phase::Gone;
    return;
  }
  connection.in.append(buffer, static_cast<std::size_t>(size));
  const std::size_t end = end_of_http_head(connection.in);
  if (end != std::string::npos && end < limits_.request_size_max) {
    bool with_body = true;
    const HttpResponse response =
        respond(std::string_view(connection.in).substr(0, end + 1), handler, with_body);
    answer(connection, response, with_body);
  } else if (connection.in.size() >= limits_.request_size_max) {
    answer(connection, error_response(431), true);
  } else if (size == 0) {
    connection.phase = Phase::Gone;  // It ended in the middle of a request, or never began one.
  }
}

HttpResponse HttpServer::respond(std::string_view head, const HttpHandler& handler,
                                 bool& with_body) const {
  const HttpRequest request = parse_http_request(head);
  with_body = !request.is_head;
  if (request.status != 200) return error_response(request.status);
  try {
    return handler(request.path);
  } catch (const std::exception& error) {
    return {.status = 500, .body = std::string(error.what()) + "\n"};
  }
}

void HttpServer::answer(Connection& connection, const HttpResponse& response,
                        bool with_body) const {
  connection.in = {};
  connection.out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n"
      "Cache-Control: no-store\r\n\r\n{}",
      response.status, reason_of(response.status), response.content_type, response.body.size(),
      response.status == 405 ? "Allow: GET, HEAD\r\n" : "", with_body ? response.body : "");
  connection.phase = Phase::Writing;
  connection.deadline = Clock::now() + limits_.timeout;
}

void HttpServer::write(Connection& connection) {
  const std::string_view rest = std::string_view(connection.out).substr(connection.sent_size);
  const ssize_t size = ::send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (size < 0) {
    if (!would_block()) connection.phase = Phase::Gone;
    return;
  }
  connection.sent_size += static_cast<std::size_t>(size);
  if (connection.sent_size < connection.out.size()) return;
  ::shutdown(connection.fd, SHUT_WR);
  connection.phase = Phase::Closing;
  connection.deadline = Clock::now() + limits_.timeout;
}

void HttpServer::ignore_rest(Connection& connection) const {
  char buffer[4096];
  const ssize_t size = ::recv(connection.fd, buffer, sizeof buffer, 0);
  if (size < 0) {
    if (!would_block()) connection.phase = Phase::Gone;
    return;
  }
  connection.ignored_size += static_cast<std::size_t>(size);
  if (size == 0 || connection.ignored_size > kIgnoredSizeMax) connection.phase = Phase::Gone;
}

void HttpServer::end_late(Connection& connection) {
  if (Clock::now() < connection.deadline) return;
  if (connection.phase != Phase::Reading || connection.in.empty()) {
    connection.phase = Phase::Gone;
    return;
  }
  answer(connection, error_response(408), true);
  write(connection);
}

}  // namespace varve::tools

#include "cli/export/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "cli/command.h"

namespace umemcg {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

bool split(const std::string& text, std::string* host, std::string* port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  *host = text.substr(0, colon);
  *port = text.substr(colon + 1);
  return !host->empty() && host->find(':') == std::string::npos &&
         !port->empty() && port->size() <= 5 &&
         port->find_first_not_of("0123456789") == std::string::npos &&
         std::stoul(*port) <= 65535;
}

std::string numeric_text(const addrinfo& address) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(address.ai_addr, address.ai_addrlen, host, sizeof(host),
                    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  return std::string(host) + ":" + port;
}

// 0 or an error number.
int try_to_bind(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // As the library does: connections that have just ended are no obstacle.
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const int error =
      ::bind(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

ListenAddress resolve_listen_address(const std::string& text) {
  std::string host, port;
  if (!split(text, &host, &port)) {
    return {"", "it is not HOST:PORT, such as 127.0.0.1:9753"};
  }
  addrinfo hints = {};
  hints.ai_family = AF_INET;  // Debian builds the library without IPv6
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (problem != 0) return {"", ::gai_strerror(problem)};
  const Addresses addresses(found, ::freeaddrinfo);
  const int error = try_to_bind(*addresses);
  return {numeric_text(*addresses), error == 0 ? "" : error_text(error)};
}

}  // namespace umemcg

// The file of a domain, seen from outside: whether it is in use, and removing
// it.
#pragma once

#include <string>

namespace umemcg {

// What the names of private domains, which `umemcg run` makes, begin with.
inline constexpr char kRunPrefix[] = "run-";

// Says, as long as the descriptor is open, that a `umemcg run` uses the domain.
bool hold_domain(int fd);

// Whether any process of the domain, or the `umemcg run` that made it, lives.
// Asks for locks alone, so the content may be anything.
bool domain_in_use(int fd);

// Whether the file begins as a domain does, of any version.
bool is_domain_file(int fd);

// Removes private domains in `folder` whose runs were killed, or left processes
// that have ended. How many.
unsigned remove_stale_domains(const std::string& folder);

}  // namespace umemcg

// Where the exporter listens: HOST:PORT as people write it, for a library that
// wants numbers and does not say what is wrong with them.
#pragma once

#include <string>

namespace umemcg {

struct ListenAddress {
  std::string text;   // "127.0.0.1:9753"
  std::string error;  // why nobody can listen there; empty: somebody can
};

// Tries whether the address is free, too.
ListenAddress resolve_listen_address(const std::string& text);

}  // namespace umemcg

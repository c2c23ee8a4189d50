// A look at a domain in a process of its own. The file is its owner's, who may
// cut it short at any time: whoever has it mapped then ends by SIGBUS.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/sample.h"

namespace umemcg {

// What the processes of a group have that nobody counts.
struct GroupAudit {
  int64_t unaccounted = 0;  // bytes
  uint32_t unreadable = 0;  // processes that may not be looked at
};

struct Look {
  // Empty: it was seen; ENOENT: there is no such domain.
  std::string why;
  int error = 0;
  Sample sample;
  std::map<uint64_t, GroupAudit> audits;  // by the group's id
  double audit_seconds = 0;

  bool seen() const { return error == 0; }
};

// With a look at its processes, if that is wanted.
Look look_at_domain(const std::string& domain, bool audit);

}  // namespace umemcg

// Who is in a domain: its live processes and their threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace umemcg {

struct ProcessEntry {
  uint32_t slot;
  int32_t pid;  // 0 in another pid namespace; so are thread numbers
  std::string name;
  uint32_t group;         // where its new charges go
  uint32_t threads;       // that have allocated
  int64_t charged_pages;  // to all groups, what is charged ahead included
  // Children that it forked live on with what they inherited: that stays
  // charged.
  bool ended;
};

struct ThreadEntry {
  int32_t thread;
  uint32_t group;
  bool put;       // into that group; else it follows its process
  uint32_t slot;  // of its process
};

// What a process has charged to one group, what is charged ahead included.
struct ChargeEntry {
  uint32_t slot;
  uint32_t group;
  int64_t pages;
};

struct Census {
  std::vector<ProcessEntry> processes;  // those that live, and have ended
  std::vector<ThreadEntry> threads;
  std::vector<ChargeEntry> charges;
};

// Looks through g_segment. What moves meanwhile may be off.
Census take_census();

// "1 process: 123 (name)" or "3 processes: ...", the first of them; empty if
// there is none.
std::string list_processes(const std::vector<ProcessEntry>& processes);

}  // namespace umemcg

// The mappings of another process, from /proc, and which of its pages are
// resident.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace umemcg {

struct Mapping {
  uint64_t start = 0, end = 0;
  char access[5] = {};   // "rw-p"
  uint64_t inode = 0;    // 0: no file
  std::string name;      // the file's, or "[stack]" and its like
  int64_t resident = 0;  // bytes, if they were asked for

  bool has(uint64_t address) const { return start <= address && address < end; }
  bool shared() const { return access[3] == 's'; }
};

// In the order of their addresses. `resident` costs a walk through the page
// tables of the process. 0 or an error number: EACCES (it may not be read),
// ESRCH (it has ended).
int read_mappings(pid_t pid, bool resident, std::vector<Mapping>* mappings);

// What to do about an error of looking into a process.
std::string advice_on_reading(int error);

// Which pages of a process are resident, asked one after the other in the order
// of their addresses.
class ResidentPages {
 public:
  ResidentPages() = default;
  ~ResidentPages();
  ResidentPages(const ResidentPages&) = delete;
  ResidentPages& operator=(const ResidentPages&) = delete;

  // 0 or an error number.
  int open(pid_t pid);
  // Of the page at that address; false if it cannot be told.
  bool has(uint64_t address);

 private:
  int fd_ = -1;
  uint64_t first_ = 0;  // page
  std::vector<uint64_t> words_;
};

}  // namespace umemcg

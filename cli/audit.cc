#include "cli/audit.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "accounting/process.h"
#include "accounting/stock_word.h"
#include "base/units.h"
#include "cli/process_maps.h"
#include "cli/remote_tables.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// For each thread but the first an address in its stack: the C library keeps
// the head of its list of robust locks in the thread's descriptor, which lies
// at the top of the stack.
std::vector<uint64_t> stack_addresses(pid_t pid) {
  std::vector<uint64_t> addresses;
  std::error_code error;
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const int thread = std::atoi(entry.path().filename().c_str());
    uint64_t head = 0;
    size_t size = 0;
    if (thread != pid &&
        ::syscall(SYS_get_robust_list, thread, &head, &size) == 0) {
      addresses.push_back(head);
    }
  }
  return addresses;
}

// Pages that its threads have charged ahead.
int64_t stock_of(uint32_t process) {
  int64_t pages = 0;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != process + 1) continue;
    for (const auto& slot : line.slots) {
      pages += StockWord(slot.load(kRelaxed)).pages();
    }
    pages += StockWord(line.reservation.load(kRelaxed)).pages();
  }
  return pages;
}

class Auditor {
 public:
  Auditor(uint32_t slot, ProcessAudit* audit)
      : slot_(slot), audit_(*audit), tables_(audit->pid) {}

  // 0 or an error number.
  int run() {
    const ProcessSlot& slot = *g_segment.process(slot_);
    std::vector<Mapping> mappings;
    int error = read_mappings(audit_.pid, true, &mappings);
    if (error == 0) error = pages_.open(audit_.pid);
    // acquire: pairs with publish_page_table().
    if (error == 0) {
      error = tables_.open(slot.page_table.load(std::memory_order_acquire),
                           slot.accounts.load(std::memory_order_acquire));
    }
    stacks_ = stack_addresses(audit_.pid);
    for (size_t i = 0; i < mappings.size() && error == 0; ++i) {
      error = add(mappings[i]);
    }
    explain_charged();
    return error;
  }

 private:
  int add(const Mapping& mapping) {
    audit_.resident += mapping.resident;
    int64_t others = mapping.resident;
    if (mapping.inode == 0 && !mapping.shared()) {
      const int64_t found = audit_.heap + audit_.inherited;
      if (int error = add_heap(mapping); error != 0) return error;
      others -= audit_.heap + audit_.inherited - found;
    }
    part_of(mapping) += std::max<int64_t>(others, 0);
    return 0;
  }

  // The pages of it that are charged.
  int add_heap(const Mapping& mapping) {
    return tables_.for_each_slice(
        mapping.start, mapping.end, [&](uint64_t slice, SliceWord word) {
          const uint32_t mask = (word.used() | word.cached()) &
                                page_mask(slice, mapping.start, mapping.end);
          Owner owner{};
          if (mask == 0 || tables_.find_owner(word.owner(), &owner) != 0) {
            return;
          }
          const int64_t resident = resident_of(slice, mask);
          (owner.inherited ? audit_.inherited : audit_.heap) += resident;
          if (!owner.inherited) {
            in_table_ += pages_in(mask) << kPageShift;
          }
        });
  }

  int64_t resident_of(uint64_t slice, uint32_t mask) {
    int64_t pages = 0;
    for (unsigned i = 0; i < kSlicePages; ++i) {
      pages += (mask >> i & 1) != 0 && pages_.has(slice + i * kPageSize);
    }
    return pages << kPageShift;
  }

  // Where resident memory of that mapping belongs.
  int64_t& part_of(const Mapping& mapping) {
    if (mapping.shared()) return audit_.shared;
    if (mapping.inode != 0) return audit_.libraries;
    if (mapping.name == "[stack]") return audit_.stacks;
    for (uint64_t address : stacks_) {
      if (mapping.has(address)) return audit_.stacks;
    }
    return audit_.anonymous;
  }

  void explain_charged() {
    const int64_t ahead = stock_of(slot_) << kPageShift;
    audit_.untouched = std::max<int64_t>(0, in_table_ - audit_.heap) + ahead;
    audit_.records =
        std::max<int64_t>(0, audit_.charged - audit_.heap - audit_.untouched);
  }

  const uint32_t slot_;
  ProcessAudit& audit_;
  RemoteTables tables_;
  ResidentPages pages_;
  std::vector<uint64_t> stacks_;
  int64_t in_table_ = 0;  // bytes of the heap, resident or not
};

}  // namespace

ProcessAudit audit_process(const ProcessSample& process) {
  ProcessAudit audit;
  audit.pid = process.pid;
  audit.charged = process.charged;
  const uint32_t slot = process.pid > 0 && !process.ended
                            ? find_process(g_segment, process.pid)
                            : kNone;
  audit.error = slot != kNone ? Auditor(slot, &audit).run() : ESRCH;
  return audit;
}

}  // namespace umemcg

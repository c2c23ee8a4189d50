// The malloc family's reports and knobs: truthful where they can be, harmless
// elsewhere.

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "accounting/report.h"
#include "accounting/stat_line.h"
#include "alloc/heap.h"
#include "alloc/mimalloc_calls.h"
#include "base/attributes.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "shim/init.h"
#include "stock/current.h"

namespace umemcg {
namespace {

struct HeapSizes {  // bytes, of this process's group
  size_t used = 0;
  size_t cached = 0;
};

HeapSizes heap_sizes() {
  Account* account = current_account();
  if (state() != State::kReady || account == nullptr) return {};
  int64_t stats[kStats];
  read_stats(g_segment, account->group.load(std::memory_order_relaxed), false,
             stats);
  auto bytes = [&stats](Stat stat) {
    return static_cast<size_t>(stats[static_cast<int>(stat)]) << kPageShift;
  };
  return {bytes(Stat::kUsed), bytes(Stat::kCached)};
}

void write_stderr(const TextBuffer& text, void*) {
  sys::write(2, text.c_str(), text.length());
}

}  // namespace
}  // namespace umemcg

using umemcg::heap_sizes;
using umemcg::HeapSizes;
using umemcg::state;
using umemcg::State;

extern "C" {

UMEMCG_EXPORT int malloc_trim(size_t) {
  umemcg::ErrnoSaver saver;
  if (state() != State::kReady) {
    mi_collect(true);
    return 1;
  }
  return umemcg::trim_allocator() != 0;
}

UMEMCG_EXPORT struct mallinfo2 mallinfo2(void) {
  HeapSizes sizes = heap_sizes();
  struct mallinfo2 info = {};
  info.arena = sizes.used + sizes.cached;
  info.uordblks = sizes.used;
  info.fordblks = sizes.cached;
  info.keepcost = sizes.cached;
  return info;
}

UMEMCG_EXPORT struct mallinfo mallinfo(void) {
  HeapSizes sizes = heap_sizes();
  struct mallinfo info = {};
  info.arena = static_cast<int>(sizes.used + sizes.cached);
  info.uordblks = static_cast<int>(sizes.used);
  info.fordblks = static_cast<int>(sizes.cached);
  info.keepcost = static_cast<int>(sizes.cached);
  return info;
}

UMEMCG_EXPORT void malloc_stats(void) {
  if (state() != State::kReady) return;
  umemcg::write_report(umemcg::g_segment, umemcg::write_stderr, nullptr);
}

UMEMCG_EXPORT int malloc_info(int options, FILE* stream) {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  HeapSizes sizes = heap_sizes();
  fprintf(stream,
          "<malloc version=\"1\">\n"
          "<system type=\"current\" size=\"%zu\"/>\n"
          "<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
          "</malloc>\n",
          sizes.used + sizes.cached, sizes.cached);
  return 0;
}

// The parameters are glibc's own; none of them means anything here.
UMEMCG_EXPORT int mallopt(int, int) { return 1; }

}  // extern "C"

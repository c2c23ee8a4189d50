#include "alloc/fork.h"

#include <sys/mman.h>

#include "base/sys.h"
#include "base/units.h"

namespace umemcg {
namespace {
constinit std::atomic<bool> no_page{true};
void do_nothing() {}
}  // namespace

constinit std::atomic<bool>* g_same_process = &no_page;
constinit Hook<void()> g_fork_child_hook{do_nothing};

void map_fork_page() {
  int error;
  void* page = sys::map_anonymous(kPageSize, PROT_READ | PROT_WRITE, &error);
  if (page == nullptr) return;
  if (sys::advise(page, kPageSize, MADV_WIPEONFORK) != 0) {
    sys::unmap(page, kPageSize);
    return;
  }
  g_same_process = static_cast<std::atomic<bool>*>(page);
  mark_this_process();
}

void mark_this_process() {
  g_same_process->store(true, std::memory_order_relaxed);
}

}  // namespace umemcg

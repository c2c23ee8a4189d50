#include "tests/unit/alloc/fake_mimalloc.h"

#include "base/units.h"

namespace umemcg {

std::vector<ManagedRange> g_managed_ranges;
bool g_takes_ranges = true;

bool ManagedRange::commit_pages(size_t page, size_t count,
                                bool* is_zero) const {
  return commit(true, start + page * kPageSize, count * kPageSize, is_zero,
                argument);
}

void ManagedRange::decommit_pages(size_t page, size_t count) const {
  commit(false, start + page * kPageSize, count * kPageSize, nullptr, argument);
}

}  // namespace umemcg

extern "C" {

bool mi_manage_memory(void* start, size_t size, bool, bool, bool, int, bool,
                      mi_commit_fun_t* commit, void* argument,
                      mi_arena_id_t*) noexcept {
  if (!umemcg::g_takes_ranges) return false;
  umemcg::g_managed_ranges.push_back(
      {static_cast<char*>(start), size, commit, argument});
  return umemcg::g_managed_ranges.back().commit_pages(0, 16, nullptr);
}

void mi_option_set(mi_option_t, long) {}
long mi_option_get(mi_option_t) { return 0; }
void* mi_malloc(size_t) noexcept { return nullptr; }

}  // extern "C"

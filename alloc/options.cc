#include "alloc/options.h"

#include <mimalloc.h>

#include <cstddef>

namespace umemcg {
namespace {

struct Option {
  mi_option_t option;
  long value;
};

constexpr Option kOptions[] = {
    {mi_option_arena_reserve, 0},  // no arena that our hook does not see
    {mi_option_purge_delay, 0},    // freed pages reach the hook at once
    {mi_option_arena_purge_mult, 1},
    {mi_option_purge_decommits, 1},
    {mi_option_page_commit_on_demand, 1},  // commit by 16 KiB, not by 4 MiB
    {mi_option_arena_eager_commit, 0},
    {mi_option_arena_max_object_size, 2 * 1024 * 1024},  // KiB: the default
    {mi_option_allow_large_os_pages, 0},
    {mi_option_disallow_os_alloc, 0},
    {mi_option_disallow_arena_alloc, 0},
    {mi_option_arena_purge_min_size, 0},
    {mi_option_destroy_on_exit, 0},
    {mi_option_show_errors, 0},
};
constexpr size_t kOptionCount = sizeof(kOptions) / sizeof(kOptions[0]);

constinit long values_before[kOptionCount];

}  // namespace

void forbid_startup_arenas() {
  mi_option_set(mi_option_reserve_huge_os_pages, 0);
  mi_option_set(mi_option_reserve_os_memory, 0);
}

void set_options() {
  forbid_startup_arenas();
  for (size_t i = 0; i < kOptionCount; ++i) {
    values_before[i] = mi_option_get(kOptions[i].option);
    mi_option_set(kOptions[i].option, kOptions[i].value);
  }
}

void restore_options() {
  for (size_t i = 0; i < kOptionCount; ++i) {
    mi_option_set(kOptions[i].option, values_before[i]);
  }
}

}  // namespace umemcg

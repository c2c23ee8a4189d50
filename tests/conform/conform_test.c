// Runs every row and behaviour and prints what failed and what was skipped.
//
//   conform_test          every case; exit 0 when none failed
//   conform_test umemcg   the same, and fails unless umemcg serves malloc
//
// Run plain, preloaded and under `umemcg run`: tests/conform/CMakeLists.txt.

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/conform/conform.h"

static const char* running = "";
static const char* skipped;
static int failures;
static int cases;
static int skips;
static int presets[] = {0, EINVAL, 4711};

void ExpectAt(bool ok, const char* file, int line, const char* text) {
  if (ok) return;
  failures++;
  printf("FAIL %s: %s:%d: %s\n", running, file, line, text);
}

void SkipBehaviour(const char* why) { skipped = why; }

static bool Skip(const char* why) {
  skips++;
  printf("SKIP %s: %s\n", running, why);
  return true;
}

static bool OnUmemcg(void) { return dlsym(RTLD_DEFAULT, "umemcg_get") != NULL; }

// Any other allocator may be preloaded to look at; only glibc's own is known
// to differ in the ways that the table names.
static bool OnGlibc(void) {
  Dl_info info;
  void* found = dlsym(RTLD_DEFAULT, "malloc");
  return found != NULL && dladdr(found, &info) != 0 &&
         strstr(info.dli_fname, "libc.so") != NULL;
}

static void RunRows(void) {
  static char name[120];
  running = name;
  for (size_t i = 0; i < kRowCount; i++) {
    const struct Row* row = &kRows[i];
    int end = snprintf(name, sizeof(name), "%s(0x%zx, 0x%zx)",
                       CallName(row->call), row->a, row->b);
    cases++;
    if (row->glibc != NULL && OnGlibc() && Skip(row->glibc)) continue;
    for (size_t j = 0; j < sizeof(presets) / sizeof(presets[0]); j++) {
      snprintf(name + end, sizeof(name) - (size_t)end, " with errno %d before",
               presets[j]);
      RunRow(row, presets[j]);
    }
  }
}

static void RunBehaviours(void) {
  for (size_t i = 0; i < kBehaviourCount; i++) {
    const struct Behaviour* behaviour = &kBehaviours[i];
    running = behaviour->name;
    cases++;
    skipped = NULL;
    behaviour->run();
    if (skipped != NULL) Skip(skipped);
  }
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  bool wants_umemcg = argc > 1 && strcmp(argv[1], "umemcg") == 0;
  if (wants_umemcg && !OnUmemcg()) {
    printf("FAIL umemcg does not serve malloc here\n");
    return 1;
  }
  RunRows();
  RunBehaviours();
  printf("%d cases, %d skipped, %d failures\n", cases, skips, failures);
  return failures == 0 ? 0 : 1;
}

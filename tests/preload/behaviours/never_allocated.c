// A group that never allocated reads exactly 0: what umemcg and mimalloc need
// to start is the root group's.

#include "tests/preload/behaviours/support.h"

int main(void) {
  long long first = Figure("memory.current");
  Deadline(30);
  if (first < 0) Skip("no umemcg_get: not under umemcg");
  Say("memory.current %lld at the start\n", first);
  CHECK(first == 0);
  return 0;
}

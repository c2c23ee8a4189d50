// 50 MiB of malloc, touched, read between 50 and 53 MiB; after free and
// malloc_trim the group is back under 2 MiB.
//
//   accuracy BLOCK_SIZE [MOST_MIB]

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/preload/behaviours/support.h"

int main(int argc, char** argv) {
  Deadline(30);
  size_t block_size = argc > 1 ? strtoul(argv[1], NULL, 0) : MIB;
  size_t most = argc > 2 ? strtoul(argv[2], NULL, 0) : 53;
  size_t count = 50 * MIB / block_size;
  struct Ballast* blocks = NULL;
  long long before = Figure("memory.current");
  for (size_t i = 0; i < count; i++) {
    struct Ballast* block = malloc(block_size);
    CHECK(block != NULL);
    memset(block, 1, block_size);
    block->next = blocks;
    blocks = block;
  }
  long long full = Figure("memory.current");
  Drop(&blocks);
  int released = malloc_trim(0);
  CHECK(released == 0 || released == 1);
  long long after = Figure("memory.current");
  Say("before %lld, full %lld, after %lld bytes\n", before, full, after);
  if (full < 0) Skip("no umemcg_get: not under umemcg");
  CHECK(before <= (long long)(2 * MIB));
  CHECK(full >= (long long)(50 * MIB));
  CHECK(full <= (long long)(most * MIB));
  CHECK(after < (long long)(2 * MIB));
  CHECK(Figure("memory.peak") >= full);
  return 0;
}

// A program with a malloc of its own runs as it is; umemcg says that it is not
// accounted.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/preload/behaviours/support.h"

static char heap[4 * MIB] __attribute__((aligned(16)));
static size_t used;

// Bump allocation; each block's size stands before it.
void* malloc(size_t size) {
  size_t room = (size + 31) & ~(size_t)15;
  if (size > sizeof(heap) || room > sizeof(heap) - used) return NULL;
  char* block = heap + used + 16;
  used += room;
  memcpy(block - 16, &size, sizeof(size));
  return block;
}

void free(void* block) { (void)block; }

void* calloc(size_t count, size_t size) {
  if (size != 0 && count > sizeof(heap) / size) return NULL;
  return malloc(count * size);  // never used before: zero
}

void* realloc(void* block, size_t size) {
  void* moved = malloc(size);
  if (block == NULL || moved == NULL) return moved;
  size_t old;
  memcpy(&old, (char*)block - 16, sizeof(old));
  return memcpy(moved, block, old < size ? old : size);
}

int main(void) {
  char* block = malloc(1000);
  CHECK(block >= heap && block < heap + sizeof(heap));
  char* copy = strdup("libc uses it too");
  CHECK(copy >= heap && copy < heap + sizeof(heap));
  free(copy);
  free(block);
  return 0;
}

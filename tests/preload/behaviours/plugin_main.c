// A C program that opens a C++ plugin with RTLD_LOCAL; the plugin catches
// bad_alloc at the limit. Run with a limit of 64 MiB.
//
//   plugin_main PLUGIN.so

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/preload/behaviours/support.h"

int main(int argc, char** argv) {
  Deadline(30);
  CHECK(argc == 2);
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (plugin == NULL) Say("%s\n", dlerror());
  CHECK(plugin != NULL);
  int (*fill)(void) = (int (*)(void))(uintptr_t)dlsym(plugin, "PluginFill");
  CHECK(fill != NULL);
  for (int round = 0; round < 3; round++) {
    int got = fill();
    Say("the plugin got %d MiB\n", got);
    CHECK(got > 20 && got < 64);
  }
  CHECK(dlclose(plugin) == 0);
  free(malloc(MIB));
  return 0;
}

// libumemcg.so for a program whose malloc is to stay as it is. libumemcg.so and
// libmimalloc.so both define malloc, so they are loaded beside the program
// rather than linked to it:
//
//   RTLD_LOCAL     nobody else finds their malloc
//   RTLD_DEEPBIND  they find their own first: mimalloc's mmap is the one that
//                  libumemcg.so accounts
//
// It is found as any library of that name is: by the RUNPATH of the program or
// library that this is linked into (the CMake target sets one), LD_LIBRARY_PATH
// and the system's cache.

#include "shim/new_link/load_library.h"

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

namespace {

iovec piece(const char* text) {
  return {const_cast<char*>(text), std::strlen(text)};
}

// One line, in one write: the program's own stdio may not be ready yet.
void say_not_accounted(const char* why) {
  const iovec line[] = {
      piece("umemcg: not accounted: operator new is malloc, since "),
      piece(why != nullptr ? why : "libumemcg.so is of another version"),
      piece("\n")};
  // There is nobody to tell if stderr is closed.
  [[maybe_unused]] ssize_t written = ::writev(STDERR_FILENO, line, 3);
}

}  // namespace

const umemcg::ApiTable* umemcg_load_library() {
  // Never closed: it has the program's memory.
  void* library =
      ::dlopen("libumemcg.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  void* found =
      library != nullptr ? ::dlsym(library, "umemcg_api_v1") : nullptr;
  if (found == nullptr) say_not_accounted(::dlerror());
  return static_cast<const umemcg::ApiTable*>(found);
}

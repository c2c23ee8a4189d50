// operator new at link time where libumemcg.so cannot be found: a line on
// stderr, and malloc for the whole life of the process.

#include <umemcg/umemcg.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

int main() {
  std::vector<std::string> strings;
  for (size_t i = 0; i < 1000; ++i) strings.emplace_back(i, 'x');
  std::thread([&] { strings.clear(); }).join();
  struct alignas(512) Wide {
    char bytes[512];
  };
  const auto wide = std::make_unique<Wide>();
  const bool aligned = reinterpret_cast<uintptr_t>(wide.get()) % 512 == 0;
  errno = 0;
  const bool unsupported =
      umemcg_group_open("/a", UMEMCG_CREATE) == nullptr && errno == ENOSYS;
  std::printf("aligned %d, unsupported %d\n", aligned, unsupported);
  return 0;
}

// What it makes by new is charged, what it mallocs is not: prints its own
// memory.current.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <umemcg/umemcg.hpp>

int main() {
  const std::string text(1 << 20, 'x');
  void* block = std::malloc(1 << 20);
  const bool right =
      umemcg_owner(text.data()) != nullptr && umemcg_owner(block) == nullptr;
  std::free(block);
  std::printf("%s\n", umemcg::group().get("memory.current").c_str());
  return right ? 0 : 1;
}

// An index with a limit of its own, in a program that only replaces operator
// new: its std::pmr containers are charged to the group /index, everything else
// that is made by new to the group of the process, and malloc stays the C
// library's.
//
//   c++ -std=c++17 index.cc $(pkg-config --cflags --libs umemcg-new)
#include <umemcg/umemcg.hpp>

#include <cstdio>
#include <memory_resource>
#include <string>
#include <unordered_map>

int main() {
  // [readme]
  umemcg::group group = umemcg::group::create("/index");
  group.set("memory.max", "8M");
  umemcg::memory_resource memory(group);
  std::pmr::unordered_map<int, std::pmr::string> index(&memory);
  // [/readme]

  // Fills it until it is full, then forgets half and goes on: twice.
  int next = 0;
  for (int round = 0; round < 2; ++round) {
    try {
      for (;; ++next) index.try_emplace(next, 1000, 'x');
    } catch (const std::bad_alloc&) {
      std::printf("full with %zu entries, %s of %s bytes\n", index.size(),
                  group.get("memory.current").c_str(),
                  group.get("memory.max").c_str());
    }
    for (int i = 0; i < next; i += 2) index.erase(i);
    std::printf("%zu entries left\n", index.size());
  }
  return 0;
}

// A C++ plugin of a C program: meets the limit and handles that itself.

#include <cstddef>
#include <new>
#include <string>
#include <vector>

// Fills memory with operator new until bad_alloc; returns how many blocks of
// 1 MiB it got, or -1 when something else was thrown.
extern "C" __attribute__((visibility("default"))) int PluginFill() {
  std::vector<std::string> held;
  try {
    for (int i = 0; i < 2000; ++i) held.emplace_back(1 << 20, 'x');
  } catch (const std::bad_alloc&) {
    return static_cast<int>(held.size());
  } catch (...) {
    return -1;
  }
  return -2;
}

// operator new at the limit: bad_alloc, the new_handler, nothrow, and a
// program that goes on afterwards. Run with a limit of 64 MiB.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "tests/preload/behaviours/support.h"

namespace {

constexpr std::size_t kBig = 8 * MIB;
constexpr auto kAlign = std::align_val_t{256};
void* cushion = nullptr;
int handler_calls = 0;

template <typename Call>
bool Throws(Call call) {
  try {
    call();
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

void EveryFormThrows() {
  volatile std::size_t most = SIZE_MAX / 2;
  CHECK(Throws([] { return ::operator new(kBig); }));
  CHECK(Throws([] { return ::operator new[](kBig); }));
  CHECK(Throws([] { return ::operator new(kBig, kAlign); }));
  CHECK(Throws([] { return ::operator new[](kBig, kAlign); }));
  CHECK(Throws([] { return ::operator new(300 * MIB); }));
  CHECK(Throws([] { return ::operator new(300 * MIB, kAlign); }));
  CHECK(Throws([most] { return ::operator new(most); }));
  CHECK(Throws([most] { return ::operator new(most, kAlign); }));
}

void NothrowIsNull() {
  volatile std::size_t most = SIZE_MAX / 2;
  CHECK(::operator new(kBig, std::nothrow) == nullptr);
  CHECK(::operator new[](kBig, std::nothrow) == nullptr);
  CHECK(::operator new(kBig, kAlign, std::nothrow) == nullptr);
  CHECK(::operator new[](kBig, kAlign, std::nothrow) == nullptr);
  CHECK(::operator new(300 * MIB, std::nothrow) == nullptr);
  CHECK(::operator new(most, std::nothrow) == nullptr);
}

void HandlerFreesCushion() {
  ++handler_calls;
  std::free(cushion);
  cushion = nullptr;
  std::set_new_handler(nullptr);
}

void HandlerGivesUpAtThird() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct OwnException : std::bad_alloc {};

void HandlerThrows() { throw OwnException(); }

// The handler makes room, and the same call succeeds.
void HandlerIsHonoured() {
  CHECK(cushion != nullptr);
  handler_calls = 0;
  std::set_new_handler(HandlerFreesCushion);
  void* block = ::operator new(kBig);
  CHECK(block != nullptr);
  CHECK(handler_calls == 1);
  ::operator delete(block);
}

void HandlerIsCalledUntilItGivesUp() {
  for (int form = 0; form < 4; ++form) {
    handler_calls = 0;
    std::set_new_handler(HandlerGivesUpAtThird);
    if (form == 0) CHECK(Throws([] { return ::operator new(kBig); }));
    if (form == 1) CHECK(Throws([] { return ::operator new(kBig, kAlign); }));
    if (form == 2) CHECK(::operator new(kBig, std::nothrow) == nullptr);
    if (form == 3) CHECK(::operator new(kBig, kAlign, std::nothrow) == nullptr);
    CHECK(handler_calls == 3);
  }
}

void HandlersExceptionComesThrough() {
  std::set_new_handler(HandlerThrows);
  bool own = false;
  try {
    ::operator delete(::operator new(kBig));
  } catch (const OwnException&) {
    own = true;
  }
  CHECK(own);
  // nothrow new swallows what the handler throws.
  CHECK(::operator new(kBig, std::nothrow) == nullptr);
  std::set_new_handler(nullptr);
}

// A container that meets the limit keeps what it held.
void ContainersSurvive() {
  std::vector<std::unique_ptr<std::string>> held;
  bool full = false;
  try {
    for (;;) held.push_back(std::make_unique<std::string>(5000, 'x'));
  } catch (const std::bad_alloc&) {
    full = true;
  }
  CHECK(full);
  for (const auto& text : held) CHECK(text->size() == 5000);
  const std::string message = "after " + std::to_string(held.size()) + " more";
  CHECK(!message.empty());
  held.clear();
  std::map<int, std::string> map;
  for (int i = 0; i < 1000; ++i) map[i] = std::string(100, 'y');
  CHECK(map.size() == 1000);
}

// Sized, aligned and array forms of delete all find their block.
void EveryFormOfDelete() {
  const std::align_val_t align{64};
  for (std::size_t size : {1UL, 100UL, 5000UL, 200000UL}) {
    ::operator delete(::operator new(size));
    ::operator delete(::operator new(size), size);
    ::operator delete(::operator new(size), std::nothrow);
    ::operator delete[](::operator new[](size));
    ::operator delete[](::operator new[](size), size);
    ::operator delete(::operator new(size, align), align);
    ::operator delete(::operator new(size, align), size, align);
    ::operator delete[](::operator new[](size, align), align);
    ::operator delete[](::operator new[](size, align), size, align);
    ::operator delete(::operator new(size, std::nothrow));
    ::operator delete(::operator new(size, align, std::nothrow), align);
    void* aligned = ::operator new(size, align);
    CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0);
    ::operator delete(aligned, align, std::nothrow);
  }
  ::operator delete(nullptr);
  ::operator delete[](nullptr);
  void* empty = ::operator new(0);
  CHECK(empty != nullptr);
  ::operator delete(empty);
}

}  // namespace

int main() {
  Deadline(60);
  EveryFormOfDelete();
  Ballast* ballast = nullptr;
  cushion = std::malloc(12 * MIB);
  CHECK(cushion != nullptr);
  std::memset(cushion, 1, 12 * MIB);
  CHECK(Fill(&ballast, MIB) > 20);
  EveryFormThrows();
  NothrowIsNull();
  HandlerIsHonoured();
  CHECK(Fill(&ballast, MIB) > 0);
  HandlerIsCalledUntilItGivesUp();
  HandlersExceptionComesThrough();
  Drop(&ballast);
  CHECK(Fill(&ballast, MIB) > 20);
  for (int i = 0; i < 4; ++i) {
    // Leave a little room for the containers to fill.
    Ballast* next = ballast->next;
    std::free(ballast);
    ballast = next;
  }
  ContainersSurvive();
  Drop(&ballast);
  return 0;
}

// A process as libumemcg.so makes it, without the library: the layers below
// shim/ over the real mimalloc. The test's own malloc is the C library's, so
// that what is charged is what the test asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "accounting/account.h"
#include "alloc/page_table.h"
#include "tests/unit/stock/world.h"

namespace umemcg {

// Starts accounting, once: in private memory, or in a domain.
void start_process();
void start_domain_process();

// malloc and free of the program.
void* grab(size_t size);
void release(void* block);

// A thread of the program, as pthread_create starts it: in its creator's group.
class ProgramThread {
 public:
  explicit ProgramThread(std::function<void()> body);
  ~ProgramThread() { join(); }
  ProgramThread(ProgramThread&&) = default;
  void join();

 private:
  std::thread thread_;
};

// Whose page it is.
Account* owner(const void* block);

// Pages that the thread's heaps hold but no block: given back.
void settle();

// Removes the account's group; then all that can go of what is removed goes.
int remove(Account& account);
// Until the account is released, or for `ms`; whether it is.
bool wait_released(const Account& account, uint32_t generation, int ms = 2000);

// Page table, stocks, ledgers and counters of all accounts against each other;
// with no other thread at work. `what` is said with a failure.
void expect_exact(const char* what);

}  // namespace umemcg

// Pieces of a test that run in processes of their own, and the memory that
// they share with it. Forked, so the test must have no other threads then.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <new>
#include <string>

namespace umemcg::test {

// A child that runs beside the test. EXPECT_ and ASSERT_ failures in it are
// printed and make it exit with 1.
class Child {
 public:
  explicit Child(const std::function<void()>& body);
  // Kills it, if it was not waited for.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Waits for its end: 0 when all went well, its exit code, or 256 plus the
  // signal that killed it.
  int wait();
  // SIGKILL, and waits.
  void kill();

 private:
  pid_t pid_;
  bool ended_ = false;
};

struct ChildOutcome {
  int code;                // as Child::wait()
  std::string error_text;  // what it wrote to stderr
};

// Runs `body` in a child to its end, with its stderr caught.
ChildOutcome run_child(const std::function<void()>& body);

// A T that all children forked later share with the test, made of zero bytes.
template <typename T>
class Shared {
 public:
  Shared() {
    void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    value_ = new (memory) T;
  }
  ~Shared() { ::munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T* operator->() { return value_; }
  T& operator*() { return *value_; }

 private:
  T* value_;
};

// Waits, at most a minute, until `done` says so; whether it did.
bool wait_until(const std::function<bool()>& done);

}  // namespace umemcg::test

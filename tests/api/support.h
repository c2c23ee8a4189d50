// What the tests of the public interface share.
#pragma once

#include <gtest/gtest.h>
#include <umemcg/umemcg.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

namespace api_test {

inline constexpr size_t kMiB = size_t{1} << 20;

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A control file's content; empty with errno.
inline std::string get(umemcg_group* group, const char* file) {
  char content[8192];
  const ssize_t length = umemcg_get(group, file, content, sizeof(content));
  return length < 0 ? std::string() : std::string(content);
}

// Its first number.
inline int64_t number(umemcg_group* group, const char* file) {
  return std::strtoll(get(group, file).c_str(), nullptr, 10);
}

// The value of a key in a keyed file; -1 if there is none.
inline int64_t value_of(umemcg_group* group, const char* file,
                        const std::string& key) {
  std::istringstream lines(get(group, file));
  std::string name;
  int64_t value;
  while (lines >> name >> value) {
    if (name == key) return value;
  }
  return -1;
}

inline std::string path(umemcg_group* group) {
  char text[4096];
  const char* found = umemcg_group_path(group, text, sizeof(text));
  return found != nullptr ? found : "";
}

// Tests after which the thread is where it was.
class InGroups : public testing::Test {
 protected:
  ~InGroups() override { umemcg_thread_set(nullptr, nullptr); }
};

// errno after a call that must have failed.
template <typename Call>
int error_of(Call call) {
  errno = 0;
  call();
  return errno;
}

// A group for one test, closed at its end.
class Opened {
 public:
  explicit Opened(const char* at, int flags = UMEMCG_CREATE)
      : group_(umemcg_group_open(at, flags)) {
    EXPECT_NE(group_, nullptr) << at << ": " << std::strerror(errno);
  }
  ~Opened() { umemcg_group_close(group_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  operator umemcg_group*() const { return group_; }

 private:
  umemcg_group* group_;
};

inline umemcg_group* as_handle(uint64_t bits) {
  return reinterpret_cast<umemcg_group*>(bits);
}
inline uint64_t bits_of(umemcg_group* group) {
  return reinterpret_cast<uint64_t>(group);
}

// A block, touched, so that the compiler keeps it.
inline void* touched(void* block, size_t size) {
  if (block != nullptr) std::memset(block, 1, size);
  return block;
}

}  // namespace api_test

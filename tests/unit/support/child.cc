#include "tests/unit/support/child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

namespace umemcg::test {
namespace {

[[noreturn]] void live_as_child(const std::function<void()>& body,
                                pid_t parent) {
  // A test that is killed leaves no child behind.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "exception: " << error.what();
  }
  std::fflush(stdout);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

std::string contents_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  return text;
}

}  // namespace

Child::Child(const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) live_as_child(body, parent);
  if (pid_ < 0) {
    ADD_FAILURE() << "fork failed";
    ended_ = true;
  }
}

Child::~Child() {
  if (!ended_) kill();
}

int Child::wait() {
  int status = 0;
  if (ended_ || ::waitpid(pid_, &status, 0) != pid_) return -1;
  ended_ = true;
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

void Child::kill() {
  ::kill(pid_, SIGKILL);
  wait();
}

ChildOutcome run_child(const std::function<void()>& body) {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) return {-1, "no temporary file"};
  Child child([&] {
    ::dup2(::fileno(file), 2);
    body();
  });
  int code = child.wait();
  ChildOutcome outcome{code, contents_of(file)};
  std::fclose(file);
  return outcome;
}

bool wait_until(const std::function<bool()>& done) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

}  // namespace umemcg::test

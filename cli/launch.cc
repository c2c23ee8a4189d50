#include "cli/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace umemcg {
namespace {

constexpr std::array kForwarded = {
    SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,  SIGUSR1, SIGUSR2, SIGALRM,  SIGCONT,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH, SIGPIPE, SIGURG,  SIGVTALRM};

volatile sig_atomic_t child_pid = 0;

// What a terminal sends goes to the whole foreground process group, the child
// included: only what was sent to this process is passed on.
void forward(int signal, siginfo_t* info, void*) {
  if (child_pid > 0 && info->si_code <= 0) ::kill(child_pid, signal);
}

void catch_signals(sigset_t* before) {
  sigset_t forwarded;
  sigemptyset(&forwarded);
  struct sigaction action = {};
  action.sa_sigaction = forward;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  for (int signal : kForwarded) {
    sigaddset(&forwarded, signal);
  }
  // Blocked until there is a child to send them to.
  sigprocmask(SIG_BLOCK, &forwarded, before);
  for (int signal : kForwarded) {
    struct sigaction old;
    ::sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

[[noreturn]] void execute(const Launch& launch, const sigset_t& mask,
                          int error_fd) {
  for (int signal : kForwarded) {
    struct sigaction now;
    ::sigaction(signal, nullptr, &now);
    if (now.sa_handler != SIG_IGN) ::signal(signal, SIG_DFL);
  }
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  for (const auto& [name, value] : launch.environment) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> argv;
  for (const std::string& argument : launch.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  ::execv(launch.program.c_str(), argv.data());
  int error = errno;
  if (error == ENOEXEC) {  // a script without #!, as shells run it
    argv.insert(argv.begin(), const_cast<char*>("/bin/sh"));
    argv[1] = const_cast<char*>(launch.program.c_str());
    ::execv("/bin/sh", argv.data());
  }
  if (::write(error_fd, &error, sizeof(error)) < 0) ::_exit(126);
  ::_exit(126);
}

int wait_for(pid_t child) {
  int status;
  for (;;) {
    pid_t got = ::waitpid(child, &status, WUNTRACED);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return 125;
    if (WIFSTOPPED(status)) {
      // By a terminal: stop along with it, and wake it with us. SIGSTOP is for
      // it alone, and whoever sent that makes it go on (cgroup.freeze).
      if (WSTOPSIG(status) == SIGSTOP) continue;
      ::raise(SIGSTOP);
      ::kill(child, SIGCONT);
      continue;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

}  // namespace

int launch_and_wait(const Launch& launch) {
  int error_pipe[2];
  if (::pipe2(error_pipe, O_CLOEXEC) != 0) return 125;
  sigset_t before;
  catch_signals(&before);
  pid_t child = ::fork();
  if (child == 0) execute(launch, before, error_pipe[1]);
  int fork_error = errno;
  child_pid = child;
  ::close(error_pipe[1]);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) {
    std::cerr << "umemcg: no new process: " << std::strerror(fork_error)
              << '\n';
    ::close(error_pipe[0]);
    return 125;
  }
  int error = 0;
  ssize_t got;
  do {
    got = ::read(error_pipe[0], &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  ::close(error_pipe[0]);
  int status = wait_for(child);
  child_pid = 0;
  if (got != sizeof(error)) return status;
  std::cerr << "umemcg: " << launch.program << ": " << std::strerror(error)
            << '\n';
  return error == ENOENT ? 127 : 126;
}

}  // namespace umemcg

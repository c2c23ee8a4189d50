// Makes a test of every fact that the probe knows, and runs each in a process
// of its own. The probe links libmimalloc; this program does not, because gtest
// allocates before main.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace umemcg {
namespace {

constexpr auto kDeadline = std::chrono::seconds(40);  // the probe's own is 30 s

struct FactLine {
  std::string suite;
  std::string name;
  std::string sentence;
  std::string dependence;
};

struct Result {
  int wait_status = -1;
  bool timed_out = false;
  std::string output;
};

std::string ReadAll(std::FILE* file) {
  std::string text;
  char buffer[4096];
  std::rewind(file);
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), file)) {
    text.append(buffer, count);
  }
  return text;
}

pid_t Spawn(const std::string& argument, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::string program = MIMALLOC_CONTRACT_PROBE;
  std::string copy = argument;
  char* const arguments[] = {program.data(), copy.data(), nullptr};
  pid_t child = -1;
  posix_spawn(&child, program.c_str(), &actions, &attributes, arguments,
              environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return child;
}

Result RunProbe(const std::string& argument) {
  Result result;
  std::FILE* const output = std::tmpfile();
  const pid_t child = Spawn(argument, fileno(output));
  const auto start = std::chrono::steady_clock::now();
  while (child > 0 && waitpid(child, &result.wait_status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() - start > kDeadline) {
      result.timed_out = true;
      kill(-child, SIGKILL);
      waitpid(child, &result.wait_status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (child > 0) {
    kill(-child, SIGKILL);  // whatever the fact forked
  }
  result.output = ReadAll(output);
  std::fclose(output);
  return result;
}

std::vector<FactLine> ListFacts() {
  std::vector<FactLine> facts;
  std::istringstream lines(RunProbe("--list").output);
  std::string line;
  while (std::getline(lines, line)) {
    FactLine fact;
    std::istringstream fields(line);
    std::getline(fields, fact.suite, '\t');
    std::getline(fields, fact.name, '\t');
    std::getline(fields, fact.sentence, '\t');
    std::getline(fields, fact.dependence, '\t');
    facts.push_back(fact);
  }
  return facts;
}

std::string HowItEnded(const Result& result) {
  if (result.timed_out || (WIFSIGNALED(result.wait_status) &&
                           WTERMSIG(result.wait_status) == SIGALRM)) {
    return "it did not return in time";
  }
  if (WIFSIGNALED(result.wait_status)) {
    return std::string("signal ") + strsignal(WTERMSIG(result.wait_status));
  }
  return "exit status " + std::to_string(WEXITSTATUS(result.wait_status));
}

class ContractTest : public testing::Test {
 public:
  explicit ContractTest(const FactLine& fact) : fact_(fact) {}

  void TestBody() override {
    const Result result = RunProbe(fact_.suite + "." + fact_.name);
    if (result.wait_status != 0) {
      ADD_FAILURE() << "mimalloc no longer keeps this fact:\n  "
                    << fact_.sentence << "\nWhat in umemcg depends on it:\n  "
                    << fact_.dependence
                    << "\nHow it ended: " << HowItEnded(result) << "\n"
                    << result.output;
    } else if (!result.output.empty()) {
      std::printf("note: %s", result.output.c_str());
    }
  }

 private:
  const FactLine fact_;
};

}  // namespace
}  // namespace umemcg

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::vector<umemcg::FactLine> facts = umemcg::ListFacts();
  if (facts.empty()) {
    std::fprintf(stderr, "%s lists no facts\n", MIMALLOC_CONTRACT_PROBE);
    return 1;
  }
  for (const umemcg::FactLine& fact : facts) {
    testing::RegisterTest(
        fact.suite.c_str(), fact.name.c_str(), nullptr, nullptr, __FILE__,
        __LINE__,
        [fact]() -> testing::Test* { return new umemcg::ContractTest(fact); });
  }
  const int status = RUN_ALL_TESTS();
  if (!GTEST_FLAG_GET(list_tests) &&
      testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::fprintf(stderr, "no fact has this name\n");
    return 1;
  }
  return status;
}

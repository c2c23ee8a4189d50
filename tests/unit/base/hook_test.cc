#include "base/hook.h"

#include <gtest/gtest.h>

#include <thread>

namespace umemcg {
namespace {

int nothing(int) { return -1; }
int twice(int value) { return 2 * value; }

// Callable before any constructor has run.
constinit Hook<int(int)> constant_hook{nothing};

TEST(Hook, CallsTheFallbackUntilInstalled) {
  EXPECT_EQ(constant_hook(4), -1);
  Hook<int(int)> hook{nothing};
  hook.install(twice);
  EXPECT_EQ(hook(4), 8);
  hook.install(nothing);
  EXPECT_EQ(hook(4), -1);
}

int* prepared = nullptr;
bool see_nothing() { return true; }
bool see_prepared() { return prepared != nullptr && *prepared == 7; }

// What the installer wrote before is visible to who is called (TSan would
// say otherwise).
TEST(Hook, PublishesWhatTheInstallerPrepared) {
  Hook<bool()> hook{see_nothing};
  int value = 0;
  std::thread caller([&] {
    for (int i = 0; i < 100000; ++i) ASSERT_TRUE(hook());
  });
  value = 7;
  prepared = &value;
  hook.install(see_prepared);
  caller.join();
  EXPECT_TRUE(hook());
}

}  // namespace
}  // namespace umemcg

// Reclaim in a domain: what a dead process had charged is given back.

#include <unistd.h>

#include "accounting/process.h"
#include "reclaim/charge.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

class ReclaimDomainTest : public AllocTest {
 protected:
  void SetUp() override {
    start_domain_world();
    AllocTest::SetUp();
    install_reclaim({false});
    account_->counter.load()->store_max(64);
  }
};

TEST_F(ReclaimDomainTest, TheDeadGiveBackWhatTheyHad) {
  const uint32_t group = account_->group;
  {
    test::Shared<std::atomic<bool>> charged;
    test::Child child([&] {
      set_thread_line(nullptr);
      ASSERT_EQ(0, attach_process(group, "child"));
      accounts_inherit();
      account_charge(*account_of(group), 60);
      charged->store(true);
      pause();
    });
    ASSERT_TRUE(test::wait_until([&] { return charged->load(); }));
    EXPECT_EQ(60, group_usage(group));
    TestRange range(4);
    EXPECT_FALSE(range.commit(0, 32));
    g_charge_slow_hook();
    EXPECT_FALSE(range.commit(0, 32));
    t_charge_record.armed = false;
    child.kill();
  }
  sys::sleep_ns(50'000'000);  // the dead are looked for now and then
  TestRange range(4);
  EXPECT_FALSE(range.commit(0, 32));
  g_charge_slow_hook();
  EXPECT_TRUE(range.commit(0, 32));
  EXPECT_EQ(32, group_usage(group));
}

}  // namespace
}  // namespace umemcg

// memory.oom.policy and memory.oom.group.

#include "accounting/oom_policy.h"

#include <cerrno>

#include "accounting/control_file.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

using test::group_at;
using test::make_group;

class OomPolicyTest : public test::PrivateSegmentTest {
 protected:
  void SetUp() override {
    PrivateSegmentTest::SetUp();
    group_ = make_group(segment_, "/a");
  }
  int set(const char* file, const std::string& value) {
    return find_control_file(file)->store(segment_, group_, value.c_str(),
                                          value.size());
  }
  std::string get(const char* file, uint32_t group) {
    Text<256> text;
    find_control_file(file)->show(segment_, group, text);
    return text.c_str();
  }

  uint32_t group_ = kNone;
};

TEST_F(OomPolicyTest, IsReadAsItIsWritten) {
  EXPECT_EQ(get("memory.oom.policy", group_), "fail\n");
  for (const char* value : {"kill", "callback", "fail", "wait 5"}) {
    EXPECT_EQ(set("memory.oom.policy", value), 0) << value;
    EXPECT_EQ(get("memory.oom.policy", group_), value + std::string("\n"));
  }
  EXPECT_EQ(set("memory.oom.policy", " wait\n"), 0);
  EXPECT_EQ(get("memory.oom.policy", group_), "wait 10000\n");
  EXPECT_EQ(set("memory.oom.policy", "wait   86400000"), 0);
  EXPECT_EQ(get("memory.oom.policy", group_), "wait 86400000\n");
}

TEST_F(OomPolicyTest, AnythingElseIsNoPolicy) {
  ASSERT_EQ(set("memory.oom.policy", "wait 7"), 0);
  for (const char* value : {"", "no", "kil", "kills", "kill 5", "fail 1",
                            "wait0", "wait 0", "wait -1", "wait 1s", "wait 1 2",
                            "wait 86400001", "wait 99999999999999999999"}) {
    EXPECT_EQ(set("memory.oom.policy", value), EINVAL) << value;
  }
  EXPECT_EQ(get("memory.oom.policy", group_), "wait 7\n");
}

TEST_F(OomPolicyTest, ANewGroupHasItsParents) {
  ASSERT_EQ(set("memory.oom.policy", "wait 7"), 0);
  ASSERT_EQ(set("memory.oom.group", "1"), 0);
  const uint32_t below = make_group(segment_, "/a/b");
  EXPECT_EQ(get("memory.oom.policy", below), "wait 7\n");
  EXPECT_EQ(get("memory.oom.group", below), "0\n");
}

TEST_F(OomPolicyTest, GroupTakesZeroAndOne) {
  EXPECT_EQ(get("memory.oom.group", group_), "0\n");
  EXPECT_EQ(set("memory.oom.group", "1"), 0);
  EXPECT_EQ(get("memory.oom.group", group_), "1\n");
  for (const char* value : {"", "2", "-1", "max", "yes", "0 1"}) {
    EXPECT_EQ(set("memory.oom.group", value), EINVAL) << value;
  }
  EXPECT_EQ(group_at(segment_, group_).oom_group, 1u);
  EXPECT_EQ(set("memory.oom.group", "0\n"), 0);
  EXPECT_EQ(get("memory.oom.group", group_), "0\n");
}

TEST_F(OomPolicyTest, TheRootHasAPolicyButNoOomGroup) {
  group_ = kRootGroup;
  EXPECT_EQ(set("memory.oom.group", "1"), EINVAL);
  EXPECT_EQ(set("memory.oom.policy", "kill"), 0);
  EXPECT_EQ(get("memory.oom.policy", make_group(segment_, "/new")), "kill\n");
}

}  // namespace
}  // namespace umemcg

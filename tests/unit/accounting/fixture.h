// Segments for tests of accounting/.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "accounting/account.h"
#include "accounting/mem_cgroup.h"
#include "accounting/segment.h"
#include "accounting/stat_line.h"
#include "base/text.h"
#include "tests/unit/support/scratch.h"

namespace umemcg::test {

inline constexpr SegmentSizes kSmall = {16, 8, 64, 32};

// The index of the group at `path`, made if it is not there.
inline uint32_t make_group(Segment& segment, const std::string& path) {
  uint32_t group = kNone;
  EXPECT_EQ(create_group(segment, path.c_str(), &group), 0) << path;
  return group;
}

// The row of a group that is known to be there.
inline Group& group_at(Segment& segment, uint32_t index) {
  Group* group = segment.group(index);
  if (group == nullptr) throw std::out_of_range("no such group");
  return *group;
}

inline std::string path_of(Segment& segment, uint32_t group) {
  Text<16384> path;
  group_path(segment, group, path);
  return path.c_str();
}

// A private segment in which a test plays.
class PrivateSegmentTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(segment_.create_private(kSmall), 0); }
  void TearDown() override { segment_.detach(); }

  Segment segment_;
};

// The same as the segment of this process. The accounts of earlier tests are
// left behind as a fork leaves its parent's.
class OwnSegmentTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(g_segment.create_private(kSmall), 0); }
  void TearDown() override {
    set_thread_line(nullptr);
    accounts_inherit();
    g_segment.detach();
  }
};

// A domain's file, which the test watches and its children join.
class FileSegmentTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = scratch_.file("domain");
    ASSERT_EQ(domain_.create_file(path_.c_str(), kSmall), 0);
  }
  void TearDown() override { domain_.detach(); }

  ScratchDirectory scratch_;
  std::string path_;
  Segment domain_;
};

}  // namespace umemcg::test

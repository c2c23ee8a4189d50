#include "accounting/report.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "accounting/event.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

std::string report() {
  std::string text;
  write_report(
      g_segment,
      [](const TextBuffer& line, void* arg) {
        static_cast<std::string*>(arg)->append(line.c_str(), line.length());
      },
      &text);
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class ReportTest : public test::OwnSegmentTest {
 protected:
  Account& account(const std::string& path) {
    return *account_of(test::make_group(g_segment, path));
  }
};

TEST_F(ReportTest, IsATableOfTheGroups) {
  Account& web = account("/web");
  PageCounter* failed;
  account_charge(web, 16384);
  account_uncharge(web, 12288);
  ASSERT_EQ(web.counter.load()->set_max(20000), 0);
  EXPECT_FALSE(account_try_charge(web, 20000, &failed));
  memcg_memory_event(g_segment, web.group, Event::kMax);
  count_stat(web, Stat::kCached, 1);
  test::group_at(g_segment, web.group).processes_total = 3;
  account("/web/requests");
  EXPECT_EQ(report(),
            "group             current        peak         max  max-events"
            "         oom     charged   uncharged      cached   processes\n"
            "/                16.0 MiB    64.0 MiB         max           0"
            "           0    64.0 MiB    48.0 MiB     4.0 KiB           0\n"
            "/web             16.0 MiB    64.0 MiB    78.1 MiB           1"
            "           0    64.0 MiB    48.0 MiB     4.0 KiB           3\n"
            "/web/requests     0 bytes     0 bytes         max           0"
            "           0     0 bytes     0 bytes     0 bytes           0\n");
}

// The last character of every column stands in one line.
TEST_F(ReportTest, ColumnsAreAligned) {
  for (const char* path : {"/a", "/a/bc", "/a-much-longer-name/with/more"}) {
    Account& each = account(path);
    account_charge(each, 1);
    test::group_at(g_segment, each.group).processes_total = 12345;
  }
  account_charge(account("/a"), 261'887);  // 1023.0 MiB
  const std::vector<std::string> lines = lines_of(report());
  ASSERT_EQ(lines.size(), 7u);
  for (const std::string& line : lines) {
    EXPECT_EQ(line.size(), lines[0].size()) << line;
    EXPECT_NE(line.back(), ' ') << "\"" << line << "\"";
    for (size_t column = 1; column < 9; ++column) {
      size_t end = line.size() - 12 * column;
      EXPECT_NE(line[end - 1], ' ') << line << " before " << end;
      EXPECT_EQ(line[end], ' ') << line << " at " << end;
    }
  }
}

TEST_F(ReportTest, AGroupHasOneLineHoweverLongItsPath) {
  std::string path;
  for (int i = 0; i < 6; ++i) path += "/" + std::string(255, 'x');
  account(path);
  const std::string text = report();
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(lines_of(text).size(), 8u);
  for (const std::string& line : lines_of(text)) {
    EXPECT_EQ(line.size(), lines_of(text)[0].size());
  }
}

}  // namespace
}  // namespace umemcg

#include "tests/unit/stock/world.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "base/sys.h"
#include "stock/charge.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr SegmentSizes kSizes = {1024, 4, 2048, 256};

void join_world() {
  ASSERT_EQ(0, attach_process(new_group(), "test"));
  Account* records = account_of(kRootGroup);
  ASSERT_NE(nullptr, records);
  set_accounts(&new_account(), records);
}

std::string path_of(uint32_t group) {
  char text[1024];
  TextBuffer path(text, sizeof(text));
  group_path(g_segment, group, path);
  return group == kRootGroup ? "" : text;
}

int64_t pages_in_word(const std::atomic<uint64_t>& slot,
                      const Account& account) {
  uint64_t word = slot.load(kRelaxed);
  return StockWord(word).ledger() == account.ledger_index
             ? StockWord(word).pages()
             : 0;
}

int64_t pages_for(StockLine& line, const Account& account) {
  int64_t pages = 0;
  for (auto& slot : line.slots) pages += pages_in_word(slot, account);
  return pages;
}

}  // namespace

void start_world() {
  if (g_segment.mapped()) return;
  ASSERT_EQ(0, g_segment.create_private(kSizes));
  join_world();
}

void start_domain_world() {
  if (g_segment.mapped()) return;
  std::string path =
      ::testing::TempDir() + "umemcg-test." + std::to_string(sys::process_id());
  ASSERT_EQ(0, g_segment.create_file(path.c_str(), kSizes));
  std::atexit([] { unlink(g_segment.path()); });
  join_world();
}

uint32_t new_group(int64_t max, uint32_t parent) {
  static std::atomic<int> number{0};
  std::string path =
      path_of(parent) + "/g" + std::to_string(number.fetch_add(1));
  uint32_t group = kNone;
  EXPECT_EQ(0, create_group(g_segment, path.c_str(), &group)) << path;
  g_segment.group(group)->memory.store_max(max);
  return group;
}

Account& new_account(int64_t max, uint32_t parent) {
  Account* account = account_of(new_group(max, parent));
  if (account == nullptr) ADD_FAILURE() << "no account";
  return *account;
}

int64_t usage(const Account& account) {
  return account.counter.load()->usage();
}

int64_t group_usage(uint32_t group) {
  return g_segment.group(group)->memory.usage();
}

int64_t ledger_pages(const Account& account) { return account_pages(account); }

int64_t own_stock(const Account& account) {
  return thread_line() != nullptr ? pages_for(*thread_line(), account) : 0;
}

int64_t all_stock(const Account& account) {
  int64_t pages = 0;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    pages += pages_for(*g_segment.line(i), account);
  }
  return pages;
}

int64_t all_reservations(const Account& account) {
  int64_t pages = 0;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    pages += pages_in_word(g_segment.line(i)->reservation, account);
  }
  return pages;
}

int64_t stat_of(const Account& account, Stat stat) {
  int64_t stats[kStats];
  read_stats(g_segment, account.group, false, stats);
  return stats[static_cast<int>(stat)];
}

void reset_thread() {
  t_charge_record = ChargeRecord{};
  t_context = ThreadContext{};
  drop_reservation();
  release_line();
}

}  // namespace umemcg

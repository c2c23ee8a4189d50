// Random bytes in a domain's file may make the accounting wrong; they never
// crash or hang a process that maps it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>

#include "accounting/control_file.h"
#include "accounting/event.h"
#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "accounting/report.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

class DamagedSegment : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    tables_ = reinterpret_cast<char*>(domain_.group(0));
    end_ = reinterpret_cast<char*>(&domain_.header()) +
           segment_bytes(test::kSmall);
  }

  // Every word of the tables, and the high marks, become random: some any
  // bits, some small enough to be an index or a state.
  void damage(unsigned seed) {
    std::mt19937_64 random(seed);
    auto word = [&]() -> uint64_t {
      switch (random() % 4) {
        case 0:
          return random();
        case 1:
          return random() % 20;
        case 2:
          return random() % 20 << 32 | random() % 20;
        default:
          return 0;
      }
    };
    for (char* at = tables_; at < end_; at += sizeof(uint64_t)) {
      uint64_t value = tame(word());
      std::memcpy(at, &value, sizeof(value));
    }
    SegmentHeader& header = domain_.header();
    for (auto* high : {&header.groups_high, &header.processes_high,
                       &header.ledgers_high, &header.lines_high}) {
      *high = static_cast<uint32_t>(random());
    }
  }
  // The sanitizer stops at a signed sum that overflows; the program goes on
  // with a wrong number, which is all that is promised.
  static uint64_t tame(uint64_t value) {
#if defined(__SANITIZE_ADDRESS__)
    return value & 0x0003ffff0003ffff;
#else
    return value;
#endif
  }

  static void use_everything(Segment& segment) {
    PageCounter* failed;
    for (uint32_t g = 0; g < segment.group_count(); ++g) {
      PageCounter& counter = segment.group(g)->memory;
      counter.charge(3);
      if (counter.try_charge(5, &failed)) counter.uncharge(5);
      counter.try_charge(5, &failed, PageCounter::Limit::kMaxAndReserve);
      counter.set_min(2);
      counter.set_low(4);
      counter.calculate_protection(&segment.group(0)->memory, true);
      counter.set_max(1000);
      counter.uncharge(3);
      memcg_memory_event(segment, g, Event::kMax);
      in_subtree(segment, g, 3);
      request_reclaim(segment, g, 10, 0);
      givable_pages(segment, g, 1);
      Text<16> path;
      group_path(segment, g, path);
      for (const ControlFile* file = control_files(Hierarchy::kV2); file->name;
           ++file) {
        Text<kControlFileSize> content;
        if (file->show != nullptr) file->show(segment, g, content);
      }
    }
    find_group(segment, "/a/b/c");
    uint32_t group;
    create_group(segment, "/a/b/c/d", &group);
    write_report(
        segment, [](const TextBuffer&, void*) {}, nullptr);
    reap_dead_processes(segment);
  }

  char* tables_ = nullptr;
  char* end_ = nullptr;
};

TEST_F(DamagedSegment, NeitherCrashesNorHangs) {
  PageCounter::set_link_window(tables_, end_);
  for (unsigned seed = 0; seed < 150; ++seed) {
    damage(seed);
    test::ChildOutcome outcome = test::run_child([&] {
      ::alarm(60);  // a hang is killed
      use_everything(domain_);
    });
    ASSERT_EQ(outcome.code, 0) << "seed " << seed << "\n" << outcome.error_text;
  }
  PageCounter::set_link_window(nullptr, reinterpret_cast<void*>(UINTPTR_MAX));
}

// A process joins a damaged domain, or is told that it cannot, and goes on.
TEST_F(DamagedSegment, CanBeJoinedOrRefused) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    damage(1000 + seed);
    test::ChildOutcome outcome = test::run_child([&] {
      ::alarm(60);
      const char* why;
      if (g_segment.attach_file(path_.c_str(), &why) != 0) return;
      PageCounter::set_link_window(g_segment.group(0),
                                   g_segment.line(test::kSmall.lines - 1) + 1);
      attach_process(3, "guest");
      Account* account = account_of(3);
      if (account == nullptr) return;
      set_thread_line(g_segment.line(1));
      account_charge(*account, 1);
      account_uncharge(*account, 1);
      use_everything(g_segment);
    });
    ASSERT_EQ(outcome.code, 0) << "seed " << seed << "\n" << outcome.error_text;
  }
}

}  // namespace
}  // namespace umemcg

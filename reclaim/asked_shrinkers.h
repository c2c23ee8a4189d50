// What a charge, with all its passes of reclaim, has had of shrinkers so far.
// There is one for each charge (or whatever else reclaims), the outermost that
// its thread is in; without it a shrinker that is slow, or of no use, would be
// asked anew at each of a walk's priorities and in each pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/attributes.h"
#include "reclaim/shrinker_table.h"

namespace umemcg {

class AskedShrinkers {
 public:
  AskedShrinkers();
  ~AskedShrinkers();
  AskedShrinkers(const AskedShrinkers&) = delete;
  AskedShrinkers& operator=(const AskedShrinkers&) = delete;

  // The thread's; null outside of all.
  static AskedShrinkers* here();
  // Calls it in the thread's, or in one of its own. (It is some 2 KiB: not
  // one more on the stack of whoever is in one.)
  template <typename Function>
  static int64_t within(Function function) {
    return here() != nullptr ? function() : alone(function);
  }
  // The charge begins anew, if the thread is in one.
  static void renew();
  // A pass of reclaim begins. REQUIRES: the thread is in one.
  static void begin_pass();
  // The thread never comes back to it.
  static void abandon();

  // Whether it gave nothing of the account, in this pass, or for too long:
  // whoever could not get a lock may have it at the next.
  bool is_useless(const ShrinkerRow& row, const Account& account) const;
  // What it has counted, which is kept for the scan that follows. 0: nothing.
  size_t counted(const ShrinkerRow& row, const Account& account) const;
  void keep_count(const ShrinkerRow& row, const Account& account, size_t bytes);
  // It has scanned, and freed so much.
  void keep_scan(const ShrinkerRow& row, const Account& account, size_t freed);

  // A call took so long; how long all of them did.
  uint64_t add_time(const ShrinkerRow& row, uint64_t ns);
  // A call that scanned was in time; or it was not, and begins at 0 again.
  void note_in_time(const ShrinkerRow& row);
  void note_overrun(const ShrinkerRow& row);

 private:
  template <typename Function>
  UMEMCG_COLD static int64_t alone(Function function) {
    AskedShrinkers asked;
    return function();
  }

  // More, and the oldest are forgotten: asked once more.
  static constexpr uint32_t kMostAnswers = 32;
  struct Answer {
    int id;
    uint32_t useless_in;  // the pass; 0: it is not
    const Account* account;
    size_t counted;
  };

  void clear();
  void forgive();
  const Answer* find(const ShrinkerRow& row, const Account& account) const;
  Answer& answer_of(const ShrinkerRow& row, const Account& account);

  bool outermost_;
  uint32_t pass_;
  uint32_t answers_made_;
  Answer answers_[kMostAnswers];
  uint32_t spent_us_[kMostShrinkers];
  bool in_time_[kMostShrinkers];
};

}  // namespace umemcg

#include "reclaim/serve.h"

#include "accounting/account.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "alloc/attention.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/reclaim.h"
#include "reclaim/throttle.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Groups that one answer serves; who asks for more of them asks again.
constexpr int kMostGroups = 32;

constinit Lock serving;
constinit UMEMCG_TLS bool t_serving = false;

// The groups that are asked for something and that this process has charges
// in.
class AskedGroups {
 public:
  explicit AskedGroups(uint32_t seen) : seen_(seen) {
    for (uint32_t id = 1; id <= account_count(); ++id) {
      const Account* account = account_at(id);
      if (account == nullptr || account->inherited.load(kRelaxed)) continue;
      if (account->ledger->pages.load(kRelaxed) > 0) {
        look_upwards(account->charged.load(kRelaxed));
      }
    }
  }

  const uint32_t* begin() const { return groups_; }
  const uint32_t* end() const { return groups_ + count_; }

 private:
  void look_upwards(uint32_t group) {
    for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
      const Group* row = g_segment.group(group);
      if (row == nullptr) break;
      if (asked_since(*row, seen_)) add(group);
      group = parent_group(g_segment, group);
    }
  }

  void add(uint32_t group) {
    for (uint32_t known : *this) {
      if (known == group) return;
    }
    if (count_ < kMostGroups) groups_[count_++] = group;
  }

  const uint32_t seen_;
  int count_ = 0;
  uint32_t groups_[kMostGroups];
};

// This process's part of what the group is asked for: as it has a part of what
// is cached there, or of what is charged, if that is not enough.
int64_t share_of(uint32_t group, int64_t wanted) {
  const Givable own = givable_pages(g_segment, group, this_process());
  const Givable all = givable_pages(g_segment, group, kNone);
  const bool cached = all.cached >= wanted;
  const int64_t part = cached ? own.cached : own.charged;
  const int64_t whole = cached ? all.cached : all.charged;
  if (whole <= 0 || part >= whole) return wanted;
  // In floating point: the product may not fit.
  const auto share = static_cast<int64_t>(static_cast<double>(wanted) *
                                          static_cast<double>(part) /
                                          static_cast<double>(whole));
  return share > 0 ? share : 0;
}

void serve_all(ProcessSlot& slot) {
  // acquire: pairs with publish(). What is asked later is seen next time.
  const uint32_t seq =
      g_segment.header().reclaim_seq.load(std::memory_order_acquire);
  const AskedGroups asked(slot.reclaim_seen.load(kRelaxed));
  for (uint32_t group : asked) {
    Group* row = g_segment.group(group);
    if (row == nullptr) continue;
    const int64_t share = share_of(group, row->reclaim_pages.load(kRelaxed));
    if (share > 0) try_to_free_pages(group, share, ReclaimReason::kRequest);
    row->reclaim_acks.fetch_add(1, kRelaxed);
  }
  g_requests_served.store(seq, kRelaxed);
  // release: pairs with has_answered().
  slot.reclaim_seen.store(seq, std::memory_order_release);
}

int64_t reclaim_for_writer(Segment& segment, uint32_t group, int64_t pages,
                           bool proactive) {
  const bool has_heap = &segment == &g_segment && this_process() != kNone;
  if (!has_heap) {
    return request_reclaim(segment, group, pages, kRequestWaitNs);
  }
  if ((t_context.flags & kChargeNoWait) != 0) return 0;
  return try_to_free_pages(
      group, pages,
      proactive ? ReclaimReason::kProactive : ReclaimReason::kLimit);
}

}  // namespace

void serve_and_pay() {
  if (UMEMCG_UNLIKELY(reclaim_requested_here())) serve_reclaim_requests();
  if (UMEMCG_UNLIKELY(t_context.over_high != 0)) handle_over_high();
}

void serve_reclaim_requests() {
  ProcessSlot* slot = g_segment.process(this_process());
  if (slot == nullptr || t_context.exiting || t_context.reclaiming ||
      t_charge_depth != 0 || (t_context.flags & kChargeNoWait) != 0) {
    return;
  }
  ErrnoSaver saver;
  if (!reclaim_requested(g_segment, this_process())) {
    // (The slot is newer than what it was compared with.)
    g_requests_served.store(slot->reclaim_seen.load(kRelaxed), kRelaxed);
    return;
  }
  if (!serving.try_lock()) return;
  t_serving = true;
  AskedShrinkers asked;
  serve_all(*slot);
  t_serving = false;
  serving.unlock();
}

// (What was asked is not served: another thread sees to it.)
void abandon_serving() {
  if (!t_serving) return;
  t_serving = false;
  serving.unlock();
}

void install_serving() {
  g_attention_work_hook.install(serve_and_pay);
  g_reclaim_hook.install(reclaim_for_writer);
}

void reset_serving() {
  serving.reset();
  if (t_serving) serving.try_lock();
}

}  // namespace umemcg

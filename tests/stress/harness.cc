#include "tests/stress/harness.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "stock/charge.h"
#include "stock/current.h"
#include "stock/stock.h"

namespace umemcg {

std::atomic<bool> g_contents_may_leak{false};

double stress_seconds(double seconds) {
  const char* text = std::getenv("UMEMCG_STRESS_SECONDS");
  return text != nullptr ? std::atof(text) : seconds;
}

Crew::Crew(int workers, Step step) {
  for (int worker = 0; worker < workers; ++worker) {
    threads_.emplace_back([this, worker, step] { work(worker, step); });
  }
}

Crew::~Crew() { stop(); }

void Crew::work(int worker, const Step& step) {
  Random random(static_cast<unsigned>(worker) + 1);
  while (!stop_.load()) {
    if (pause_.load()) rest();
    step(worker, random);
  }
  drop_reservation();
  release_line();
}

void Crew::rest() {
  resting_.fetch_add(1);
  while (pause_.load()) sys::sleep_ns(20'000);
  resting_.fetch_sub(1);
}

void Crew::stand_still(const std::function<void()>& look) {
  pause_.store(true);
  while (resting_.load() != static_cast<int>(threads_.size())) {
    sys::sleep_ns(20'000);
  }
  look();
  pause_.store(false);
  while (resting_.load() != 0) sys::sleep_ns(20'000);
}

void Crew::stop() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Tenant::hold(int64_t pages) {
  for (Tenant* tenant = this; tenant != nullptr; tenant = tenant->parent) {
    int64_t now = tenant->held.fetch_add(pages) + pages;
    if (pages > 0) {
      EXPECT_LE(now, tenant->account->counter.load()->max());
    }
  }
}

bool Extent::commit(unsigned page, unsigned count, bool reclaim,
                    bool* is_zero) {
  if (range_.commit(first_ + page, count, is_zero)) return true;
  if (!reclaim) return t_charge_record.armed = false;
  // As mimalloc does: its callback, one more try, its error.
  if (t_charge_record.armed) g_charge_slow_hook();
  bool committed = range_.commit(first_ + page, count, is_zero);
  t_charge_record.armed = false;
  return committed;
}

bool Extent::take(Tenant& tenant, unsigned page, unsigned count, bool reclaim) {
  t_context.account = tenant.account;
  bool is_zero = false;
  if (!commit(page, count, reclaim, &is_zero)) return false;
  tenant_ = &tenant;
  check_and_fill(page, count, is_zero);
  return true;
}

uint64_t* Extent::word_of(unsigned page) const {
  return reinterpret_cast<uint64_t*>(range_.data(first_ + page));
}

uint64_t Extent::pattern(unsigned page) const {
  const uint64_t owner = tenant_->account->id;
  return range_.address(first_ + page) ^ (owner << 48);
}

// What was there is the tenant's own, or nothing.
void Extent::check_and_fill(unsigned page, unsigned count, bool is_zero) {
  int64_t fresh = 0;
  for (unsigned i = page; i < page + count; ++i) {
    uint64_t& word = *word_of(i);
    const bool live = (live_ >> i & 1) != 0;
    fresh += !live;
    live_ |= uint64_t{1} << i;
    if (i % kTouched != 0) continue;
    if (live) {
      EXPECT_EQ(pattern(i), word);
    } else if (!g_contents_may_leak.load()) {
      EXPECT_TRUE(word == 0 || (!is_zero && word == pattern(i)))
          << std::hex << word << ", zero: " << is_zero;
    }
    word = pattern(i);
  }
  tenant_->hold(fresh);
}

void Extent::give(unsigned page, unsigned count) {
  int64_t freed = 0;
  for (unsigned i = page; i < page + count; ++i) {
    if ((live_ >> i & 1) == 0) continue;
    if (i % kTouched == 0) {
      EXPECT_EQ(pattern(i), *word_of(i));
    }
    live_ &= ~(uint64_t{1} << i);
    ++freed;
  }
  tenant_->hold(-freed);
  range_.decommit(first_ + page, count);
}

}  // namespace umemcg

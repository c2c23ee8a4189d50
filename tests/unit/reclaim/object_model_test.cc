// Random charges by the byte, and a plain model of them.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "stock/obj_stock.h"
#include "tests/unit/reclaim/object_fixture.h"

namespace umemcg {
namespace {

using ObjectModelTest = ChargeObjectTest;

int64_t pages_for(int64_t bytes) { return (bytes + kPage - 1) / kPage; }

class Model {
 public:
  void add(Account& account, Kind kind, int64_t bytes) {
    held_[{&account, part_of(kind)}] += bytes;
  }
  int64_t held(Account& account, uint32_t part) {
    return held_[{&account, part}];
  }

  // Pages, part by part, rounded up; `threads` may each keep less than one.
  void expect_pages(Account& account, int threads = 0) {
    int64_t sum = 0;
    const int64_t kinds[] = {account.ledger->kmem.load(),
                             account.ledger->sock.load()};
    for (uint32_t part = 0; part < 3; ++part) {
      const int64_t pages = pages_for(held(account, part));
      sum += pages;
      if (part == kPlainPart) continue;
      EXPECT_LE(pages, kinds[part]);
      EXPECT_GE(pages + threads, kinds[part]);
    }
    const int64_t charged = usage(account) - all_stock(account);
    EXPECT_LE(sum, charged);
    EXPECT_GE(sum + 3 * threads, charged);
    EXPECT_EQ(kinds[0], group_of(account).kmem.usage());
    EXPECT_EQ(kinds[1], group_of(account).sock.usage());
  }

 private:
  std::map<std::pair<Account*, uint32_t>, int64_t> held_;
};

struct Object {
  Account* account;
  Kind kind;
  size_t bytes;
};

size_t random_size(std::mt19937& random) {
  switch (random() % 4) {
    case 0:
      return random() % 64;
    case 1:
      return random() % kPage;
    case 2:
      return random() % 4 * kPage;
    default:
      return random() % (40 * kPage);
  }
}

Object random_object(std::mt19937& random,
                     const std::vector<Account*>& accounts) {
  Account* account = accounts[random() % accounts.size()];
  return {account, kEveryKind[random() % std::size(kEveryKind)],
          random_size(random)};
}

void uncharge(const Object& object) {
  uncharge_object(*object.account, object.kind, object.bytes);
}

TEST_F(ObjectModelTest, AModelAgreesAtEveryStep) {
  std::mt19937 random(20'240'501);
  const std::vector<Account*> accounts = {&new_account(), &new_account(),
                                          &new_account()};
  std::vector<Object> objects;
  Model model;
  for (int step = 0; step < 30'000 && !HasFailure(); ++step) {
    if (objects.size() < 200 && random() % 2 == 0) {
      const Object object = random_object(random, accounts);
      ASSERT_EQ(0,
                charge_object(*object.account, object.kind, object.bytes, 0));
      model.add(*object.account, object.kind,
                static_cast<int64_t>(object.bytes));
      objects.push_back(object);
    } else if (!objects.empty()) {
      std::swap(objects[random() % objects.size()], objects.back());
      uncharge(objects.back());
      model.add(*objects.back().account, objects.back().kind,
                -static_cast<int64_t>(objects.back().bytes));
      objects.pop_back();
    }
    if (random() % 256 == 0) flush_thread_objects();
    if (random() % 512 == 0) drain_own_stock();
    for (Account* account : accounts) model.expect_pages(*account);
  }
  for (const Object& object : objects) uncharge(object);
  settle();
  for (Account* account : accounts) {
    EXPECT_EQ(0, usage(*account));
    EXPECT_EQ(0, ledger_pages(*account));
    for (auto& remainder : account->remainder) EXPECT_EQ(0, remainder.load());
  }
}

// Objects pass from thread to thread: one charges, another uncharges.
class Exchange {
 public:
  void put(const Object& object) {
    std::lock_guard guard(mutex_);
    objects_.push_back(object);
  }
  bool take(std::mt19937& random, Object* object) {
    std::lock_guard guard(mutex_);
    if (objects_.empty()) return false;
    std::swap(objects_[random() % objects_.size()], objects_.back());
    *object = objects_.back();
    objects_.pop_back();
    return true;
  }
  std::vector<Object>& all() { return objects_; }

 private:
  std::mutex mutex_;
  std::vector<Object> objects_;
};

TEST_F(ObjectModelTest, AModelAgreesWithThreadsInTheEnd) {
  constexpr int kThreads = 4;
  uint32_t parent = new_group();
  const std::vector<Account*> accounts = {&new_account(kPageCounterMax, parent),
                                          &new_account(kPageCounterMax, parent),
                                          &new_account()};
  Exchange exchange;
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int step = 0; step < 20'000; ++step) {
        Object object;
        if (random() % 2 == 0) {
          object = random_object(random, accounts);
          ASSERT_EQ(
              0, charge_object(*object.account, object.kind, object.bytes, 0));
          exchange.put(object);
        } else if (exchange.take(random, &object)) {
          uncharge(object);
        }
        if (random() % 512 == 0) drain_objects(kRootGroup);
      }
      release_line();
    });
  }
  for (std::thread& thread : threads) thread.join();
  Model model;
  for (const Object& object : exchange.all()) {
    model.add(*object.account, object.kind, static_cast<int64_t>(object.bytes));
  }
  for (Account* account : accounts) model.expect_pages(*account);
  for (const Object& object : exchange.all()) uncharge(object);
  settle();
  EXPECT_EQ(0, group_usage(parent));
  for (Account* account : accounts) {
    EXPECT_EQ(0, usage(*account));
    EXPECT_EQ(0, ledger_pages(*account));
    EXPECT_EQ(0, group_of(*account).kmem.usage());
    EXPECT_EQ(0, group_of(*account).sock.usage());
  }
}

// A handler that charges on the same thread, as fast as the timer goes.
constinit Account* handler_account = nullptr;
constinit std::atomic<int64_t> handler_runs{0};
constinit std::atomic<int64_t> handler_bytes{0};

void charge_in_handler(int) {
  const auto run = static_cast<size_t>(handler_runs.fetch_add(1));
  const Kind kind = kEveryKind[run % std::size(kEveryKind)];
  const size_t bytes = 1 + run * 577 % 9000;
  if (charge_object(*handler_account, kind, bytes, kChargeNoWait) != 0) return;
  if (run % 2 == 0) {
    uncharge_object(*handler_account, kind, bytes);
  } else {
    handler_bytes.fetch_add(static_cast<int64_t>(bytes));
  }
}

// Both at a limit, which they take pages from each other.
TEST_F(ObjectModelTest, AHandlerMayChargeInTheMiddle) {
  uint32_t parent = new_group(5000);
  Account& a = new_account(kPageCounterMax, parent);
  Account& b = new_account(kPageCounterMax, parent);
  handler_account = &b;
  handler_runs.store(0);
  handler_bytes.store(0);
  struct sigaction action = {};
  struct sigaction before;
  action.sa_handler = charge_in_handler;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(0, sigaction(SIGALRM, &action, &before));
  const itimerval every = {{0, 20}, {0, 20}};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &every, nullptr));
  std::mt19937 random(1);
  std::vector<Object> objects;
  while (handler_runs.load() < 3000) {
    Object object = random_object(random, {&a, &b});
    if (objects.size() > 300 ||
        charge_object(*object.account, object.kind, object.bytes,
                      kChargeNoRetry) != 0) {
      for (const Object& done : objects) uncharge(done);
      objects.clear();
    } else {
      objects.push_back(object);
    }
  }
  const itimerval never = {};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, nullptr));
  sigaction(SIGALRM, &before, nullptr);
  for (const Object& object : objects) uncharge(object);
  settle();
  EXPECT_EQ(0, usage(a));
  int64_t left = 0;
  for (auto& remainder : b.remainder) left += remainder.load();
  EXPECT_EQ(handler_bytes.load(), usage(b) * kPage - left);
  EXPECT_EQ(usage(b), ledger_pages(b));
  EXPECT_EQ(b.ledger->kmem.load(), group_of(b).kmem.usage());
}

}  // namespace
}  // namespace umemcg

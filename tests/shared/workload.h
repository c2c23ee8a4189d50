// A process at work in the domain: it charges, frees, moves, makes and removes
// groups at random, and knows to the byte what it holds.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "accounting/account.h"

namespace umemcg::shared {

// What a process holds of an account.
struct Holding {
  Account* account;
  int64_t pages[3];  // with kmem, with sock, with nothing beside
  int64_t bytes[3];  // of objects, likewise
  int64_t reserved;  // at most: others may take it back
};

class Workload {
 public:
  // How often the rare things are done: with `eager`, all the time.
  Workload(uint32_t seed, bool eager) : random_(seed), eager_(eager) {}
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // Takes a slot of the domain, in a group of the tree. 0 or an error number.
  int join();
  // One thing at random. Whether it was a charge.
  bool step();
  // Everything is freed, the thread's line included.
  void give_back();
  // What the ledgers and the stock say differently; "" if it is what is held.
  std::string disagreement();

 private:
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(random_()) % bound;
  }
  Holding& holding_of(Account& account);
  Holding& any_holding();
  Account* any_account();

  void charge();
  void uncharge();
  void charge_forced();
  void charge_bytes();
  void uncharge_bytes();
  void reserve();
  void stall();
  void take_reserved();
  void step_rarely();
  void make_and_leave_group();
  void switch_controller();
  void set_control();
  void move();
  void end_thread();
  void make_corpse();
  void follow_tree();
  void forget_empty();

  bool pages_charged(Account& account, int64_t pages, int part);
  void free_pages(Holding& holding, int part, int64_t pages);
  void free_bytes(Holding& holding, int part, uint32_t bytes);

  std::mt19937 random_;
  bool eager_;
  std::vector<Holding> holdings_;
};

// In a process made for it: joins, works a while, and dies in the middle of
// it, sometimes leaving a child that lives a moment longer.
[[noreturn]] void live_and_die(uint32_t seed);

}  // namespace umemcg::shared

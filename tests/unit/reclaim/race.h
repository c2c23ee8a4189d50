// Charging one page at a time until the limit says no: whoever races for the
// last N pages, exactly N are had.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "accounting/kind.h"

namespace umemcg {

// In its scope threads of the process are put to sleep now and then between two
// steps of a charge (base/fault_point.h), where the system may do so as well.
class Disturbance {
 public:
  Disturbance();
  ~Disturbance();
  Disturbance(const Disturbance&) = delete;
  Disturbance& operator=(const Disturbance&) = delete;
};

// One round of the race, the same for all that take part.
struct Race {
  int64_t pages;     // under the limit
  int64_t attempts;  // of each, at most; together more than there are pages
  Kind kind;
  uint32_t flags;

  static Race random(uint32_t seed, int64_t racers);
  // The pages had.
  int64_t run(Account& account) const;
  void give_back(Account& account, int64_t had) const;
};

}  // namespace umemcg

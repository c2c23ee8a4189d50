#include "reclaim/charge_object.h"

#include <cerrno>

#include "reclaim/charge.h"
#include "reclaim/serve.h"
#include "stock/current.h"
#include "stock/obj_stock.h"

namespace umemcg {
namespace {

// More than any counter may hold; in bytes it still fits a signed number.
constexpr size_t kMostBytes = size_t{kPageCounterMax} << kPageShift;

uint32_t tail_of(size_t bytes) {
  return static_cast<uint32_t>(bytes & (kPageSize - 1));
}

// Takes less than a page out of what is left of pages that were charged.
bool consume(Account& account, uint32_t part, uint32_t bytes) {
  return consume_object(account, part, bytes) ||
         consume_remainder(account, part, bytes);
}

// The same out of what the process's other threads hold. They are asked before
// a charge is called a failure.
bool consume_others(Account& account, uint32_t part, uint32_t bytes) {
  drain_objects(account.charged.load(std::memory_order_relaxed));
  return consume_remainder(account, part, bytes);
}

UMEMCG_COLD int charge_slowly(Account& account, Kind kind, size_t bytes,
                              uint32_t flags) {
  if (bytes > kMostBytes) return ENOMEM;
  const uint32_t part = part_of(kind);
  const uint32_t tail = tail_of(bytes);
  bool tail_paid = tail == 0 || consume(account, part, tail);
  ChargeRequest request{&account, static_cast<int64_t>(bytes >> kPageShift),
                        flags | t_context.flags, kind};
  if (!tail_paid) ++request.pages;
  if (request.pages == 0) return 0;
  bool charged = charge_through_stock(request);
  if (!charged && !tail_paid && consume_others(account, part, tail)) {
    tail_paid = true;
    if (--request.pages == 0) return 0;
    // What refused a page more may have room for these.
    request.kind_refused = false;
    charged = charge_through_stock(request);
  }
  charged = charged || charge_with_reclaim(request);
  if (charged) count_object_pages(account, part, request.pages);
  if (charged && !tail_paid) {
    refill_object(account, part, uint32_t{kPageSize} - tail);
  } else if (!charged && tail_paid && tail != 0) {
    refill_object(account, part, tail);
  }
  // The end of the call is where the kernel's returns to user mode.
  if (!request.may(kChargeNoWait)) serve_and_pay();
  return charged ? 0 : ENOMEM;
}

}  // namespace

int charge_object(Account& account, Kind kind, size_t bytes, uint32_t flags) {
  if (static_cast<int>(kind) >= kKinds ||
      (flags & ~uint32_t{kChargeFlags}) != 0) {
    return EINVAL;
  }
  if (bytes == 0) return 0;
  if (UMEMCG_LIKELY(bytes < kPageSize) &&
      consume_object(account, part_of(kind), tail_of(bytes))) {
    return 0;
  }
  return charge_slowly(account, kind, bytes, flags);
}

void uncharge_object(Account& account, Kind kind, size_t bytes) {
  if (account.inherited.load(std::memory_order_relaxed)) return;
  if (static_cast<int>(kind) >= kKinds) return;
  const uint32_t part = part_of(kind);
  const uint32_t tail = tail_of(bytes);
  if (tail != 0) refill_object(account, part, tail);
  if (bytes >= kPageSize) {
    uncharge_object_pages(account, part,
                          static_cast<int64_t>(bytes >> kPageShift));
  }
}

}  // namespace umemcg

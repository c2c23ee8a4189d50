#include "accounting/oom_policy.h"

#include <cerrno>
#include <cstring>

namespace umemcg {
namespace {

constexpr const char* kNames[kOomPolicies] = {"fail", "kill", "callback",
                                              "wait"};

// Milliseconds in decimal, 1 to kMostOomWaitMs.
int parse_wait(const char* text, uint32_t* wait_ms) {
  uint64_t ms = 0;
  const char* at = text;
  for (; *at >= '0' && *at <= '9' && ms <= kMostOomWaitMs; ++at) {
    ms = ms * 10 + static_cast<uint64_t>(*at - '0');
  }
  if (at == text || *at != '\0' || ms == 0 || ms > kMostOomWaitMs) {
    return EINVAL;
  }
  *wait_ms = static_cast<uint32_t>(ms);
  return 0;
}

}  // namespace

int parse_oom_policy(const char* text, OomPolicy* policy, uint32_t* wait_ms) {
  *wait_ms = kDefaultOomWaitMs;
  for (int i = 0; i < kOomPolicies; ++i) {
    const size_t length = std::strlen(kNames[i]);
    if (std::strncmp(text, kNames[i], length) != 0) continue;
    *policy = static_cast<OomPolicy>(i);
    const char* rest = text + length;
    if (*rest == '\0') return 0;
    const bool number = *policy == OomPolicy::kWait && *rest == ' ';
    return number ? parse_wait(rest + std::strspn(rest, " "), wait_ms) : EINVAL;
  }
  return EINVAL;
}

int set_oom_policy(Group& group, const char* text) {
  OomPolicy policy;
  uint32_t wait_ms;
  const int error = parse_oom_policy(text, &policy, &wait_ms);
  if (error != 0) return error;
  group.oom_wait_ms.store(wait_ms, std::memory_order_relaxed);
  // release: who sees the policy sees how long to wait.
  group.oom_policy.store(policy, std::memory_order_release);
  return 0;
}

void print_oom_policy(const Group& group, TextBuffer& out) {
  // acquire: pairs with set_oom_policy().
  const OomPolicy policy = group.oom_policy.load(std::memory_order_acquire);
  const auto index = static_cast<uint32_t>(policy);
  out.text(kNames[index < kOomPolicies ? index : 0]);
  if (policy == OomPolicy::kWait) {
    out.character(' ').number(
        group.oom_wait_ms.load(std::memory_order_relaxed));
  }
}

}  // namespace umemcg

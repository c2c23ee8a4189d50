#include "shim/config.h"

#include <unistd.h>

#include <cstring>

#include "accounting/mem_cgroup.h"
#include "accounting/oom_policy.h"
#include "accounting/size.h"
#include "base/sys.h"
#include "base/text.h"
#include "stock/fail.h"

namespace umemcg {
namespace {

// Where the environment is read from before the C library knows it.
constinit char early_environment[64 * 1024];

const char* find_in(const char* entry, const char* name, size_t length) {
  return std::strncmp(entry, name, length) == 0 && entry[length] == '='
             ? entry + length + 1
             : nullptr;
}

const char* find_early(const char* name, size_t length) {
  if (early_environment[0] == '\0') {
    sys::read_file("/proc/self/environ", early_environment,
                   sizeof(early_environment) - 1);
  }
  for (const char* at = early_environment; *at != '\0';
       at += std::strlen(at) + 1) {
    if (const char* value = find_in(at, name, length)) return value;
  }
  return nullptr;
}

bool set_size(const char* value, int64_t* pages) {
  return parse_size(value, pages) == 0;
}

bool set_switch(const char* value, bool* on) {
  bool one = std::strcmp(value, "1") == 0;
  if (!one && std::strcmp(value, "0") != 0) return false;
  *on = one;
  return true;
}

bool set_path(const char* value, const char** path) {
  if (*value == '\0') return false;
  *path = value;
  return true;
}

bool set_group(const char* value, const char** path) {
  return check_group_path(value) == 0 && set_path(value, path);
}

// Relative to a directory that is not known here, a file would be made just
// anywhere.
bool set_domain(const char* value, const char** domain) {
  if (value[0] != '/' && std::strchr(value, '/') != nullptr) return false;
  return value[0] != '.' && set_path(value, domain);
}

bool set_oom(const char* value, const char** policy) {
  OomPolicy parsed;
  uint32_t wait_ms;
  if (parse_oom_policy(value, &parsed, &wait_ms) != 0) return false;
  *policy = value;
  return true;
}

// A reserve without bound would be no limit.
bool set_reserve(const char* value, int64_t* pages) {
  int64_t wanted;
  if (!set_size(value, &wanted) || wanted == kPageCounterMax) return false;
  *pages = wanted;
  return true;
}

bool set_kinds(const char* value, KindSet* kinds) {
  if (*value == '\0') return false;
  KindSet chosen = KindSet::none();
  while (*value != '\0') {
    size_t length = std::strcspn(value, ",");
    int kind = 0;
    while (kind < kKinds && (std::strlen(kKindNames[kind]) != length ||
                             std::strncmp(kKindNames[kind], value, length))) {
      ++kind;
    }
    if (kind == kKinds) return false;
    chosen.add(static_cast<Kind>(kind));
    value += length;
    if (*value == ',') ++value;
  }
  *kinds = chosen;
  return true;
}

struct Variable {
  const char* name;
  const char* accepts;
  bool (*set)(const char* value, Config& config);
};

constexpr char kSizes[] =
    "bytes with an optional suffix K M G T, such as 512M, or max";
constexpr char kSwitch[] = "0 or 1";

constexpr Variable kVariables[] = {
    {"UMEMCG_MAX", kSizes,
     [](const char* v, Config& c) { return set_size(v, &c.max); }},
    {"UMEMCG_HIGH", kSizes,
     [](const char* v, Config& c) { return set_size(v, &c.high); }},
    {"UMEMCG_LOW", kSizes,
     [](const char* v, Config& c) { return set_size(v, &c.low); }},
    {"UMEMCG_MIN", kSizes,
     [](const char* v, Config& c) { return set_size(v, &c.min); }},
    {"UMEMCG_RESERVE", kSizes,
     [](const char* v, Config& c) { return set_reserve(v, &c.reserve); }},
    {"UMEMCG_GROUP",
     "the path of a group, such as /web/tenant1, of names up to 255 bytes",
     [](const char* v, Config& c) { return set_group(v, &c.group); }},
    {"UMEMCG_DOMAIN", "the name of a domain, or the full path of its file",
     [](const char* v, Config& c) { return set_domain(v, &c.domain); }},
    {"UMEMCG_REPORT", "stderr or the name of a file",
     [](const char* v, Config& c) { return set_path(v, &c.report); }},
    {"UMEMCG_OOM", "fail, kill, callback, wait or \"wait MILLISECONDS\"",
     [](const char* v, Config& c) { return set_oom(v, &c.oom); }},
    {"UMEMCG_ACCOUNT", "a list of heap,mmap,shmem,kmem,sock",
     [](const char* v, Config& c) { return set_kinds(v, &c.account); }},
    {"UMEMCG_VERBOSE", kSwitch,
     [](const char* v, Config& c) { return set_switch(v, &c.verbose); }},
    {"UMEMCG_WORKER", kSwitch,
     [](const char* v, Config& c) { return set_switch(v, &c.worker); }},
    {"UMEMCG_FAIL",
     "charge:every=N, charge:after=N, charge:prob=P, pressure:LEVEL or "
     "shrinker:delay=MS, joined by commas",
     [](const char* v, Config&) { return set_fail(v); }},
    {"UMEMCG_THP", kSwitch,
     [](const char* v, Config& c) { return set_switch(v, &c.thp); }},
    {"UMEMCG_DISABLE", kSwitch,
     [](const char* v, Config& c) { return set_switch(v, &c.disable); }},
};

void complain(const Variable& variable, const char* value) {
  constexpr size_t kShown = 80;
  const size_t length = std::strlen(value);
  Line line;
  line.text(variable.name).text("=");
  line.text(value, length < kShown ? length : kShown);
  line.text(length > kShown ? "... is ignored: " : " is ignored: ");
  print_line(line.text("it takes ").text(variable.accepts));
}

}  // namespace

const char* environment(const char* name) {
  const size_t length = std::strlen(name);
  if (::environ == nullptr) return find_early(name, length);
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    if (const char* value = find_in(*entry, name, length)) return value;
  }
  return nullptr;
}

Config read_config() {
  Config config;
  for (const Variable& variable : kVariables) {
    const char* value = environment(variable.name);
    if (value != nullptr && !variable.set(value, config)) {
      complain(variable, value);
    }
  }
  return config;
}

}  // namespace umemcg

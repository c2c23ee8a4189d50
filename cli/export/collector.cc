#include "cli/export/collector.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "accounting/domain.h"
#include "cli/command.h"
#include "cli/domain_file.h"
#include "cli/printable.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

// A look at the processes takes the longer the more memory they have. After it
// that many times as long passes before the next, so that it costs a twentieth
// of a CPU at most.
constexpr int kAuditRest = 20;

fs::path user_folder() {
  Line path;
  domain_path(kDefaultDomain, path);
  return fs::path(path.c_str()).parent_path();
}

bool is_domain(const fs::path& path) {
  const int fd =
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return false;
  const bool is = is_domain_file(fd);
  ::close(fd);
  return is;
}

// The folder of the user whose number its name ends with, nobody else's.
bool is_users_folder(const fs::path& path) {
  const std::string begin = user_folder().filename().string();
  const std::string prefix = begin.substr(0, begin.rfind('-') + 1);
  const std::string name = path.filename().string();
  struct stat info;
  return name.rfind(prefix, 0) == 0 && ::lstat(path.c_str(), &info) == 0 &&
         S_ISDIR(info.st_mode) && name == prefix + std::to_string(info.st_uid);
}

// The user's own, and for root everybody's.
std::vector<fs::path> domain_folders() {
  const fs::path own = user_folder();
  std::vector<fs::path> folders{own};
  if (::geteuid() != 0) return folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(own.parent_path(), error)) {
    if (entry.path() != own && is_users_folder(entry.path())) {
      folders.push_back(entry.path());
    }
  }
  return folders;
}

// Names in the user's own folder, paths elsewhere.
std::vector<std::string> all_domains(bool named) {
  std::vector<std::string> domains;
  const std::vector<fs::path> folders = domain_folders();
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      // One that is just being made begins with a dot.
      if (name[0] == '.' || !is_domain(entry.path()) ||
          (named && name.rfind(kRunPrefix, 0) == 0)) {
        continue;
      }
      domains.push_back(folder == folders[0] ? name : entry.path().string());
    }
  }
  std::sort(domains.begin(), domains.end());
  return domains;
}

// The domain could not be read for this reason; none: it could, or is not
// there.
void complain(const std::string& domain, const std::string& why,
              std::string& last) {
  if (!why.empty() && last != why) {
    fail("the domain " + domain + " " + why + "; it is not exported");
  }
  last = why;
}

}  // namespace

// A look passes over what a process that ends hands on at that moment, and a
// count that went down would be taken for a restart.
void DomainCollector::keep_up(Sample& sample, Counters& last) {
  Counters now;
  for (GroupSample& group : sample.groups) {
    const auto before = last.find(group.id);
    if (before != last.end()) {
      group.charged = std::max(group.charged, before->second.first);
      group.uncharged = std::max(group.uncharged, before->second.second);
    }
    now[group.id] = {group.charged, group.uncharged};
  }
  last = std::move(now);
}

DomainView DomainCollector::look(const std::string& domain,
                                 Known& known) const {
  const Clock::time_point start = Clock::now();
  DomainView view;
  view.label = printable(domain);
  view.audited = !options_.no_audit;
  const bool audit = view.audited && start >= known.audit_due;
  Look look = look_at_domain(domain, audit);
  view.up = look.seen();
  complain(domain,
           view.up || look.error == ENOENT
               ? ""
               : look.why + " (" + error_text(look.error) + ")",
           known.complaint);
  if (!view.up) {
    known.audit_due = {};
  } else if (audit) {
    known.audits = std::move(look.audits);
    known.audit_due =
        Clock::now() +
        std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(kAuditRest * look.audit_seconds));
  }
  if (view.up) {
    view.sample = std::move(look.sample);
    keep_up(view.sample, known.counters);
    view.audits = known.audits;
  }
  view.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return view;
}

std::vector<prometheus::MetricFamily> DomainCollector::Collect() const {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<std::string> domains =
      options_.all ? all_domains(options_.named) : options_.domains;
  std::vector<DomainView> views;
  std::map<std::string, Known> known;
  for (const std::string& domain : domains) {
    known[domain] = std::move(known_[domain]);
    views.push_back(look(domain, known[domain]));
  }
  known_ = std::move(known);  // without those that have gone
  return metrics_of(views, options_.depth);
}

}  // namespace umemcg

// `umemcg create`: groups, and the domain if there is none yet.

#include <cerrno>
#include <memory>
#include <vector>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "cli/commands.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  uint32_t groups = 0;  // 0: not said
  std::vector<std::string> paths;
  bool others_read = false;
  bool json = false;
};

// Joins the domain, or makes it. False if that cannot be; *status says whether
// something else could not be done as asked.
bool join(const Options& options, int* status) {
  const std::string name = domain_name(options.domain);
  const char* why = "";
  int error = attach_domain(g_segment, name.c_str(), &why);
  const bool there = error == 0;
  if (error == ENOENT) {
    const SegmentSizes sizes =
        options.groups != 0 ? sizes_for_groups(options.groups) : SegmentSizes{};
    error = join_domain(g_segment, name.c_str(), &why, sizes);
  }
  if (error != 0) {
    fail(no_domain_text(name, why, error));
    return false;
  }
  const uint32_t room = g_segment.group_count() - 1;
  if (there && options.groups != 0 && options.groups != room) {
    *status = fail("the domain " + name + " is there already, with room for " +
                   std::to_string(room) +
                   " groups: --groups has no effect; leave it out, or name "
                   "another domain");
  }
  settle_domain();
  return true;
}

// Makes the groups of the path one by one, to know which were missing.
int create_path(const std::string& path, std::vector<std::string>* created) {
  int error = check_group_path(path.c_str());
  const std::string whole = normal_path(path);
  for (size_t end = 0; error == 0 && end != std::string::npos;) {
    end = whole.find('/', end + 1);
    const std::string part = whole.substr(0, end);
    uint32_t group;
    bool made;
    error = create_group(g_segment, part.c_str(), &group, &made);
    if (error == 0 && made) created->push_back(part);
  }
  return error;
}

int create(const Options& options) {
  int status = kDone;
  if (!join(options, &status)) return kFailed;
  if (options.others_read) {
    g_segment.header().others_read.store(1, std::memory_order_relaxed);
  }
  std::vector<std::string> created;
  for (const std::string& path : options.paths) {
    const int error = create_path(path, &created);
    if (error == 0) continue;
    status = fail(no_group_text(path, error));
  }
  if (options.json) {
    print_json({{"domain", g_segment.path()}, {"created", created}});
  }
  return status;
}

}  // namespace

void add_create_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "create",
      "Make groups, those above them too, and the domain if there is none");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command
      ->add_option("--groups", options->groups,
                   "how many groups a domain that is made now has room for "
                   "(default 4095)")
      ->check(CLI::Range(uint32_t{1}, kMostDomainGroups))
      ->type_name("N");
  command->add_flag("--others-read", options->others_read,
                    "where the domain is mounted, other users may read it");
  command->add_option("path", options->paths, "groups, such as /a/b")
      ->required()
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return create(*options); }; });
}

}  // namespace umemcg

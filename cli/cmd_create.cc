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
};

// Joins the domain, or makes it.
bool join(const Options& options) {
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
    fail("the domain " + name + " " + why + " (" + error_text(error) + ")" +
         (error == ENOSPC ? "; make it with a smaller --groups, or name a file "
                            "on a file system with more room by its path"
                          : ""));
    return false;
  }
  const uint32_t room = g_segment.group_count() - 1;
  if (there && options.groups != 0 && options.groups != room) {
    fail("the domain " + name + " is there already, with room for " +
         std::to_string(room) + " groups: --groups has no effect");
  }
  settle_domain();
  return true;
}

// What to do about an error of create_group().
std::string advice(const std::string& path, int error) {
  switch (error) {
    case EINVAL:
      return "each name in it is 1 to 255 bytes without newlines, and not . "
             "or ..";
    case ENOSPC:
      if (check_group_path(path.c_str()) == ENOSPC) {
        return "it is deeper than " + std::to_string(kMaxDepth) + " groups";
      }
      return "the domain's table is full, with " +
             std::to_string(g_segment.group_count() - 1) +
             " groups; remove some with `umemcg rm`, or make a domain with a "
             "larger --groups";
    case EAGAIN:
      return "a group above it allows no more, by cgroup.max.depth or "
             "cgroup.max.descendants; see `umemcg get` and `umemcg set`";
    case EBUSY:
      return "the domain's lock could not be had; try again";
    default:
      return "";
  }
}

int create(const Options& options) {
  if (!join(options)) return kFailed;
  int status = kDone;
  for (const std::string& path : options.paths) {
    uint32_t group;
    const int error = create_group(g_segment, path.c_str(), &group);
    if (error == 0) continue;
    status = fail("the group " + path + " cannot be made (" +
                  error_text(error) + "); " + advice(path, error));
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
  command
      ->add_option("--groups", options->groups,
                   "how many groups a domain that is made now has room for "
                   "(default 4095)")
      ->check(CLI::Range(uint32_t{1}, kMostDomainGroups))
      ->type_name("N");
  command->add_option("path", options->paths, "groups, such as /a/b")
      ->required()
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return create(*options); }; });
}

}  // namespace umemcg

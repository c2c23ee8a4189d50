// `umemcg rm`: removes groups, or the whole domain.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "accounting/tree_change.h"
#include "cli/census.h"
#include "cli/commands.h"
#include "cli/domain_file.h"
#include "cli/group_tree.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  std::vector<std::string> paths;
  bool all = false;
  bool json = false;
};

void add_part(std::string* text, const std::string& part) {
  if (part.empty()) return;
  *text += (text->empty() ? "" : "; ") + part;
}

std::string list_threads(const Census& census, uint32_t group) {
  std::string text;
  for (const ThreadEntry& thread : census.threads) {
    if (!thread.put || thread.group != group) continue;
    text += (text.empty() ? "threads put into it: " : ", ") +
            std::to_string(thread.thread);
  }
  return text;
}

std::string list_children(uint32_t group) {
  std::string text;
  for (const TreeEntry& entry : list_subtree(group)) {
    if (entry.depth != 1) continue;
    text += (text.empty() ? "groups below it: " : ", ") + entry.name;
  }
  return text;
}

// Who keeps the group from being removed; empty if nobody does any more.
std::string who_is_inside(uint32_t group) {
  if (group == kNone) return "";
  const Census census = take_census();
  std::vector<ProcessEntry> inside;
  for (const ProcessEntry& process : census.processes) {
    if (process.group == group && !process.ended) inside.push_back(process);
  }
  std::string text;
  add_part(&text, list_processes(inside));
  add_part(&text, list_threads(census, group));
  add_part(&text, list_children(group));
  return text;
}

std::string advice(const std::string& path, int error) {
  if (error != EBUSY) return "the domain's lock could not be had; try again";
  const uint32_t group = find_group(g_segment, path.c_str());
  if (group == kRootGroup) {
    return "the root cannot be removed; `umemcg rm --all` removes the domain";
  }
  const std::string who = who_is_inside(group);
  return who.empty() ? "somebody was inside at that moment; try again"
                     : "inside: " + who;
}

int fail_remove(const std::string& path, int error) {
  if (error == ENOENT) return fail_no_group(path);
  return fail("the group " + path + " cannot be removed (" + error_text(error) +
              "); " + advice(path, error));
}

void print_document(const std::string& domain,
                    const std::vector<std::string>& removed) {
  print_json({{"domain", domain}, {"removed", removed}});
}

int remove_groups(const Options& options) {
  if (!open_domain(options.domain)) return kFailed;
  int status = kDone;
  std::vector<std::string> removed;
  for (const std::string& path : options.paths) {
    const int error = remove_group_at(g_segment, path.c_str());
    if (error == 0) {
      removed.push_back(normal_path(path));
    } else {
      status = fail_remove(path, error);
    }
  }
  if (options.json) print_document(g_segment.path(), removed);
  return status;
}

int fail_all(const std::string& path, int error, const std::string& what) {
  return fail("the domain " + path + " cannot be removed (" +
              error_text(error) + "); " + what);
}

constexpr char kSomebody[] = "a live process, or the `umemcg run` that made it";

// Of any version, so the locks are asked, not the tables.
int remove_file(const std::string& path, int fd) {
  if (!is_domain_file(fd)) {
    return fail_all(path, EINVAL, "it is not a umemcg domain");
  }
  if (domain_in_use(fd)) {
    const std::string who =
        g_segment.mapped() ? list_processes(take_census().processes) : "";
    return fail_all(path, EBUSY, "inside: " + (who.empty() ? kSomebody : who));
  }
  if (::unlink(path.c_str()) == 0) return kDone;
  return fail_all(path, errno, "may you write to its folder?");
}

int remove_domain(const Options& options) {
  const std::string name = domain_name(options.domain);
  const char* why = "";
  // A domain of another version cannot be joined, but can be removed.
  if (attach_domain(g_segment, name.c_str(), &why) == ENOENT) {
    return fail_no_domain(name);
  }
  Line path;
  domain_path(name.c_str(), path);
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return fail_all(path.c_str(), errno, "it cannot be opened");
  int status;
  if (g_segment.mapped()) {
    settle_domain();
    // Nobody takes a slot in the meantime.
    TreeChange change(g_segment);
    status = change.held() ? remove_file(path.c_str(), fd)
                           : fail_all(path.c_str(), EAGAIN,
                                      "its lock could not be had; try again");
  } else {
    status = remove_file(path.c_str(), fd);
  }
  ::close(fd);
  if (status == kDone && options.json) print_document(path.c_str(), {"/"});
  return status;
}

int rm(const Options& options) {
  return options.all ? remove_domain(options) : remove_groups(options);
}

}  // namespace

void add_rm_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "rm", "Remove groups in which nobody is, or the whole domain");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  CLI::Option* all = command->add_flag("--all", options->all,
                                       "every group and the domain's file");
  command->add_option("path", options->paths, "groups, such as /a/b")
      ->type_name("PATH")
      ->excludes(all);
  command->callback([options, &chosen] {
    if (!options->all && options->paths.empty()) {
      throw CLI::RequiredError("PATH or --all");
    }
    chosen = [options] { return rm(*options); };
  });
}

}  // namespace umemcg

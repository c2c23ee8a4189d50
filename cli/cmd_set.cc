// `umemcg set`: writes a control file of a group.

#include <cerrno>
#include <memory>

#include "accounting/control_file.h"
#include "accounting/mem_cgroup.h"
#include "cli/commands.h"
#include "cli/control_text.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, path, file, value;
  bool json = false;
  bool v1 = false;
};

// Why the file cannot have that.
std::string unsupported(const std::string& name) {
  if (name == "memory.pressure" || name == "cgroup.event_control") {
    return "it lasts as long as an open file: write it to the file of a "
           "mounted tree, or use the functions of umemcg.h";
  }
  return name == "cgroup.type"
             ? "memory is charged by domains"
             : "only whole processes are moved: write to cgroup.procs";
}

// What to do about an error of store().
std::string advice(const ControlFile& file, uint32_t group, int error) {
  const std::string name(file.name);
  switch (error) {
    case EINVAL:
      if (file.set == nullptr) return "the file cannot be written";
      if (file.limits && group == kRootGroup) {
        return "the root has no limits; set those of a group below it";
      }
      return std::string("write ") + file.takes;
    case ESRCH:
      return "no live process of the domain has that number; `umemcg ps` "
             "lists them";
    case ERANGE:
      return std::string("the number is out of range; write ") + file.takes;
    case EOPNOTSUPP:
      return unsupported(name);
    case EPERM:
      return "a process in it cannot be signalled from here: it is another "
             "user's, or in another pid namespace";
    case ENOENT:
      return "the group itself has not got the controller";
    case ENODEV:
      return group_online(g_segment, group)
                 ? "the group was removed just now, and its place is " +
                       path_of_group(group) + "'s: look at " + name + " there"
                 : "the group was removed just now";
    case EBUSY:
      return name == "cgroup.subtree_control"
                 ? "a child of the group hands the controller on, or the "
                   "domain's lock could not be had"
                 : "usage is above that limit, or the domain's lock could not "
                   "be had";
    case EAGAIN:
      if (name == "memory.reclaim") {
        return "less was reclaimed: `umemcg reclaim` says how much";
      }
      [[fallthrough]];
    default:
      return "the domain's lock could not be had; try again";
  }
}

// With what is read now: 512M is a number there.
void print_document(const Options& options, const ControlFile& file,
                    uint32_t group) {
  if (file.show == nullptr) {
    print_json({{"domain", g_segment.path()},
                {"set",
                 {{"group", normal_path(options.path)},
                  {"file", options.file},
                  {"value", options.value}}}});
    return;
  }
  print_json({{"domain", g_segment.path()},
              {"set",
               {{"group", normal_path(options.path)},
                {"file", options.file},
                {"value", control_file_json(file, group)}}}});
}

// The limit is set, but the group is over it.
void say_what_is_missing(const Options& options, uint32_t group) {
  const PageCounter& counter = g_segment.group(group)->memory;
  const int64_t over = counter.usage() - counter.max();
  if (options.file != "memory.max" || over <= 0) return;
  Line line;
  line.text("memory.max is set, but ").text(options.path.c_str());
  line.text(" is over it by ").bytes(static_cast<uint64_t>(over) << kPageShift);
  line.text(": nothing more is charged until its processes free that much");
  fail(line.c_str());
}

// In one line, whatever is in it.
std::string quoted(const std::string& value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else {
      text += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
  }
  return text + "'";
}

int set(const Options& options) {
  uint32_t group;
  const ControlFile* file;
  if (!open_domain(options.domain) || !find_group_at(options.path, &group) ||
      !find_file(options.path, group, options.file, &file, options.v1)) {
    return kFailed;
  }
  int error =
      file->store(g_segment, group, options.value.data(), options.value.size());
  // Nothing holds the group in its place meanwhile.
  if (error == 0 && find_group(g_segment, options.path.c_str()) != group) {
    error = ENODEV;
  }
  if (error == 0) {
    if (options.json) print_document(options, *file, group);
    say_what_is_missing(options, group);
    return kDone;
  }
  return fail(options.file + " of " + options.path + " cannot be set to " +
              quoted(options.value) + " (" + error_text(error) + "); " +
              advice(*file, group, error));
}

}  // namespace

void add_set_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("set", "Write a control file of a group");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  add_v1_flag(command, options->v1);
  command->add_option("path", options->path, "the group")
      ->required()
      ->type_name("PATH");
  command
      ->add_option("file", options->file,
                   "such as memory.max; umemcg files lists them")
      ->required()
      ->type_name("FILE");
  command->add_option("value", options->value, "such as 512M, or max")
      ->required()
      ->type_name("VALUE");
  // So that a value may begin with a dash.
  command->positionals_at_end();
  command->callback(
      [options, &chosen] { chosen = [options] { return set(*options); }; });
}

}  // namespace umemcg

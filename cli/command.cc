#include "cli/command.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"

namespace umemcg {
namespace {

// The deepest path there can be.
using PathText = Text<(kNameSize + 1) * kMaxDepth + 2>;

std::string path_of_domain(const std::string& name) {
  Line path;
  domain_path(name.c_str(), path);
  return path.c_str();
}

}  // namespace

int fail(const std::string& what) {
  std::cerr << "umemcg: " << what << '\n';
  return kFailed;
}

std::string error_text(int error) {
  const char* text = strerrordesc_np(error);
  return text != nullptr ? text : "error " + std::to_string(error);
}

void add_domain_option(CLI::App* command, std::string& domain) {
  command
      ->add_option("--domain", domain,
                   "the domain: a name or a path (default: $UMEMCG_DOMAIN, "
                   "else the domain named default)")
      ->type_name("NAME");
}

void add_json_flag(CLI::App* command, bool& json) {
  command->add_flag("--json", json, "print JSON, sizes in bytes");
}

void add_pid_option(CLI::App* command, int32_t& pid) {
  command->add_option("pid", pid, "the process")
      ->required()
      ->check(CLI::Range(int32_t{1}, INT32_MAX))
      ->type_name("PID");
}

std::string domain_name(const std::string& option) {
  if (!option.empty()) return option;
  const char* variable = std::getenv("UMEMCG_DOMAIN");
  return variable != nullptr && *variable != '\0' ? variable : kDefaultDomain;
}

int fail_no_domain(const std::string& name) {
  return fail("there is no domain " + name + " (" + path_of_domain(name) +
              ": " + error_text(ENOENT) +
              "); make it with `umemcg create --domain " + name +
              " /GROUP`, or start a program in it with `umemcg run --domain " +
              name + " -- CMD`");
}

bool open_domain(const std::string& option, uint32_t* reaped) {
  const std::string name = domain_name(option);
  const char* why = "";
  const int error = attach_domain(g_segment, name.c_str(), &why);
  if (error == ENOENT) {
    fail_no_domain(name);
  } else if (error != 0) {
    fail("the domain " + name + " " + why + " (" + error_text(error) + ")");
  } else {
    settle_domain(reaped);
  }
  return error == 0;
}

void settle_domain(uint32_t* reaped) {
  PageCounter::set_link_window(
      g_segment.group(0), g_segment.group(g_segment.group_count() - 1) + 1);
  const uint32_t count = reap_dead_processes(g_segment);
  if (reaped != nullptr) *reaped = count;
}

bool find_group_at(const std::string& path, uint32_t* group, uint64_t* id) {
  *group = find_group(g_segment, path.c_str());
  if (id != nullptr && *group != kNone) {
    *id = group_id(g_segment, *group);
    // Of that group, if it is still the one that was found.
    if (find_group(g_segment, path.c_str()) != *group) *group = kNone;
  }
  if (*group == kNone) fail_no_group(path);
  return *group != kNone;
}

int fail_no_group(const std::string& path) {
  return fail("there is no group " + path + " in the domain " +
              g_segment.path() + " (" + error_text(ENOENT) +
              "); `umemcg ls` lists its groups, `umemcg create` makes one");
}

std::string normal_path(const std::string& path) {
  std::istringstream parts(path);
  std::string normal;
  for (std::string name; std::getline(parts, name, '/');) {
    if (!name.empty()) normal += "/" + name;
  }
  return normal.empty() ? "/" : normal;
}

std::string path_of_group(uint32_t group) {
  for (int level = 0; level <= kMaxDepth && !group_online(g_segment, group);
       ++level) {
    group = parent_group(g_segment, group);
  }
  if (!group_online(g_segment, group)) return "/";
  PathText path;
  group_path(g_segment, group, path);
  return path.c_str();
}

int write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t got = ::write(fd, &text[done], text.size() - done);
    if (got >= 0) {
      done += static_cast<size_t>(got);
    } else if (errno == EAGAIN) {
      // Whoever shares the descriptor wants it so.
      pollfd room = {fd, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void print_json(const nlohmann::ordered_json& document) {
  using Handler = nlohmann::ordered_json::error_handler_t;
  std::cout << document.dump(2, ' ', false, Handler::replace) << '\n';
}

}  // namespace umemcg

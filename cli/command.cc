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
#include "cli/printable.h"

namespace umemcg {
namespace {

// The deepest path there can be.
using PathText = Text<(kNameSize + 1) * kMaxDepth + 2>;

std::string path_of_domain(const std::string& name) {
  Line path;
  domain_path(name.c_str(), path);
  return path.c_str();
}

// What to do about an error of create_group().
std::string group_advice(const std::string& path, int error) {
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
      return "try again";
  }
}

// Names stand in values, and are keys as well.
void make_utf8(nlohmann::ordered_json* document) {
  if (document->is_string()) {
    *document = utf8_text(document->get_ref<const std::string&>());
  } else if (document->is_array()) {
    for (auto& element : *document) make_utf8(&element);
  } else if (document->is_object()) {
    bool same = true;
    for (auto& [key, value] : document->items()) {
      make_utf8(&value);
      same = same && utf8_text(key) == key;
    }
    if (same) return;
    auto object = nlohmann::ordered_json::object();
    for (auto& [key, value] : document->items()) {
      object[utf8_text(key)] = std::move(value);
    }
    *document = std::move(object);
  }
}

// JSON leaves DEL and C1 (0xc2 and 0x80 to 0x9f) as they are; they can only be
// in a string there, where an escape is as good.
std::string without_controls(const std::string& json) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < json.size(); ++i) {
    auto code = static_cast<unsigned char>(json[i]);
    const auto next = static_cast<unsigned char>(json[i + 1]);
    const bool c1 = code == 0xc2 && next < 0xa0;
    if (!c1 && code != 0x7f) {
      text += json[i];
      continue;
    }
    if (c1) {
      code = next;
      ++i;
    }
    text += {'\\', 'u', '0', '0', kHex[code / 16], kHex[code % 16]};
  }
  return text;
}

}  // namespace

int fail(const std::string& what) {
  std::cerr << "umemcg: " << printable(what) << '\n';
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
              "); `umemcg domains` lists those there are; make it with "
              "`umemcg create --domain " +
              name +
              " /GROUP`, or start a program in it with `umemcg run "
              "--domain " +
              name + " -- CMD`");
}

std::string no_domain_text(const std::string& name, const std::string& why,
                           int error) {
  std::string text =
      "the domain " + name + " " + why + " (" + error_text(error) + ")";
  if (error != ENOSPC && error != ENOMEM) return text;
  text += name.find('/') == std::string::npos
              ? "; /dev/shm has no room for it: `umemcg domains` lists those "
                "there are, `umemcg gc` removes what runs have left"
              : "; its file system has no room for it";
  return text +
         "; a domain of `umemcg create --groups N` with a small N needs less, "
         "and a path given to --domain is a file elsewhere";
}

std::string no_group_text(const std::string& path, int error) {
  return "the group " + path + " cannot be made (" + error_text(error) + "); " +
         group_advice(path, error);
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

bool domain_gone() {
  const int fd = g_segment.open_file();
  if (fd >= 0) ::close(fd);
  return fd < 0;
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

std::string json_text(nlohmann::ordered_json document, int indent) {
  make_utf8(&document);
  return without_controls(document.dump(indent));
}

void print_json(nlohmann::ordered_json document) {
  std::cout << json_text(std::move(document), 2) << '\n';
}

std::string json_line(nlohmann::ordered_json document) {
  return json_text(std::move(document), -1);
}

}  // namespace umemcg

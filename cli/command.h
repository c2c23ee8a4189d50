// What the commands on a domain share: their options, opening the domain,
// finding a group in it, and how an error is said.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "accounting/segment.h"

namespace umemcg {

// A command's exit status: it did what was asked; it could not, with a line on
// stderr; it was not understood.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// What main() runs when the command line has been read: the last command that
// was found there.
using Action = std::function<int()>;

// Prints "umemcg: <what>" to stderr; kFailed.
int fail(const std::string& what);

// "No such file or directory", for an error number.
std::string error_text(int error);

// Adds --domain, and --json.
void add_domain_option(CLI::App* command, std::string& domain);
void add_json_flag(CLI::App* command, bool& json);
void add_pid_option(CLI::App* command, int32_t& pid);

// The domain that is meant: what --domain says, else $UMEMCG_DOMAIN, else the
// user's default one.
std::string domain_name(const std::string& option);

// Maps that domain into g_segment and reaps the dead in it. False, with a line
// on stderr, if it is not there or cannot be used. `reaped` (may be null) says
// how many processes were.
bool open_domain(const std::string& option, uint32_t* reaped = nullptr);

// Says that there is no such domain; kFailed.
int fail_no_domain(const std::string& name);

// Why join_domain(), or create_group() in the mapped domain, has failed, and
// what to do about it.
std::string no_domain_text(const std::string& name, const std::string& why,
                           int error);
std::string no_group_text(const std::string& path, int error);

// Whether the mapped domain's file is no more at its path.
bool domain_gone();

// What opening has to do with a domain that is mapped already.
void settle_domain(uint32_t* reaped = nullptr);

// The group at `path`. False, with a line on stderr, if there is none. Its row
// may be another group's a moment later: `id` (may be null) tells them apart.
bool find_group_at(const std::string& path, uint32_t* group,
                   uint64_t* id = nullptr);

// Says that there is no such group; kFailed.
int fail_no_group(const std::string& path);

// The path as groups are listed: "/a/b" for "a//b/".
std::string normal_path(const std::string& path);

// The path of a group of g_segment; of its nearest online ancestor if it is
// not online.
std::string path_of_group(uint32_t group);

// Writes all of it. 0 or an error number.
int write_all(int fd, const std::string& text);

// Prints a JSON document, bytes that are not UTF-8 replaced (printable.h).
void print_json(nlohmann::ordered_json document);
// The same with another indent (-1: one line), without the end of the line.
std::string json_text(nlohmann::ordered_json document, int indent);
std::string json_line(nlohmann::ordered_json document);

}  // namespace umemcg

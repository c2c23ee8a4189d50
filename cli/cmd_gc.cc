// `umemcg gc`: gives back what the dead had, and checks the counters.

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "accounting/recount.h"
#include "accounting/tree_change.h"
#include "cli/commands.h"
#include "cli/domain_file.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kRecountTries = 3;

struct Options {
  std::string domain;
  bool json = false;
};

struct Result {
  uint32_t reaped = 0;
  uint32_t released = 0;
  unsigned stale = 0;
  RecountResult recount;
};

// The user's own folder, whatever domain is looked at.
unsigned remove_all_stale() {
  Line path;
  domain_path(kDefaultDomain, path);
  return remove_stale_domains(
      std::filesystem::path(path.c_str()).parent_path().string());
}

// False if the domain's lock could not be had.
bool collect(Result* result) {
  // Again if a charger did not wait for it.
  for (int i = 0; i < kRecountTries && !result->recount.done; ++i) {
    TreeChange change(g_segment);
    if (!change.held()) return false;
    result->recount = recount(g_segment);
    result->released += release_groups(g_segment);
  }
  return true;
}

void print_text(const Result& result) {
  const SegmentHeader& header = g_segment.header();
  auto line = [](const char* what, const std::string& value) {
    std::cout << std::left << std::setw(24) << what << value << '\n';
  };
  auto count = [&line](const char* what, uint64_t value) {
    line(what, std::to_string(value));
  };
  auto time = [&line](const char* what, uint64_t ns) {
    line(what, std::to_string(ns / 1000) + " us");
  };
  count("processes reaped", result.reaped);
  count("groups released", result.released);
  count("groups corrected", static_cast<uint64_t>(result.recount.groups));
  count("stale runs removed", result.stale);
  std::cout << "since the domain was made\n";
  count("  recounts finished", header.recounts.load(kRelaxed));
  count("  recounts given up", header.recounts_voided.load(kRelaxed));
  count("  pages corrected", header.pages_corrected.load(kRelaxed));
  time("  gate closed, in all", header.gate_closed_ns.load(kRelaxed));
  time("  gate closed, longest", header.gate_longest_ns.load(kRelaxed));
}

void print_document(const Result& result) {
  const SegmentHeader& header = g_segment.header();
  print_json({{"domain", g_segment.path()},
              {"processes_reaped", result.reaped},
              {"groups_released", result.released},
              {"groups_corrected", result.recount.groups},
              {"stale_runs_removed", result.stale},
              {"recounts", header.recounts.load(kRelaxed)},
              {"recounts_given_up", header.recounts_voided.load(kRelaxed)},
              {"pages_corrected", header.pages_corrected.load(kRelaxed)},
              {"gate_closed_ns", header.gate_closed_ns.load(kRelaxed)},
              {"gate_longest_ns", header.gate_longest_ns.load(kRelaxed)}});
}

// False if none is named, and there is no default one.
bool domain_is_meant(const Options& options) {
  if (domain_name(options.domain) != kDefaultDomain) return true;
  if (!options.domain.empty()) return true;
  Line path;
  domain_path(kDefaultDomain, path);
  return ::access(path.c_str(), F_OK) == 0 || errno != ENOENT;
}

int only_stale(const Options& options, unsigned stale) {
  if (options.json) {
    print_json({{"domain", nullptr}, {"stale_runs_removed", stale}});
  } else {
    std::cout << "stale runs removed      " << stale
              << "\nno domain was looked at: none is named, and there is no "
                 "default one\n";
  }
  return kDone;
}

int gc(const Options& options) {
  Result result;
  result.stale = remove_all_stale();
  if (!domain_is_meant(options)) return only_stale(options, result.stale);
  if (!open_domain(options.domain, &result.reaped)) return kFailed;
  if (!collect(&result)) {
    return fail("the domain's lock could not be had within 2 s; try again");
  }
  if (options.json) {
    print_document(result);
  } else {
    print_text(result);
  }
  if (result.recount.done) return kDone;
  return fail(
      "the counters could not be checked: a process did not come to "
      "rest; is one stopped? Try again");
}

}  // namespace

void add_gc_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "gc",
      "Give back what dead processes and removed groups had, check the "
      "counters, remove private domains that were left behind (10 s old or "
      "more)");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->callback(
      [options, &chosen] { chosen = [options] { return gc(*options); }; });
}

}  // namespace umemcg

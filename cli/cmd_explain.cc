// `umemcg explain`: why charges were refused.

#include <ctime>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/explain.h"
#include "cli/printable.h"
#include "cli/table.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string domain, path = "/";
  bool json = false;
};

std::string time_text(uint64_t time_ms) {
  const auto seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm local = {};
  char text[64] = "";
  if (localtime_r(&seconds, &local) != nullptr) {
    std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  }
  return text;
}

// "cached 1.0 MiB, stock 128.0 KiB", or "nothing".
std::string got_text(const RefusalView& refusal) {
  std::string text;
  for (int i = 0; i < kSources; ++i) {
    if (refusal.got[i] <= 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(kSourceNames[i]) + " " +
            size_cell(refusal.got[i]);
  }
  return text.empty() ? "nothing" : text;
}

const char* outcome_name(const RefusalView& refusal) {
  return kOutcomeNames[static_cast<uint32_t>(refusal.outcome)];
}

void print_refusals(const std::vector<RefusalView>& refusals) {
  Table table({"  when", "pid", "thread", "group", "asked-for", "usage",
               "cached", "outcome", "reclaimed"},
              "lrllrrrll");
  for (const RefusalView& refusal : refusals) {
    table.add({"  " + time_text(refusal.time_ms), std::to_string(refusal.pid),
               refusal.name, path_of_id(refusal.group_id),
               size_cell(refusal.request), size_cell(refusal.usage),
               size_cell(refusal.cached), outcome_name(refusal),
               got_text(refusal)});
  }
  table.print(std::cout);
}

std::string consumer_name(const Consumer& consumer) {
  return consumer.is_group ? path_of_group(consumer.index)
                           : name_of_process(consumer.index);
}

void print_consumers(const std::vector<Consumer>& consumers) {
  if (consumers.empty()) {
    std::cout << "what is charged now: nobody has anything\n";
    return;
  }
  std::cout << "what is charged now:\n";
  Table table({"  who", "charged"}, "lr");
  for (const Consumer& consumer : consumers) {
    table.add({"  " + consumer_name(consumer), size_cell(consumer.pages)});
  }
  table.print(std::cout);
}

void print_text(const Explanation& of) {
  std::cout << printable(of.path) << ": " << of.refused
            << (of.refused == 1 ? " charge was" : " charges were")
            << " refused at its limit; it is " << size_cell(of.limit)
            << ", usage " << size_cell(of.usage) << ", of that cached "
            << size_cell(of.cached) << "; policy " << of.policy;
  if (of.passed != 0) {
    std::cout << "; " << of.passed
              << " more met it and were let pass (by the reserve, or over it)";
  }
  std::cout << '\n';
  std::cout << "the last refusals:\n";
  print_refusals(of.refusals);
  print_consumers(of.consumers);
  if (of.advice.empty()) return;
  std::cout << "what would help:\n";
  for (const Advice& advice : of.advice)
    std::cout << "  " << printable(advice) << '\n';
}

int64_t bytes(int64_t pages) { return pages > 0 ? pages << kPageShift : 0; }

Json limit_json(int64_t pages) {
  return pages < kPageCounterMax ? Json(bytes(pages)) : Json("max");
}

Json json_of(const RefusalView& refusal) {
  Json got = Json::object();
  for (int i = 0; i < kSources; ++i) {
    got[kSourceNames[i]] = bytes(refusal.got[i]);
  }
  return {{"number", refusal.number},
          {"time_ms", refusal.time_ms},
          {"pid", refusal.pid},
          {"thread", refusal.thread},
          {"thread_name", refusal.name},
          {"group", path_of_id(refusal.group_id)},
          {"group_id", refusal.group_id},
          {"outcome", outcome_name(refusal)},
          {"flags", refusal.flags},
          {"request_bytes", bytes(refusal.request)},
          {"limit_bytes", limit_json(refusal.limit)},
          {"usage_bytes", bytes(refusal.usage)},
          {"cached_bytes", bytes(refusal.cached)},
          {"reclaimed_bytes", got}};
}

Json json_of(const Consumer& consumer) {
  return {{consumer.is_group ? "group" : "process", consumer_name(consumer)},
          {"charged_bytes", bytes(consumer.pages)}};
}

Json json_of(const Explanation& of) {
  Json refusals = Json::array(), consumers = Json::array();
  for (const RefusalView& refusal : of.refusals) {
    refusals.push_back(json_of(refusal));
  }
  for (const Consumer& consumer : of.consumers) {
    consumers.push_back(json_of(consumer));
  }
  return {{"refused", of.refused},
          {"let_pass", of.passed},
          {"limit_bytes", limit_json(of.limit)},
          {"usage_bytes", bytes(of.usage)},
          {"cached_bytes", bytes(of.cached)},
          {"policy", of.policy},
          {"refusals", refusals},
          {"consumers", consumers},
          {"advice", of.advice}};
}

int explain(const Options& options) {
  uint32_t root;
  if (!open_domain(options.domain) || !find_group_at(options.path, &root)) {
    return kFailed;
  }
  const std::vector<Explanation> all = explain_subtree(root);
  if (options.json) {
    Json groups = Json::object();
    for (const Explanation& of : all) groups[of.path] = json_of(of);
    print_json({{"domain", g_segment.path()}, {"groups", groups}});
    return kDone;
  }
  if (all.empty()) std::cout << "no charge was refused\n";
  for (size_t i = 0; i < all.size(); ++i) {
    if (i > 0) std::cout << '\n';
    print_text(all[i]);
  }
  return kDone;
}

}  // namespace

void add_explain_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "explain",
      "Say why charges were refused, who has the memory, and what would help");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command
      ->add_option("path", options->path,
                   "limits of this group, those above and below it (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return explain(*options); }; });
}

}  // namespace umemcg

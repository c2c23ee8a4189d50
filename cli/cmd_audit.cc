// `umemcg audit`: what each process has charged, held against what is resident.

#include <iostream>
#include <memory>

#include "base/units.h"
#include "cli/audit.h"
#include "cli/colour.h"
#include "cli/commands.h"
#include "cli/process_maps.h"
#include "cli/table.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string domain;
  int32_t pid = 0;  // 0: all
  bool json = false;
};

struct Audited {
  std::string name;
  ProcessAudit audit;
};

struct Part {
  const char* name;
  int64_t ProcessAudit::*value;
  const char* meaning;
};

// What makes up the one, and the other.
constexpr Part kCharged[] = {
    {"heap", &ProcessAudit::heap, "resident pages of the heap"},
    {"untouched", &ProcessAudit::untouched,
     "charged ahead, never touched, or swapped out"},
    {"records", &ProcessAudit::records,
     "the allocator's own, and charges for objects"},
};
constexpr Part kResident[] = {
    {"heap", &ProcessAudit::heap, "pages that are charged"},
    {"inherited", &ProcessAudit::inherited,
     "the same, charged by whom it was forked from"},
    {"anonymous", &ProcessAudit::anonymous,
     "other private memory: mmap, brk, the allocator's records"},
    {"stacks", &ProcessAudit::stacks, "of threads"},
    {"libraries", &ProcessAudit::libraries, "private mappings of files"},
    {"shared", &ProcessAudit::shared, "shared memory"},
};

std::string size_of(int64_t bytes) { return size_cell(bytes >> kPageShift); }

void add_to(ProcessAudit* sum, const ProcessAudit& audit) {
  sum->charged += audit.charged;
  sum->resident += audit.resident;
  for (const Part& part : kResident) sum->*part.value += audit.*part.value;
  sum->untouched += audit.untouched;
  sum->records += audit.records;
}

std::vector<Cell> cells(const std::string& pid, const std::string& name,
                        const ProcessAudit& audit, int64_t unaccounted) {
  std::vector<Cell> row = {pid,
                           name,
                           size_of(audit.charged),
                           size_of(audit.untouched),
                           size_of(audit.records),
                           size_of(audit.resident)};
  for (const Part& part : kResident) {
    row.push_back(size_of(audit.*part.value));
  }
  row.push_back(size_of(unaccounted));
  return row;
}

void print_table(const std::vector<Audited>& all) {
  std::vector<Cell> headings = {"pid",       "name",    "charged",
                                "untouched", "records", "resident"};
  for (const Part& part : kResident) headings.push_back(part.name);
  headings.push_back("unaccounted");
  Table table(headings, "rl" + std::string(headings.size() - 2, 'r'));
  ProcessAudit sum;
  int64_t unaccounted = 0;
  for (const Audited& one : all) {
    if (one.audit.error != 0) continue;
    table.add(cells(std::to_string(one.audit.pid), one.name, one.audit,
                    one.audit.unaccounted()));
    add_to(&sum, one.audit);
    unaccounted += one.audit.unaccounted();
  }
  table.add(cells("", "total", sum, unaccounted));
  table.print(std::cout);
}

// One process in words.
void print_one(const Audited& one) {
  Table table({one.name + " (" + std::to_string(one.audit.pid) + ")", "", ""},
              "lrl");
  auto parts = [&](const char* what, int64_t sum, const char* meaning,
                   const auto& list) {
    table.add({{what, Tone::kHeading}, size_of(sum), meaning});
    for (const Part& part : list) {
      table.add({std::string("  ") + part.name, size_of(one.audit.*part.value),
                 part.meaning});
    }
  };
  parts("charged", one.audit.charged, "to all groups", kCharged);
  parts("resident", one.audit.resident, "RSS, by what it is", kResident);
  table.add({{"unaccounted", Tone::kHeading},
             size_of(one.audit.unaccounted()),
             "anonymous and stacks"});
  table.print(std::cout);
}

Json json_of(const Audited& one) {
  Json object = {{"pid", one.audit.pid},
                 {"name", one.name},
                 {"charged", one.audit.charged}};
  if (one.audit.error != 0) {
    object["error"] = error_text(one.audit.error);
    return object;
  }
  object["untouched"] = one.audit.untouched;
  object["records"] = one.audit.records;
  object["resident"] = one.audit.resident;
  for (const Part& part : kResident) {
    object[part.name] = one.audit.*part.value;
  }
  object["unaccounted"] = one.audit.unaccounted();
  return object;
}

void print_document(const std::vector<Audited>& all) {
  Json processes = Json::array();
  for (const Audited& one : all) processes.push_back(json_of(one));
  print_json({{"domain", g_segment.path()}, {"processes", processes}});
}

std::string who_of(const Audited& one) {
  return one.name + " (" + std::to_string(one.audit.pid) + ")";
}

std::vector<Audited> audit_all(int32_t pid) {
  std::vector<Audited> all;
  for (const ProcessSample& process : take_sample().processes) {
    if (pid == 0 || process.pid == pid) {
      all.push_back({process.name, audit_process(process)});
    }
  }
  return all;
}

int audit(const Options& options) {
  if (!open_domain(options.domain)) return kFailed;
  const std::vector<Audited> all = audit_all(options.pid);
  if (options.pid != 0 && all.empty()) {
    return fail("the process " + std::to_string(options.pid) +
                " is not in the domain " + g_segment.path() + " (" +
                error_text(ESRCH) + "); `umemcg ps` lists those that are");
  }
  if (options.pid != 0 && all[0].audit.error != 0) {
    const int error = all[0].audit.error;
    return fail("the process " + who_of(all[0]) + " cannot be looked at (" +
                error_text(error) + "); " + advice_on_reading(error));
  }
  if (options.json) {
    print_document(all);
  } else if (options.pid != 0) {
    print_one(all[0]);
  } else {
    print_table(all);
  }
  // The others are there; that these are missing is a note.
  for (const Audited& one : all) {
    if (one.audit.error == 0 || options.json) continue;
    fail(who_of(one) + " is left out (" + error_text(one.audit.error) + "); " +
         advice_on_reading(one.audit.error));
  }
  return kDone;
}

}  // namespace

void add_audit_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "audit",
      "Hold what each process has charged against what is resident, and say "
      "what makes the difference");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("pid", options->pid, "this process alone, in words")
      ->check(CLI::Range(int32_t{1}, INT32_MAX))
      ->type_name("PID");
  command->callback(
      [options, &chosen] { chosen = [options] { return audit(*options); }; });
}

}  // namespace umemcg

// `umemcg version`: of the program, and of what it works with.

#include <dlfcn.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "accounting/layout.h"
#include "cli/commands.h"
#include "cli/library.h"
#include "cli/table.h"

namespace umemcg {
namespace {

struct Versions {
  std::string library;  // its path; or why there is none
  bool found = false;
  std::string mimalloc;  // empty: it cannot be told
};

// mimalloc's own number, 30600 or 3601, is "3.6.0" or "3.6.1": it became longer
// with 3.6.
std::string mimalloc_text(int number) {
  const int major = number / (number < 10000 ? 1000 : 10000);
  const int minor = number < 10000 ? number / 100 % 10 : number / 100 % 100;
  return std::to_string(major) + "." + std::to_string(minor) + "." +
         std::to_string(number % 100);
}

// The library that libumemcg.so loads: beside it, or the system's. It is asked
// itself, and stays loaded: nothing of it is used.
std::string mimalloc_beside(const std::string& library) {
  const std::filesystem::path folder =
      std::filesystem::path(library).parent_path();
  for (const std::string& name :
       {(folder / kAllocatorFile).string(), std::string(kAllocatorFile)}) {
    void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* version = handle != nullptr ? ::dlsym(handle, "mi_version") : nullptr;
    if (version != nullptr) {
      return mimalloc_text(reinterpret_cast<int (*)()>(version)());
    }
  }
  return "";
}

Versions find_versions() {
  Versions versions;
  const std::string why = find_library(&versions.library);
  versions.found = why.empty();
  if (versions.found) {
    versions.mimalloc = mimalloc_beside(versions.library);
  } else {
    versions.library = why;
  }
  return versions;
}

void print_table(const Versions& versions) {
  Table table({"umemcg", UMEMCG_VERSION}, "ll");
  table.add({"layout", std::to_string(kLayoutVersion)});
  table.add({"library", versions.library});
  table.add(
      {"mimalloc", versions.mimalloc.empty() ? "unknown" : versions.mimalloc});
  table.print(std::cout);
}

void print_document(const Versions& versions) {
  nlohmann::ordered_json document = {{"umemcg", UMEMCG_VERSION},
                                     {"layout", kLayoutVersion},
                                     {"library", nullptr},
                                     {"mimalloc", nullptr}};
  if (versions.found) document["library"] = versions.library;
  if (!versions.mimalloc.empty()) document["mimalloc"] = versions.mimalloc;
  print_json(document);
}

}  // namespace

void add_version_command(CLI::App& app, Action& chosen) {
  auto json = std::make_shared<bool>();
  CLI::App* command = app.add_subcommand(
      "version",
      "Print the version of umemcg, of the layout of domains, which library "
      "umemcg run preloads, and its mimalloc's version");
  add_json_flag(command, *json);
  command->callback([json, &chosen] {
    chosen = [json] {
      const Versions versions = find_versions();
      if (*json) {
        print_document(versions);
      } else {
        print_table(versions);
      }
      return kDone;
    };
  });
}

}  // namespace umemcg

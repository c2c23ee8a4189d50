#include "cli/top/sample_json.h"

#include <algorithm>

#include "accounting/layout.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kStallNames[kPsiStates] = {"some", "full"};

Json json_of_amount(int64_t bytes) {
  return bytes == kUnlimited ? Json("max") : Json(bytes);
}

int64_t amount_of(const nlohmann::json& value) {
  return value == "max" ? kUnlimited : value.get<int64_t>();
}

// {"low": 0, "high": 0, ...}: the array by these names.
template <typename Array>
Json named(const Array& values, const char* const* names) {
  Json object = Json::object();
  for (size_t i = 0; i < values.size(); ++i) object[names[i]] = values[i];
  return object;
}

// A name that is missing is an event or a source that there was not yet.
template <typename Array>
void read_named(const nlohmann::json& object, const char* const* names,
                Array* values) {
  for (size_t i = 0; i < values->size(); ++i) {
    (*values)[i] = object.value(names[i], (*values)[i]);
  }
}

Json json_of_process(const ProcessSample& process) {
  Json charges = Json::array();
  for (const ProcessCharge& charge : process.charges) {
    charges.push_back({{"group", charge.group}, {"charged", charge.charged}});
  }
  return {{"pid", process.pid},     {"name", process.name},
          {"group", process.group}, {"charged", process.charged},
          {"charges", charges},     {"ended", process.ended}};
}

GroupSample group_of(const nlohmann::json& object) {
  GroupSample group;
  group.id = object.at("id");
  group.path = object.at("path");
  // (No tree is deeper; who goes through one recurses.)
  group.depth =
      std::min<unsigned>(object.at("depth").get<unsigned>(), kMaxDepth);
  for (auto [name, field] : {std::pair{"usage", &group.usage},
                             {"peak", &group.peak},
                             {"min", &group.min},
                             {"low", &group.low},
                             {"high", &group.high},
                             {"max", &group.max},
                             {"available", &group.available},
                             {"cached", &group.cached},
                             {"stock", &group.stock},
                             {"charged", &group.charged},
                             {"uncharged", &group.uncharged}}) {
    *field = amount_of(object.at(name));
  }
  read_named(object.at("events"), kEventNames, &group.events);
  read_named(object.at("stall_us"), kStallNames, &group.stall_us);
  read_named(object.at("stalled_percent"), kStallNames, &group.stalled);
  read_named(object.at("reclaimed"), kSourceNames, &group.reclaimed);
  group.processes = object.at("processes");
  group.threads = object.at("threads");
  return group;
}

ProcessSample process_of(const nlohmann::json& object) {
  ProcessSample process;
  process.pid = object.at("pid");
  process.name = object.at("name");
  process.group = object.at("group");
  process.charged = object.at("charged");
  for (const nlohmann::json& charge : object.at("charges")) {
    process.charges.push_back({charge.at("group"), charge.at("charged")});
  }
  process.ended = object.at("ended");
  return process;
}

}  // namespace

Json json_of_group(const GroupSample& group) {
  return {{"id", group.id},
          {"path", group.path},
          {"depth", group.depth},
          {"usage", group.usage},
          {"peak", group.peak},
          {"min", json_of_amount(group.min)},
          {"low", json_of_amount(group.low)},
          {"high", json_of_amount(group.high)},
          {"max", json_of_amount(group.max)},
          {"available", json_of_amount(group.available)},
          {"cached", group.cached},
          {"stock", group.stock},
          {"charged", group.charged},
          {"uncharged", group.uncharged},
          {"events", named(group.events, kEventNames)},
          {"stall_us", named(group.stall_us, kStallNames)},
          {"stalled_percent", named(group.stalled, kStallNames)},
          {"reclaimed", named(group.reclaimed, kSourceNames)},
          {"processes", group.processes},
          {"threads", group.threads}};
}

Json json_of_sample(const Sample& sample, Json groups) {
  Json processes = Json::array();
  for (const ProcessSample& process : sample.processes) {
    processes.push_back(json_of_process(process));
  }
  Json document = {{"wall_ms", sample.wall_ms}, {"clock_ns", sample.clock_ns}};
  // (Not in the list above, which copies.)
  document["groups"] = std::move(groups);
  document["processes"] = std::move(processes);
  return document;
}

Json json_of_sample(const Sample& sample) {
  Json groups = Json::array();
  for (const GroupSample& group : sample.groups) {
    groups.push_back(json_of_group(group));
  }
  return json_of_sample(sample, std::move(groups));
}

Sample sample_of_json(const nlohmann::json& document) {
  Sample sample;
  sample.wall_ms = document.at("wall_ms");
  sample.clock_ns = document.at("clock_ns");
  for (const nlohmann::json& group : document.at("groups")) {
    sample.groups.push_back(group_of(group));
  }
  for (const nlohmann::json& process : document.at("processes")) {
    sample.processes.push_back(process_of(process));
  }
  return sample;
}

}  // namespace umemcg

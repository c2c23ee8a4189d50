// A sample as JSON and back: a line of a recording, and what `top --json`
// prints. Amounts are bytes; "max" is no limit.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/sample.h"

namespace umemcg {

// Without the domain: it is the same for all samples of a recording.
nlohmann::ordered_json json_of_group(const GroupSample& group);
nlohmann::ordered_json json_of_sample(const Sample& sample);
// With these groups, of which more is known.
nlohmann::ordered_json json_of_sample(const Sample& sample,
                                      nlohmann::ordered_json groups);

// Throws nlohmann::json::exception where the document is not of that form.
Sample sample_of_json(const nlohmann::json& document);

}  // namespace umemcg

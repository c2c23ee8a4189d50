// Starting umemcg in a host process.
//
//   cold -> starting -> ready, or off: not accounted, and said so once
//
// The first allocation starts it, before any constructor has run. Nothing in
// here may end or crash the host.
#pragma once

#include "shim/config.h"

namespace umemcg {

enum class State : int { kCold, kStarting, kReady, kOff };

State state();

// Starts umemcg if it has not been; returns when some thread has. Called by a
// thread that is starting it, it returns at once.
void ensure_started();

const Config& config();

// Says once that the process is not accounted, and why.
void not_accounted(const char* why, const char* detail = nullptr);

}  // namespace umemcg

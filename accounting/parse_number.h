// Numbers as the kernel reads them from control files: decimal, 0x... or 0...
// (octal), perhaps with a sign. 0, or EINVAL (no number), or ERANGE.
#pragma once

#include <cstdint>

namespace umemcg {

// kstrtoint, for numbers that may not be negative (ERANGE): at most INT_MAX.
int parse_int(const char* text, uint32_t* value);
// kstrtoull: a minus is EINVAL.
int parse_u64(const char* text, uint64_t* value);
// A number that must be 0 or 1 (ERANGE).
int parse_switch(const char* text, bool* on);

}  // namespace umemcg

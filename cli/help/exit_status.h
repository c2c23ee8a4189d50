// What a command's exit status means, for --help and the manual page; the
// numbers are those of cli/command.h and cli/run.h.
#pragma once

namespace umemcg {

inline constexpr char kExitStatus[] =
    "Exit status: 0 when it was done; 1 when it was not, with a line on stderr "
    "that says what, where and what to do; 2 when the command line was not "
    "understood.";
inline constexpr char kRunExitStatus[] =
    "Exit status: the command's own, 128 + N if signal N ended it; 127 if it "
    "was not found, 126 if it cannot be executed, 125 if umemcg itself failed.";

}  // namespace umemcg

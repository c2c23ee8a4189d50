// UMEMCG_REPORT: the report that a process writes when it ends.
#pragma once

namespace umemcg {

// `where` is "stderr" or a file to append to; null: no report.
void report_at_exit(const char* where);

}  // namespace umemcg

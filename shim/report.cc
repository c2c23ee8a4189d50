#include "shim/report.h"

#include <fcntl.h>

#include <cstring>

#include "accounting/report.h"
#include "base/sys.h"

namespace umemcg {
namespace {

void write_text(const TextBuffer& text, void* fd) {
  sys::write(*static_cast<int*>(fd), text.c_str(), text.length());
}

}  // namespace

void report_at_exit(const char* where) {
  if (where == nullptr) return;
  int fd = 2;
  if (std::strcmp(where, "stderr") != 0) {
    fd = sys::open(where, O_WRONLY | O_CREAT | O_APPEND, 0666);
  }
  if (fd < 0) {
    Line line;
    line.text("UMEMCG_REPORT=").text(where).text(" cannot be written: ");
    print_line(line.text(strerrordesc_np(-fd)));
    return;
  }
  write_report(g_segment, write_text, &fd);
  if (fd != 2) sys::close(fd);
}

}  // namespace umemcg

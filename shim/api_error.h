// How functions of the public interface fail: errno, and -1 or null.
#pragma once

#include <errno.h>

#include <cstddef>

#include "base/attributes.h"

namespace umemcg {

UMEMCG_COLD inline int fail(int error) {
  errno = error;
  return -1;
}

UMEMCG_COLD inline std::nullptr_t fail_null(int error) {
  errno = error;
  return nullptr;
}

}  // namespace umemcg

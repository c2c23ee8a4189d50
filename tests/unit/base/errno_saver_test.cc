#include "base/errno_saver.h"

#include <gtest/gtest.h>

namespace umemcg {
namespace {

TEST(ErrnoSaver, PutsBackWhatItFound) {
  errno = EAGAIN;
  {
    ErrnoSaver saver;
    errno = ENOMEM;
  }
  EXPECT_EQ(errno, EAGAIN);
}

TEST(ErrnoSaver, Nests) {
  errno = 1;
  {
    ErrnoSaver outer;
    errno = 2;
    {
      ErrnoSaver inner;
      errno = 3;
    }
    EXPECT_EQ(errno, 2);
  }
  EXPECT_EQ(errno, 1);
}

}  // namespace
}  // namespace umemcg

#include "tests/unit/support/scratch.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace umemcg::test {

ScratchDirectory::ScratchDirectory() {
  path_ = (std::filesystem::temp_directory_path() / "umemcg-test-XXXXXX");
  if (::mkdtemp(path_.data()) == nullptr) {
    throw std::runtime_error("no temporary directory at " + path_);
  }
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace umemcg::test

// A cache that gives way. It holds 40 MiB of blobs in a group of 64 MiB; then
// the program needs 50 MiB for itself. With a shrinker the cache lets go of its
// oldest blobs and the program gets what it needs; without one (--no-shrinker)
// the cache is in the way, and the program runs into the limit.
//
//   c++ -std=c++17 cache.cc $(pkg-config --cflags --libs umemcg)
#include <umemcg/umemcg.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kBlobSize = 64 * 1024;
constexpr size_t kBlobs = 40 * kMiB / kBlobSize;

class Cache {
 public:
  // What may shrink this very cache, an allocation, is not under its lock.
  void put(int key) {
    std::list<Blob> made;
    made.push_back({key, std::vector<char>(kBlobSize, 'x')});
    std::lock_guard<std::mutex> lock(mutex_);
    blobs_.splice(blobs_.begin(), made);
    bytes_ += kBlobSize;
  }
  bool get(int key) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found =
        std::find_if(blobs_.begin(), blobs_.end(),
                     [key](const Blob& blob) { return blob.key == key; });
    if (found == blobs_.end()) return false;
    blobs_.splice(blobs_.begin(), blobs_, found);
    return true;
  }
  size_t bytes() {
    std::lock_guard<std::mutex> lock(mutex_);
    return bytes_;
  }

  // [readme]
  // What a shrinker needs: how much there is, and letting go of some of it. It
  // is called in the middle of an allocation, of this very thread perhaps: so
  // allocate what goes into the cache before you take its lock.
  size_t count(umemcg_group*) {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    return lock ? bytes_ : 0;
  }
  size_t scan(umemcg_group*, size_t wanted) {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock) return UMEMCG_SHRINK_STOP;
    size_t freed = 0;
    for (; freed < wanted && !blobs_.empty(); freed += kBlobSize) {
      blobs_.pop_back();  // the one that was not used for longest
    }
    bytes_ -= freed;
    return freed;
  }
  // [/readme]

 private:
  struct Blob {
    int key;
    std::vector<char> content;
  };

  std::mutex mutex_;
  std::list<Blob> blobs_;  // the one used last is the first
  size_t bytes_ = 0;
};

double in_mib(size_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(kMiB);
}

// Blocks of 1 MiB; how many of them it got.
size_t allocate(size_t wanted, std::vector<std::unique_ptr<char[]>>& blocks) {
  try {
    while (blocks.size() < wanted) {
      blocks.push_back(std::make_unique<char[]>(kMiB));
    }
  } catch (const std::bad_alloc&) {
  }
  return blocks.size();
}

int main(int argc, char** argv) {
  const bool shrinks = argc < 2 || std::strcmp(argv[1], "--no-shrinker") != 0;
  umemcg::group group = umemcg::group::create("/app");
  group.set("memory.max", "64M");
  umemcg::thread_scope scope(group);

  Cache cache;
  for (size_t i = 0; i < kBlobs; ++i) cache.put(static_cast<int>(i));
  cache.get(0);  // used again: the last to go
  const size_t before = cache.bytes();
  std::printf("the cache holds %.1f MiB\n", in_mib(before));

  umemcg::shrinker shrinker;
  umemcg::shrinker_options options;
  options.name = "blobs";
  options.deadline_ms = 1000;  // for all its calls in one allocation
  if (shrinks) shrinker = umemcg::shrinker::of(group, cache, options);

  std::vector<std::unique_ptr<char[]>> blocks;
  blocks.reserve(50);
  std::printf("the program got %zu of 50 MiB\n", allocate(50, blocks));

  const size_t after = cache.bytes();
  std::printf("the cache let go of %.1f MiB in %llu calls, %.1f MiB are left\n",
              in_mib(before - after),
              static_cast<unsigned long long>(shrinker.stats().scans),
              in_mib(after));
  std::printf("blob 0 is %s\n", cache.get(0) ? "still there" : "gone");
  std::printf("charged: %.1f of 64.0 MiB\n",
              in_mib(std::stoull(group.get("memory.current"))));
  return 0;
}

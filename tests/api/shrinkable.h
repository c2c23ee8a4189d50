// A cache of blobs with a shrinker, for tests.
#pragma once

#include <atomic>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>

#include "tests/api/support.h"

namespace api_test {

inline constexpr size_t kBlob = 64 * 1024;

class BlobCache {
 public:
  BlobCache() = default;
  ~BlobCache() {
    leave();
    drop(SIZE_MAX);
  }
  BlobCache(const BlobCache&) = delete;
  BlobCache& operator=(const BlobCache&) = delete;

  // Its id, or -1 with errno.
  int join(umemcg_group* group, unsigned deadline_ms = 60'000, int cost = 0) {
    umemcg_shrinker described{};
    described.size = sizeof(described);
    described.count = count;
    described.scan = scan;
    described.arg = this;
    described.name = "blobs";
    described.cost = cost;
    described.deadline_ms = deadline_ms;
    return id_ = umemcg_shrinker_register(group, &described);
  }
  void leave() {
    if (id_ > 0) {
      EXPECT_EQ(umemcg_shrinker_unregister(id_), 0);
    }
    id_ = 0;
  }
  int id() const { return id_; }
  umemcg_shrinker_stats stats() const {
    umemcg_shrinker_stats found{};
    found.size = sizeof(found);
    EXPECT_EQ(umemcg_shrinker_read(id_, &found), 0);
    return found;
  }

  // Fills it, in the thread's group, until it holds `bytes`.
  void fill(size_t bytes) {
    while (held < bytes) {
      void* blob = touched(std::malloc(kBlob), kBlob);
      ASSERT_NE(blob, nullptr);
      std::lock_guard<std::mutex> lock(mutex_);
      blobs_.push_back(blob);
      held += kBlob;
    }
  }
  // Frees as much; what it freed.
  size_t drop(size_t bytes) {
    size_t freed = 0;
    while (freed < bytes) {
      void* blob = nullptr;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (blobs_.empty()) break;
        blob = blobs_.front();
        blobs_.pop_front();
      }
      std::free(blob);
      freed += kBlob;
      held -= kBlob;
    }
    return freed;
  }

  std::atomic<size_t> held{0};
  std::atomic<int> calls{0};
  // In scan, before anything is freed.
  std::function<void(umemcg_group*)> in_scan;
  // Instead of it.
  std::function<size_t(size_t)> scan_instead;

 private:
  static size_t count(umemcg_group*, void* arg) {
    return static_cast<BlobCache*>(arg)->held;
  }
  static size_t scan(umemcg_group* group, size_t bytes, void* arg) {
    BlobCache& cache = *static_cast<BlobCache*>(arg);
    ++cache.calls;
    if (cache.in_scan) cache.in_scan(group);
    if (cache.scan_instead) return cache.scan_instead(bytes);
    return cache.drop(bytes);
  }

  std::mutex mutex_;
  std::deque<void*> blobs_;
  int id_ = 0;
};

// Blocks that a test holds on to.
class Blocks {
 public:
  Blocks() = default;
  ~Blocks() { free_all(); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  // Until it has `bytes` in blocks of `size`, or there are no more; whether it
  // has.
  bool grow(size_t bytes, size_t size = kMiB) {
    while (held < bytes) {
      void* block = touched(std::malloc(size), size);
      if (block == nullptr) return false;
      blocks_.push_back(block);
      held += size;
    }
    return true;
  }
  void free_all() {
    for (void* block : blocks_) std::free(block);
    blocks_.clear();
    held = 0;
  }

  size_t held = 0;

 private:
  std::deque<void*> blocks_;
};

// A group with a limit that the thread is in, with a cache that fills 40 of its
// 64 MiB.
class WithACache : public InGroups {
 protected:
  void SetUp() override {
    static int number = 0;
    path_ = "/cache" + std::to_string(++number);
    group_ = umemcg_group_open(path_.c_str(), UMEMCG_CREATE);
    ASSERT_NE(group_, nullptr);
    ASSERT_EQ(umemcg_set(group_, "memory.max", "64M"), 0);
    ASSERT_EQ(umemcg_thread_set(group_, nullptr), 0);
    cache_.fill(40 * kMiB);
  }
  void TearDown() override {
    cache_.leave();
    umemcg_thread_set(nullptr, nullptr);
    umemcg_group_close(group_);
  }
  int64_t events(const char* key) {
    return value_of(group_, "memory.events", key);
  }

  std::string path_;
  umemcg_group* group_ = nullptr;
  BlobCache cache_;
};

}  // namespace api_test

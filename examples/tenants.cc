// A server whose worker threads serve requests of several tenants. Each request
// is charged to its tenant; one that goes over its tenant's limit gets "no",
// and nobody else notices.
//
//   c++ -std=c++17 tenants.cc $(pkg-config --cflags --libs umemcg) -pthread
#include <umemcg/umemcg.hpp>

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct Tenant {
  Tenant(const char* tenant_name, const char* limit)
      : name(tenant_name), group(umemcg::group::create("/tenants/" + name)) {
    group.set("memory.max", limit);
  }

  std::string name;
  umemcg::group group;
  std::mutex mutex;
  std::vector<std::string> notes;  // what the tenant's requests leave behind
  int served = 0;
  int refused = 0;
};

struct Request {
  Tenant* tenant;
  size_t bytes;
};

void handle(const Request& request) {
  Tenant& tenant = *request.tenant;
  std::lock_guard<std::mutex> lock(tenant.mutex);
  // [readme]
  umemcg::thread_scope scope(tenant.group);  // this thread works for the tenant
  try {
    tenant.notes.emplace_back(request.bytes, 'x');
    ++tenant.served;
  } catch (const std::bad_alloc&) {  // at the limit of this tenant, not ours
    ++tenant.refused;
  }
  // [/readme]
}

// Threads that take requests from a queue, until it is closed and empty.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void submit(const Request& request) {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(request);
    changed_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const Request request = queue_.front();
      queue_.pop_front();
      lock.unlock();
      handle(request);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> queue_;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

int main() {
  Tenant modest("modest", "64M"), greedy("greedy", "16M");
  {
    Pool pool(4);
    for (int i = 0; i < 100; ++i) {
      pool.submit({&modest, 100'000});
      pool.submit({&greedy, 1'000'000});
    }
  }
  for (const Tenant* tenant : {&modest, &greedy}) {
    std::printf("%s: %d served, %d refused, at most %s of %s bytes\n",
                tenant->name.c_str(), tenant->served, tenant->refused,
                tenant->group.get("memory.peak").c_str(),
                tenant->group.get("memory.max").c_str());
  }
  return 0;
}

// How a low layer calls a higher one: a function pointer that does nothing
// until the higher layer installs itself. Constant-initialised, so it may be
// called before any constructor has run.
#pragma once

#include <atomic>

namespace umemcg {

template <typename Function>
class Hook;

template <typename Result, typename... Args>
class Hook<Result(Args...)> {
 public:
  using Function = Result (*)(Args...);

  constexpr explicit Hook(Function fallback) : function_(fallback) {}

  // release: what the installer prepared is visible to callers that see it.
  void install(Function function) {
    function_.store(function, std::memory_order_release);
  }
  // acquire: pairs with install().
  Result operator()(Args... args) const {
    return function_.load(std::memory_order_acquire)(args...);
  }

 private:
  std::atomic<Function> function_;
};

}  // namespace umemcg

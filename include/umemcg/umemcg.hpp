/* umemcg in C++17: umemcg.h with owners, scopes and allocators.
 *
 * Functions that can fail come twice: one throws std::system_error (with the
 * errno that umemcg.h documents, in std::generic_category), the other takes a
 * std::error_code& and throws nothing. In a program without exceptions the
 * first kind ends the process by std::abort.
 *
 * Thread safety: a group may be used by many threads at once, like a handle. A
 * scope belongs to the thread that made it. An allocator or memory_resource may
 * be used by many threads at once.
 */
#ifndef UMEMCG_UMEMCG_HPP
#define UMEMCG_UMEMCG_HPP

#include <umemcg/umemcg.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory_resource>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace umemcg {
namespace detail {

inline std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

[[noreturn]] inline void fail(std::error_code error, const char* what) {
#if defined(__cpp_exceptions)
  throw std::system_error(error, what);
#else
  (void)error, (void)what;
  std::abort();
#endif
}

inline void check(std::error_code error, const char* what) {
  if (error) fail(error, what);
}

[[noreturn]] inline void out_of_memory() {
#if defined(__cpp_exceptions)
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

/* `size` bytes of a group with that alignment; null with errno. */
inline void* allocate(umemcg_group* handle, std::size_t size,
                      std::size_t alignment) noexcept {
  // (Blocks that are smaller than an alignment need not have it.)
  return alignment <= alignof(std::max_align_t) && size >= alignment
             ? umemcg_malloc(handle, size)
             : umemcg_aligned_alloc(handle, alignment, size);
}

}  // namespace detail

/* A group: an open handle that closes itself. Move-only. One that was default
 * constructed or moved from stands for the process's own group, as NULL does
 * in umemcg.h. */
class group {
 public:
  group() noexcept = default;
  group(group&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  group& operator=(group&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~group() { umemcg_group_close(handle_); }

  /* The group at `path`, which is there (open), may be there or is made
   * (create), or must not be there yet (with UMEMCG_CREATE | UMEMCG_EXCL). */
  static group open(const char* path, int flags = 0) {
    std::error_code error;
    group opened = open(path, flags, error);
    detail::check(error, "umemcg::group::open");
    return opened;
  }
  static group open(const char* path, int flags,
                    std::error_code& error) noexcept {
    group opened;
    opened.handle_ = umemcg_group_open(path, flags);
    error =
        opened.handle_ != nullptr ? std::error_code() : detail::last_error();
    return opened;
  }
  static group create(const char* path) { return open(path, UMEMCG_CREATE); }
  static group create(const char* path, std::error_code& error) noexcept {
    return open(path, UMEMCG_CREATE, error);
  }
  static group open(const std::string& path, int flags = 0) {
    return open(path.c_str(), flags);
  }
  static group create(const std::string& path) { return create(path.c_str()); }

  /* Removes the group at `path`: umemcg_group_remove. */
  static void remove(const char* path) {
    std::error_code error;
    remove(path, error);
    detail::check(error, "umemcg::group::remove");
  }
  static void remove(const char* path, std::error_code& error) noexcept {
    error = umemcg_group_remove(path) == 0 ? std::error_code()
                                           : detail::last_error();
  }

  /* Control files: umemcg_set and umemcg_get. What get returns has no newline
   * at its end. */
  void set(const char* file, const char* value) const {
    std::error_code error;
    set(file, value, error);
    detail::check(error, file);
  }
  void set(const char* file, const char* value,
           std::error_code& error) const noexcept {
    error = umemcg_set(handle_, file, value) == 0 ? std::error_code()
                                                  : detail::last_error();
  }
  std::string get(const char* file) const {
    std::error_code error;
    std::string content = get(file, error);
    detail::check(error, file);
    return content;
  }
  /* Throws std::bad_alloc if there is no memory for the string. */
  std::string get(const char* file, std::error_code& error) const {
    std::string content(64, '\0');
    error.clear();
    for (;;) {
      const ssize_t length =
          umemcg_get(handle_, file, &content[0], content.size());
      if (length < 0) {
        error = detail::last_error();
        return {};
      }
      /* Lists may have grown since they were measured. */
      const std::size_t wanted = static_cast<std::size_t>(length);
      const bool whole = wanted < content.size();
      content.resize(whole ? wanted : wanted + 64);
      if (!whole) continue;
      if (!content.empty() && content.back() == '\n') content.pop_back();
      return content;
    }
  }

  /* The group's path; empty with an error if it was removed. */
  std::string path() const {
    std::error_code error;
    std::string result = path(error);
    detail::check(error, "umemcg::group::path");
    return result;
  }
  std::string path(std::error_code& error) const {
    std::string result(256, '\0');
    error.clear();
    while (umemcg_group_path(handle_, &result[0], result.size()) == nullptr) {
      error = detail::last_error();
      if (error != std::errc::result_out_of_range) return {};
      error.clear();
      result.resize(result.size() * 2);
    }
    result.resize(result.find('\0'));
    return result;
  }

  /* umemcg_group_ino; 0 if there is no such group. */
  std::uint64_t ino() const noexcept { return umemcg_group_ino(handle_); }

  /* The handle, which stays this object's. */
  umemcg_group* handle() const noexcept { return handle_; }

 private:
  umemcg_group* handle_ = nullptr;
};

/* The thread is in the group until the end of the scope: umemcg_thread_set. If
 * that failed (with an error_code), the thread is where umemcg_thread_set
 * leaves it, and the end of the scope puts it back all the same. If the thread
 * cannot be put back, since the group that it was in is gone, it follows its
 * process. */
class thread_scope {
 public:
  explicit thread_scope(const group& to) : thread_scope(to.handle()) {}
  explicit thread_scope(umemcg_group* to) {
    std::error_code error;
    enter(to, error);
    /* No destructor runs for what was not constructed. */
    if (error) leave();
    detail::check(error, "umemcg::thread_scope");
  }
  thread_scope(const group& to, std::error_code& error) noexcept {
    enter(to.handle(), error);
  }
  ~thread_scope() { leave(); }
  thread_scope(const thread_scope&) = delete;
  thread_scope& operator=(const thread_scope&) = delete;

 private:
  void enter(umemcg_group* to, std::error_code& error) noexcept {
    error = umemcg_thread_set(to, &previous_) == 0 ? std::error_code()
                                                   : detail::last_error();
  }
  void leave() noexcept {
    const int kept = errno;
    /* ESTALE: it is in an ancestor of what it was in. Else what it was in is
     * gone altogether: better the process's group than this one for good. */
    if (umemcg_thread_set(previous_, nullptr) != 0 && errno != ESTALE) {
      umemcg_thread_set(nullptr, nullptr);
    }
    errno = kept;
  }

  umemcg_group* previous_ = nullptr;
};

/* What the scope allocates is charged to the group, whatever the thread is in:
 * umemcg_active_begin. May be used in a signal handler (with an error_code). */
class active_scope {
 public:
  explicit active_scope(const group& to) : active_scope(to.handle()) {}
  explicit active_scope(umemcg_group* to) {
    if (umemcg_active_begin(to, &before_) == 0) return;
    const std::error_code error = detail::last_error();
    umemcg_active_end(before_);
    detail::fail(error, "umemcg::active_scope");
  }
  active_scope(const group& to, std::error_code& error) noexcept {
    error = umemcg_active_begin(to.handle(), &before_) == 0
                ? std::error_code()
                : detail::last_error();
  }
  ~active_scope() { umemcg_active_end(before_); }
  active_scope(const active_scope&) = delete;
  active_scope& operator=(const active_scope&) = delete;

 private:
  umemcg_group* before_ = nullptr;
};

/* Memory of a group for std::pmr containers. At a limit of the group it throws
 * std::bad_alloc. Two are equal if they are of the same group (without RTTI: if
 * they are the same). The group must outlive it; after the group was removed
 * its nearest ancestor is charged. */
class memory_resource final : public std::pmr::memory_resource {
 public:
  explicit memory_resource(const group& of) noexcept : handle_(of.handle()) {}
  explicit memory_resource(umemcg_group* of) noexcept : handle_(of) {}

  umemcg_group* handle() const noexcept { return handle_; }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    void* block = detail::allocate(handle_, size, alignment);
    if (block == nullptr) detail::out_of_memory();
    return block;
  }
  void do_deallocate(void* block, std::size_t, std::size_t) override {
    umemcg_free(block);
  }
  bool do_is_equal(
      const std::pmr::memory_resource& other) const noexcept override {
#if defined(__cpp_rtti)
    const auto* same = dynamic_cast<const memory_resource*>(&other);
    return same != nullptr && same->handle_ == handle_;
#else
    return this == &other;
#endif
  }

  umemcg_group* handle_;
};

/* The same as an allocator of other containers. It goes along when a container
 * is moved or swapped, and stays when one is assigned by copy. */
template <typename T>
class allocator {
 public:
  using value_type = T;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;

  explicit allocator(const group& of) noexcept : handle_(of.handle()) {}
  explicit allocator(umemcg_group* of) noexcept : handle_(of) {}
  template <typename U>
  allocator(const allocator<U>& other) noexcept : handle_(other.handle()) {}

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
      detail::out_of_memory();
    }
    void* block = detail::allocate(handle_, count * sizeof(T), alignof(T));
    if (block == nullptr) detail::out_of_memory();
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t) noexcept { umemcg_free(block); }

  umemcg_group* handle() const noexcept { return handle_; }

 private:
  umemcg_group* handle_;
};

template <typename T, typename U>
bool operator==(const allocator<T>& a, const allocator<U>& b) noexcept {
  return a.handle() == b.handle();
}
template <typename T, typename U>
bool operator!=(const allocator<T>& a, const allocator<U>& b) noexcept {
  return a.handle() != b.handle();
}

/* What may be said of a shrinker: see umemcg_shrinker. */
struct shrinker_options {
  const char* name = nullptr;
  int cost = 0;
  unsigned deadline_ms = 0; /* 0: 100 ms */
};

/* A cache that is shrunk when a group has no room left: umemcg_shrinker. It has
 *
 *   std::size_t count(umemcg_group* group);
 *   std::size_t scan(umemcg_group* group, std::size_t bytes);
 *
 * as umemcg.h says; an exception that leaves one of them ends the process. The
 * cache must outlive the shrinker, whose end waits for a call that is running;
 * within the call itself it ends the process. Move-only; one that was default
 * constructed or moved from is none. */
class shrinker {
 public:
  shrinker() noexcept = default;
  shrinker(shrinker&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  shrinker& operator=(shrinker&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~shrinker() {
    if (id_ == 0) return;
    const int kept = errno;
    if (umemcg_shrinker_unregister(id_) != 0 && errno == EDEADLK) std::abort();
    errno = kept;
  }

  /* Of one group (EINVAL if it has no handle), and of every group. */
  template <typename Cache>
  static shrinker of(const group& shrunk, Cache& cache,
                     shrinker_options options = {}) {
    std::error_code error;
    shrinker made = of(shrunk, cache, options, error);
    detail::check(error, "umemcg::shrinker::of");
    return made;
  }
  template <typename Cache>
  static shrinker of(const group& shrunk, Cache& cache,
                     shrinker_options options,
                     std::error_code& error) noexcept {
    if (shrunk.handle() == nullptr) {
      error = std::make_error_code(std::errc::invalid_argument);
      return {};
    }
    return make(shrunk.handle(), cache, options, error);
  }
  template <typename Cache>
  static shrinker of_all(Cache& cache, shrinker_options options = {}) {
    std::error_code error;
    shrinker made = of_all(cache, options, error);
    detail::check(error, "umemcg::shrinker::of_all");
    return made;
  }
  template <typename Cache>
  static shrinker of_all(Cache& cache, shrinker_options options,
                         std::error_code& error) noexcept {
    return make(nullptr, cache, options, error);
  }

  /* What became of its calls; nothing if there is none. */
  umemcg_shrinker_stats stats() const noexcept {
    umemcg_shrinker_stats found{};
    found.size = sizeof(found);
    const int kept = errno;
    umemcg_shrinker_read(id_, &found);
    errno = kept;
    return found;
  }

  int id() const noexcept { return id_; }

 private:
  template <typename Cache>
  static std::size_t count(umemcg_group* group, void* cache) noexcept {
    return static_cast<Cache*>(cache)->count(group);
  }
  template <typename Cache>
  static std::size_t scan(umemcg_group* group, std::size_t bytes,
                          void* cache) noexcept {
    return static_cast<Cache*>(cache)->scan(group, bytes);
  }
  template <typename Cache>
  static shrinker make(umemcg_group* group, Cache& cache,
                       shrinker_options options,
                       std::error_code& error) noexcept {
    umemcg_shrinker described{};
    described.size = sizeof(described);
    described.count = count<Cache>;
    described.scan = scan<Cache>;
    described.arg = &cache;
    described.name = options.name;
    described.cost = options.cost;
    described.deadline_ms = options.deadline_ms;
    const int id = umemcg_shrinker_register(group, &described);
    shrinker made;
    if (id > 0) made.id_ = id;
    error = id > 0 ? std::error_code() : detail::last_error();
    return made;
  }

  int id_ = 0;
};

/* Being told: an eventfd of umemcg_threshold_fd and the like, which is ended
 * and closed at the end. Move-only; one that was default constructed or moved
 * from has none. */
class listener {
 public:
  listener() noexcept = default;
  listener(listener&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  listener& operator=(listener&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~listener() {
    if (fd_ < 0) return;
    const int kept = errno;
    umemcg_unlisten(fd_);
    ::close(fd_);
    errno = kept;
  }

  static listener threshold(const group& of, std::size_t bytes) {
    return made(umemcg_threshold_fd(of.handle(), bytes),
                "umemcg::listener::threshold");
  }
  static listener threshold(const group& of, std::size_t bytes,
                            std::error_code& error) noexcept {
    return made(umemcg_threshold_fd(of.handle(), bytes), error);
  }
  static listener pressure(const group& of, int level,
                           int mode = UMEMCG_PRESSURE_DEFAULT) {
    return made(umemcg_pressure_fd(of.handle(), level, mode),
                "umemcg::listener::pressure");
  }
  static listener pressure(const group& of, int level, int mode,
                           std::error_code& error) noexcept {
    return made(umemcg_pressure_fd(of.handle(), level, mode), error);
  }
  /* Some threads stand still, or (full) all that could run. */
  static listener stall(const group& of, bool full,
                        std::chrono::microseconds stalled,
                        std::chrono::microseconds window) {
    return made(stall_fd(of, full, stalled, window), "umemcg::listener::stall");
  }
  static listener stall(const group& of, bool full,
                        std::chrono::microseconds stalled,
                        std::chrono::microseconds window,
                        std::error_code& error) noexcept {
    return made(stall_fd(of, full, stalled, window), error);
  }

  /* For poll and the like; -1: none. It stays this object's. */
  int fd() const noexcept { return fd_; }
  /* How much there was to tell since the last call; 0: nothing. */
  std::uint64_t take() const noexcept {
    std::uint64_t count = 0;
    const int kept = errno;
    const bool whole = ::read(fd_, &count, sizeof(count)) == sizeof(count);
    errno = kept;
    return whole ? count : 0;
  }

 private:
  static listener made(int fd, const char* what) {
    std::error_code error;
    listener result = made(fd, error);
    detail::check(error, what);
    return result;
  }
  static listener made(int fd, std::error_code& error) noexcept {
    error = fd >= 0 ? std::error_code() : detail::last_error();
    listener result;
    result.fd_ = fd;
    return result;
  }
  /* What is no unsigned number of microseconds is EINVAL. */
  static int stall_fd(const group& of, bool full,
                      std::chrono::microseconds stalled,
                      std::chrono::microseconds window) noexcept {
    const auto bounded = [](std::chrono::microseconds time) {
      const bool fits = time.count() >= 0 && time.count() <= 1'000'000'000;
      return fits ? static_cast<unsigned>(time.count()) : 0u;
    };
    return umemcg_psi_fd(of.handle(), full, bounded(stalled), bounded(window));
  }

  int fd_ = -1;
};

/* A peak of one's own: umemcg_peak_open. Move-only, like a listener. */
class peak {
 public:
  peak() noexcept = default;
  peak(peak&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  peak& operator=(peak&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~peak() {
    if (number_ < 0) return;
    const int kept = errno;
    umemcg_peak_close(number_);
    errno = kept;
  }

  static peak open(const group& of) {
    std::error_code error;
    peak result = open(of, error);
    detail::check(error, "umemcg::peak::open");
    return result;
  }
  static peak open(const group& of, std::error_code& error) noexcept {
    peak result;
    result.number_ = umemcg_peak_open(of.handle());
    error = result.number_ >= 0 ? std::error_code() : detail::last_error();
    return result;
  }

  /* Bytes. */
  std::int64_t read() const {
    std::error_code error;
    const std::int64_t bytes = read(error);
    detail::check(error, "umemcg::peak::read");
    return bytes;
  }
  std::int64_t read(std::error_code& error) const noexcept {
    const std::int64_t bytes = umemcg_peak_read(number_);
    error = bytes >= 0 ? std::error_code() : detail::last_error();
    return bytes;
  }
  void reset() {
    std::error_code error;
    reset(error);
    detail::check(error, "umemcg::peak::reset");
  }
  void reset(std::error_code& error) noexcept {
    error = umemcg_peak_reset(number_) == 0 ? std::error_code()
                                            : detail::last_error();
  }

 private:
  int number_ = -1;
};

}  // namespace umemcg

#endif  // UMEMCG_UMEMCG_HPP

/// selvedge/base.hpp: errors, results, handles, cancel, progress, buffers, log, version. Include "selvedge.hpp".
#ifndef SELVEDGE_BASE_HPP
#define SELVEDGE_BASE_HPP

#include <selvedge.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "span.hpp"

#if !defined(__cpp_exceptions) && !defined(SELVEDGE_NO_EXCEPTIONS)
#  define SELVEDGE_NO_EXCEPTIONS
#endif
/// Each way to report failure has a namespace of its own, so that a program may hold objects compiled with both.
#ifdef SELVEDGE_NO_EXCEPTIONS
#  define SELVEDGE_ERRORS returned
#else
#  define SELVEDGE_ERRORS thrown
#endif

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

/// Why a call failed. A number that is not listed comes from a younger library.
enum class code : std::int32_t {
  ok = SELVEDGE_OK,
  invalid_argument = SELVEDGE_ERR_INVALID_ARGUMENT,
  not_found = SELVEDGE_ERR_NOT_FOUND,
  unsupported = SELVEDGE_ERR_UNSUPPORTED,
  out_of_memory = SELVEDGE_ERR_OUT_OF_MEMORY,
  cancelled = SELVEDGE_ERR_CANCELLED,
  busy = SELVEDGE_ERR_BUSY,
  io = SELVEDGE_ERR_IO,
  corrupt = SELVEDGE_ERR_CORRUPT,
  backend = SELVEDGE_ERR_BACKEND,
  deadline_exceeded = SELVEDGE_ERR_DEADLINE_EXCEEDED,
  context_full = SELVEDGE_ERR_CONTEXT_FULL,
  missing_runtime = SELVEDGE_ERR_MISSING_RUNTIME,
  bad_handle = SELVEDGE_ERR_BAD_HANDLE,
  internal = SELVEDGE_ERR_INTERNAL,
  quarantined = SELVEDGE_ERR_QUARANTINED,
  untrusted = SELVEDGE_ERR_UNTRUSTED,
  panic = SELVEDGE_ERR_PANIC
};

/// A failure: its code, and what failed, what was expected and what was got, in English.
class error : public std::runtime_error {
public:
  error(selvedge::code code, const std::string &message, std::uint64_t retry_after_ms = 0)
      : std::runtime_error(message), code_(code), retry_after_ms_(retry_after_ms) {}
  selvedge::code code() const noexcept { return code_; }
  /// Milliseconds after which it may be worth to ask again, where the code is `busy`; 0 without such a hint.
  std::uint64_t retry_after_ms() const noexcept { return retry_after_ms_; }

private:
  selvedge::code code_;
  std::uint64_t retry_after_ms_;
};

#ifdef SELVEDGE_NO_EXCEPTIONS
/// A value or an error, in the manner of std::expected. To take the one that is not there ends the process.
template <class T> class [[nodiscard]] result {
public:
  result(T value) : held_(std::move(value)) {}
  result(selvedge::error failure) : held_(std::move(failure)) {}
  bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T &value() & { return *pointer(); }
  const T &value() const & { return *pointer(); }
  T &&value() && { return std::move(*pointer()); }
  T &operator*() & { return *pointer(); }
  const T &operator*() const & { return *pointer(); }
  T &&operator*() && { return std::move(*pointer()); }
  T *operator->() { return pointer(); }
  const T *operator->() const { return pointer(); }
  const selvedge::error &error() const {
    if (has_value()) std::abort();
    return *std::get_if<1>(&held_);
  }

private:
  T *pointer() {
    if (!has_value()) std::abort();
    return std::get_if<0>(&held_);
  }
  const T *pointer() const { return const_cast<result *>(this)->pointer(); }
  std::variant<T, selvedge::error> held_;
};

template <> class [[nodiscard]] result<void> {
public:
  result() = default;
  result(selvedge::error failure) : failure_(std::move(failure)) {}
  bool has_value() const noexcept { return !failure_; }
  explicit operator bool() const noexcept { return has_value(); }
  const selvedge::error &error() const {
    if (has_value()) std::abort();
    return *failure_;
  }

private:
  std::optional<selvedge::error> failure_;
};
#else
/// What a call gives; a selvedge::error is thrown where it fails.
template <class T> using result = T;
#endif

namespace detail {

inline selvedge_text text(std::string_view view) noexcept { return {view.data(), view.size()}; }
inline std::string_view view(const selvedge_text &text) noexcept {
  return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}
inline const char *c_str(std::string_view view) noexcept { return view.data() ? view.data() : ""; }

/// A struct of the C ABI, all of it zero but for its size.
template <class T> T sized() noexcept {
  T made{};
  made.struct_size = sizeof(T);
  return made;
}

template <class T> result<T> fail(selvedge::code code, const std::string &message, std::uint64_t retry_after_ms = 0) {
#ifdef SELVEDGE_NO_EXCEPTIONS
  return selvedge::error(code, message, retry_after_ms);
#else
  throw selvedge::error(code, message, retry_after_ms);
#endif
}

/// Takes the error object over.
template <class T> result<T> fail(selvedge_status status, selvedge_error *raw) {
  struct owner {
    selvedge_error *raw;
    ~owner() { selvedge_error_free(raw); }
  } owned{raw};
  std::size_t len = 0;
  const char *message = selvedge_error_message(raw, &len);
  return fail<T>(static_cast<selvedge::code>(status), std::string(message, len), selvedge_error_retry_after_ms(raw));
}

inline result<void> done(selvedge_status status, selvedge_error *err) {
  if (status != SELVEDGE_OK) return fail<void>(status, err);
  return result<void>();
}

/// What `make` gives, if the call went well.
template <class T, class Make> result<T> finish(selvedge_status status, selvedge_error *err, Make &&make) {
  if (status != SELVEDGE_OK) return fail<T>(status, err);
  return make();
}

/// Owns a handle of the C ABI. A closed one keeps its number, which the library then knows to be a bad handle; so `close`
/// may also come from another thread than the one that uses it.
template <class T, selvedge_status (*Free)(T *)> class handle {
public:
  handle() noexcept = default;
  explicit handle(T *raw) noexcept : raw_(raw), open_(raw != nullptr) {}
  handle(handle &&other) noexcept : raw_(other.raw_), open_(other.open_.exchange(false)) { other.raw_ = nullptr; }
  handle &operator=(handle &&other) noexcept {
    if (this != &other) {
      close();
      open_.store(other.open_.exchange(false));
      raw_ = std::exchange(other.raw_, nullptr);
    }
    return *this;
  }
  ~handle() { close(); }

  /// Ends it now; a second time is nothing.
  void close() noexcept {
    if (open_.exchange(false)) Free(raw_);
  }
  /// The handle for calls of the C ABI; NULL if there never was one, or it was moved away.
  T *get() const noexcept { return raw_; }
  /// Gives the handle up to the caller.
  T *release() noexcept { return open_.exchange(false) ? std::exchange(raw_, nullptr) : nullptr; }
  /// Whether it is open.
  explicit operator bool() const noexcept { return open_.load(); }

private:
  T *raw_ = nullptr;
  std::atomic<bool> open_{false};
};

/// Calls a function of the app's; nothing that it throws goes into the library.
template <class F, class... Args> void contained(const F &function, Args &&...args) noexcept {
#ifdef SELVEDGE_NO_EXCEPTIONS
  function(std::forward<Args>(args)...);
#else
  try {
    function(std::forward<Args>(args)...);
  } catch (...) {
  }
#endif
}

template <class F> void delete_function(void *function) noexcept { delete static_cast<F *>(function); }

using progress_function = std::function<void(std::uint64_t done, std::uint64_t total)>;
extern "C" inline void selvedge_cpp_progress(void *function, std::uint64_t done, std::uint64_t total) {
  contained(*static_cast<progress_function *>(function), done, total);
}

} // namespace detail

/// A switch that ends the calls that carry it; it stays set. `set` may come from any thread.
class cancel : public detail::handle<selvedge_cancel, selvedge_cancel_free> {
public:
  using handle::handle;
  static result<cancel> make() {
    selvedge_cancel *raw = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_cancel_new(&raw, &err);
    return detail::finish<cancel>(status, err, [&] { return cancel(raw); });
  }
  void set() const noexcept {
    if (const selvedge_cancel *raw = get()) selvedge_cancel_set(raw);
  }
};

/// How far a long call is, for another thread to look at.
class progress : public detail::handle<selvedge_progress, selvedge_progress_free> {
public:
  struct state {
    std::uint64_t done;
    std::uint64_t total;
  };
  using handle::handle;
  static result<progress> make() {
    selvedge_progress *raw = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_progress_new(&raw, &err);
    return detail::finish<progress>(status, err, [&] { return progress(raw); });
  }
  result<state> read() const {
    state now{0, 0};
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_progress_read(get(), &now.done, &now.total, &err);
    return detail::finish<state>(status, err, [&] { return now; });
  }
};

/// Bytes that a call made. Views of it live as long as it does.
class buffer : public detail::handle<selvedge_buffer, selvedge_buffer_free> {
public:
  using handle::handle;
  const void *data() const noexcept { return selvedge_buffer_data(get(), nullptr); }
  std::size_t size() const noexcept {
    std::size_t len = 0;
    selvedge_buffer_data(get(), &len);
    return len;
  }
  span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte *>(data()), size()}; }
  std::string_view text() const noexcept { return {static_cast<const char *>(data()), size()}; }
};

namespace detail {

inline result<std::string> text_of(selvedge_status status, selvedge_error *err, selvedge_buffer *raw) {
  buffer owned(raw);
  return finish<std::string>(status, err, [&] { return std::string(owned.text()); });
}

inline result<buffer> buffer_of(selvedge_status status, selvedge_error *err, selvedge_buffer *raw) {
  return finish<buffer>(status, err, [&] { return buffer(raw); });
}

} // namespace detail

enum class log_level : std::int32_t {
  off = SELVEDGE_LOG_OFF,
  error = SELVEDGE_LOG_ERROR,
  warn = SELVEDGE_LOG_WARN,
  info = SELVEDGE_LOG_INFO,
  debug = SELVEDGE_LOG_DEBUG,
  trace = SELVEDGE_LOG_TRACE
};

/// A line of the log; its texts live until the function that is told it returns.
struct log_line {
  log_level level;
  std::string_view target;
  std::string_view message;
};

namespace detail {
using log_function = std::function<void(const log_line &)>;
extern "C" inline void selvedge_cpp_log(void *function, const selvedge_log_line *line) {
  const log_line told{static_cast<log_level>(line->level), view(line->target), view(line->message)};
  contained(*static_cast<log_function *>(function), told);
}
} // namespace detail

/// Tells the library's log, up to `level`, to `log`, in the place of an earlier one; an empty function for none.
inline result<void> set_log(log_level level, detail::log_function log) {
  auto *kept = log ? new detail::log_function(std::move(log)) : nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status =
      selvedge_log_set(kept ? detail::selvedge_cpp_log : nullptr, kept,
                       kept ? detail::delete_function<detail::log_function> : nullptr,
                       static_cast<selvedge_log_level>(level), &err);
  return detail::done(status, err);
}

inline std::string_view version() noexcept { return selvedge_version(); }
inline std::string_view kernel_name() noexcept { return selvedge_kernel_name(); }
/// The features of the library, sorted, with commas between.
inline std::string_view features() noexcept { return selvedge_features(); }
/// Whether the library that was loaded has all that this header asks of it.
inline bool is_compatible() noexcept {
  const std::uint32_t found = selvedge_abi_version();
  return found >> 16 == SELVEDGE_ABI_MAJOR && (found & 0xffffu) >= SELVEDGE_ABI_MINOR + 0u;
}

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_BASE_HPP

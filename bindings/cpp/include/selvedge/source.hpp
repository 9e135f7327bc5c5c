/// selvedge/source.hpp: where a model is, how it is opened, the terms of a call. Include "selvedge.hpp".
#ifndef SELVEDGE_SOURCE_HPP
#define SELVEDGE_SOURCE_HPP

#include <array>
#include <chrono>

#include "base.hpp"
#include "crash.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class backend : std::int32_t {
  automatic = SELVEDGE_BACKEND_AUTO,
  llama = SELVEDGE_BACKEND_LLAMA,
  ort = SELVEDGE_BACKEND_ORT,
  tract = SELVEDGE_BACKEND_TRACT,
  table = SELVEDGE_BACKEND_TABLE,
  rten = SELVEDGE_BACKEND_RTEN
};

enum class loading : std::int32_t { mapped = SELVEDGE_LOADING_MAPPED, read = SELVEDGE_LOADING_READ };

enum class priority : std::int32_t {
  background = SELVEDGE_PRIORITY_BACKGROUND,
  normal = SELVEDGE_PRIORITY_NORMAL,
  interactive = SELVEDGE_PRIORITY_INTERACTIVE
};

/// Where a model is. A path converts to it.
class source {
public:
  source(std::string_view path) : path_(path) {}
  source(const char *path) : path_(path) {}
  source(const std::string &path) : path_(path) {}

  /// An open file, or `length` bytes of it from `offset` on; 0 is all that is left. The descriptor (Windows: a HANDLE)
  /// stays the caller's.
  static source file(std::int64_t descriptor, std::uint64_t offset = 0, std::uint64_t length = 0) {
    source made(SELVEDGE_SOURCE_FILE);
    made.file_ = descriptor;
    made.offset_ = offset;
    made.length_ = length;
    return made;
  }
  /// Bytes of the app's, which must not change. `release` is called once: when the last engine that uses them, and this,
  /// are gone.
  static source memory(span<const std::byte> bytes, std::function<void()> release) {
    return memory(bytes, std::shared_ptr<const void>(bytes.data(), [release = std::move(release)](const void *) {
                    if (release) detail::contained(release);
                  }));
  }
  /// Bytes that live as long as `owner` is held.
  static source memory(span<const std::byte> bytes, std::shared_ptr<const void> owner) {
    source made(SELVEDGE_SOURCE_MEMORY);
    made.bytes_ = bytes;
    made.owner_ = std::move(owner);
    return made;
  }
  /// Bytes that are given to the library.
  static source memory(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    const span<const std::byte> all(owner->data(), owner->size());
    return memory(all, std::shared_ptr<const void>(std::move(owner)));
  }

  /// For one call: memory is released once by each call that takes it.
  selvedge_source raw() const {
    auto made = detail::sized<selvedge_source>();
    made.kind = static_cast<selvedge_source_kind>(kind_);
    made.path = detail::text(path_);
    made.file = file_;
    made.offset = offset_;
    made.length = length_;
    made.data = bytes_.data();
    made.data_len = bytes_.size();
    if (owner_) {
      made.release = [](void *owner) { delete static_cast<std::shared_ptr<const void> *>(owner); };
      made.user_data = new std::shared_ptr<const void>(owner_);
    }
    return made;
  }

private:
  explicit source(std::int32_t kind) : kind_(kind) {}

  std::int32_t kind_ = SELVEDGE_SOURCE_PATH;
  std::string path_;
  std::int64_t file_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t length_ = 0;
  span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

/// How to open a model. What is not set is the library's choice.
struct options {
  selvedge::backend backend = selvedge::backend::automatic;
  selvedge::loading loading = selvedge::loading::mapped;
  std::uint32_t threads = 0;
  std::uint32_t context_tokens = 0;
  std::uint32_t parallel = 0;
  std::uint32_t flags = 0;         // SELVEDGE_OPTIONS_*
  std::uint64_t memory_limit = 0;  // bytes
  std::optional<std::array<std::uint8_t, 32>> sha256 = {};
  std::string onnxruntime = {}; // path of its library
  std::vector<std::pair<std::string, std::string>> session_entries = {};
  const selvedge::cancel *cancel = nullptr;
  const selvedge::progress *progress = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::optional<crash_record> crash = {}; // kept while the engine is opened and used
  std::vector<std::pair<std::string, std::string>> adapters = {}; // LoRA adapters: names, and paths of GGUF files
  std::uint32_t prompt_threads = 0;                               // of prompts, where not `threads`
  std::string measurements = {}; // folder of what was measured, by which an ONNX model goes to the fastest runtime
  std::uint32_t accelerator_layers = 0; // of a GGUF model, on a GPU; SELVEDGE_ACCELERATOR_ALL: all
  std::string accelerator_device = {};  // its name, as llama.cpp has it; empty: the first
};

/// The terms of one call.
struct call {
  const selvedge::cancel *cancel = nullptr;
  std::chrono::milliseconds timeout{0}; // 0: none
  std::uint64_t id = 0;                 // the app's own number, for feedback
  selvedge::priority priority = selvedge::priority::normal;

  selvedge_call raw() const noexcept {
    auto made = detail::sized<selvedge_call>();
    made.cancel = cancel ? cancel->get() : nullptr;
    made.timeout_ms = timeout.count() > 0 ? static_cast<std::uint64_t>(timeout.count()) : 0;
    made.id = id;
    made.priority = static_cast<selvedge_priority>(priority);
    return made;
  }
};

namespace detail {

/// The options as the C ABI takes them, and what they point to.
class raw_options {
public:
  explicit raw_options(const selvedge::options &from) : raw_(sized<selvedge_options>()) {
    for (const auto &entry : from.session_entries) entries_.push_back({text(entry.first), text(entry.second)});
    raw_.backend = static_cast<selvedge_backend>(from.backend);
    raw_.loading = static_cast<selvedge_loading>(from.loading);
    raw_.threads = from.threads;
    raw_.context_tokens = from.context_tokens;
    raw_.parallel = from.parallel;
    raw_.flags = from.flags;
    raw_.memory_limit = from.memory_limit;
    raw_.sha256 = from.sha256 ? from.sha256->data() : nullptr;
    raw_.onnxruntime = text(from.onnxruntime);
    raw_.cancel = from.cancel ? from.cancel->get() : nullptr;
    raw_.session_entries = entries_.data();
    raw_.session_entry_count = entries_.size();
    raw_.progress = from.progress ? from.progress->get() : nullptr;
    raw_.on_progress = from.on_progress ? selvedge_cpp_progress : nullptr;
    raw_.user_data = const_cast<progress_function *>(&from.on_progress);
    for (const auto &adapter : from.adapters) adapters_.push_back({text(adapter.first), text(adapter.second)});
    raw_.adapters = adapters_.data();
    raw_.adapter_count = adapters_.size();
    raw_.prompt_threads = from.prompt_threads;
    raw_.measurements = text(from.measurements);
    raw_.accelerator_layers = from.accelerator_layers;
    raw_.accelerator_device = text(from.accelerator_device);
    if (!from.crash) return;
    raw_.crash_folder = text(from.crash->folder);
    raw_.crash_app_version = text(from.crash->app_version);
    if (!from.crash->rungs) return;
    static constexpr std::uint32_t none = 0;
    raw_.crash_rungs = from.crash->rungs->empty() ? &none : from.crash->rungs->data();
    raw_.crash_rung_count = from.crash->rungs->size();
  }
  raw_options(const raw_options &) = delete;
  raw_options &operator=(const raw_options &) = delete;
  const selvedge_options *get() const noexcept { return &raw_; }

private:
  std::vector<selvedge_pair> entries_;
  std::vector<selvedge_pair> adapters_;
  selvedge_options raw_;
};

} // namespace detail

/// What a model file holds, without opening it, as JSON.
inline result<std::string> inspect(const source &from, const options &options = {}) {
  const detail::raw_options raw(options);
  const selvedge_source where = from.raw();
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_inspect(&where, raw.get(), &buffer, &err);
  return detail::text_of(status, err, buffer);
}

/// Whether all of the file is well formed and a backend takes it, without loading it.
inline result<void> validate(const source &from, const options &options = {}) {
  const detail::raw_options raw(options);
  const selvedge_source where = from.raw();
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_validate(&where, raw.get(), &err);
  return detail::done(status, err);
}

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_SOURCE_HPP

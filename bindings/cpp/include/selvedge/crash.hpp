/// selvedge/crash.hpp: a model that ended the process, opened more gently or not at all. Include "selvedge.hpp".
#ifndef SELVEDGE_CRASH_HPP
#define SELVEDGE_CRASH_HPP

#include "base.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

/// What a platform says of the end of a process.
enum class process_exit : std::int32_t {
  native_crash = SELVEDGE_EXIT_NATIVE_CRASH,
  otherwise = SELVEDGE_EXIT_OTHERWISE
};

/// A folder that remembers which models ended the process; given to engines with options::crash.
struct crash_record {
  std::string folder;
  std::string app_version = {}; // a new one begins with an empty record
  /// The ladder: SELVEDGE_RUNG_* bits, how to open the model after each death; not set: one rung, of all of them.
  std::optional<std::vector<std::uint32_t>> rungs = {};

  /// What is on record, as JSON.
  result<std::string> entries_json() const {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_crash_entries(folder.data(), folder.size(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
  /// Forgets all deaths.
  result<void> clear() const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_crash_clear(folder.data(), folder.size(), &err);
    return detail::done(status, err);
  }
  /// Forgets the deaths of the model of this digest: 64 hexadecimal digits.
  result<void> clear_model(std::string_view digest) const {
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_crash_clear_model(folder.data(), folder.size(), detail::c_str(digest), digest.size(), &err);
    return detail::done(status, err);
  }
  /// What the platform says of a process, before the first open of the next one; gives how many deaths that made.
  result<std::size_t> explain(std::uint32_t process, process_exit exit, std::int32_t signal = 0) const {
    std::size_t deaths = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_crash_explain(folder.data(), folder.size(), process,
                                                          static_cast<selvedge_exit>(exit), signal, &deaths, &err);
    return detail::finish<std::size_t>(status, err, [&] { return deaths; });
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_CRASH_HPP

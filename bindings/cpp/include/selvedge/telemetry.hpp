/// selvedge/telemetry.hpp: the telemetry folder and its report page. Include "selvedge.hpp".
#ifndef SELVEDGE_TELEMETRY_HPP
#define SELVEDGE_TELEMETRY_HPP

#include "base.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class durability : std::int32_t { process = SELVEDGE_DURABILITY_PROCESS, power = SELVEDGE_DURABILITY_POWER };

/// How much telemetry may take. 0 is the library's default.
struct limits {
  std::uint64_t bytes = 0;
  std::uint64_t history_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint32_t lanes = 0;
  std::uint32_t slots = 0;
  selvedge::durability durability = selvedge::durability::process;
};

/// An open telemetry folder. Monitors and outboxes made with it go on after it.
class telemetry : public detail::handle<selvedge_telemetry, selvedge_telemetry_free> {
public:
  using handle::handle;

  /// A folder that cannot be used is no failure: status_json says why, and telemetry only counts.
  static result<telemetry> open(std::string_view folder, const limits &limits = {}) {
    auto raw = detail::sized<selvedge_limits>();
    raw.bytes = limits.bytes;
    raw.history_bytes = limits.history_bytes;
    raw.segment_bytes = limits.segment_bytes;
    raw.lanes = limits.lanes;
    raw.slots = limits.slots;
    raw.durability = static_cast<selvedge_durability>(limits.durability);
    selvedge_telemetry *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_telemetry_open(detail::c_str(folder), folder.size(), &raw, &opened, &err);
    return detail::finish<telemetry>(status, err, [&] { return telemetry(opened); });
  }

  result<std::string> status_json() const {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_telemetry_status_json(get(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
};

/// What happened on this device: a page of HTML that needs nothing else.
inline result<std::string> report_html(std::string_view folder) {
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_report_html(detail::c_str(folder), folder.size(), &buffer, &err);
  return detail::text_of(status, err, buffer);
}

/// The same, with the versions of the store in another folder, and with a crash record; an empty one is none.
inline result<std::string> report_html(std::string_view folder, std::string_view store, std::string_view crashes = {}) {
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status =
    selvedge_report_html_with(detail::c_str(folder), folder.size(), detail::c_str(store), store.size(),
                              detail::c_str(crashes), crashes.size(), &buffer, &err);
  return detail::text_of(status, err, buffer);
}

/// Why models should be retrained, as files below the folder `to`; gives how many alerts ask for it.
inline result<std::uint64_t> write_evidence(std::string_view folder, std::string_view to, std::uint64_t min_count = 0,
                                            double epsilon = 0) {
  std::uint64_t alerts = 0;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_report_evidence(detail::c_str(folder), folder.size(), detail::c_str(to),
                                                          to.size(), min_count, epsilon, &alerts, &err);
  return detail::finish<std::uint64_t>(status, err, [&] { return alerts; });
}

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_TELEMETRY_HPP

/// selvedge/monitor.hpp: an engine that is watched: alerts, feedback, report. Include "selvedge.hpp".
#ifndef SELVEDGE_MONITOR_HPP
#define SELVEDGE_MONITOR_HPP

#include "engine.hpp"
#include "profile.hpp"
#include "telemetry.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class alert_event : std::int32_t {
  none = SELVEDGE_ALERT_NONE,
  raised = SELVEDGE_ALERT_RAISED,
  cleared = SELVEDGE_ALERT_CLEARED
};
enum class severity : std::int32_t { warning = SELVEDGE_SEVERITY_WARNING, critical = SELVEDGE_SEVERITY_CRITICAL };
enum class action : std::int32_t {
  check_pipeline = SELVEDGE_ACTION_CHECK_PIPELINE,
  retrain = SELVEDGE_ACTION_RETRAIN,
  roll_back = SELVEDGE_ACTION_ROLL_BACK
};
enum class label : std::int32_t { right_class = SELVEDGE_LABEL_CLASS, correct = SELVEDGE_LABEL_CORRECT };
enum class verdict : std::int32_t {
  none = SELVEDGE_VERDICT_NONE,
  unknown = SELVEDGE_VERDICT_UNKNOWN,
  steady = SELVEDGE_VERDICT_STEADY,
  suspect = SELVEDGE_VERDICT_SUSPECT,
  drifted = SELVEDGE_VERDICT_DRIFTED
};

/// An alert, raised or cleared.
struct alert {
  alert_event event;
  selvedge::severity severity;
  selvedge::action action;
  std::uint64_t since; // the number of the window in which it was raised,
  std::uint64_t at;    // and of the one in which this happened
  std::string kind;
  std::string feature;
  std::string evidence;
};

/// How an engine is watched. `config` is the JSON object that selvedge/monitor.h describes.
struct monitor_options {
  std::string config = {};
  const selvedge::profile *profile = nullptr;   // what the model was made for; without: learned, or none
  std::function<void(const alert &)> on_alert = {}; // on any thread
};

namespace detail {

inline alert alert_of(const selvedge_alert &raw) {
  return {static_cast<alert_event>(raw.event),
          static_cast<severity>(raw.severity),
          static_cast<action>(raw.action),
          raw.since,
          raw.at,
          std::string(view(raw.kind)),
          std::string(view(raw.feature)),
          std::string(view(raw.evidence))};
}

using alert_function = std::function<void(const alert &)>;
extern "C" inline void selvedge_cpp_alert(void *function, const selvedge_alert *raw) {
  contained([&] { (*static_cast<alert_function *>(function))(alert_of(*raw)); });
}

} // namespace detail

/// Rows that a model of two classes scored, and what has come to be known of them: see selvedge/monitor.h.
struct history {
  std::vector<double> scores = {};
  std::vector<std::int64_t> at = {};     // when each was scored
  std::vector<std::uint8_t> labels = {}; // 1, 0; 2: not known yet
  std::vector<std::int64_t> came = {};   // when the label came to be known
  std::int64_t now = 0;
  double threshold = 0; // class 1 is predicted from this score on
  std::int64_t window = 0;
  std::int64_t curve = 0;
};

using accuracy_estimate = selvedge_estimate;

/// What accuracy to expect of new rows, where labels come late. Columns are as long as the shortest one.
inline result<accuracy_estimate> estimate_accuracy(span<const double> reference_scores,
                                                   span<const std::uint8_t> reference_labels, const history &history,
                                                   span<const double> scores) {
  const auto least = [](std::size_t a, std::size_t b) { return a < b ? a : b; };
  auto raw = detail::sized<selvedge_history>();
  raw.scores = history.scores.data();
  raw.at = history.at.data();
  raw.labels = history.labels.data();
  raw.came = history.came.data();
  raw.row_count = least(least(history.scores.size(), history.at.size()), least(history.labels.size(), history.came.size()));
  raw.now = history.now;
  raw.window = history.window;
  raw.curve = history.curve;
  raw.threshold = history.threshold;
  auto got = detail::sized<accuracy_estimate>();
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_delayed_estimate(
      reference_scores.data(), reference_labels.data(), least(reference_scores.size(), reference_labels.size()), &raw,
      scores.data(), scores.size(), &got, &err);
  return detail::finish<accuracy_estimate>(status, err, [&] { return got; });
}

/// Watches an engine: ask the one of engine() in its place.
class monitor : public detail::handle<selvedge_monitor, selvedge_monitor_free> {
public:
  using handle::handle;

  /// Engine, telemetry and profile may end before it.
  static result<monitor> make(const selvedge::engine &engine, const selvedge::telemetry &telemetry,
                              const monitor_options &options) {
    auto raw = detail::sized<selvedge_monitor_options>();
    raw.config = detail::text(options.config);
    raw.profile = options.profile ? options.profile->get() : nullptr;
    if (options.on_alert) {
      raw.on_alert = detail::selvedge_cpp_alert;
      raw.user_data = new detail::alert_function(options.on_alert);
      raw.release = detail::delete_function<detail::alert_function>;
    }
    selvedge_monitor *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_new(engine.get(), telemetry.get(), &raw, &made, &err);
    return detail::finish<monitor>(status, err, [&] { return monitor(made); });
  }

  /// The watched engine, like any other. Give each call an id of its own for feedback to come.
  result<selvedge::engine> engine() const {
    selvedge_engine *watched = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_engine(get(), &watched, &err);
    return detail::finish<selvedge::engine>(status, err, [&] { return selvedge::engine(watched); });
  }

  /// The next alert, oldest first; empty when none is waiting.
  result<std::optional<alert>> next_alert() {
    auto raw = detail::sized<selvedge_alert>();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_next_alert(get(), &raw, &err);
    return detail::finish<std::optional<alert>>(status, err, [&] {
      return raw.event == SELVEDGE_ALERT_NONE ? std::optional<alert>() : detail::alert_of(raw);
    });
  }
  /// All alerts that are waiting.
  result<std::vector<alert>> alerts() {
    std::vector<alert> all;
    for (;;) {
      auto raw = detail::sized<selvedge_alert>();
      selvedge_error *err = nullptr;
      const selvedge_status status = selvedge_monitor_next_alert(get(), &raw, &err);
      if (status != SELVEDGE_OK) return detail::fail<std::vector<alert>>(status, err);
      if (raw.event == SELVEDGE_ALERT_NONE) return all;
      all.push_back(detail::alert_of(raw));
    }
  }

  /// Says what was right for the answer of an id.
  result<verdict> feedback(std::uint64_t id, label label, std::uint32_t value) const {
    selvedge_label_verdict got = SELVEDGE_VERDICT_NONE;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_monitor_feedback(get(), id, static_cast<selvedge_label>(label), value, &got, &err);
    return detail::finish<verdict>(status, err, [&] { return static_cast<verdict>(got); });
  }

  /// Takes in what was recorded, and judges windows; for a timer, or before an app is suspended.
  result<void> tick() const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_tick(get(), &err);
    return detail::done(status, err);
  }
  /// The same, and closes the window that is open.
  result<void> close_window() const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_close_window(get(), &err);
    return detail::done(status, err);
  }
  /// The state of the model as JSON.
  result<std::string> report_json() const {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_report_json(get(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
  /// The profile that rows are compared with.
  result<selvedge::profile> profile() const {
    selvedge_profile *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_monitor_profile(get(), &made, &err);
    return detail::finish<selvedge::profile>(status, err, [&] { return selvedge::profile(made); });
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_MONITOR_HPP

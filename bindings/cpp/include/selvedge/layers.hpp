/// selvedge/layers.hpp: engines made of engines: cache, schedule, cascade, models within one budget. Include "selvedge.hpp".
#ifndef SELVEDGE_LAYERS_HPP
#define SELVEDGE_LAYERS_HPP

#include "engine.hpp"
#include "store.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class on_error : std::int32_t { escalate = SELVEDGE_ON_ERROR_ESCALATE, give_back = SELVEDGE_ON_ERROR_RETURN };
enum class pressure : std::int32_t { warning = SELVEDGE_PRESSURE_WARNING, critical = SELVEDGE_PRESSURE_CRITICAL };

namespace detail {

/// The engine of a layer.
template <class T> using engine_giver = selvedge_status (*)(const T *, selvedge_engine **, selvedge_error **);
template <class T> result<selvedge::engine> engine_of(const T *layer, engine_giver<T> give) {
  selvedge_engine *made = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = give(layer, &made, &err);
  return finish<selvedge::engine>(status, err, [&] { return selvedge::engine(made); });
}

/// The status of a layer as JSON.
template <class T> using status_teller = selvedge_status (*)(const T *, selvedge_buffer **, selvedge_error **);
template <class T> result<std::string> status_of(const T *layer, status_teller<T> tell) {
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = tell(layer, &buffer, &err);
  return text_of(status, err, buffer);
}

} // namespace detail

/// The answers of an engine, remembered. The engine below may be closed before it, and its engine outlives it.
class cache : public detail::handle<selvedge_cache, selvedge_cache_free> {
public:
  using handle::handle;

  static result<cache> make(const selvedge::engine &engine, std::uint64_t max_bytes) {
    selvedge_cache *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_cache_new(engine.get(), max_bytes, &made, &err);
    return detail::finish<cache>(status, err, [&] { return cache(made); });
  }
  /// The engine that remembers.
  result<selvedge::engine> engine() const { return detail::engine_of(get(), selvedge_cache_engine); }
  result<std::string> status_json() const { return detail::status_of(get(), selvedge_cache_status_json); }
};

/// One bounded queue over engines. `config` is the JSON object that selvedge/layers.h describes.
class schedule : public detail::handle<selvedge_schedule, selvedge_schedule_free> {
public:
  using handle::handle;

  static result<schedule> make(std::string_view config = {}) {
    selvedge_schedule *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_schedule_new(detail::c_str(config), config.size(), &made, &err);
    return detail::finish<schedule>(status, err, [&] { return schedule(made); });
  }
  /// The engine with its runs in the queue. `slots`: how many compute at once; 0: as many as it does side by side.
  result<selvedge::engine> around(const selvedge::engine &engine, std::size_t slots = 0) const {
    selvedge_engine *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_schedule_around(get(), engine.get(), slots, &made, &err);
    return detail::finish<selvedge::engine>(status, err, [&] { return selvedge::engine(made); });
  }
  result<std::string> status_json() const { return detail::status_of(get(), selvedge_schedule_status_json); }
};

/// The same engine for one caller: a user, a tab, a part of the app.
inline result<engine> for_caller(const engine &engine, std::uint64_t caller) {
  selvedge_engine *made = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_engine_for_caller(engine.get(), caller, &made, &err);
  return detail::finish<selvedge::engine>(status, err, [&] { return selvedge::engine(made); });
}

/// An engine of a cascade, and the JSON list of what its answers must be; of the last one, none.
struct stage {
  const selvedge::engine &engine;
  std::string checks = {};
};

/// Engines in the order of their cost, as one.
class cascade : public detail::handle<selvedge_cascade, selvedge_cascade_free> {
public:
  using handle::handle;

  static result<cascade> make(const std::vector<stage> &stages, on_error on_error = on_error::escalate) {
    std::vector<selvedge_stage> raw;
    for (const stage &stage : stages) {
      auto one = detail::sized<selvedge_stage>();
      one.engine = stage.engine.get();
      one.checks = detail::text(stage.checks);
      raw.push_back(one);
    }
    selvedge_cascade *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_cascade_new(raw.data(), raw.size(), static_cast<selvedge_on_error>(on_error), &made, &err);
    return detail::finish<cascade>(status, err, [&] { return cascade(made); });
  }
  result<selvedge::engine> engine() const { return detail::engine_of(get(), selvedge_cascade_engine); }
  result<std::string> status_json() const { return detail::status_of(get(), selvedge_cascade_status_json); }
};

/// How sure the model was, by a probe as of selvedge/monitor.h; NaN where there is nothing to read.
inline result<double> confidence(const answer &answer, const engine &engine, std::string_view probe) {
  double got = 0;
  selvedge_error *err = nullptr;
  const selvedge_status status =
      selvedge_answer_confidence(answer.get(), engine.get(), detail::c_str(probe), probe.size(), &got, &err);
  return detail::finish<double>(status, err, [&] { return got; });
}

using threshold = selvedge_threshold;

/// The lowest threshold of confidence at which at most `error_rate` of all requests get a wrong answer from the cheap engine:
/// from held-out answers, of each its confidence and whether it was right, 1 or 0. Both are as long as the shorter one.
inline result<threshold> fit_threshold(span<const float> confidences, span<const std::uint8_t> right, double error_rate) {
  auto got = detail::sized<threshold>();
  selvedge_error *err = nullptr;
  const std::size_t rows = confidences.size() < right.size() ? confidences.size() : right.size();
  const selvedge_status status =
      selvedge_threshold_fit(confidences.data(), right.data(), rows, error_rate, &got, &err);
  return detail::finish<threshold>(status, err, [&] { return got; });
}

/// Models within one budget of memory: opened when they are asked, closed when they are idle and another needs the room.
class models : public detail::handle<selvedge_models, selvedge_models_free> {
public:
  using handle::handle;

  static result<models> make(std::uint64_t budget) {
    selvedge_models *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_new(budget, &made, &err);
    return detail::finish<models>(status, err, [&] { return models(made); });
  }
  /// Adds a model file. The options' cancel, progress and on_progress are not for a model that is opened later.
  result<void> add(std::string_view name, std::string_view path, const options &options = {}) const {
    const detail::raw_options raw(options);
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_add(get(), detail::c_str(name), name.size(), detail::c_str(path),
                                                       path.size(), raw.get(), &err);
    return detail::done(status, err);
  }
  /// Adds a version of a store, by its id.
  result<void> add(std::string_view name, const store &store, std::string_view id, const options &options = {}) const {
    const detail::raw_options raw(options);
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_add_version(get(), detail::c_str(name), name.size(), store.get(),
                                                               detail::c_str(id), id.size(), raw.get(), &err);
    return detail::done(status, err);
  }
  result<selvedge::engine> engine(std::string_view name) const {
    selvedge_engine *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_engine(get(), detail::c_str(name), name.size(), &made, &err);
    return detail::finish<selvedge::engine>(status, err, [&] { return selvedge::engine(made); });
  }
  /// Trims the open models, and says how many bytes that freed.
  result<std::uint64_t> trim(trim_level level) const {
    std::uint64_t freed = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_trim(get(), static_cast<selvedge_trim>(level), &freed, &err);
    return detail::finish<std::uint64_t>(status, err, [&] { return freed; });
  }
  /// Gives memory back, as much as the pressure asks for.
  result<std::uint64_t> relieve(pressure pressure) const {
    std::uint64_t freed = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_models_pressure(get(), static_cast<selvedge_pressure>(pressure), &freed, &err);
    return detail::finish<std::uint64_t>(status, err, [&] { return freed; });
  }
  /// Does so by itself, as the system tells of its memory, until this ends.
  result<void> watch_pressure() const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_models_watch_pressure(get(), &err);
    return detail::done(status, err);
  }
  result<std::string> status_json() const { return detail::status_of(get(), selvedge_models_status_json); }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_LAYERS_HPP

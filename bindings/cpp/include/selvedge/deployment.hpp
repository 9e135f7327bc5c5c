/// selvedge/deployment.hpp: an engine over the versions of a store. Include "selvedge.hpp".
#ifndef SELVEDGE_DEPLOYMENT_HPP
#define SELVEDGE_DEPLOYMENT_HPP

#include "layers.hpp"
#include "monitor.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

/// Where a version is on its way.
enum class rollout : std::int32_t {
  none = SELVEDGE_ROLLOUT_NONE,
  outside = SELVEDGE_ROLLOUT_OUTSIDE,
  loading = SELVEDGE_ROLLOUT_LOADING,
  self_test = SELVEDGE_ROLLOUT_SELF_TEST,
  shadow = SELVEDGE_ROLLOUT_SHADOW,
  canary = SELVEDGE_ROLLOUT_CANARY,
  promoted = SELVEDGE_ROLLOUT_PROMOTED,
  draining = SELVEDGE_ROLLOUT_DRAINING,
  retired = SELVEDGE_ROLLOUT_RETIRED,
  rolled_back = SELVEDGE_ROLLOUT_ROLLED_BACK,
  missed = SELVEDGE_ROLLOUT_MISSED,
  quarantined = SELVEDGE_ROLLOUT_QUARANTINED,
  other = SELVEDGE_ROLLOUT_OTHER
};

/// A deployment: new versions in, bad ones back out. Configuration and plans are the JSON objects that selvedge/deployment.h
/// describes; answer::version() says which version gave an answer.
class deployment : public detail::handle<selvedge_deployment, selvedge_deployment_free> {
public:
  using handle::handle;

  /// Store and telemetry may end before it. With telemetry, `config` must have "monitor".
  static result<deployment> make(const store &store, std::string_view config, const telemetry *telemetry = nullptr,
                                 const options &options = {}) {
    const detail::raw_options raw(options);
    selvedge_deployment *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_deployment_new(store.get(), detail::c_str(config), config.size(),
                                telemetry ? telemetry->get() : nullptr, raw.get(), &made, &err);
    return detail::finish<deployment>(status, err, [&] { return deployment(made); });
  }
  /// The engine over the versions.
  result<selvedge::engine> engine() const { return detail::engine_of(get(), selvedge_deployment_engine); }

  /// Offers a version that the store has, and says where it is then.
  result<rollout> offer(std::string_view version, std::string_view plan) const {
    selvedge_rollout phase = SELVEDGE_ROLLOUT_NONE;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_deployment_offer(get(), detail::c_str(version), version.size(),
                                                             detail::c_str(plan), plan.size(), &phase, &err);
    return detail::finish<rollout>(status, err, [&] { return static_cast<rollout>(phase); });
  }
  /// Promotes the version on trial, whatever the judge says.
  result<void> promote() const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_deployment_promote(get(), &err);
    return detail::done(status, err);
  }
  /// Takes the version on trial back, or the current one; gives the name of the one that is current then.
  result<std::string> roll_back() const { return detail::status_of(get(), selvedge_deployment_roll_back); }
  /// Lets a version that was rolled back or quarantined be offered again.
  result<void> forgive(std::string_view version) const {
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_deployment_forgive(get(), detail::c_str(version), version.size(), &err);
    return detail::done(status, err);
  }
  /// Says whether an answer of this version was right.
  result<void> label(std::string_view version, bool is_correct) const {
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_deployment_label(get(), detail::c_str(version), version.size(), is_correct ? 1u : 0u, &err);
    return detail::done(status, err);
  }
  /// The monitor of a version that is loaded and watched; it keeps the version in memory.
  result<selvedge::monitor> monitor(std::string_view version) const {
    selvedge_monitor *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_deployment_monitor(get(), detail::c_str(version), version.size(), &made, &err);
    return detail::finish<selvedge::monitor>(status, err, [&] { return selvedge::monitor(made); });
  }
  /// Versions, arms and verdicts with their evidence, as JSON.
  result<std::string> status_json() const { return detail::status_of(get(), selvedge_deployment_status_json); }
  /// Waits until what was decided is done, or for so long; gives whether it is.
  result<bool> settle(std::chrono::milliseconds at_most) const {
    std::int32_t settled = 0;
    selvedge_error *err = nullptr;
    const std::uint64_t wait = at_most.count() > 0 ? static_cast<std::uint64_t>(at_most.count()) : 0;
    const selvedge_status status = selvedge_deployment_settle(get(), wait, &settled, &err);
    return detail::finish<bool>(status, err, [&] { return settled == 1; });
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_DEPLOYMENT_HPP

/// selvedge/sync.hpp: batches of telemetry to post. Include "selvedge.hpp".
///
/// The library opens no socket: the app posts each request of a batch, asks judge() about the answer, and does as it says.
#ifndef SELVEDGE_SYNC_HPP
#define SELVEDGE_SYNC_HPP

#include <chrono>

#include "telemetry.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class encoding : std::int32_t {
  automatic = SELVEDGE_ENCODING_DEFAULT,
  identity = SELVEDGE_ENCODING_IDENTITY,
  gzip = SELVEDGE_ENCODING_GZIP,
  zstd = SELVEDGE_ENCODING_ZSTD
};

enum class decision : std::int32_t {
  none = SELVEDGE_DECISION_NONE,
  accepted = SELVEDGE_DECISION_ACCEPTED, // post the next request; after the last: ack, or refuse with the sum of `refused`
  wait = SELVEDGE_DECISION_WAIT,         // post the same request again after `wait`
  later = SELVEDGE_DECISION_LATER,       // keep the batch and stop
  split = SELVEDGE_DECISION_SPLIT,       // too large: split, and take the next batch
  drop = SELVEDGE_DECISION_DROP          // refused for what it holds: bisect, and take the next batch
};

struct outbox_options {
  std::string app = {};
  std::string app_version = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};
  std::chrono::milliseconds interval{0};
  std::uint64_t min_count = 0;
  double epsilon = 0;
  selvedge::encoding encoding = selvedge::encoding::automatic;
  std::uint32_t flags = 0; // SELVEDGE_OUTBOX_*
};

struct retry {
  std::uint32_t attempts = 0;
  std::uint32_t flags = 0; // SELVEDGE_RETRY_*
  std::chrono::milliseconds base{0};
  std::chrono::milliseconds cap{0};
};

/// A request to post, its headers as they stand here. It lives as long as the batch.
struct http_request {
  std::string_view path = {};
  std::string_view content_type = {};
  std::string_view content_encoding = {}; // empty: no such header
  span<const std::byte> body = {};
};

struct http_response {
  std::uint32_t status = 0; // 0: nothing came
  std::string_view content_type = {};
  std::string_view retry_after = {};
  span<const std::byte> body = {};
};

struct judgement {
  selvedge::decision decision;
  std::chrono::milliseconds wait;
  std::uint64_t refused;
  std::string reason;
};

namespace detail {

inline std::uint64_t milliseconds(std::chrono::milliseconds time) noexcept {
  return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

inline selvedge_retry raw_retry(const retry &from) noexcept {
  auto raw = sized<selvedge_retry>();
  raw.attempts = from.attempts;
  raw.flags = from.flags;
  raw.base_ms = milliseconds(from.base);
  raw.cap_ms = milliseconds(from.cap);
  return raw;
}

inline result<judgement> judged(selvedge_status status, selvedge_error *err, const selvedge_judgement &raw) {
  return finish<judgement>(status, err, [&] {
    const auto wait = static_cast<std::chrono::milliseconds::rep>(raw.wait_ms);
    return judgement{static_cast<decision>(raw.decision), std::chrono::milliseconds(wait), raw.refused,
                     std::string(view(raw.reason))};
  });
}

} // namespace detail

/// What is posted at once. It outlives its outbox.
class batch : public detail::handle<selvedge_batch, selvedge_batch_free> {
public:
  using handle::handle;

  /// The number of requests.
  std::size_t size() const noexcept {
    std::size_t count = 0;
    selvedge_batch_request_count(get(), &count, nullptr);
    return count;
  }
  result<http_request> request(std::size_t index) const {
    auto raw = detail::sized<selvedge_http_request>();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_batch_request(get(), index, &raw, &err);
    return detail::finish<http_request>(status, err, [&] {
      return http_request{detail::view(raw.path), detail::view(raw.content_type), detail::view(raw.content_encoding),
                          {static_cast<const std::byte *>(raw.body), raw.body_len}};
    });
  }
  result<std::string> json() const {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_batch_json(get(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
};

/// What is to be posted of a telemetry folder. A batch that is neither acknowledged nor refused comes again.
class outbox : public detail::handle<selvedge_outbox, selvedge_outbox_free> {
public:
  using handle::handle;

  /// `folder` holds the outbox's state: for the most part the telemetry's own.
  static result<outbox> open(const selvedge::telemetry &telemetry, std::string_view folder,
                             const outbox_options &options) {
    std::vector<selvedge_pair> attributes;
    for (const auto &pair : options.attributes)
      attributes.push_back({detail::text(pair.first), detail::text(pair.second)});
    auto raw = detail::sized<selvedge_outbox_options>();
    raw.app = detail::text(options.app);
    raw.app_version = detail::text(options.app_version);
    raw.attributes = attributes.data();
    raw.attribute_count = attributes.size();
    raw.interval_ms = detail::milliseconds(options.interval);
    raw.min_count = options.min_count;
    raw.epsilon = options.epsilon;
    raw.encoding = static_cast<selvedge_encoding>(options.encoding);
    raw.flags = options.flags;
    selvedge_outbox *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_outbox_open(telemetry.get(), detail::c_str(folder), folder.size(), &raw, &opened, &err);
    return detail::finish<outbox>(status, err, [&] { return outbox(opened); });
  }

  /// The next batch, of at most about `max_bytes` before it is encoded; empty when all was posted.
  result<std::optional<batch>> next_batch(std::size_t max_bytes = std::size_t{1} << 20) {
    selvedge_batch *raw = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_next_batch(get(), max_bytes, &raw, &err);
    return detail::finish<std::optional<batch>>(
        status, err, [&] { return raw ? std::optional<batch>(std::in_place, raw) : std::nullopt; });
  }
  /// Whether to begin to post now: accepted, or later. `network` is SELVEDGE_NETWORK_*.
  result<judgement> begin(std::uint32_t network = 0, const retry &retry = {}) {
    const selvedge_retry how = detail::raw_retry(retry);
    auto raw = detail::sized<selvedge_judgement>();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_begin(get(), &how, network, &raw, &err);
    return detail::judged(status, err, raw);
  }
  /// What to do after the answer to request `index`, tried for the `attempt`th time, from 1.
  result<judgement> judge(const batch &batch, std::size_t index, std::uint32_t attempt, const http_response &response,
                          const retry &retry = {}) {
    const selvedge_retry how = detail::raw_retry(retry);
    auto came = detail::sized<selvedge_http_response>();
    came.status = response.status;
    came.content_type = detail::text(response.content_type);
    came.retry_after = detail::text(response.retry_after);
    came.body = response.body.data();
    came.body_len = response.body.size();
    auto raw = detail::sized<selvedge_judgement>();
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_outbox_judge(get(), batch.get(), index, attempt, &how, &came, &raw, &err);
    return detail::judged(status, err, raw);
  }

  /// Notes that a batch has arrived, durably.
  result<void> ack(const batch &batch) {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_ack(get(), batch.get(), &err);
    return detail::done(status, err);
  }
  /// The same, but `refused` points or log records were not taken, for good; all of it, if no number is given.
  result<void> refuse(const batch &batch, std::uint64_t refused = UINT64_MAX) {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_refuse(get(), batch.get(), refused, &err);
    return detail::done(status, err);
  }
  /// Puts two smaller batches in the place of this one. False: it is one record, and stays; refuse gives it up.
  result<bool> split(const batch &batch) {
    std::int32_t halved = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_split(get(), batch.get(), &halved, &err);
    return detail::finish<bool>(status, err, [&] { return halved != 0; });
  }
  /// The same for a batch that was refused for what it holds, so that only what is at fault is lost. False also when the
  /// receiver takes nothing at all.
  result<bool> bisect(const batch &batch) {
    std::int32_t halved = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_bisect(get(), batch.get(), &halved, &err);
    return detail::finish<bool>(status, err, [&] { return halved != 0; });
  }

  result<std::string> status_json() {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_status_json(get(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
  /// Draws another random install id, and gives it.
  result<std::string> reset_install_id() {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_outbox_reset_install_id(get(), &buffer, &err);
    return detail::text_of(status, err, buffer);
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_SYNC_HPP

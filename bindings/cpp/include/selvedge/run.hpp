/// selvedge/run.hpp: answers, events, runs. Include "selvedge.hpp".
#ifndef SELVEDGE_RUN_HPP
#define SELVEDGE_RUN_HPP

#include <iterator>

#include "tensor.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class arm : std::int32_t {
  none = SELVEDGE_ARM_NONE,
  current = SELVEDGE_ARM_CURRENT,
  canary = SELVEDGE_ARM_CANARY,
  other = SELVEDGE_ARM_OTHER
};

/// The version of a deployment that gave an answer, such as "v3", and its part in the rollout.
struct answered_by {
  std::string version;
  selvedge::arm arm;
};

/// What came back. Tensors and texts of it live as long as it does.
class answer : public detail::handle<selvedge_answer, selvedge_answer_free> {
public:
  using handle::handle;

  /// The number of outputs.
  std::size_t size() const noexcept {
    std::size_t count = 0;
    selvedge_answer_output_count(get(), &count, nullptr);
    return count;
  }
  template <class I, class = std::enable_if_t<std::is_integral_v<I>>> result<tensor> output(I index) const {
    auto raw = detail::sized<selvedge_tensor>();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_answer_output(get(), static_cast<std::size_t>(index), &raw, &err);
    return detail::finish<tensor>(status, err, [&] { return tensor(raw); });
  }
  result<tensor> output(std::string_view name) const {
    auto raw = detail::sized<selvedge_tensor>();
    for (std::size_t i = 0; selvedge_answer_output(get(), i, &raw, nullptr) == SELVEDGE_OK; ++i) {
      if (tensor(raw).name() == name) return tensor(raw);
      raw = detail::sized<selvedge_tensor>();
    }
    return detail::fail<tensor>(code::not_found, "output '" + std::string(name) + "': the answer has none of this name");
  }

  /// Which version gave it; a failure where no deployment did.
  result<answered_by> version() const {
    const char *version = nullptr;
    std::size_t len = 0;
    selvedge_arm arm = SELVEDGE_ARM_NONE;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_answer_version(get(), &version, &len, &arm, &err);
    return detail::finish<answered_by>(status, err, [&] {
      return answered_by{std::string(version, len), static_cast<selvedge::arm>(arm)};
    });
  }

  /// Text, reasoning, calls, tokens, their log-probabilities, finish, adapters, usage, provenance, id and outputs as JSON.
  result<std::string> json() const {
    const char *json = nullptr;
    std::size_t len = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_answer_json(get(), &json, &len, &err);
    return detail::finish<std::string>(status, err, [&] { return std::string(json, len); });
  }
};

enum class event_kind : std::int32_t {
  none = SELVEDGE_EVENT_NONE,
  working = SELVEDGE_EVENT_WORKING,
  text = SELVEDGE_EVENT_TEXT,
  done = SELVEDGE_EVENT_DONE,
  reasoning = SELVEDGE_EVENT_REASONING,
  call_piece = SELVEDGE_EVENT_CALL_PIECE,
  tool_call = SELVEDGE_EVENT_TOOL_CALL,
  malformed_call = SELVEDGE_EVENT_MALFORMED_CALL
};

enum class finish : std::int32_t {
  none = SELVEDGE_FINISH_NONE,
  complete = SELVEDGE_FINISH_COMPLETE,
  end_of_text = SELVEDGE_FINISH_END_OF_TEXT,
  stop = SELVEDGE_FINISH_STOP,
  length = SELVEDGE_FINISH_LENGTH,
  context_full = SELVEDGE_FINISH_CONTEXT_FULL,
  other = SELVEDGE_FINISH_OTHER
};

using token = selvedge_token;

/// What a step of a run brought. Its views live until the next step.
struct event {
  event_kind kind = event_kind::none;
  std::string_view text;                           // text: a piece of the answer
  std::string_view reasoning;                      // reasoning: a piece of what the model thinks
  span<const token> tokens;                        // text, reasoning, call_piece: what made it
  std::uint64_t done = 0;                          // working: prompt tokens computed,
  std::uint64_t total = 0;                         // of so many
  selvedge::finish finish = selvedge::finish::none; // done: why,
  std::string_view stop;                           // the stop text that came up,
  std::uint64_t input_tokens = 0;                  // and what it took
  std::uint64_t cached_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::string_view name;      // call_piece, tool_call: the tool,
  std::string_view arguments; // a piece of its arguments, or all of them
  std::string_view id;        // tool_call: what the result refers to
  std::string_view malformed; // malformed_call: what began like a call,
  std::string_view reason;    // and why it is none
  std::uint64_t index = 0;    // call_piece, malformed_call: the place among the calls, those that are none included
};

/// A call of a tool; its arguments are a JSON object.
struct tool_call {
  std::string id;
  std::string name;
  std::string arguments;
};

/// What began like a call and is none.
struct malformed_call {
  std::uint64_t index;
  std::string text;
  std::string reason;
};

/// All that a run said.
struct reply {
  std::string text;
  std::string reasoning;
  std::vector<tool_call> tool_calls;
  std::vector<malformed_call> malformed_calls;
  selvedge::finish finish = selvedge::finish::none;
};

/// A request in flight. To end it early: destroy it, close it, or set the call's cancel.
///
///     for (const auto &event : run) std::cout << event.text;
class run : public detail::handle<selvedge_run, selvedge_run_free> {
public:
  using handle::handle;

  /// One step; empty after the last, whose kind is `done`.
  result<std::optional<event>> next() {
    if (ended_) return std::optional<event>();
    auto raw = detail::sized<selvedge_event>();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_run_next(get(), &raw, &err);
    ended_ = status != SELVEDGE_OK || raw.kind == SELVEDGE_EVENT_DONE;
    return detail::finish<std::optional<event>>(status, err, [&] { return std::optional<event>(seen(raw)); });
  }

  /// All of the text that is still to come.
  result<std::string> text() {
    std::string whole;
    while (!ended_) {
      auto raw = detail::sized<selvedge_event>();
      selvedge_error *err = nullptr;
      const selvedge_status status = selvedge_run_next(get(), &raw, &err);
      ended_ = status != SELVEDGE_OK || raw.kind == SELVEDGE_EVENT_DONE;
      if (status != SELVEDGE_OK) return detail::fail<std::string>(status, err);
      whole += seen(raw).text;
    }
    return whole;
  }

  /// All that is still to come: text, reasoning and calls.
  result<selvedge::reply> reply() {
    selvedge::reply whole;
    while (!ended_) {
      auto raw = detail::sized<selvedge_event>();
      selvedge_error *err = nullptr;
      const selvedge_status status = selvedge_run_next(get(), &raw, &err);
      ended_ = status != SELVEDGE_OK || raw.kind == SELVEDGE_EVENT_DONE;
      if (status != SELVEDGE_OK) return detail::fail<selvedge::reply>(status, err);
      const event brought = seen(raw);
      whole.text += brought.text;
      whole.reasoning += brought.reasoning;
      if (brought.kind == event_kind::tool_call)
        whole.tool_calls.push_back({std::string(brought.id), std::string(brought.name), std::string(brought.arguments)});
      if (brought.kind == event_kind::malformed_call)
        whole.malformed_calls.push_back({brought.index, std::string(brought.malformed), std::string(brought.reason)});
      whole.finish = brought.finish;
    }
    return whole;
  }

  /// The whole answer of a run that is done; it outlives the run.
  result<selvedge::answer> answer() {
    selvedge_answer *raw = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_run_answer(get(), &raw, &err);
    return detail::finish<selvedge::answer>(status, err, [&] { return selvedge::answer(raw); });
  }

  class iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = event;
    using difference_type = std::ptrdiff_t;
    using pointer = const event *;
    using reference = const event &;

    iterator() = default;
    explicit iterator(run *of) : run_(of) { ++*this; }
    reference operator*() const { return event_; }
    pointer operator->() const { return &event_; }
    iterator &operator++() {
      auto stepped = run_->next();
#ifdef SELVEDGE_NO_EXCEPTIONS
      if (!stepped) {
        run_->failure_ = stepped.error();
        run_ = nullptr;
        return *this;
      }
      std::optional<event> &brought = *stepped;
#else
      std::optional<event> &brought = stepped;
#endif
      if (brought) event_ = *brought;
      else run_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator &a, const iterator &b) { return a.run_ == b.run_; }
    friend bool operator!=(const iterator &a, const iterator &b) { return a.run_ != b.run_; }

  private:
    run *run_ = nullptr;
    event event_;
  };

  iterator begin() { return iterator(this); }
  iterator end() { return iterator(); }
#ifdef SELVEDGE_NO_EXCEPTIONS
  /// Why a loop over the events ended before the run was done.
  const std::optional<error> &failure() const noexcept { return failure_; }
#endif

private:
  static std::string_view view(const char *text, std::size_t len) noexcept {
    return text ? std::string_view(text, len) : std::string_view("");
  }

  static event seen(const selvedge_event &raw) {
    event made;
    const std::string_view text = view(raw.text, raw.text_len);
    made.kind = static_cast<event_kind>(raw.kind);
    switch (made.kind) {
    case event_kind::text: made.text = text; break;
    case event_kind::done: made.stop = text; break;
    case event_kind::reasoning: made.reasoning = text; break;
    case event_kind::call_piece:
    case event_kind::tool_call: made.arguments = text; break;
    case event_kind::malformed_call: made.malformed = text; break;
    default: break;
    }
    made.name = view(raw.name, raw.name_len);
    made.id = view(raw.id, raw.id_len);
    made.reason = view(raw.reason, raw.reason_len);
    made.index = raw.index;
    made.tokens = {raw.tokens, raw.token_count};
    made.done = raw.done;
    made.total = raw.total;
    made.finish = static_cast<selvedge::finish>(raw.finish);
    made.input_tokens = raw.input_tokens;
    made.cached_tokens = raw.cached_tokens;
    made.output_tokens = raw.output_tokens;
    return made;
  }

  bool ended_ = false;
#ifdef SELVEDGE_NO_EXCEPTIONS
  std::optional<error> failure_;
#endif
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_RUN_HPP

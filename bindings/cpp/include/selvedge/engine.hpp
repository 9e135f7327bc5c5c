/// selvedge/engine.hpp: engines and what they are asked. Include "selvedge.hpp".
#ifndef SELVEDGE_ENGINE_HPP
#define SELVEDGE_ENGINE_HPP

#include "run.hpp"
#include "source.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

struct message {
  std::string role;
  std::string content;
};

/// The form that a generated text must have. An answer that ends by itself is of the form, the whole of it.
struct grammar {
  /// JSON that a JSON Schema allows.
  static grammar json_schema(std::string schema) { return {SELVEDGE_GRAMMAR_JSON_SCHEMA, std::move(schema)}; }
  /// The whole text matches, in the syntax of Rust's crate regex.
  static grammar regex(std::string expression) { return {SELVEDGE_GRAMMAR_REGEX, std::move(expression)}; }
  /// Lark, as llguidance reads it.
  static grammar lark(std::string rules) { return {SELVEDGE_GRAMMAR_LARK, std::move(rules)}; }
  /// The notation of llama.cpp.
  static grammar gbnf(std::string rules) { return {SELVEDGE_GRAMMAR_GBNF, std::move(rules)}; }

  selvedge_grammar_kind kind = SELVEDGE_GRAMMAR_NONE;
  std::string text;
};

/// A prompt in, text out: a plain prompt, or a conversation, or tokens. The defaults are greedy.
struct generate {
  generate() = default;
  generate(std::string text) : prompt(std::move(text)) {}
  generate(const char *text) : prompt(text) {}
  generate(std::string text, std::uint32_t most) : prompt(std::move(text)), max_tokens(most) {}
  generate(std::vector<message> said) : messages(std::move(said)) {}

  std::optional<std::string> prompt;
  std::vector<message> messages;
  std::vector<std::uint32_t> tokens;
  std::vector<std::string> stop;
  std::uint32_t max_tokens = 0; // 0: the library's default; SELVEDGE_MAX_TOKENS_NONE: no limit but the context
  std::optional<std::uint32_t> seed;
  bool logprobs = false;
  float temperature = 0;
  std::uint32_t top_k = 0;
  float top_p = 0;
  float min_p = 0;
  float repeat_penalty = 0;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  std::uint32_t penalty_last_n = 0;
  std::optional<selvedge::grammar> grammar;
};

enum class trim_level : std::int32_t { caches = SELVEDGE_TRIM_CACHES, all = SELVEDGE_TRIM_ALL };

namespace detail {

/// The request as the C ABI takes it, and what it points to.
class raw_generate {
public:
  explicit raw_generate(const selvedge::generate &from) : raw_(sized<selvedge_generate>()), stop_(texts(from.stop)) {
    for (const auto &said : from.messages) {
      auto made = sized<selvedge_message>();
      made.role = text(said.role);
      made.content = text(said.content);
      messages_.push_back(made);
    }
    if (from.prompt) raw_.prompt = text(*from.prompt);
    raw_.messages = messages_.data();
    raw_.message_count = messages_.size();
    raw_.tokens = from.tokens.data();
    raw_.token_count = from.tokens.size();
    raw_.stop = stop_.data();
    raw_.stop_count = stop_.size();
    raw_.flags = (from.seed ? SELVEDGE_GENERATE_SEEDED : 0u) | (from.logprobs ? SELVEDGE_GENERATE_LOGPROBS : 0u);
    raw_.max_tokens = from.max_tokens;
    raw_.seed = from.seed.value_or(0);
    raw_.temperature = from.temperature;
    raw_.top_k = from.top_k;
    raw_.top_p = from.top_p;
    raw_.min_p = from.min_p;
    raw_.repeat_penalty = from.repeat_penalty;
    raw_.frequency_penalty = from.frequency_penalty;
    raw_.presence_penalty = from.presence_penalty;
    raw_.penalty_last_n = from.penalty_last_n;
    if (from.grammar) {
      raw_.grammar = text(from.grammar->text);
      raw_.grammar_kind = from.grammar->kind;
    }
  }
  raw_generate(const raw_generate &) = delete;
  raw_generate &operator=(const raw_generate &) = delete;
  const selvedge_generate *get() const noexcept { return &raw_; }

private:
  selvedge_generate raw_;
  std::vector<selvedge_message> messages_;
  std::vector<selvedge_text> stop_;
};

class raw_tensors {
public:
  raw_tensors(span<const input> inputs, span<const std::string_view> outputs) : raw_(sized<selvedge_tensors>()) {
    inputs_.reserve(inputs.size());
    for (const input &input : inputs) inputs_.push_back(input.raw());
    for (std::string_view name : outputs) outputs_.push_back({c_str(name), name.size()});
    raw_.inputs = inputs_.data();
    raw_.input_count = inputs_.size();
    raw_.outputs = outputs_.empty() ? nullptr : outputs_.data();
    raw_.output_count = outputs_.size();
  }
  raw_tensors(const raw_tensors &) = delete;
  raw_tensors &operator=(const raw_tensors &) = delete;
  const selvedge_tensors *get() const noexcept { return &raw_; }

private:
  selvedge_tensors raw_;
  std::vector<selvedge_tensor> inputs_;
  std::vector<selvedge_text> outputs_;
};

inline span<const input> list(std::initializer_list<input> inputs) noexcept { return {inputs.begin(), inputs.size()}; }

} // namespace detail

/// A loaded model. Any number of threads may ask it at once.
class engine : public detail::handle<selvedge_engine, selvedge_engine_close> {
public:
  using handle::handle;
  using names = span<const std::string_view>;

  /// Blocks until the model is loaded.
  static result<engine> open(const source &from, const options &options = {}) {
    const detail::raw_options raw(options);
    const selvedge_source where = from.raw();
    selvedge_engine *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_open_source(&where, raw.get(), &opened, &err);
    return detail::finish<engine>(status, err, [&] { return engine(opened); });
  }

  /// What the engine takes, gives, can do and costs, as JSON.
  result<std::string> spec_json() const {
    const char *json = nullptr;
    std::size_t len = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_spec_json(get(), &json, &len, &err);
    return detail::finish<std::string>(status, err, [&] { return std::string(json, len); });
  }

  /// Runs tensors, and blocks until the answer is there. `outputs`: the names that are wanted; none: all.
  result<answer> run(span<const input> inputs, const call &call = {}, names outputs = {}) const {
    const detail::raw_tensors request(inputs, outputs);
    const selvedge_call terms = call.raw();
    selvedge_answer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_run(get(), request.get(), &terms, &made, &err);
    return detail::finish<answer>(status, err, [&] { return answer(made); });
  }
  result<answer> run(std::initializer_list<input> inputs, const call &call = {}, names outputs = {}) const {
    return run(detail::list(inputs), call, outputs);
  }

  /// Runs tensors, and puts the outputs that are named into the app's memory.
  result<void> run_into(span<const input> inputs, span<output> outputs, const call &call = {}) const {
    const detail::raw_tensors request(inputs, {});
    std::vector<selvedge_output> raw;
    raw.reserve(outputs.size());
    for (output &output : outputs) raw.push_back(output.raw());
    const selvedge_call terms = call.raw();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_run_into(get(), request.get(), raw.data(), raw.size(), &terms, &err);
    for (std::size_t i = 0; i < raw.size(); ++i) outputs[i].written(raw[i]);
    return detail::done(status, err);
  }
  result<void> run_into(std::initializer_list<input> inputs, output &output, const call &call = {}) const {
    return run_into(detail::list(inputs), span<selvedge::output>(&output, 1), call);
  }
  result<void> run_into(std::initializer_list<input> inputs, span<output> outputs, const call &call = {}) const {
    return run_into(detail::list(inputs), outputs, call);
  }

  /// Starts to run tensors, to be pulled step by step. The request is copied.
  result<selvedge::run> start(span<const input> inputs, const call &call = {}, names outputs = {}) const {
    const detail::raw_tensors request(inputs, outputs);
    const selvedge_call terms = call.raw();
    selvedge_run *begun = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_start(get(), request.get(), &terms, &begun, &err);
    return detail::finish<selvedge::run>(status, err, [&] { return selvedge::run(begun); });
  }
  result<selvedge::run> start(std::initializer_list<input> inputs, const call &call = {}, names outputs = {}) const {
    return start(detail::list(inputs), call, outputs);
  }

  /// Starts to generate text. The request is copied.
  result<selvedge::run> generate(const selvedge::generate &request, const call &call = {}) const {
    const detail::raw_generate raw(request);
    const selvedge_call terms = call.raw();
    selvedge_run *begun = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_generate(get(), raw.get(), &terms, &begun, &err);
    return detail::finish<selvedge::run>(status, err, [&] { return selvedge::run(begun); });
  }

  /// One vector for each text: one output, "embedding", f32 [texts, dimensions]. `raw`: not scaled to length 1.
  result<answer> embed(span<const std::string_view> texts, const call &call = {}, bool raw = false) const {
    const std::vector<selvedge_text> all = detail::texts(texts);
    auto request = detail::sized<selvedge_embed>();
    request.texts = all.data();
    request.text_count = all.size();
    request.flags = raw ? SELVEDGE_EMBED_RAW : 0u;
    const selvedge_call terms = call.raw();
    selvedge_answer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_embed(get(), &request, &terms, &made, &err);
    return detail::finish<answer>(status, err, [&] { return answer(made); });
  }
  result<answer> embed(std::initializer_list<std::string_view> texts, const call &call = {}, bool raw = false) const {
    return embed(span<const std::string_view>(texts.begin(), texts.size()), call, raw);
  }

  /// Gives memory back, and says how many bytes; the next call is slower.
  result<std::uint64_t> trim(trim_level level) const {
    std::uint64_t freed = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_trim(get(), static_cast<selvedge_trim>(level), &freed, &err);
    return detail::finish<std::uint64_t>(status, err, [&] { return freed; });
  }

  /// The tokens of the prompt, or of the rendered conversation.
  result<std::vector<std::uint32_t>> tokenize(const selvedge::generate &request) const {
    const detail::raw_generate raw(request);
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_tokenize(get(), raw.get(), &made, &err);
    const buffer ids(made);
    return detail::finish<std::vector<std::uint32_t>>(status, err, [&] {
      const auto *first = static_cast<const std::uint32_t *>(ids.data());
      return std::vector<std::uint32_t>(first, first + ids.size() / sizeof(std::uint32_t));
    });
  }
  result<std::string> detokenize(span<const std::uint32_t> tokens) const {
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_detokenize(get(), tokens.data(), tokens.size(), &made, &err);
    return detail::text_of(status, err, made);
  }
  /// The conversation as the model sees it.
  result<std::string> render(const selvedge::generate &request) const {
    const detail::raw_generate raw(request);
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_render(get(), raw.get(), &made, &err);
    return detail::text_of(status, err, made);
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_ENGINE_HPP

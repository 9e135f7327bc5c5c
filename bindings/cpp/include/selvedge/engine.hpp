/// selvedge/engine.hpp: engines and what they are asked. Include "selvedge.hpp".
#ifndef SELVEDGE_ENGINE_HPP
#define SELVEDGE_ENGINE_HPP

#include "generate.hpp"
#include "source.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class trim_level : std::int32_t { caches = SELVEDGE_TRIM_CACHES, all = SELVEDGE_TRIM_ALL };

namespace detail {

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

  /// How likely each continuation of a prompt is: three outputs with an element for each, "logprob", f32, "tokens", i64: how
  /// many it has, and "greedy", bool: whether each of them is the likeliest. Prompt and adapters of `request` count.
  result<answer> score(const selvedge::generate &request, span<const std::string_view> continuations,
                       const call &call = {}) const {
    const detail::raw_generate raw(request);
    const std::vector<selvedge_text> all = detail::texts(continuations);
    auto asked = detail::sized<selvedge_score>();
    asked.prompt = raw.get()->prompt;
    asked.messages = raw.get()->messages;
    asked.message_count = raw.get()->message_count;
    asked.tokens = raw.get()->tokens;
    asked.token_count = raw.get()->token_count;
    asked.continuations = all.data();
    asked.continuation_count = all.size();
    asked.adapters = raw.get()->adapters;
    asked.adapter_count = raw.get()->adapter_count;
    const selvedge_call terms = call.raw();
    selvedge_answer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_score(get(), &asked, &terms, &made, &err);
    return detail::finish<answer>(status, err, [&] { return answer(made); });
  }
  result<answer> score(const selvedge::generate &request, std::initializer_list<std::string_view> continuations,
                       const call &call = {}) const {
    return score(request, span<const std::string_view>(continuations.begin(), continuations.size()), call);
  }

  /// How well each document answers the query: two outputs with an element for each, "score", f32, and "order", i64: their
  /// places, the most relevant first.
  result<answer> rerank(std::string_view query, span<const std::string_view> documents, const call &call = {}) const {
    const std::vector<selvedge_text> all = detail::texts(documents);
    auto asked = detail::sized<selvedge_rerank>();
    asked.query = detail::text(query);
    asked.documents = all.data();
    asked.document_count = all.size();
    const selvedge_call terms = call.raw();
    selvedge_answer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_engine_rerank(get(), &asked, &terms, &made, &err);
    return detail::finish<answer>(status, err, [&] { return answer(made); });
  }
  result<answer> rerank(std::string_view query, std::initializer_list<std::string_view> documents,
                        const call &call = {}) const {
    return rerank(query, span<const std::string_view>(documents.begin(), documents.size()), call);
  }

  /// Writes what the engine has computed of prompts to a file, for restore_prefixes after the next start of the app.
  result<prefixes> save_prefixes(std::string_view path) const {
    return kept(selvedge_engine_save_prefixes, path);
  }
  /// Takes the prefixes of a file; what finds no place is left out.
  result<prefixes> restore_prefixes(std::string_view path) const {
    return kept(selvedge_engine_restore_prefixes, path);
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

private:
  template <class F> result<prefixes> kept(F function, std::string_view path) const {
    auto told = detail::sized<selvedge_prefixes>();
    selvedge_error *err = nullptr;
    const selvedge_status status = function(get(), detail::c_str(path), path.size(), &told, &err);
    return detail::finish<prefixes>(status, err, [&] { return prefixes{told.prefixes, told.tokens, told.bytes}; });
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_ENGINE_HPP

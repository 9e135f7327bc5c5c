/// selvedge/generate.hpp: what an engine of text is asked: prompts, tools, forms, terms. Include "selvedge.hpp".
#ifndef SELVEDGE_GENERATE_HPP
#define SELVEDGE_GENERATE_HPP

#include "run.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

/// A function of the app's that the model may call; `parameters` is a JSON Schema of its arguments, an object.
struct tool {
  std::string name;
  std::string description;
  std::string parameters = "{}";
};

/// Whether the model calls tools. With `required` and `named` its calls are of the form that the schemas allow.
enum class tool_choice : std::int32_t {
  automatic = SELVEDGE_TOOL_CHOICE_AUTO,
  none = SELVEDGE_TOOL_CHOICE_NONE,
  required = SELVEDGE_TOOL_CHOICE_REQUIRED,
  named = SELVEDGE_TOOL_CHOICE_NAMED // generate::tool_name
};

struct message {
  /// The result of the call of this id.
  static message result_of(std::string id, std::string content) {
    return {"tool", std::move(content), {}, {}, std::move(id)};
  }

  std::string role;
  std::string content;
  std::string reasoning = {};                      // what the model thought before it
  std::vector<selvedge::tool_call> tool_calls = {}; // of "assistant": the calls that it made
  std::string tool_call_id = {};                   // of "tool": the call of which it is the result
};

/// A document that the model may draw on, where its template has a place for it.
struct document {
  std::string title;
  std::string text;
};

/// An adapter of options::adapters, and what its changes are multiplied with.
struct adapter {
  std::string name;
  float scale = 1;
};

/// What is added to the logit of a token; minus infinity: it never comes.
using bias = selvedge_bias;

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
  std::vector<tool> tools; // this, and all up to separate_reasoning, with messages
  selvedge::tool_choice tool_choice = selvedge::tool_choice::automatic;
  std::string tool_name;
  std::vector<document> documents;
  std::optional<bool> thinking;                                 // of a model that can do either
  std::vector<std::pair<std::string, std::string>> variables;   // of its template: names, and JSON values
  bool continue_last = false;                                   // go on with the last message
  bool separate_reasoning = false;                              // part what the model thinks from its answer
  std::vector<adapter> adapters;
  std::vector<bias> biases;
  std::uint32_t top_logprobs = 0; // the likeliest tokens at each place, in the answer's JSON
};

/// What was saved of a prefix cache, or restored.
struct prefixes {
  std::uint64_t prefixes; // beginnings of prompts,
  std::uint64_t tokens;   // their tokens all together,
  std::uint64_t bytes;    // and the bytes of the file
};

namespace detail {

inline std::vector<selvedge_pair> pairs(const std::vector<std::pair<std::string, std::string>> &from) {
  std::vector<selvedge_pair> made;
  for (const auto &one : from) made.push_back({text(one.first), text(one.second)});
  return made;
}

inline std::vector<selvedge_adapter> adapters(const std::vector<adapter> &from) {
  std::vector<selvedge_adapter> made;
  for (const auto &one : from) {
    made.push_back(sized<selvedge_adapter>());
    made.back().name = text(one.name);
    made.back().scale = one.scale;
  }
  return made;
}

/// Messages as the C ABI takes them, and what they point to.
class raw_messages {
public:
  explicit raw_messages(const std::vector<message> &from) {
    calls_.reserve(from.size());
    for (const auto &said : from) {
      auto made = sized<selvedge_message>();
      made.role = text(said.role);
      made.content = text(said.content);
      made.reasoning = text(said.reasoning);
      made.tool_call_id = text(said.tool_call_id);
      calls_.emplace_back();
      for (const auto &call : said.tool_calls) {
        auto raw = sized<selvedge_tool_call>();
        raw.id = text(call.id);
        raw.name = text(call.name);
        raw.arguments = text(call.arguments);
        calls_.back().push_back(raw);
      }
      made.tool_calls = calls_.back().data();
      made.tool_call_count = calls_.back().size();
      raw_.push_back(made);
    }
  }
  const selvedge_message *data() const noexcept { return raw_.data(); }
  std::size_t size() const noexcept { return raw_.size(); }

private:
  std::vector<selvedge_message> raw_;
  std::vector<std::vector<selvedge_tool_call>> calls_;
};

/// The request as the C ABI takes it, and what it points to.
class raw_generate {
public:
  explicit raw_generate(const selvedge::generate &from)
      : raw_(sized<selvedge_generate>()), messages_(from.messages), stop_(texts(from.stop)),
        variables_(pairs(from.variables)), adapters_(detail::adapters(from.adapters)) {
    if (from.prompt) raw_.prompt = text(*from.prompt);
    raw_.messages = messages_.data();
    raw_.message_count = messages_.size();
    raw_.tokens = from.tokens.data();
    raw_.token_count = from.tokens.size();
    raw_.stop = stop_.data();
    raw_.stop_count = stop_.size();
    add_sampling(from);
    if (from.grammar) {
      raw_.grammar = text(from.grammar->text);
      raw_.grammar_kind = from.grammar->kind;
    }
    add_chat(from);
    raw_.adapters = adapters_.data();
    raw_.adapter_count = adapters_.size();
    raw_.biases = from.biases.data();
    raw_.bias_count = from.biases.size();
    raw_.top_logprobs = from.top_logprobs;
  }
  raw_generate(const raw_generate &) = delete;
  raw_generate &operator=(const raw_generate &) = delete;
  const selvedge_generate *get() const noexcept { return &raw_; }

private:
  void add_sampling(const selvedge::generate &from) noexcept {
    raw_.flags = (from.seed ? SELVEDGE_GENERATE_SEEDED : 0u) | (from.logprobs ? SELVEDGE_GENERATE_LOGPROBS : 0u) |
                 (from.continue_last ? SELVEDGE_GENERATE_CONTINUE_LAST : 0u) |
                 (from.separate_reasoning ? SELVEDGE_GENERATE_SEPARATE_REASONING : 0u);
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
  }

  void add_chat(const selvedge::generate &from) {
    for (const auto &one : from.tools) {
      tools_.push_back(sized<selvedge_tool>());
      tools_.back().name = text(one.name);
      tools_.back().description = text(one.description);
      tools_.back().parameters = text(one.parameters);
    }
    for (const auto &one : from.documents) {
      documents_.push_back(sized<selvedge_document>());
      documents_.back().title = text(one.title);
      documents_.back().text = text(one.text);
    }
    raw_.tools = tools_.data();
    raw_.tool_count = tools_.size();
    raw_.tool_name = text(from.tool_name);
    raw_.tool_choice = static_cast<selvedge_tool_choice>(from.tool_choice);
    if (from.thinking) raw_.thinking = *from.thinking ? SELVEDGE_THINKING_ON : SELVEDGE_THINKING_OFF;
    raw_.documents = documents_.data();
    raw_.document_count = documents_.size();
    raw_.variables = variables_.data();
    raw_.variable_count = variables_.size();
  }

  selvedge_generate raw_;
  raw_messages messages_;
  std::vector<selvedge_text> stop_;
  std::vector<selvedge_pair> variables_;
  std::vector<selvedge_adapter> adapters_;
  std::vector<selvedge_tool> tools_;
  std::vector<selvedge_document> documents_;
};

} // namespace detail

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_GENERATE_HPP

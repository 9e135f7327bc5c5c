/// text_ops.hpp: the steps of a case that ask for text, within the class `runner` of conformance.cpp.

static selvedge::message message_of(const json &said) {
  selvedge::message made{said["role"], said.value("content", "")};
  made.reasoning = said.value("reasoning", "");
  made.tool_call_id = said.value("tool_call_id", "");
  for (const json &call : said.value("tool_calls", json::array()))
    made.tool_calls.push_back({call["id"], call["name"], call["arguments"]});
  return made;
}

/// Tools, and what else stands beside a prompt.
static void add_terms(const json &s, selvedge::generate &made) {
  for (const json &tool : s.value("tools", json::array()))
    made.tools.push_back({tool["name"], tool["description"], tool["parameters"]});
  const std::map<std::string, selvedge::tool_choice> choices = {{"auto", selvedge::tool_choice::automatic},
                                                                {"none", selvedge::tool_choice::none},
                                                                {"required", selvedge::tool_choice::required},
                                                                {"named", selvedge::tool_choice::named}};
  made.tool_choice = choices.at(s.value("tool_choice", "auto"));
  made.tool_name = s.value("tool_name", "");
  for (const json &one : s.value("documents", json::array())) made.documents.push_back({one["title"], one["text"]});
  if (s.contains("thinking")) made.thinking = s["thinking"].get<bool>();
  // By a name: a range over the entries of a temporary outlives it.
  const json variables = s.value("variables", json::object());
  for (const auto &[name, value] : variables.items())
    made.variables.push_back({name, value.dump()});
  made.continue_last = s.value("continue_last", false);
  made.separate_reasoning = s.value("separate_reasoning", false);
  made.logprobs = s.value("logprobs", false);
  made.top_logprobs = s.value("top_logprobs", 0u);
  for (const json &name : s.value("adapters", json::array())) made.adapters.push_back({name});
  for (const json &pair : s.value("bias", json::array())) made.biases.push_back({pair[0], pair[1]});
  for (const json &token : s.value("ban", json::array()))
    made.biases.push_back({token, -std::numeric_limits<float>::infinity()});
}

selvedge::generate request_of(const json &s) {
  selvedge::generate made;
  if (s.contains("prompt")) made.prompt = s["prompt"].get<std::string>();
  for (const json &said : s.value("messages", json::array())) made.messages.push_back(message_of(said));
  made.tokens = s.value("tokens", std::vector<std::uint32_t>());
  made.stop = s.value("stop", std::vector<std::string>());
  made.max_tokens = s.value("max_tokens", 0u);
  if (s.contains("seed")) made.seed = s["seed"].get<std::uint32_t>();
  made.temperature = s.value("temperature", 0.0f);
  made.top_k = s.value("top_k", 0u);
  made.top_p = s.value("top_p", 0.0f);
  made.min_p = s.value("min_p", 0.0f);
  add_terms(s, made);
  const json form = s.value("grammar", json::object());
  using selvedge::grammar;
  if (form.contains("json_schema")) made.grammar = grammar::json_schema(form["json_schema"].get<std::string>());
  if (form.contains("regex")) made.grammar = grammar::regex(form["regex"].get<std::string>());
  if (form.contains("lark")) made.grammar = grammar::lark(form["lark"].get<std::string>());
  if (form.contains("gbnf")) made.grammar = grammar::gbnf(form["gbnf"].get<std::string>());
  return made;
}

json generate(const json &s) {
  const selvedge::engine &engine = engines_.at(s["engine"]);
  const auto cancel = selvedge::cancel::make();
  call call = call_of(s);
  if (!call.cancel) call.cancel = &cancel;
  auto run = engine.generate(request_of(s), call);
  json tokens = json::array(), calls = json::array(), got;
  std::string text;
  int texts = 0;
  for (const auto &event : run) {
    text += event.text;
    for (const selvedge::token &token : event.tokens) tokens.push_back(token.id);
    if (event.kind == selvedge::event_kind::text) ++texts;
    if (event.kind == selvedge::event_kind::tool_call) calls.push_back(of_call(event.id, event.name, event.arguments));
    if (texts == s.value("take", -1)) return nullptr;
    if (texts == s.value("cancel_after_texts", -1)) cancel.set();
    if (event.kind == selvedge::event_kind::done)
      got = {{"finish", name_of(event.finish)},
             {"stop", event.stop.empty() ? json(nullptr) : json(std::string(event.stop))},
             {"output_tokens", event.output_tokens}};
  }
  got["text"] = text;
  got["tool_calls"] = calls;
  answer_ = json::parse(run.answer().json());
  if (answer_["tool_calls"] != calls) throw failure("events: " + brief(calls) + ", answer: " + brief(answer_["tool_calls"]));
  if (answer_["text"] != text) throw failure("events: " + brief(text) + ", answer: " + brief(answer_["text"]));
  if (answer_["tokens"] != tokens) throw failure("events: " + brief(tokens) + ", answer: " + brief(answer_["tokens"]));
  const selvedge::reply whole = engine.generate(request_of(s), call).reply();
  if (whole.text != text) throw failure("pieces: " + brief(text) + ", whole: " + brief(whole.text));
  json called = json::array();
  for (const auto &one : whole.tool_calls) called.push_back(of_call(one.id, one.name, one.arguments));
  if (called != calls) throw failure("events: " + brief(calls) + ", whole: " + brief(called));
  return got;
}

static json of_call(std::string_view id, std::string_view name, std::string_view arguments) {
  return {{"id", std::string(id)}, {"name", std::string(name)}, {"arguments", std::string(arguments)}};
}

static std::vector<std::string_view> views(const std::vector<std::string> &texts) { return {texts.begin(), texts.end()}; }

json score(const json &s) {
  const auto texts = s["continuations"].get<std::vector<std::string>>();
  const selvedge::answer answer = engines_.at(s["engine"]).score(request_of(s), views(texts), call_of(s));
  const auto data = [&](const char *name) { return of_tensor(answer.output(name))["data"]; };
  return {{"logprobs", data("logprob")}, {"tokens", data("tokens")}, {"greedy", data("greedy")}};
}

json rerank(const json &s) {
  const auto texts = s["documents"].get<std::vector<std::string>>();
  const std::string query = s["query"];
  const selvedge::answer answer = engines_.at(s["engine"]).rerank(query, views(texts), call_of(s));
  return {{"scores", of_tensor(answer.output("score"))["data"]}, {"order", of_tensor(answer.output("order"))["data"]}};
}

static json of_prefixes(const selvedge::prefixes &told) {
  return {{"prefixes", told.prefixes}, {"tokens", told.tokens}, {"bytes", told.bytes}};
}
json save_prefixes(const json &s) {
  return of_prefixes(engines_.at(s["engine"]).save_prefixes(s["path"].get<std::string>()));
}
json restore_prefixes(const json &s) {
  return of_prefixes(engines_.at(s["engine"]).restore_prefixes(s["path"].get<std::string>()));
}

json tokenize(const json &s) { return engines_.at(s["engine"]).tokenize(request_of(s)); }
json render(const json &s) { return engines_.at(s["engine"]).render(request_of(s)); }
json detokenize(const json &s) {
  return engines_.at(s["engine"]).detokenize(s["tokens"].get<std::vector<std::uint32_t>>());
}

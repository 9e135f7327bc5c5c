/// ops.hpp: the steps of a case, within the class `runner` of conformance.cpp. Each gives what is compared.

// ---- Engines ----

selvedge::options options_of(const json &s) {
  selvedge::options made;
  const json given = s.value("options", json::object());
  const std::map<std::string, selvedge::backend> backends = {{"llama", selvedge::backend::llama},
                                                             {"ort", selvedge::backend::ort},
                                                             {"tract", selvedge::backend::tract},
                                                             {"table", selvedge::backend::table},
                                                             {"rten", selvedge::backend::rten}};
  if (given.contains("backend")) made.backend = backends.at(given["backend"]);
  if (given.value("loading", "") == "read") made.loading = selvedge::loading::read;
  made.threads = given.value("threads", 0u);
  made.context_tokens = given.value("context_tokens", 0u);
  made.parallel = given.value("parallel", 0u);
  made.memory_limit = given.value("memory_limit", std::uint64_t{0});
  if (given.contains("sha256")) made.sha256 = digest(given["sha256"]);
  made.onnxruntime = given.value("onnxruntime", "");
  if (given.value("no_symlinks", false)) made.flags |= SELVEDGE_OPTIONS_NO_SYMLINKS;
  if (given.contains("cancel")) made.cancel = &cancels_.at(given["cancel"]);
  return made;
}

json keep_engine(const json &s, selvedge::engine engine) {
  engines_[s.value("as", "")] = std::move(engine);
  return true;
}

json open(const json &s) { return keep_engine(s, selvedge::engine::open(s["path"].get<std::string>(), options_of(s))); }

/// The bytes are the test's own, and must be given back when the engine is gone.
json open_bytes(const json &s) {
  auto bytes = std::make_shared<std::string>(read_file(s["path"].get<std::string>()));
  const auto released = std::make_shared<std::atomic<int>>(0);
  const auto source = [&] {
    return selvedge::source::memory(as_bytes(*bytes), [bytes, released] { ++*released; });
  };
  { selvedge::engine::open(source(), options_of(s)); }
  if (*released != 1) throw failure("lent bytes were released " + std::to_string(*released) + " times, not once");
  return keep_engine(s, selvedge::engine::open(source(), options_of(s)));
}

json open_file(const json &s) {
  const std::size_t prefix = s.value("prefix", std::size_t{0});
  fs::path path = s["path"].get<std::string>();
  const std::string bytes = read_file(path);
  if (prefix != 0) {
    path = tmp_ / "within";
    write_file(path, std::string(prefix, '\0') + bytes + "behind it");
  }
  const std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  const auto source = prefix == 0 ? selvedge::source::file(fileno(file.get()))
                                  : selvedge::source::file(fileno(file.get()), prefix, bytes.size());
  return keep_engine(s, selvedge::engine::open(source, options_of(s)));
}

json inspect(const json &s) { return json::parse(selvedge::inspect(s["path"].get<std::string>(), options_of(s))); }

json validate(const json &s) {
  selvedge::validate(s["path"].get<std::string>(), options_of(s));
  return nullptr;
}

json spec(const json &s) { return json::parse(engines_.at(s["engine"]).spec_json()); }

call call_of(const json &s) {
  call made;
  made.id = s.value("id", std::uint64_t{0});
  made.timeout = std::chrono::milliseconds(s.value("timeout_ms", 0));
  if (s.contains("cancel")) made.cancel = &cancels_.at(s["cancel"]);
  return made;
}

json run(const json &s) {
  const selvedge::engine &engine = engines_.at(s["engine"]);
  const made_inputs inputs(s["inputs"]);
  call call = call_of(s);
  if (s.value("into", false)) return run_into(engine, inputs, s["expect"], call);
  const auto names = s.value("outputs", std::vector<std::string>());
  const std::vector<std::string_view> outputs(names.begin(), names.end());
  if (!s.contains("cancel_after_ms")) {
    const selvedge::answer answer = engine.run(inputs.all(), call, outputs);
    answer_ = json::parse(answer.json());
    return of_answer(answer);
  }
  const auto cancel = selvedge::cancel::make();
  call.cancel = &cancel;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(s["cancel_after_ms"].get<int>()));
    cancel.set();
  });
  struct joined {
    std::thread &thread;
    ~joined() { thread.join(); }
  } joined{other};
  return of_answer(engine.run(inputs.all(), call, outputs));
}

json start(const json &s) {
  const made_inputs inputs(s["inputs"]);
  auto run = engines_.at(s["engine"]).start(inputs.all(), call_of(s));
  for (const auto &event : run)
    if (event.kind == selvedge::event_kind::text) throw failure("a run of tensors gave text");
  const selvedge::answer answer = run.answer();
  answer_ = json::parse(answer.json());
  return of_answer(answer);
}

json embed(const json &s) {
  const auto texts = s["texts"].get<std::vector<std::string>>();
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const selvedge::answer answer = engines_.at(s["engine"]).embed(views, call_of(s), s.value("raw", false));
  return of_tensor(answer.output("embedding"));
}

json trim(const json &s) {
  return engines_.at(s["engine"]).trim(s["level"] == "all" ? selvedge::trim_level::all : selvedge::trim_level::caches);
}

json cancel(const json &s) {
  auto made = selvedge::cancel::make();
  if (s.value("set", false)) made.set();
  cancels_[s["as"]] = std::move(made);
  return nullptr;
}

template <class Map> static bool close_in(Map &map, const std::string &name) {
  const auto found = map.find(name);
  if (found == map.end()) return false;
  found->second.close();
  found->second.close();
  return true;
}

json close(const json &s) {
  const std::string name = s["what"];
  const bool closed = close_in(engines_, name) || close_in(cancels_, name) || close_in(telemetries_, name) ||
                      close_in(profiles_, name) || close_in(monitors_, name) || close_in(outboxes_, name) ||
                      close_in(batches_, name) || close_in(weights_, name);
  if (!closed) throw failure("nothing is named " + name);
  return nullptr;
}

// ---- Telemetry, profile, monitor ----

json telemetry(const json &s) {
  telemetries_[s["as"]] = selvedge::telemetry::open(s["path"].get<std::string>());
  return nullptr;
}
json telemetry_status(const json &s) { return json::parse(telemetries_.at(s["telemetry"]).status_json()); }
json story(const json &s) { return selvedge::report_html(s["path"].get<std::string>()); }

/// Rows of rows.json, one after the other, and the columns in them.
struct lent {
  std::vector<std::string> names;
  std::vector<float> numbers;
  std::size_t rows = 0;
  std::vector<selvedge::column> columns;
};

std::unique_ptr<lent> rows_of(const json &s) {
  auto made = std::make_unique<lent>();
  const json &table = tables_[s["rows"].get<std::string>()];
  const std::size_t from = s.value("from", std::size_t{0}), to = s.value("to", table.size());
  made->names = tables_["columns"].get<std::vector<std::string>>();
  made->rows = to - from;
  for (std::size_t i = from; i < to; ++i)
    for (const json &number : table[i]) made->numbers.push_back(number.get<float>());
  const auto wanted = s.value("columns", made->names);
  const auto categories = s.value("categories", std::vector<std::string>());
  for (std::size_t c = 0; c < made->names.size(); ++c) {
    const std::string &name = made->names[c];
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) continue;
    auto column = selvedge::column::strided(name, made->numbers.data() + c, made->rows,
                                            made->names.size() * sizeof(float));
    const bool category = std::find(categories.begin(), categories.end(), name) != categories.end();
    made->columns.push_back(category ? std::move(column).category() : std::move(column));
  }
  return made;
}

static selvedge::rows view_of(const lent &rows) {
  selvedge::rows made;
  made.columns = {rows.columns.data(), rows.columns.size()};
  made.count = rows.rows;
  return made;
}

json fit(const json &s) {
  const auto rows = rows_of(s);
  selvedge::fit_options options;
  options.bins = s.value("bins", 0u);
  options.block = s.value("block", 0u);
  options.seed = s.value("seed", 0u);
  if (s.contains("sha256")) options.sha256 = digest(s["sha256"]);
  profiles_[s["as"]] = selvedge::profile::fit(view_of(*rows), options);
  return nullptr;
}

json encode(const json &s) {
  const selvedge::buffer bytes = profiles_.at(s["profile"]).encode();
  write_file(s["path"].get<std::string>(), bytes.text());
  const std::string sum = printed("sha256sum '" + s["path"].get<std::string>() + "'").substr(0, 64);
  return {{"bytes", bytes.size()}, {"sha256", sum}};
}
json decode(const json &s) {
  profiles_[s["as"]] = selvedge::profile::decode(as_bytes(read_file(s["path"].get<std::string>())));
  return nullptr;
}
json profile_json(const json &s) { return json::parse(profiles_.at(s["profile"]).json()); }
json compare(const json &s) { return json::parse(profiles_.at(s["profile"]).compare(view_of(*rows_of(s)))); }

json monitor(const json &s) {
  const auto told_alerts = std::make_shared<told>();
  selvedge::monitor_options options;
  options.config = s["config"].dump();
  if (s.contains("profile")) options.profile = &profiles_.at(s["profile"]);
  options.on_alert = [told_alerts](const selvedge::alert &alert) {
    const std::lock_guard<std::mutex> held(told_alerts->lock);
    told_alerts->alerts.push_back(alert);
    throw std::runtime_error("what a callback throws is dropped");
  };
  auto made = selvedge::monitor::make(engines_.at(s["engine"]), telemetries_.at(s["telemetry"]), options);
  if (s.contains("engine_as")) engines_[s["engine_as"]] = made.engine();
  monitors_[s["as"]] = std::move(made);
  told_[s["as"]] = told_alerts;
  return nullptr;
}

json run_rows(const json &s) {
  const auto rows = rows_of(s);
  const std::size_t width = rows->names.size();
  const std::string input = s["input"];
  for (std::size_t i = 0; i < rows->rows; ++i) {
    call call;
    call.id = s["first_id"].get<std::uint64_t>() + i;
    const selvedge::span<const float> row(rows->numbers.data() + i * width, width);
    engines_.at(s["engine"]).run({{input, row, {1, static_cast<std::int64_t>(width)}}}, call);
  }
  return nullptr;
}

json feedback(const json &s) {
  const auto label = s["label"] == "class" ? selvedge::label::right_class : selvedge::label::correct;
  auto id = s["first_id"].get<std::uint64_t>();
  json verdicts = json::array();
  for (const json &pair : s["values"])
    for (int i = 0; i < pair[1].get<int>(); ++i) {
      const char *got = name_of(monitors_.at(s["monitor"]).feedback(id++, label, pair[0].get<std::uint32_t>()));
      if (verdicts.empty() || verdicts.back()[0] != got) verdicts.push_back({got, 0});
      verdicts.back()[1] = verdicts.back()[1].get<int>() + 1;
    }
  return verdicts;
}

json tick(const json &s) {
  monitors_.at(s["monitor"]).tick();
  return nullptr;
}
json close_window(const json &s) {
  monitors_.at(s["monitor"]).close_window();
  return nullptr;
}

json alerts(const json &s) {
  const auto without_latency = [](const std::vector<selvedge::alert> &all) {
    json made = json::array();
    for (const auto &alert : all)
      if (alert.feature != "latency") made.push_back(of_alert(alert));
    return made;
  };
  const json waiting = without_latency(monitors_.at(s["monitor"]).alerts());
  told &callback = *told_.at(s["monitor"]);
  const std::lock_guard<std::mutex> held(callback.lock);
  const json was_told = without_latency(callback.alerts);
  callback.alerts.clear();
  if (waiting != was_told) throw failure("waiting: " + brief(waiting) + ", told: " + brief(was_told));
  return waiting;
}

json report(const json &s) { return json::parse(monitors_.at(s["monitor"]).report_json()); }
json monitor_profile(const json &s) {
  profiles_[s["as"]] = monitors_.at(s["monitor"]).profile();
  return nullptr;
}

// ---- Sync ----

json outbox(const json &s) {
  const json given = s.value("options", json::object());
  selvedge::outbox_options options;
  options.app = given.value("app", "");
  options.app_version = given.value("app_version", "");
  const json attributes = given.value("attributes", json::object());
  for (const auto &pair : attributes.items()) options.attributes.emplace_back(pair.key(), pair.value());
  const std::map<std::string, selvedge::encoding> encodings = {{"", selvedge::encoding::automatic},
                                                               {"identity", selvedge::encoding::identity},
                                                               {"gzip", selvedge::encoding::gzip},
                                                               {"zstd", selvedge::encoding::zstd}};
  options.encoding = encodings.at(given.value("encoding", ""));
  options.interval = std::chrono::milliseconds(given.value("interval_ms", 0));
  options.min_count = given.value("min_count", std::uint64_t{0});
  options.epsilon = given.value("epsilon", 0.0);
  if (given.value("exact_counts", false)) options.flags |= SELVEDGE_OUTBOX_EXACT_COUNTS;
  if (given.value("any_count", false)) options.flags |= SELVEDGE_OUTBOX_ANY_COUNT;
  outboxes_[s["as"]] = selvedge::outbox::open(telemetries_.at(s["telemetry"]), s["path"].get<std::string>(), options);
  return nullptr;
}

static selvedge::retry retry_of(const json &s) {
  const json given = s.value("retry", json::object());
  selvedge::retry made;
  made.attempts = given.value("attempts", 0u);
  made.base = std::chrono::milliseconds(given.value("base_ms", 0));
  made.cap = std::chrono::milliseconds(given.value("cap_ms", 0));
  if (given.value("on_metered", false)) made.flags |= SELVEDGE_RETRY_ON_METERED;
  return made;
}

static json of_judgement(const selvedge::judgement &judged) {
  return {{"decision", name_of(judged.decision)},
          {"wait_ms", judged.wait.count()},
          {"refused", judged.refused},
          {"reason", judged.reason}};
}

json begin(const json &s) {
  std::uint32_t network = 0;
  for (const std::string word : s.value("network", json::array()))
    network |= word == "offline" ? SELVEDGE_NETWORK_OFFLINE : SELVEDGE_NETWORK_METERED;
  return of_judgement(outboxes_.at(s["outbox"]).begin(network, retry_of(s)));
}

json judge(const json &s) {
  const json &came = s["response"];
  const auto type = came.value("content_type", std::string()), after = came.value("retry_after", std::string()),
             body = came.value("body", std::string());
  selvedge::http_response response;
  response.status = came["status"];
  response.content_type = type;
  response.retry_after = after;
  response.body = as_bytes(body);
  return of_judgement(outboxes_.at(s["outbox"]).judge(batches_.at(s["batch"]), s["index"].get<std::size_t>(),
                                                       s["attempt"].get<std::uint32_t>(), response, retry_of(s)));
}

/// Bytes as a string that JSON does not look into.
json of_batch(const selvedge::batch &batch) {
  json made = {{"requests", json::array()}, {"json", json::parse(batch.json())}};
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const selvedge::http_request request = batch.request(i);
    std::string body(as_text(request.body));
    if (request.content_encoding == "gzip") {
      write_file(tmp_ / "body.gz", body);
      body = printed("gzip -dc '" + (tmp_ / "body.gz").string() + "'");
    }
    made["requests"].push_back({{"path", std::string(request.path)},
                                {"content_type", std::string(request.content_type)},
                                {"content_encoding", std::string(request.content_encoding)},
                                {"body", body}});
  }
  return made;
}

json batch(const json &s) {
  auto next = outboxes_.at(s["outbox"]).next_batch(s.value("max_bytes", std::size_t{1} << 20));
  if (!next) return nullptr;
  const json got = of_batch(*next);
  if (s.contains("same_as") && got != batch_values_.at(s["same_as"]))
    throw failure("a batch that was not acknowledged came again as another one");
  batches_[s["as"]] = std::move(*next);
  batch_values_[s["as"]] = got;
  return got;
}

json ack(const json &s) {
  outboxes_.at(s["outbox"]).ack(batches_.at(s["batch"]));
  return nullptr;
}
json refuse(const json &s) {
  outboxes_.at(s["outbox"]).refuse(batches_.at(s["batch"]), s["refused"].get<std::uint64_t>());
  return nullptr;
}
json split(const json &s) { return outboxes_.at(s["outbox"]).split(batches_.at(s["batch"])); }
json bisect(const json &s) { return outboxes_.at(s["outbox"]).bisect(batches_.at(s["batch"])); }
json outbox_status(const json &s) { return json::parse(outboxes_.at(s["outbox"]).status_json()); }
json reset_install_id(const json &s) { return outboxes_.at(s["outbox"]).reset_install_id(); }

// ---- Weights, pack ----

json table(const json &s) {
  auto made = selvedge::table::open(s["path"].get<std::string>(), s["tensor"].get<std::string>());
  const auto shape = made.shape();
  weights_[s.value("as", "")] = std::move(made);
  return {{"rows", shape.rows}, {"width", shape.width}};
}
json gather(const json &s) {
  const selvedge::table &table = weights_.at(s["table"]);
  const auto ids = s["ids"].get<std::vector<std::uint32_t>>();
  std::vector<float> out(ids.size() * table.shape().width);
  table.gather(ids, out);
  return out;
}
json pool(const json &s) {
  const selvedge::table &table = weights_.at(s["table"]);
  const auto weights = s.value("weights", std::vector<float>());
  std::vector<float> out(table.shape().width);
  table.pool(s["ids"].get<std::vector<std::uint32_t>>(), out,
             s.value("pool", "mean") == "sum" ? selvedge::pooling::sum : selvedge::pooling::mean, weights,
             s.value("normalize", false));
  return out;
}
json search(const json &s) {
  json made = json::array();
  const auto query = s["query"].get<std::vector<float>>();
  for (const selvedge::hit &hit : weights_.at(s["table"]).search(query, s["k"].get<std::size_t>()))
    made.push_back({hit.row, hit.score});
  return made;
}
json pack(const json &s) {
  const std::map<std::string, selvedge::scheme> schemes = {
      {"f16", selvedge::scheme::f16}, {"int8", selvedge::scheme::int8}, {"int4", selvedge::scheme::int4}};
  selvedge::pack_options options;
  options.scheme = schemes.at(s["scheme"]);
  options.min_elements = s.value("min_elements", std::uint64_t{0});
  return json::parse(selvedge::pack(s["path"].get<std::string>(), s["to"].get<std::string>(), options));
}

/// headers.cpp: every function of the headers is compiled, for each compiler, standard and way to report failure.
#include <selvedge.hpp>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace {

#ifdef SELVEDGE_NO_EXCEPTIONS
template <class T> T &&got(selvedge::result<T> &&result) { return std::move(result).value(); }
void got(selvedge::result<void> &&result) { (void)result.has_value(); }
#else
template <class T> T got(T value) { return value; }
#define got(call) (call)
#endif

void base() {
  auto cancel = got(selvedge::cancel::make());
  cancel.set();
  auto moved = std::move(cancel);
  cancel = std::move(moved);
  cancel.close();
  const auto progress = got(selvedge::progress::make());
  (void)got(progress.read()).done;
  got(selvedge::set_log(selvedge::log_level::warn, [](const selvedge::log_line &line) { (void)line.message; }));
  got(selvedge::set_log(selvedge::log_level::off, nullptr));
  (void)selvedge::is_compatible();
  (void)(selvedge::version().size() + selvedge::features().size() + selvedge::kernel_name().size());
}

void engines(const selvedge::engine &engine) {
  const std::vector<float> weather = {1, 2, 3, 4};
  const float other[4] = {};
  const std::array<std::int64_t, 1> ids = {1};
  const std::vector<std::string> words = {"a"};
  const selvedge::answer answer = got(engine.run({{"weather", weather, {1, 4}}}));
  const selvedge::tensor tensor = got(answer.output("rain"));
  (void)got(tensor.as<float>()).size();
  (void)got(tensor.as<selvedge::f16>()).size();
  (void)got(tensor.strings()).size();
  (void)got(answer.output(0)).shape().size();
  const std::string_view wanted[] = {"rain"};
  (void)got(engine.run({{"a", other, {1, 4}}, {"b", ids}, {"c", words}, {"d", tensor}}, selvedge::call{}, wanted));
  std::vector<float> rain(1);
  selvedge::output output("rain", rain);
  got(engine.run_into({{"weather", weather, {1, 4}}}, output));
  selvedge::call terms;
  terms.timeout = std::chrono::seconds(1);
  auto run = got(engine.start({{"weather", weather, {1, 4}}}, terms));
  while (const auto event = got(run.next())) (void)event->done;
  (void)got(run.answer()).size();
}

void text(const selvedge::engine &engine) {
  auto run = got(engine.generate({"Once upon a time", 8}));
  for (const auto &event : run) (void)event.text.size();
#ifdef SELVEDGE_NO_EXCEPTIONS
  if (run.failure()) (void)run.failure()->code();
#endif
  (void)got(run.text()).size();
  (void)got(engine.generate(std::vector<selvedge::message>{{"user", "Hi"}}));
  selvedge::generate asks(std::vector<selvedge::message>{{"user", "Umbrella?"}});
  asks.tools = {{"rain", "Whether it rains.", R"({"type": "object"})"}};
  asks.tool_choice = selvedge::tool_choice::named;
  asks.tool_name = "rain";
  asks.thinking = false;
  asks.documents = {{"Bergen", "It rains."}};
  asks.variables = {{"mood", "1"}};
  asks.adapters = {{"formal"}, {"short", 0.5f}};
  asks.biases = {{7, -1.0f}};
  const selvedge::reply said = got(got(engine.generate(asks)).reply());
  asks.messages.push_back({"assistant", said.text, said.reasoning, said.tool_calls});
  for (const auto &call : said.tool_calls) asks.messages.push_back(selvedge::message::result_of(call.id, "dry"));
  (void)(said.malformed_calls.size() + got(got(engine.score("a", {" b", " c"})).output("logprob")).shape().size());
  (void)got(got(engine.rerank("a", {"b", "c"})).output("order"));
  (void)(got(engine.save_prefixes("kept")).tokens + got(engine.restore_prefixes("kept")).bytes);
  (void)got(got(engine.embed({"a", "b"})).output("embedding"));
  const std::vector<std::uint32_t> tokens = got(engine.tokenize("a"));
  (void)(got(engine.detokenize(tokens)) + got(engine.render("a")) + got(engine.spec_json()));
  (void)got(engine.trim(selvedge::trim_level::caches));
}

void sources() {
  selvedge::options options;
  options.on_progress = [](std::uint64_t, std::uint64_t) {};
  options.adapters = {{"formal", "formal.gguf"}};
  options.prompt_threads = 2;
  options.measurements = "measurements";
  options.accelerator_layers = SELVEDGE_ACCELERATOR_ALL;
  options.accelerator_device = "Vulkan0";
  const std::vector<std::byte> bytes(4);
  (void)got(selvedge::engine::open("model.onnx", options));
  (void)got(selvedge::engine::open(std::string("model.onnx")));
  (void)got(selvedge::engine::open(selvedge::source::file(3, 16, 32)));
  (void)got(selvedge::engine::open(selvedge::source::memory(bytes, [] {})));
  (void)got(selvedge::engine::open(selvedge::source::memory(std::vector<std::byte>(4))));
  (void)got(selvedge::inspect("model.onnx"));
  got(selvedge::validate("model.onnx"));
  (void)got(selvedge::pack("model.onnx", "small.onnx", {}));
}

void watched(const selvedge::engine &engine) {
  const std::vector<double> numbers = {1, 2};
  const std::vector<std::optional<std::string>> skies = {"grey", std::nullopt};
  const auto profile = got(selvedge::profile::fit({{"a", numbers}, {"sky", skies}}));
  (void)got(profile.compare({selvedge::column("a", numbers).category()}));
  (void)got(selvedge::profile::decode(got(profile.encode()).bytes()));
  (void)got(profile.json());
  const auto telemetry = got(selvedge::telemetry::open("telemetry"));
  (void)(got(telemetry.status_json()) + got(selvedge::report_html("telemetry")) +
        got(selvedge::report_html("telemetry", "store", "crashes")));
  auto monitor = got(selvedge::monitor::make(engine, telemetry, {"{}", &profile, [](const selvedge::alert &) {}}));
  (void)got(monitor.engine());
  (void)got(monitor.next_alert());
  (void)got(monitor.alerts()).size();
  (void)got(monitor.feedback(1, selvedge::label::correct, 1));
  got(monitor.tick());
  got(monitor.close_window());
  (void)got(monitor.report_json());
  (void)got(monitor.profile());
  const std::vector<std::uint8_t> ones = {1, 0};
  (void)got(selvedge::estimate_accuracy(numbers, ones, {numbers, {1, 2}, ones, {3, 4}, 5, 0.5}, numbers)).accuracy;
  auto outbox = got(selvedge::outbox::open(telemetry, "telemetry", {"app"}));
  (void)got(outbox.begin(SELVEDGE_NETWORK_METERED)).decision;
  if (const auto batch = got(outbox.next_batch())) {
    (void)got(batch->request(batch->size())).path;
    (void)got(outbox.judge(*batch, 0, 1, {})).wait;
    (void)(got(outbox.split(*batch)) || got(outbox.bisect(*batch)));
    got(outbox.ack(*batch));
    got(outbox.refuse(*batch, 1));
    (void)got(batch->json());
  }
  (void)(got(outbox.status_json()) + got(outbox.reset_install_id()));
}

void weights() {
  const auto table = got(selvedge::table::open("model.safetensors", "embeddings"));
  const std::vector<std::uint32_t> ids = {0, 1};
  std::vector<float> out(static_cast<std::size_t>(got(table.shape()).width));
  got(table.gather(ids, out));
  got(table.pool(ids, out, selvedge::pooling::sum, {}, true));
  (void)got(table.search(out, 3)).size();
}

void layers(const selvedge::engine &engine) {
  const auto cache = got(selvedge::cache::make(engine, 1u << 20));
  const auto schedule = got(selvedge::schedule::make());
  const auto cascade = got(selvedge::cascade::make({{engine, "[]"}, {engine}}, selvedge::on_error::give_back));
  const auto models = got(selvedge::models::make(1u << 30));
  const auto store = got(selvedge::store::open_read_only("store"));
  const auto answer = got(got(cache.engine()).run({}));
  (void)got(schedule.around(got(selvedge::for_caller(engine, 7)), 2));
  (void)got(cascade.engine());
  got(models.add("rain", "rain.onnx"));
  got(models.add("snow", store, "00", {}));
  (void)got(models.engine("rain"));
  (void)(got(models.trim(selvedge::trim_level::all)) + got(models.relieve(selvedge::pressure::critical)));
  got(models.watch_pressure());
  (void)(got(cache.status_json()) + got(schedule.status_json()) + got(cascade.status_json()) + got(models.status_json()));
  const std::vector<float> sure = {0.5f};
  const std::vector<std::uint8_t> right = {1};
  (void)(got(selvedge::confidence(answer, engine, "{}")) + got(selvedge::fit_threshold(sure, right, 0.5)).above);
  const auto telemetry = got(selvedge::telemetry::open("telemetry"));
  const auto deployment = got(selvedge::deployment::make(store, "{}", &telemetry));
  (void)got(deployment.engine());
  if (got(deployment.offer("v2", "{}")) == selvedge::rollout::canary) got(deployment.promote());
  (void)(got(deployment.roll_back()) + got(deployment.status_json()));
  got(deployment.forgive("v2"));
  got(deployment.label(got(answer.version()).version, got(answer.version()).arm == selvedge::arm::canary));
  (void)got(deployment.monitor("v1"));
  (void)got(deployment.settle(std::chrono::seconds(1)));
  (void)got(selvedge::write_evidence("telemetry", "evidence"));
}

void stores() {
  const selvedge::crash_record record{"crashes", "1.2", std::vector<std::uint32_t>{SELVEDGE_RUNG_ONE_THREAD}};
  (void)got(record.entries_json());
  got(record.clear());
  got(record.clear_model("00"));
  (void)got(record.explain(1, selvedge::process_exit::otherwise));
  selvedge::options options;
  options.crash = record;
  const auto cancel = got(selvedge::cancel::make());
  auto store = got(selvedge::store::open("store", {{"PEM"}}));
  store = got(selvedge::store::open_read_only("store"));
  (void)got(store.import("package", {&cancel, nullptr, [](std::uint64_t, std::uint64_t) {}}));
  (void)got(store.import(selvedge::package::layout("layout", "1.0")));
  (void)got(store.import(selvedge::package::tar(3, 16, 32)));
  (void)got(store.import(selvedge::package::tar([](void *, std::size_t) { return std::int64_t(0); })));
  auto staged = got(store.stage("00", 4));
  (void)got(staged.at()).offset;
  got(staged.write(std::vector<std::byte>(4)));
  got(staged.finish());
  (void)(got(selvedge::manifest_json("{}")) + got(store.import_staged("{}")));
  got(store.refresh({"{}", "{}", "{}", {"{}"}}));
  (void)(got(store.versions_json()) + got(store.current_json()) + got(store.standing_json("00")));
  got(store.activate("00"));
  (void)(got(store.rollback()) + got(store.miss("00", "why")) + got(store.gc(1)) + got(store.path()));
  got(store.quarantine("00", "why"));
  got(store.pardon("00"));
  got(store.remove("00"));
  got(store.verify("00", &cancel));
  (void)got(store.file("00", "golden.json")).size();
  (void)got(store.open_engine("00", options));
}

} // namespace

/// For the linker alone.
int main(int argc, char **) {
  static_assert(!std::is_copy_constructible_v<selvedge::engine> && std::is_nothrow_move_constructible_v<selvedge::engine>);
  static_assert(!std::is_constructible_v<selvedge::input, std::string_view, std::string>, "a text is no tensor of bytes");
  if (argc < 100) return 0;
  base();
  sources();
  engines({});
  text({});
  watched({});
  weights();
  stores();
  layers({});
}

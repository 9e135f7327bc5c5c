/// behaviour.cpp: what an app may do wrong, or early, or often. usage: behaviour REPO FOLDER
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include <selvedge.hpp>

namespace {

std::string repo, folder;
int failed = 0;

void check(bool holds, const std::string &what) {
  if (holds) return;
  std::cerr << "FAILED " << what << "\n";
  ++failed;
}

/// The code of the error that `work` throws; ok if it throws none.
template <class F> selvedge::code thrown(F &&work) {
  try {
    work();
  } catch (const selvedge::error &error) {
    check(error.what()[0] != '\0', "an error has a message");
    return error.code();
  }
  return selvedge::code::ok;
}

const float DAY[] = {2.5f, 4.4f, 2.2f, 2.2f};

selvedge::engine rain() { return selvedge::engine::open(repo + "/examples/quickstart/rain.onnx"); }

void handles() {
  auto engine = rain();
  auto moved = std::move(engine);
  check(!engine && moved, "a handle that was moved is empty");
  check(thrown([&] { engine.run({{"weather", DAY, {1, 4}}}); }) == selvedge::code::invalid_argument,
        "an empty handle is an invalid argument");
  const auto answer = moved.run({{"weather", DAY, {1, 4}}});
  moved.close();
  moved.close();
  check(!moved, "a closed handle is not open");
  check(thrown([&] { moved.run({{"weather", DAY, {1, 4}}}); }) == selvedge::code::bad_handle,
        "a closed handle is a bad handle");
  check(answer.output(0).as<float>().size() == 1, "an answer outlives its engine");
  check(thrown([&] { (void)answer.output(0).as<double>(); }) == selvedge::code::invalid_argument, "another type");
  check(thrown([&] { (void)answer.output(7); }) == selvedge::code::not_found, "no such output, by index");
  check(thrown([&] { (void)answer.output("snow"); }) == selvedge::code::not_found, "no such output, by name");
  check(selvedge::is_compatible() && !selvedge::version().empty(), "versions");
}

/// Functions of the app's are called, what they throw is dropped, and they are let go of, also when a call fails.
void owners() {
  const auto counted = std::make_shared<std::atomic<int>>(0);
  selvedge::options options;
  options.on_progress = [counted](std::uint64_t, std::uint64_t) {
    ++*counted;
    throw std::runtime_error("dropped");
  };
  selvedge::engine::open(repo + "/examples/quickstart/rain.onnx", options);
  check(*counted > 0, "progress is told");
  options = {};

  const std::vector<std::byte> junk(64);
  check(thrown([&] { selvedge::engine::open(selvedge::source::memory(junk, [counted] { ++*counted; })); }) ==
            selvedge::code::corrupt,
        "junk is no model");

  selvedge::monitor_options watch;
  watch.on_alert = [counted](const selvedge::alert &) {};
  watch.config = "{";
  const auto telemetry = selvedge::telemetry::open(folder + "/owners");
  check(thrown([&] { selvedge::monitor::make(rain(), telemetry, watch); }) == selvedge::code::invalid_argument,
        "a configuration that is no JSON");
  watch = {};

  const int before = *counted;
  selvedge::set_log(selvedge::log_level::trace, [counted](const selvedge::log_line &) { ++*counted; });
  selvedge::telemetry::open(repo + "/examples/quickstart/rain.onnx"); // no folder: it only counts, and says so
  selvedge::set_log(selvedge::log_level::off, nullptr);
  check(*counted > before, "the log is told");
  check(counted.use_count() == 1, "functions are let go of; held still: " + std::to_string(counted.use_count() - 1));
}

/// Threads share an engine; one is closed meanwhile.
void threads() {
  auto engine = rain();
  std::atomic<int> answered{0};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i)
    all.emplace_back([&] {
      const auto code = thrown([&] {
        for (;;) {
          if (engine.run({{"weather", DAY, {1, 4}}}).output(0).as<float>().size() != 1) wrong = true;
          ++answered;
        }
      });
      if (code != selvedge::code::bad_handle) wrong = true;
    });
  while (answered < 400) std::this_thread::yield();
  engine.close();
  for (auto &thread : all) thread.join();
  check(!wrong, "threads that share an engine get answers until it is closed, and then an error");
}

/// Bytes of memory that are in use; 0 where the system does not say.
std::size_t resident() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, pages = 0;
  file >> total >> pages;
  return pages * 4096;
}

void soak() {
  const auto engine = rain();
  const auto once = [&] {
    const auto answer = engine.run({{"weather", DAY, {1, 4}}});
    auto run = engine.start({{"weather", DAY, {1, 4}}});
    run.next();
    const auto cancel = selvedge::cancel::make();
    (void)answer.json();
    thrown([&] { engine.run({{"wheather", DAY, {1, 4}}}); });
  };
  for (int i = 0; i < 2000; ++i) once();
  const std::size_t before = resident();
  for (int i = 0; i < 10000; ++i) once();
  const std::size_t grown = resident() - std::min(before, resident());
  check(grown < 1 << 20, "10,000 rounds grew by " + std::to_string(grown) + " bytes");
  std::cout << "behaviour: 10,000 rounds grew by " << grown << " bytes\n";
}

selvedge::generate story() { return {"Once upon a time", 2000}; }

/// take(3) and drop; cancel; an error in mid-stream; close during a stream, of the engine and of the run.
void streams(const std::string &model) {
  auto engine = selvedge::engine::open(model);
  {
    auto run = engine.generate(story());
    int taken = 0;
    for (const auto &event : run) {
      if (event.kind == selvedge::event_kind::text) ++taken;
      if (taken == 3) break;
    }
    check(taken == 3, "three pieces");
  }
  check(!engine.generate({"The capital of France is", 4}).text().empty(), "after a stream that was dropped");

  const auto cancel = selvedge::cancel::make();
  selvedge::call call;
  call.cancel = &cancel;
  auto run = engine.generate(story(), call);
  std::chrono::steady_clock::time_point set;
  std::thread other;
  const auto code = thrown([&] {
    for (const auto &event : run)
      if (event.kind == selvedge::event_kind::text && !other.joinable())
        other = std::thread([&] {
          set = std::chrono::steady_clock::now();
          cancel.set();
        });
  });
  const auto after = std::chrono::steady_clock::now();
  other.join();
  check(code == selvedge::code::cancelled, "a cancelled stream says so");
  std::cout << "behaviour: cancelled after "
            << std::chrono::duration_cast<std::chrono::milliseconds>(after - set).count() << " ms\n";
  check(!run.next(), "an ended run has no next event");

  selvedge::call soon;
  soon.timeout = std::chrono::milliseconds(300);
  int pieces = 0;
  check(thrown([&] {
          for (const auto &event : engine.generate(story(), soon)) pieces += event.text.empty() ? 0 : 1;
        }) == selvedge::code::deadline_exceeded,
        "a deadline in mid-stream");

  auto going = engine.generate({"The capital of France is", 8});
  going.next();
  engine.close();
  check(going.text().size() > 8, "a run goes on to its end after its engine was closed");

  auto again = selvedge::engine::open(model);
  auto shared = again.generate(story());
  shared.next();
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    shared.close();
  });
  const auto ended = thrown([&] { shared.text(); });
  closer.join();
  check(ended == selvedge::code::cancelled || ended == selvedge::code::bad_handle,
        "a run that another thread closes ends");
}

/// The value of a text in JSON.
std::string value_of(const std::string &json, const std::string &name) {
  const std::string before = "\"" + name + "\":\"";
  const auto at = json.find(before);
  if (at == std::string::npos) return {};
  return json.substr(at + before.size(), json.find('"', at + before.size()) - at - before.size());
}

std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Versions that come, serve, and give way.
void stores() {
  const std::string packages = repo + "/examples/quickstart/packages/";
  const selvedge::trust trust{{contents(packages + "key.pem")}};
  auto store = selvedge::store::open(folder + "/store", trust);
  check(thrown([&] { selvedge::store::open(folder + "/store", trust); }) == selvedge::code::busy, "one store writes");
  int told = 0;
  selvedge::import_options terms;
  terms.on_progress = [&](std::uint64_t, std::uint64_t) { ++told; };
  const auto seattle = value_of(store.import(packages + "seattle", terms), "id");
  const auto new_york = value_of(store.import(packages + "new-york"), "id");
  check(seattle.size() == 64 && new_york.size() == 64 && told > 0, "two versions came");
  check(store.current_json() == "null", "none serves yet");
  store.activate(seattle);
  store.activate(new_york);
  const auto weather = std::vector<float>{0.0f, 12.8f, 5.0f, 4.7f};
  const auto engine = store.open_engine();
  check(engine.run({{"weather", weather, {1, 4}}}).size() > 0, "the one that serves answers");
  check(store.file(new_york, "golden.json").text() == contents(packages + "new-york/golden.json"), "a file of it");
  check(contents(store.path()) == contents(packages + "new-york/rain.onnx"), "the path of its model");
  store.verify();
  check(value_of(store.rollback(), "id") == seattle, "it goes back");
  store.quarantine(new_york, "it gave NaN");
  try {
    store.activate(new_york);
    check(false, "a version in quarantine serves");
  } catch (const selvedge::error &error) {
    check(error.code() == selvedge::code::quarantined && std::string(error.what()).find("it gave NaN") != std::string::npos,
          "a version in quarantine says why");
  }
  const auto fails = selvedge::package::tar([](void *, std::size_t) -> std::int64_t { throw 7; });
  check(thrown([&] { store.import(fails); }) == selvedge::code::io, "a reader that throws ends the import");
  const auto nobody = selvedge::store::open(folder + "/nobody", {});
  check(thrown([&] { nobody.import(packages + "seattle"); }) == selvedge::code::untrusted, "nobody is trusted");
  // Certificates: those that are none, and a library without any.
  const bool has_certificates = selvedge::features().find("keyless") != std::string_view::npos;
  selvedge::trust authority;
  authority.authorities = {"no PEM"};
  check(thrown([&] { selvedge::store::open(folder + "/certified", authority); }) ==
          (has_certificates ? selvedge::code::invalid_argument : selvedge::code::unsupported),
        "an authority that is no certificate");
  selvedge::trust someone;
  someone.identities = {{"models@example.com", "https://accounts.example.com"}};
  someone.sigstore = contents(repo + "/tests/data/trust/sigstore/trusted_root.json");
  if (has_certificates) {
    const auto certified = selvedge::store::open(folder + "/certified", someone);
    check(thrown([&] { certified.import(packages + "seattle"); }) == selvedge::code::untrusted, "signed by a key alone");
  } else {
    check(thrown([&] { selvedge::store::open(folder + "/certified", someone); }) == selvedge::code::unsupported, "no names");
  }
  check(selvedge::crash_record{folder + "/crashes"}.entries_json() == "[]", "nothing is on record");
}

} // namespace

/// Layers around an engine, and versions of one that come and go.
void layers() {
  const auto model = repo + "/examples/quickstart/rain.onnx";
  const auto weather = std::vector<float>{0.0f, 12.8f, 5.0f, 4.7f};
  const auto ask = [&](const selvedge::engine &engine) { return engine.run({{"weather", weather, {1, 4}}}); };
  const auto cache = selvedge::cache::make(selvedge::engine::open(model), 1u << 20);
  const auto remembers = cache.engine();
  ask(remembers);
  check(ask(remembers).json().find("\"cache_hits\":1") != std::string::npos, "an answer is given again");
  const auto schedule = selvedge::schedule::make("{\"capacity\": 1}");
  const auto queued = schedule.around(remembers);
  const auto waits = queued.start({{"weather", weather, {1, 4}}});
  try {
    ask(queued);
    check(false, "a queue that is full takes one more");
  } catch (const selvedge::error &error) {
    check(error.code() == selvedge::code::busy && error.retry_after_ms() > 0, "a queue that is full says when to come");
  }

  const std::string packages = repo + "/examples/quickstart/packages/";
  const auto store = selvedge::store::open(folder + "/versions", {{contents(packages + "key.pem")}});
  store.import(packages + "seattle");
  store.import(packages + "new-york");
  auto deployment = selvedge::deployment::make(store, "{\"model\": \"rain\", \"first\": \"v1\"}");
  const auto engine = deployment.engine();
  check(ask(engine).version().version == "v1", "the first version answers");
  check(deployment.offer("v2", "{\"kind\": \"blue_green\"}") == selvedge::rollout::promoted, "a version comes in");
  const auto by = ask(engine).version();
  check(by.version == "v2" && by.arm == selvedge::arm::current, "and answers");
  check(deployment.roll_back() == "v1" && deployment.settle(std::chrono::seconds(20)), "and goes back");
  deployment = {};
  check(ask(engine).version().version == "v1", "the engine outlives its deployment");
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  repo = argv[1];
  folder = argv[2];
  try {
    handles();
    owners();
    threads();
    soak();
    stores();
    layers();
    if (const char *corpus = std::getenv("SELVEDGE_CORPUS");
        corpus && selvedge::features().find("llama") != std::string_view::npos)
      streams(std::string(corpus) + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    else
      std::cout << "behaviour: note: no language model (SELVEDGE_CORPUS), streams were not run\n";
  } catch (const std::exception &error) {
    check(false, error.what());
  }
  std::cout << "behaviour: " << (failed == 0 ? "passed" : "failed") << "\n";
  return failed != 0;
}

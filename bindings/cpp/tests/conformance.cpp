/// conformance.cpp: runs bindings/conformance/cases.json. usage: conformance REPO
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <mutex>
#include <unistd.h>
#include <thread>

#include "tensors.hpp"

namespace fs = std::filesystem;
using selvedge::call;

namespace {

struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const std::map<std::string, selvedge::code> CODES = {
    {"INVALID_ARGUMENT", selvedge::code::invalid_argument},   {"NOT_FOUND", selvedge::code::not_found},
    {"UNSUPPORTED", selvedge::code::unsupported},             {"OUT_OF_MEMORY", selvedge::code::out_of_memory},
    {"CANCELLED", selvedge::code::cancelled},                 {"BUSY", selvedge::code::busy},
    {"IO", selvedge::code::io},                               {"CORRUPT", selvedge::code::corrupt},
    {"BACKEND", selvedge::code::backend},                     {"DEADLINE_EXCEEDED", selvedge::code::deadline_exceeded},
    {"CONTEXT_FULL", selvedge::code::context_full},           {"MISSING_RUNTIME", selvedge::code::missing_runtime},
    {"BAD_HANDLE", selvedge::code::bad_handle},               {"INTERNAL", selvedge::code::internal},
    {"QUARANTINED", selvedge::code::quarantined},             {"UNTRUSTED", selvedge::code::untrusted}};

std::string read_file(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw failure("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path &path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string_view as_text(selvedge::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

selvedge::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

/// What a command prints.
std::string printed(const std::string &command) {
  FILE *pipe = popen(command.c_str(), "r");
  if (!pipe) throw failure("cannot run " + command);
  std::string all;
  char part[4096];
  for (std::size_t n; (n = std::fread(part, 1, sizeof(part), pipe)) > 0;) all.append(part, n);
  if (pclose(pipe) != 0) throw failure("failed: " + command);
  return all;
}

std::array<std::uint8_t, 32> digest(const std::string &hex) {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

const char *name_of(selvedge::finish finish) {
  switch (finish) {
  case selvedge::finish::complete: return "complete";
  case selvedge::finish::end_of_text: return "end_of_text";
  case selvedge::finish::stop: return "stop";
  case selvedge::finish::length: return "length";
  case selvedge::finish::context_full: return "context_full";
  default: return "other";
  }
}

const char *name_of(selvedge::decision decision) {
  const char *names[] = {"none", "accepted", "wait", "later", "split", "drop"};
  return names[static_cast<int>(decision)];
}

const char *name_of(selvedge::verdict verdict) {
  const char *names[] = {"none", "unknown", "steady", "suspect", "drifted"};
  return names[static_cast<int>(verdict)];
}

json of_alert(const selvedge::alert &alert) {
  const char *actions[] = {"none", "check_pipeline", "retrain", "roll_back"};
  return {{"event", alert.event == selvedge::alert_event::raised ? "raised" : "cleared"},
          {"kind", alert.kind},
          {"feature", alert.feature},
          {"severity", alert.severity == selvedge::severity::critical ? "critical" : "warning"},
          {"action", actions[static_cast<int>(alert.action)]},
          {"since", alert.since},
          {"at", alert.at}};
}

/// Alerts that a callback was told.
struct told {
  std::mutex lock;
  std::vector<selvedge::alert> alerts;
};

/// A case in progress: what its steps made, by name.
class runner {
public:
  runner(const json &rows, fs::path tmp) : tables_(rows), tmp_(std::move(tmp)) {}

  /// One step; throws a failure where it does not do as it should.
  void step(const json &step) {
    json got;
    try {
      got = ask(step);
    } catch (const selvedge::error &error) {
      return refused(step, error);
    }
    if (step.contains("error")) throw failure("expected " + step["error"].get<std::string>() + ", got " + brief(got));
    const double tolerance = step.value("tolerance", -1.0);
    for (const char *what : {"expect", "answer"}) {
      if (!step.contains(what)) continue;
      const json &value = std::string(what) == "answer" ? answer_ : got;
      const std::string wrong = difference(step[what], value, tolerance, what);
      if (!wrong.empty()) throw failure(wrong);
    }
  }

private:
  static void refused(const json &step, const selvedge::error &error) {
    const std::string message = error.what();
    if (!step.contains("error"))
      throw failure("error " + std::to_string(static_cast<int>(error.code())) + ": " + message);
    if (CODES.at(step["error"]) != error.code())
      throw failure("expected " + step["error"].get<std::string>() + ", got " +
                    std::to_string(static_cast<int>(error.code())) + ": " + message);
    if (message.empty()) throw failure("an error without a message");
    for (const json &part : step.value("message", json::array()))
      if (message.find(part.get<std::string>()) == std::string::npos)
        throw failure("expected a message with " + brief(part) + ", got: " + message);
  }

  json ask(const json &s) {
    static const std::map<std::string, json (runner::*)(const json &)> OPS = {
        {"open", &runner::open}, {"open_bytes", &runner::open_bytes}, {"open_file", &runner::open_file},
        {"inspect", &runner::inspect}, {"validate", &runner::validate}, {"spec", &runner::spec},
        {"run", &runner::run}, {"start", &runner::start}, {"generate", &runner::generate},
        {"tokenize", &runner::tokenize}, {"render", &runner::render}, {"detokenize", &runner::detokenize},
        {"score", &runner::score}, {"rerank", &runner::rerank}, {"save_prefixes", &runner::save_prefixes},
        {"restore_prefixes", &runner::restore_prefixes}, {"embed", &runner::embed}, {"trim", &runner::trim}, {"cancel", &runner::cancel}, {"close", &runner::close},
        {"telemetry", &runner::telemetry}, {"telemetry_status", &runner::telemetry_status},
        {"fit", &runner::fit}, {"encode", &runner::encode}, {"decode", &runner::decode},
        {"profile_json", &runner::profile_json}, {"compare", &runner::compare}, {"monitor", &runner::monitor},
        {"run_rows", &runner::run_rows}, {"feedback", &runner::feedback}, {"tick", &runner::tick},
        {"close_window", &runner::close_window}, {"alerts", &runner::alerts}, {"report", &runner::report},
        {"monitor_profile", &runner::monitor_profile}, {"story", &runner::story}, {"outbox", &runner::outbox},
        {"begin", &runner::begin}, {"judge", &runner::judge}, {"batch", &runner::batch}, {"ack", &runner::ack},
        {"refuse", &runner::refuse}, {"split", &runner::split}, {"bisect", &runner::bisect},
        {"outbox_status", &runner::outbox_status}, {"reset_install_id", &runner::reset_install_id},
        {"table", &runner::table}, {"gather", &runner::gather}, {"pool", &runner::pool},
        {"search", &runner::search}, {"pack", &runner::pack}};
    const auto op = OPS.find(s["op"]);
    if (op == OPS.end()) throw failure("the runner does not know the op " + brief(s["op"]));
    return (this->*op->second)(s);
  }

#include "ops.hpp"
#include "text_ops.hpp"

  const json &tables_;
  fs::path tmp_;
  json answer_;
  std::map<std::string, selvedge::engine> engines_;
  std::map<std::string, selvedge::cancel> cancels_;
  std::map<std::string, selvedge::telemetry> telemetries_;
  std::map<std::string, selvedge::profile> profiles_;
  std::map<std::string, selvedge::monitor> monitors_;
  std::map<std::string, std::shared_ptr<told>> told_;
  std::map<std::string, selvedge::outbox> outboxes_;
  std::map<std::string, selvedge::batch> batches_;
  std::map<std::string, json> batch_values_;
  std::map<std::string, selvedge::table> weights_;
};

/// What a case needs and this library or machine lacks.
std::string lacking(const json &a_case) {
  const std::string features = "," + std::string(selvedge::features()) + ",";
  for (const std::string need : a_case["needs"]) {
    if (need == "corpus" && std::getenv("SELVEDGE_CORPUS")) continue;
    if (need == "onnxruntime" && std::getenv("SELVEDGE_ONNXRUNTIME")) continue;
    if (features.find("," + need + ",") == std::string::npos) return need;
  }
  return "";
}

void replace(std::string &text, const std::string &what, const std::string &with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

/// The case with its paths.
json with_paths(const json &a_case, const std::string &repo, const std::string &tmp) {
  std::string text = a_case.dump();
  const char *corpus = std::getenv("SELVEDGE_CORPUS");
  replace(text, "${REPO}", repo);
  replace(text, "${TMP}", tmp);
  replace(text, "${SELVEDGE_CORPUS}", corpus ? corpus : "");
  return json::parse(text);
}

bool passes(const json &a_case, const json &rows, const fs::path &tmp) {
  runner runner(rows, tmp);
  std::size_t number = 0;
  for (const json &step : a_case["steps"]) {
    ++number;
    try {
      runner.step(step);
    } catch (const std::exception &error) {
      std::cerr << "FAILED " << a_case["name"].get<std::string>() << ", step " << number << " ("
                << step["op"].get<std::string>() << "): " << error.what() << "\n";
      return false;
    }
  }
  return true;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    std::cerr << "usage: conformance REPO [part of a case's name]\n";
    return 2;
  }
  const fs::path repo = fs::absolute(argv[1]).lexically_normal();
  const fs::path here = repo / "bindings/conformance";
  const json cases = json::parse(read_file(here / "cases.json"));
  const json rows = json::parse(read_file(here / "rows.json"));
  const fs::path tmp = fs::temp_directory_path() / ("selvedge-cpp-" + std::to_string(::getpid()));
  int ran = 0, failed = 0, skipped = 0;
  for (const json &one : cases["cases"]) {
    const std::string name = one["name"];
    if (argc > 2 && name.find(argv[2]) == std::string::npos) continue;
    if (const std::string lack = lacking(one); !lack.empty()) {
      std::cout << "skipped, for there is no " << lack << ": " << name << "\n";
      ++skipped;
      continue;
    }
    const fs::path folder = tmp / std::to_string(ran);
    fs::create_directories(folder);
    failed += passes(with_paths(one, repo.string(), folder.string()), rows, folder) ? 0 : 1;
    ++ran;
  }
  fs::remove_all(tmp);
  std::cout << "conformance: " << ran << " cases ran, " << failed << " failed, " << skipped << " skipped\n";
  return ran == 0 || failed != 0;
}

/// returned.cpp: errors as results. usage: returned MODEL
#define SELVEDGE_NO_EXCEPTIONS
#include <cstdio>

#include <selvedge.hpp>

namespace {

bool refuses(const selvedge::error &error, selvedge::code code, const char *part) {
  const std::string message = error.what();
  if (error.code() == code && message.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "expected code %d and '%s', got %d: %s\n", static_cast<int>(code), part,
               static_cast<int>(error.code()), error.what());
  return false;
}

} // namespace

int main(int, char **argv) {
  const auto none = selvedge::engine::open("no/such/model.onnx");
  if (none || !refuses(none.error(), selvedge::code::not_found, "no/such/model.onnx")) return 1;

  const auto engine = selvedge::engine::open(argv[1]);
  if (!engine) return std::fprintf(stderr, "%s\n", engine.error().what()), 1;
  const float day[] = {2.5f, 4.4f, 2.2f, 2.2f};
  const auto wrong = engine->run({{"wheather", day, {1, 4}}});
  if (wrong || !refuses(wrong.error(), selvedge::code::invalid_argument, "wheather")) return 1;

  const auto answer = engine->run({{"weather", day, {1, 4}}});
  if (!answer || answer->size() != 1) return 1;
  const auto output = answer->output(0);
  const auto rain = output->as<float>();
  if (!rain || rain->size() != 1 || (*rain)[0] < 0.585f || (*rain)[0] > 0.586f) return 1;

  auto run = selvedge::engine().generate("a text");
  if (run || !refuses(run.error(), selvedge::code::invalid_argument, "")) return 1;
  selvedge::run never;
  for (const auto &event : never) return event.done == 0 ? 2 : 3;
  return never.failure() && never.failure()->code() == selvedge::code::invalid_argument ? 0 : 1;
}

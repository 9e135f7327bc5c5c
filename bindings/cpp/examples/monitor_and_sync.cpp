/// A model for rain that was trained in Seattle moves to New York: its monitor notices, and what happened is posted.
///
///     c++ -std=c++17 monitor_and_sync.cpp $(pkg-config --cflags --libs selvedge) -o monitor_and_sync
///     ./monitor_and_sync rain.onnx weather.csv outbox-folder
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>
#include <vector>

#include <selvedge.hpp>

namespace fs = std::filesystem;

const std::vector<std::string> COLUMNS = {"precipitation", "temp_max", "temp_min", "wind"};

struct day {
  std::string city;
  std::string date;
  float weather[4];
};

/// location,date,precipitation,temp_max,temp_min,wind,weather
std::vector<day> read(const std::string &path) {
  std::vector<day> days;
  std::ifstream file(path);
  std::string line, field;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    day day;
    std::getline(fields, day.city, ',');
    std::getline(fields, day.date, ',');
    for (float &number : day.weather) {
      std::getline(fields, field, ',');
      number = std::stof(field);
    }
    days.push_back(day);
  }
  return days;
}

/// What the model was made for: the days of its training.
selvedge::profile fit(const std::vector<day> &days) {
  std::vector<selvedge::column> columns;
  for (std::size_t i = 0; i < COLUMNS.size(); ++i)
    columns.push_back(selvedge::column::strided(COLUMNS[i], days.data()->weather + i, days.size(), sizeof(day)));
  selvedge::rows rows;
  rows.columns = columns;
  selvedge::fit_options options;
  options.bins = 8;
  return selvedge::profile::fit(rows, options);
}

/// Posts one request. A real app hands it to what its system has for that, headers as they stand, and gives back what
/// came; this one is its own receiver, and keeps a file of each.
selvedge::http_response post(const selvedge::http_request &request, const fs::path &to) {
  std::ofstream file(to, std::ios::binary);
  file.write(reinterpret_cast<const char *>(request.body.data()), static_cast<std::streamsize>(request.body.size()));
  std::cout << "posted    " << request.body.size() << " bytes to " << request.path << "\n";
  selvedge::http_response response;
  response.status = file ? 200 : 0;
  response.content_type = request.content_type;
  return response;
}

/// Posts a batch, and does as the outbox says. False: another time.
bool deliver(selvedge::outbox &outbox, const selvedge::batch &batch, const fs::path &folder) {
  std::uint64_t refused = 0;
  std::uint32_t attempt = 1;
  for (std::size_t index = 0; index < batch.size();) {
    const auto response = post(batch.request(index), folder / ("request" + std::to_string(index)));
    const auto judged = outbox.judge(batch, index, attempt, response);
    switch (judged.decision) {
    case selvedge::decision::accepted:
      refused += judged.refused;
      ++index;
      attempt = 1;
      break;
    case selvedge::decision::wait:
      std::this_thread::sleep_for(judged.wait);
      ++attempt;
      break;
    case selvedge::decision::split:
      if (!outbox.split(batch)) outbox.refuse(batch);
      return true;
    case selvedge::decision::drop:
      return outbox.bisect(batch);
    default:
      std::cout << "later     " << judged.reason << "\n";
      return false;
    }
  }
  if (refused == 0) outbox.ack(batch);
  else outbox.refuse(batch, refused);
  return true;
}

int main(int argc, char **argv) try {
  if (argc < 4) throw std::runtime_error("usage: monitor_and_sync rain.onnx weather.csv folder");
  const fs::path folder = argv[3];
  fs::create_directories(folder);
  std::vector<day> trained, home, away;
  for (const day &day : read(argv[2])) (day.city != "Seattle" ? away : day.date < "2015" ? trained : home).push_back(day);

  const selvedge::profile profile = fit(trained);
  const auto telemetry = selvedge::telemetry::open((folder / "telemetry").string());
  selvedge::monitor_options options;
  options.profile = &profile;
  options.config = R"({"probe": [{"kind": "columns", "input": "weather", "names":
      ["precipitation", "temp_max", "temp_min", "wind"]}, {"kind": "classes", "output": "rain_tomorrow"}],
      "window": 365, "persistence": [1, 1], "false_alarm": {"windows": 1000}})";
  options.on_alert = [](const selvedge::alert &alert) {
    std::cout << "ALERT     " << alert.kind << " of " << alert.feature << ": " << alert.evidence << "\n";
  };
  const auto monitor = selvedge::monitor::make(selvedge::engine::open(argv[1]), telemetry, options);
  const auto engine = monitor.engine();

  selvedge::call call;
  for (const auto *year : {&home, &away}) {
    std::cout << year->front().city << ", " << year->size() << " days\n";
    for (const day &day : *year) {
      ++call.id;
      engine.run({{"weather", day.weather, {1, 4}}}, call);
    }
    monitor.close_window();
  }

  auto outbox = selvedge::outbox::open(telemetry, (folder / "telemetry").string(), {"rain", "1.0"});
  if (outbox.begin().decision == selvedge::decision::accepted)
    while (const auto batch = outbox.next_batch())
      if (!deliver(outbox, *batch, folder)) break;
  std::ofstream(folder / "report.html") << selvedge::report_html((folder / "telemetry").string());
  std::cout << "to read   " << (folder / "report.html").string() << "\n";
  return 0;
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}

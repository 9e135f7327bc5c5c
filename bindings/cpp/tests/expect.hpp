/// expect.hpp: whether a value is what bindings/conformance/cases.json expects of it.
#ifndef SELVEDGE_TESTS_EXPECT_HPP
#define SELVEDGE_TESTS_EXPECT_HPP

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

using json = nlohmann::json;

inline std::string brief(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 300 ? text.substr(0, 300) + "..." : text;
}

inline std::string difference(const json &expected, const json &got, double tolerance, const std::string &at);

/// {"$any": true}, {"$min": n}, {"$start": t}, {"$has": [t]}, {"$first": [v]}
inline std::string difference_of_rule(const json &rule, const json &got, double tolerance, const std::string &at) {
  const std::string failed = at + ": expected " + brief(rule) + ", got " + brief(got);
  if (rule.contains("$any")) return got.is_null() ? failed : "";
  if (rule.contains("$min")) return got.is_number() && got.get<double>() >= rule["$min"].get<double>() ? "" : failed;
  if (rule.contains("$first")) {
    const json &first = rule["$first"];
    if (!got.is_array() || got.size() < first.size()) return failed;
    json begun = json::array();
    for (std::size_t i = 0; i < first.size(); ++i) begun.push_back(got[i]);
    return difference(first, begun, tolerance, at);
  }
  if (!got.is_string()) return failed;
  const auto &text = got.get_ref<const std::string &>();
  if (rule.contains("$start")) return text.rfind(rule["$start"].get<std::string>(), 0) == 0 ? "" : failed;
  for (const json &part : rule["$has"])
    if (text.find(part.get<std::string>()) == std::string::npos) return failed;
  return "";
}

/// Where and how `got` is not what is expected; empty if it is. A negative tolerance stands for the usual one.
inline std::string difference(const json &expected, const json &got, double tolerance, const std::string &at = "value") {
  const std::string failed = at + ": expected " + brief(expected) + ", got " + brief(got);
  if (expected.is_object()) {
    for (const char *rule : {"$any", "$min", "$start", "$has", "$first"})
      if (expected.contains(rule)) return difference_of_rule(expected, got, tolerance, at);
    if (!got.is_object()) return failed;
    for (const auto &item : expected.items()) {
      if (!got.contains(item.key())) return at + "." + item.key() + ": is not there";
      const std::string inner = difference(item.value(), got[item.key()], tolerance, at + "." + item.key());
      if (!inner.empty()) return inner;
    }
    return "";
  }
  if (expected.is_array()) {
    if (!got.is_array() || got.size() != expected.size()) return failed;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::string inner = difference(expected[i], got[i], tolerance, at + "[" + std::to_string(i) + "]");
      if (!inner.empty()) return inner;
    }
    return "";
  }
  if (expected.is_number() && got.is_number() && (expected.is_number_float() || got.is_number_float())) {
    const double e = expected.get<double>(), g = got.get<double>();
    const double room = tolerance < 0 ? std::abs(e) * 1e-9 : tolerance;
    return std::abs(e - g) <= room ? "" : failed;
  }
  return expected == got ? "" : failed;
}

#endif

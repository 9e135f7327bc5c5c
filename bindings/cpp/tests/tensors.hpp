/// tensors.hpp: tensors of bindings/conformance/cases.json, as inputs, as outputs and back.
#ifndef SELVEDGE_TESTS_TENSORS_HPP
#define SELVEDGE_TESTS_TENSORS_HPP

#include <array>
#include <functional>
#include <list>

#include <selvedge.hpp>

#include "expect.hpp"

const std::array<const char *, 15> DTYPES = {"unset", "f32", "f16", "bf16", "i8",  "u8",  "i32",   "i64",
                                             "bool",  "f64", "i16", "u16",  "u32", "u64", "string"};

/// Calls `use` with a value of the type that the dtype names.
template <class F> void with_type(const std::string &dtype, F &&use) {
  if (dtype == "f32") return use(float{});
  if (dtype == "f64") return use(double{});
  if (dtype == "bool") return use(bool{});
  if (dtype == "i8") return use(std::int8_t{});
  if (dtype == "u8") return use(std::uint8_t{});
  if (dtype == "i16") return use(std::int16_t{});
  if (dtype == "u16") return use(std::uint16_t{});
  if (dtype == "i32") return use(std::int32_t{});
  if (dtype == "u32") return use(std::uint32_t{});
  if (dtype == "i64") return use(std::int64_t{});
  if (dtype == "u64") return use(std::uint64_t{});
  throw std::runtime_error("the runner does not know the dtype " + dtype);
}

template <class T> json number(T value) {
  if constexpr (std::is_same_v<T, bool>) return value ? 1 : 0;
  else if constexpr (std::is_floating_point_v<T>) return static_cast<double>(value);
  else return value;
}

inline std::size_t elements(const json &shape) {
  std::size_t all = 1;
  for (const json &dim : shape) all *= dim.get<std::size_t>();
  return all;
}

/// The inputs of a step and the memory that they lie in.
class made_inputs {
public:
  explicit made_inputs(const json &from) {
    for (const json &tensor : from) add(tensor);
  }
  selvedge::span<const selvedge::input> all() const { return {inputs_.data(), inputs_.size()}; }

private:
  void add(const json &tensor) {
    names_.push_back(tensor["name"]);
    const auto shape = tensor["shape"].get<std::vector<std::int64_t>>();
    const selvedge::span<const std::int64_t> dims(shape.data(), shape.size());
    const std::size_t count = elements(tensor["shape"]);
    if (tensor["dtype"] == "string") {
      strings_.push_back(tensor["data"].get<std::vector<std::string>>());
      inputs_.emplace_back(names_.back(), strings_.back(), dims);
      return;
    }
    with_type(tensor["dtype"], [&](auto zero) {
      using T = decltype(zero);
      const std::shared_ptr<T> memory(new T[count + 1], [](T *first) { delete[] first; });
      for (std::size_t i = 0; i < count; ++i) {
        const json &value = tensor.contains("fill") ? tensor["fill"] : tensor["data"][i];
        if constexpr (std::is_same_v<T, bool>) memory.get()[i] = value.get<int>() != 0;
        else memory.get()[i] = value.get<T>();
      }
      memory_.push_back(memory);
      inputs_.emplace_back(names_.back(), selvedge::span<const T>(memory.get(), count), dims);
    });
  }

  std::list<std::string> names_;
  std::list<std::vector<std::string>> strings_;
  std::vector<std::shared_ptr<void>> memory_;
  std::vector<selvedge::input> inputs_;
};

inline json of_tensor(const selvedge::tensor &tensor) {
  json made = {{"name", std::string(tensor.name())},
               {"dtype", DTYPES.at(static_cast<std::size_t>(tensor.dtype()))},
               {"shape", json::array()},
               {"data", json::array()}};
  for (const std::int64_t dim : tensor.shape()) made["shape"].push_back(dim);
  if (tensor.dtype() == selvedge::dtype::string) {
    for (const std::string_view text : tensor.strings()) made["data"].push_back(std::string(text));
    return made;
  }
  with_type(made["dtype"], [&](auto zero) {
    for (const auto element : tensor.as<decltype(zero)>()) made["data"].push_back(number(element));
  });
  return made;
}

inline json of_answer(const selvedge::answer &answer) {
  json all = json::array();
  for (std::size_t i = 0; i < answer.size(); ++i) all.push_back(of_tensor(answer.output(i)));
  return all;
}

/// Runs into memory of the caller's, as large as `expected` needs; and before that, into less.
inline json run_into(const selvedge::engine &engine, const made_inputs &inputs, const json &expected,
                     const selvedge::call &call) {
  json all = json::array();
  for (const json &tensor : expected) {
    const std::string name = tensor["name"];
    with_type(tensor["dtype"], [&](auto zero) {
      using T = decltype(zero);
      const std::size_t count = elements(tensor["shape"]);
      const std::unique_ptr<T[]> memory(new T[count + 1]);
      selvedge::span<T> less(memory.get(), count - 1), whole(memory.get(), count);
      selvedge::output small(name, less), output(name, whole);
      try {
        engine.run_into(inputs.all(), selvedge::span<selvedge::output>(&small, 1), call);
        throw std::runtime_error("an output fitted into too little memory");
      } catch (const selvedge::error &error) {
        if (error.code() != selvedge::code::invalid_argument || small.size() != count) throw;
      }
      engine.run_into(inputs.all(), selvedge::span<selvedge::output>(&output, 1), call);
      json made = {{"name", name}, {"dtype", tensor["dtype"]}, {"shape", json::array()}, {"data", json::array()}};
      for (const std::int64_t dim : output.shape()) made["shape"].push_back(dim);
      for (std::size_t i = 0; i < output.size(); ++i) made["data"].push_back(number(memory[i]));
      all.push_back(made);
    });
  }
  return all;
}

#endif

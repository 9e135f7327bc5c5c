/// selvedge/tensor.hpp: dtypes, inputs, outputs. Include "selvedge.hpp".
#ifndef SELVEDGE_TENSOR_HPP
#define SELVEDGE_TENSOR_HPP

#include <array>

#include "base.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class dtype : std::int32_t {
  unset = SELVEDGE_DTYPE_UNSET,
  f32 = SELVEDGE_F32,
  f16 = SELVEDGE_F16,
  bf16 = SELVEDGE_BF16,
  i8 = SELVEDGE_I8,
  u8 = SELVEDGE_U8,
  i32 = SELVEDGE_I32,
  i64 = SELVEDGE_I64,
  boolean = SELVEDGE_BOOL,
  f64 = SELVEDGE_F64,
  i16 = SELVEDGE_I16,
  u16 = SELVEDGE_U16,
  u32 = SELVEDGE_U32,
  u64 = SELVEDGE_U64,
  string = SELVEDGE_STRING
};

/// The bits of a 16-bit float, for languages without one.
struct f16 {
  std::uint16_t bits;
};
struct bf16 {
  std::uint16_t bits;
};

namespace detail {

template <class T> constexpr dtype dtype_of() noexcept {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, float>) return dtype::f32;
  else if constexpr (std::is_same_v<U, double>) return dtype::f64;
  else if constexpr (std::is_same_v<U, bool>) return dtype::boolean;
  else if constexpr (std::is_same_v<U, f16>) return dtype::f16;
  else if constexpr (std::is_same_v<U, bf16>) return dtype::bf16;
  else if constexpr (std::is_same_v<U, char>) return dtype::unset; // a text, for the most part
  else if constexpr (std::is_integral_v<U> && std::is_signed_v<U>)
    return sizeof(U) == 1 ? dtype::i8 : sizeof(U) == 2 ? dtype::i16 : sizeof(U) == 4 ? dtype::i32 : dtype::i64;
  else if constexpr (std::is_integral_v<U>)
    return sizeof(U) == 1 ? dtype::u8 : sizeof(U) == 2 ? dtype::u16 : sizeof(U) == 4 ? dtype::u32 : dtype::u64;
  else return dtype::unset;
}

template <class C> using element = std::remove_pointer_t<decltype(std::data(std::declval<const C &>()))>;
template <class T> constexpr bool is_text = std::is_convertible_v<const T &, std::string_view>;
/// Whether a container's elements can be those of a tensor.
template <class C>
using has_elements = std::enable_if_t<is_text<element<C>> || dtype_of<element<C>>() != dtype::unset>;
template <class T> struct is_optional : std::false_type {};
/// Whether a container's elements can be those of a tensor.
template <class C>
using has_elements = std::enable_if_t<is_text<element<C>> || dtype_of<element<C>>() != dtype::unset>;
template <class T> struct is_optional<std::optional<T>> : std::true_type {};

template <class C> std::vector<selvedge_text> texts(const C &strings) {
  std::vector<selvedge_text> made;
  made.reserve(std::size(strings));
  for (const auto &string : strings) {
    if constexpr (is_optional<std::decay_t<decltype(string)>>::value) {
      if (!string) {
        made.push_back({nullptr, 0});
        continue;
      }
      const std::string_view view(*string);
      made.push_back({c_str(view), view.size()});
    } else {
      const std::string_view view(string);
      made.push_back({c_str(view), view.size()});
    }
  }
  return made;
}

} // namespace detail

/// A tensor of an answer. It lives as long as the answer.
class tensor {
public:
  explicit tensor(const selvedge_tensor &raw) noexcept : raw_(raw) {}

  std::string_view name() const noexcept { return {detail::c_str({raw_.name, raw_.name_len}), raw_.name_len}; }
  selvedge::dtype dtype() const noexcept { return static_cast<selvedge::dtype>(raw_.dtype); }
  /// The dimensions, outermost first.
  span<const std::int64_t> shape() const noexcept { return {raw_.dims, raw_.rank}; }
  span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte *>(raw_.data), raw_.byte_len}; }
  const selvedge_tensor &raw() const noexcept { return raw_; }

  /// The elements; `T` must be what the dtype says.
  template <class T> result<span<const T>> as() const {
    constexpr selvedge::dtype wanted = detail::dtype_of<T>();
    static_assert(wanted != selvedge::dtype::unset, "a tensor has no elements of this type");
    if (dtype() != wanted) return mismatch<span<const T>>(wanted);
    return span<const T>(static_cast<const T *>(raw_.data), raw_.byte_len / sizeof(T));
  }

  /// The elements of a string tensor.
  result<std::vector<std::string_view>> strings() const {
    if (dtype() != selvedge::dtype::string) return mismatch<std::vector<std::string_view>>(selvedge::dtype::string);
    const auto *first = static_cast<const selvedge_text *>(raw_.data);
    std::vector<std::string_view> made;
    for (std::size_t i = 0; i < raw_.byte_len / sizeof(selvedge_text); ++i) made.push_back(detail::view(first[i]));
    return made;
  }

private:
  template <class T> result<T> mismatch(selvedge::dtype wanted) const {
    return detail::fail<T>(code::invalid_argument,
                           "tensor '" + std::string(name()) + "': expected dtype " +
                               std::to_string(static_cast<int>(wanted)) + ", got " +
                               std::to_string(static_cast<int>(raw_.dtype)));
  }

  selvedge_tensor raw_;
};

/// A named tensor to put in: a view of elements that lie somewhere else and must live, unchanged, until the call returns.
class input {
public:
  /// Elements of any contiguous container: numbers, bool, f16, bf16, or texts. Without a shape: one dimension.
  template <class C, class = detail::has_elements<C>>
  input(std::string_view name, const C &elements, std::initializer_list<std::int64_t> shape)
      : input(name, elements, span<const std::int64_t>(shape.begin(), shape.size())) {}
  template <class C, class = detail::has_elements<C>>
  input(std::string_view name, const C &elements)
      : input(name, elements, {static_cast<std::int64_t>(std::size(elements))}) {}
  template <class C, class = detail::has_elements<C>>
  input(std::string_view name, const C &elements, span<const std::int64_t> shape)
      : name_(name), shape_(shape.begin(), shape.end()) {
    using T = std::remove_cv_t<detail::element<C>>;
    if constexpr (detail::is_text<T>) {
      strings_ = detail::texts(elements);
      data_ = strings_.data();
      byte_len_ = strings_.size() * sizeof(selvedge_text);
      dtype_ = dtype::string;
    } else {
      data_ = std::data(elements);
      byte_len_ = std::size(elements) * sizeof(T);
      dtype_ = detail::dtype_of<T>();
    }
  }
  /// The output of an answer, while that lives.
  input(std::string_view name, const tensor &output)
      : name_(name), shape_(output.shape().begin(), output.shape().end()), data_(output.bytes().data()),
        byte_len_(output.bytes().size()), dtype_(output.dtype()) {}
  input(const input &) = delete;
  input(input &&) = default;
  input &operator=(const input &) = delete;
  input &operator=(input &&) = default;
  ~input() = default;

  selvedge_tensor raw() const noexcept {
    auto made = detail::sized<selvedge_tensor>();
    made.name = detail::c_str(name_);
    made.name_len = name_.size();
    made.dims = shape_.data();
    made.rank = shape_.size();
    made.data = data_;
    made.byte_len = byte_len_;
    made.dtype = static_cast<selvedge_dtype>(dtype_);
    return made;
  }

private:
  std::string_view name_;
  std::vector<std::int64_t> shape_;
  std::vector<selvedge_text> strings_;
  const void *data_ = nullptr;
  std::size_t byte_len_ = 0;
  selvedge::dtype dtype_ = dtype::unset;
};

/// Memory of the app's for an output; after run_into it also knows the shape.
class output {
public:
  template <class C, class = std::enable_if_t<!std::is_const_v<std::remove_pointer_t<
                         decltype(std::data(std::declval<C &>()))>>>>
  output(std::string_view name, C &elements) : name_(name), data_(std::data(elements)) {
    using T = std::remove_pointer_t<decltype(std::data(elements))>;
    static_assert(detail::dtype_of<T>() != dtype::unset, "an output has no elements of this type");
    capacity_ = std::size(elements) * sizeof(T);
    element_ = sizeof(T);
    dtype_ = detail::dtype_of<T>();
  }

  /// The dimensions that were written, outermost first.
  span<const std::int64_t> shape() const noexcept { return {dims_.data(), rank_}; }
  /// The elements that were written; or, where they did not fit, that would have been.
  std::size_t size() const noexcept { return byte_len_ / element_; }

  selvedge_output raw() noexcept {
    auto made = detail::sized<selvedge_output>();
    made.name = detail::text(name_);
    made.data = data_;
    made.capacity = capacity_;
    made.dims = dims_.data();
    made.dim_capacity = dims_.size();
    made.dtype = static_cast<selvedge_dtype>(dtype_);
    return made;
  }
  void written(const selvedge_output &raw) noexcept {
    rank_ = raw.rank < dims_.size() ? raw.rank : dims_.size();
    byte_len_ = raw.byte_len;
  }

private:
  std::string_view name_;
  void *data_;
  std::size_t capacity_ = 0;
  std::size_t element_ = 1;
  std::size_t rank_ = 0;
  std::size_t byte_len_ = 0;
  selvedge::dtype dtype_ = dtype::unset;
  std::array<std::int64_t, 64> dims_{};
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_TENSOR_HPP

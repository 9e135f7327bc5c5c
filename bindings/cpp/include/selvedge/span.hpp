/// selvedge/span.hpp: std::span, or before C++20 what of it is needed. Include "selvedge.hpp".
#ifndef SELVEDGE_SPAN_HPP
#define SELVEDGE_SPAN_HPP

#include <cstddef>
#include <iterator>
#include <type_traits>

#if defined(__has_include) && (__cplusplus >= 202002L || (defined(_MSVC_LANG) && _MSVC_LANG >= 202002L))
#  if __has_include(<span>)
#    include <span>
#    define SELVEDGE_STD_SPAN
#  endif
#endif

namespace selvedge {

#ifdef SELVEDGE_STD_SPAN
template <class T> using span = std::span<T>;
#else
/// A view of elements that lie one after the other.
template <class T> class span {
public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class C, class = std::enable_if_t<std::is_convertible_v<
                         std::remove_pointer_t<decltype(std::data(std::declval<C &>()))> (*)[], T (*)[]>>>
  constexpr span(C &&elements) noexcept : data_(std::data(elements)), size_(std::size(elements)) {}

  constexpr T *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T &operator[](std::size_t index) const { return data_[index]; }
  constexpr T &front() const { return data_[0]; }
  constexpr T &back() const { return data_[size_ - 1]; }
  constexpr T *begin() const noexcept { return data_; }
  constexpr T *end() const noexcept { return data_ + size_; }

private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};
#endif

} // namespace selvedge

#endif // SELVEDGE_SPAN_HPP

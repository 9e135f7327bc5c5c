/// selvedge/profile.hpp: what a model was made for: fit, encode, compare. Include "selvedge.hpp".
#ifndef SELVEDGE_PROFILE_HPP
#define SELVEDGE_PROFILE_HPP

#include <array>

#include "tensor.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class feature_source : std::int32_t {
  input = SELVEDGE_FEATURE_INPUT,
  predicted_class = SELVEDGE_FEATURE_CLASS,
  confidence = SELVEDGE_FEATURE_CONFIDENCE,
  entropy = SELVEDGE_FEATURE_ENTROPY,
  latency = SELVEDGE_FEATURE_LATENCY,
  length = SELVEDGE_FEATURE_LENGTH
};

/// A column of a table that lies somewhere else, and must live until the call returns.
class column {
public:
  /// Numbers, or texts for categories. NaN is missing, and so is an empty std::optional of a text.
  template <class C>
  column(std::string_view name, const C &elements, feature_source source = feature_source::input)
      : name_(name), source_(source), count_(std::size(elements)) {
    using T = std::remove_cv_t<detail::element<C>>;
    if constexpr (detail::is_text<T> || detail::is_optional<T>::value) {
      strings_ = detail::texts(elements);
      data_ = strings_.data();
      dtype_ = dtype::string;
    } else {
      static_assert(detail::dtype_of<T>() != dtype::unset, "a column has no elements of this type");
      data_ = std::data(elements);
      dtype_ = detail::dtype_of<T>();
    }
  }
  /// One number of each row: `first` of row 0, and `stride` bytes on that of the next.
  template <class T>
  static column strided(std::string_view name, const T *first, std::size_t count, std::size_t stride,
                        feature_source source = feature_source::input) {
    column made(name, span<const T>(first, count), source);
    made.stride_ = stride;
    return made;
  }
  /// The numbers are names of categories, not amounts.
  column &&category() && {
    flags_ |= SELVEDGE_COLUMN_CATEGORY;
    return std::move(*this);
  }
  column(const column &) = delete;
  column(column &&) = default;
  column &operator=(const column &) = delete;
  column &operator=(column &&) = default;
  ~column() = default;

  std::size_t size() const noexcept { return count_; }
  selvedge_column raw() const noexcept {
    auto made = detail::sized<selvedge_column>();
    made.name = detail::text(name_);
    made.data = data_;
    made.stride = stride_;
    made.dtype = static_cast<selvedge_dtype>(dtype_);
    made.source = static_cast<selvedge_feature_source>(source_);
    made.flags = flags_;
    return made;
  }

private:
  std::string_view name_;
  std::vector<selvedge_text> strings_;
  const void *data_ = nullptr;
  feature_source source_;
  std::size_t count_;
  std::size_t stride_ = 0;
  std::uint32_t flags_ = 0;
  selvedge::dtype dtype_ = dtype::unset;
};

/// Rows that lie somewhere else: columns of the same length, and what goes with each row.
struct rows {
  span<const column> columns = {};
  std::size_t count = 0;           // 0: as many as the columns have
  span<const float> embeddings = {}; // vectors of `embedding_width`, one after the other
  std::size_t embedding_width = 0;
  span<const std::uint8_t> right = {}; // 1 if the model was right, 0 if not
};

struct fit_options {
  std::uint32_t bins = 0;
  std::uint32_t categories = 0;
  std::uint32_t seed = 0;
  std::uint32_t block = 0;         // rows that depend on one another; 1: none do; 0: estimated
  std::optional<std::array<std::uint8_t, 32>> sha256 = {}; // of the model
};

namespace detail {

class raw_rows {
public:
  explicit raw_rows(const selvedge::rows &from) : raw_(sized<selvedge_rows>()) {
    for (const column &column : from.columns) columns_.push_back(column.raw());
    raw_.columns = columns_.data();
    raw_.column_count = columns_.size();
    raw_.row_count = count(from);
    raw_.embeddings = from.embeddings.data();
    raw_.embedding_width = from.embedding_width;
    raw_.right = from.right.data();
  }
  raw_rows(const raw_rows &) = delete;
  raw_rows &operator=(const raw_rows &) = delete;
  const selvedge_rows *get() const noexcept { return &raw_; }

  /// Why the lengths do not go together; empty if they do. The C ABI cannot see them.
  static std::string flaw(const selvedge::rows &from) {
    const std::size_t all = count(from);
    for (const column &column : from.columns)
      if (column.size() != all)
        return "column '" + std::string(view(column.raw().name)) + "': expected " + std::to_string(all) +
               " rows, got " + std::to_string(column.size());
    if (!from.embeddings.empty() && from.embeddings.size() != all * from.embedding_width)
      return "embeddings: expected " + std::to_string(all) + " rows of " + std::to_string(from.embedding_width) +
             " numbers, got " + std::to_string(from.embeddings.size()) + " numbers";
    if (!from.right.empty() && from.right.size() != all)
      return "right: expected " + std::to_string(all) + " rows, got " + std::to_string(from.right.size());
    return {};
  }

private:
  static std::size_t count(const selvedge::rows &from) noexcept {
    if (from.count != 0) return from.count;
    if (!from.columns.empty()) return from.columns.front().size();
    return from.embedding_width == 0 ? 0 : from.embeddings.size() / from.embedding_width;
  }
  std::vector<selvedge_column> columns_;
  selvedge_rows raw_;
};

} // namespace detail

/// The distributions that a model was made for. Monitors made with it go on after it.
class profile : public detail::handle<selvedge_profile, selvedge_profile_free> {
public:
  using handle::handle;

  /// From the rows that a model was made for, in their order.
  static result<profile> fit(const rows &rows, const fit_options &options = {}) {
    const std::string flaw = detail::raw_rows::flaw(rows);
    if (!flaw.empty()) return detail::fail<profile>(code::invalid_argument, flaw);
    const detail::raw_rows raw(rows);
    auto fit = detail::sized<selvedge_fit>();
    fit.bins = options.bins;
    fit.categories = options.categories;
    fit.seed = options.seed;
    fit.block = options.block;
    fit.sha256 = options.sha256 ? options.sha256->data() : nullptr;
    selvedge_profile *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_profile_fit(raw.get(), &fit, &made, &err);
    return detail::finish<profile>(status, err, [&] { return profile(made); });
  }
  static result<profile> fit(std::initializer_list<column> columns, const fit_options &options = {}) {
    rows all;
    all.columns = {columns.begin(), columns.size()};
    return fit(all, options);
  }
  static result<profile> decode(span<const std::byte> bytes) {
    selvedge_profile *made = nullptr;
    selvedge_error *err = nullptr;
    const void *data = bytes.data() ? static_cast<const void *>(bytes.data()) : "";
    const selvedge_status status = selvedge_profile_decode(data, bytes.size(), &made, &err);
    return detail::finish<profile>(status, err, [&] { return profile(made); });
  }

  /// For a file beside the model.
  result<buffer> encode() const {
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_profile_encode(get(), &made, &err);
    return detail::buffer_of(status, err, made);
  }
  result<std::string> json() const {
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_profile_json(get(), &made, &err);
    return detail::text_of(status, err, made);
  }
  /// Whether these rows come from the world of the profile, as JSON.
  result<std::string> compare(const rows &rows) const {
    const std::string flaw = detail::raw_rows::flaw(rows);
    if (!flaw.empty()) return detail::fail<std::string>(code::invalid_argument, flaw);
    const detail::raw_rows raw(rows);
    selvedge_buffer *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_profile_compare(get(), raw.get(), &made, &err);
    return detail::text_of(status, err, made);
  }
  result<std::string> compare(std::initializer_list<column> columns) const {
    rows all;
    all.columns = {columns.begin(), columns.size()};
    return compare(all);
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_PROFILE_HPP

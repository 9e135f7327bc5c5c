/// selvedge/weights.hpp: tables of vectors in a weight file: gather, pool, search. Include "selvedge.hpp".
#ifndef SELVEDGE_WEIGHTS_HPP
#define SELVEDGE_WEIGHTS_HPP

#include "source.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class pooling : std::int32_t { mean = SELVEDGE_POOL_MEAN, sum = SELVEDGE_POOL_SUM };
using hit = selvedge_hit;

/// Rows of numbers in a safetensors or GGUF file, read as they are asked for.
class table : public detail::handle<selvedge_table, selvedge_table_free> {
public:
  using handle::handle;
  struct extent {
    std::uint64_t rows;
    std::uint64_t width;
  };

  static result<table> open(const source &from, std::string_view tensor,
                            loading loading = selvedge::loading::mapped) {
    const selvedge_source where = from.raw();
    selvedge_table *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_table_open(&where, detail::c_str(tensor), tensor.size(),
                                                       static_cast<selvedge_loading>(loading), &opened, &err);
    return detail::finish<table>(status, err, [&] { return table(opened); });
  }

  result<extent> shape() const {
    extent got{0, 0};
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_table_shape(get(), &got.rows, &got.width, &err);
    return detail::finish<extent>(status, err, [&] { return got; });
  }

  /// Writes the rows of `ids`, one after the other; `out` has room for exactly these.
  result<void> gather(span<const std::uint32_t> ids, span<float> out) const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_table_gather(get(), ids.data(), ids.size(), out.data(), out.size(), &err);
    return detail::done(status, err);
  }
  /// Writes the mean or sum of the rows of `ids`; weights go with a sum. `out` is one row.
  result<void> pool(span<const std::uint32_t> ids, span<float> out, pooling how = pooling::mean,
                    span<const float> weights = {}, bool normalize = false) const {
    if (!weights.empty() && weights.size() != ids.size())
      return detail::fail<void>(code::invalid_argument, "weights: expected " + std::to_string(ids.size()) +
                                                            ", one for each id, got " +
                                                            std::to_string(weights.size()));
    float none = 0;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_table_pool(get(), ids.data(), ids.size(), static_cast<selvedge_pool>(how),
                            weights.empty() ? nullptr : weights.data(), normalize ? SELVEDGE_POOL_NORMALIZE : 0u,
                            out.data() ? out.data() : &none, out.size(), &err);
    return detail::done(status, err);
  }
  /// The `k` rows whose inner product with the query is greatest, best first.
  result<std::vector<hit>> search(span<const float> query, std::size_t k) const {
    std::uint64_t rows = 0, width = 0;
    selvedge_error *err = nullptr;
    selvedge_status status = selvedge_table_shape(get(), &rows, &width, &err);
    if (status != SELVEDGE_OK) return detail::fail<std::vector<hit>>(status, err);
    if (k > rows) k = static_cast<std::size_t>(rows);
    std::vector<hit> hits(k);
    const float none = 0;
    std::size_t found = 0;
    const float *first = query.data() ? query.data() : &none;
    status = selvedge_table_search(get(), first, query.size(), k, hits.data(), &found, &err);
    return detail::finish<std::vector<hit>>(status, err, [&] {
      hits.resize(found);
      return std::move(hits);
    });
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_WEIGHTS_HPP

/// selvedge/pack.hpp: smaller models. Include "selvedge.hpp".
#ifndef SELVEDGE_PACK_HPP
#define SELVEDGE_PACK_HPP

#include "source.hpp"
#include "tensor.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

enum class scheme : std::int32_t {
  f16 = SELVEDGE_SCHEME_F16,
  int8 = SELVEDGE_SCHEME_INT8,
  int4 = SELVEDGE_SCHEME_INT4
};

/// How a model is packed. A pattern is a tensor's name in which * stands for any letters.
struct pack_options {
  selvedge::scheme scheme = selvedge::scheme::int8;
  bool overwrite = false;
  std::uint64_t min_elements = 0;
  double mean_bits = 0;
  std::vector<std::string> only = {}; // only these are packed
  std::vector<std::string> keep = {}; // these are kept as they are
  std::vector<std::string> finer = {}; // these get more bits
  const selvedge::cancel *cancel = nullptr;
  const selvedge::progress *progress = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
};

/// Packs an ONNX model into a smaller one at `to`, whole or not at all, and says what became of it as JSON.
inline result<std::string> pack(const source &from, std::string_view to, const pack_options &options) {
  const auto only = detail::texts(options.only);
  const auto keep = detail::texts(options.keep);
  const auto finer = detail::texts(options.finer);
  auto raw = detail::sized<selvedge_pack_options>();
  raw.scheme = static_cast<selvedge_scheme>(options.scheme);
  raw.flags = options.overwrite ? SELVEDGE_PACK_OVERWRITE : 0u;
  raw.min_elements = options.min_elements;
  raw.mean_bits = options.mean_bits;
  raw.only = only.data();
  raw.only_count = only.size();
  raw.keep = keep.data();
  raw.keep_count = keep.size();
  raw.finer = finer.data();
  raw.finer_count = finer.size();
  raw.cancel = options.cancel ? options.cancel->get() : nullptr;
  raw.progress = options.progress ? options.progress->get() : nullptr;
  raw.on_progress = options.on_progress ? detail::selvedge_cpp_progress : nullptr;
  raw.user_data = const_cast<detail::progress_function *>(&options.on_progress);
  const selvedge_source where = from.raw();
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_pack(&where, detail::c_str(to), to.size(), &raw, &buffer, &err);
  return detail::text_of(status, err, buffer);
}

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_PACK_HPP

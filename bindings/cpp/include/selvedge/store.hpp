/// selvedge/store.hpp: the versions of a model on disk, and which of them serves. Include "selvedge.hpp".
#ifndef SELVEDGE_STORE_HPP
#define SELVEDGE_STORE_HPP

#include "engine.hpp"
#include "tensor.hpp"

namespace selvedge {
inline namespace SELVEDGE_ERRORS {

/// Somebody who signs without a key that lasts: an e-mail address or a URI, and the OpenID Connect issuer that vouches for it.
struct identity {
  std::string name;
  std::string issuer;
};

/// Whose packages are taken. An empty one takes none. Certificates need a library that was built with `keyless`.
struct trust {
  std::vector<std::string> keys = {}; // PEM; the signature of one is enough
  std::string root = {};              // of a TUF repository that must list a package
  bool accept_unsigned_packages = false; // for development
  std::vector<std::string> authorities = {}; // PEM; the signature of a key is enough that one of them certified
  std::vector<identity> identities = {};     // the signature of one is enough, by this:
  std::string sigstore = {};                 // trusted_root.json
};

/// Where a package comes from. A path converts to it: of a folder, a tar file or an OCI image layout.
class package {
public:
  /// Puts at most so many bytes there, and gives their number: 0 at the end, a negative one when it cannot go on.
  using reader = std::function<std::int64_t(void *bytes, std::size_t len)>;

  package(std::string_view path) : path_(path) {}
  package(const char *path) : path_(path) {}
  package(const std::string &path) : path_(path) {}

  /// The manifest of this tag in an OCI image layout.
  static package layout(std::string_view path, std::string_view tag = {}) {
    package made(path);
    made.kind_ = SELVEDGE_PACKAGE_LAYOUT;
    made.tag_ = tag;
    return made;
  }
  /// An open tar file, or `length` bytes of a file from `offset` on; 0 is all that is left. The descriptor stays the
  /// caller's.
  static package tar(std::int64_t descriptor, std::uint64_t offset = 0, std::uint64_t length = 0) {
    package made("");
    made.kind_ = SELVEDGE_PACKAGE_TAR_FILE;
    made.file_ = descriptor;
    made.offset_ = offset;
    made.length_ = length;
    return made;
  }
  /// A tar stream. What the function throws ends the import.
  static package tar(reader read) {
    package made("");
    made.kind_ = SELVEDGE_PACKAGE_TAR_READER;
    made.read_ = std::move(read);
    return made;
  }

  /// As the C ABI takes it; it lives as long as this.
  selvedge_package raw() const noexcept {
    auto made = detail::sized<selvedge_package>();
    made.kind = kind_;
    made.path = detail::text(path_);
    made.tag = detail::text(tag_);
    made.file = file_;
    made.offset = offset_;
    made.length = length_;
    made.read = read_ ? &read : nullptr;
    made.user_data = const_cast<reader *>(&read_);
    return made;
  }

private:
  static std::int64_t read(void *function, void *bytes, std::size_t len) noexcept {
    std::int64_t got = -1;
    detail::contained([&] { got = (*static_cast<reader *>(function))(bytes, len); });
    return got;
  }

  selvedge_package_kind kind_ = SELVEDGE_PACKAGE_PATH;
  std::string path_;
  std::string tag_;
  std::int64_t file_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t length_ = 0;
  reader read_;
};

/// The terms of an import.
struct import_options {
  const selvedge::cancel *cancel = nullptr; // what was received stays for the next import
  const selvedge::progress *progress = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {}; // of one file after the other

  selvedge_import_options raw() const noexcept {
    auto made = detail::sized<selvedge_import_options>();
    made.cancel = cancel ? cancel->get() : nullptr;
    made.progress = progress ? progress->get() : nullptr;
    made.on_progress = on_progress ? detail::selvedge_cpp_progress : nullptr;
    made.user_data = const_cast<detail::progress_function *>(&on_progress);
    return made;
  }
};

/// The metadata of a TUF repository, as they were fetched.
struct repository {
  std::string timestamp;
  std::string snapshot;
  std::string targets;
  std::vector<std::string> roots = {}; // later ones, the lowest number first
};

/// A file of a package that is being received, piece by piece.
class staged : public detail::handle<selvedge_staged, selvedge_staged_free> {
public:
  using handle::handle;
  struct state {
    std::uint64_t offset; // of the byte that is to be written next
    std::uint64_t size;
  };

  result<state> at() {
    state now{0, 0};
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_staged_offset(get(), &now.offset, &now.size, &err);
    return detail::finish<state>(status, err, [&] { return now; });
  }
  result<void> write(span<const std::byte> bytes) {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_staged_write(get(), bytes.data(), bytes.size(), &err);
    return detail::done(status, err);
  }
  /// Ends the file, which is durable then.
  result<void> finish() {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_staged_finish(get(), &err);
    return detail::done(status, err);
  }
};

/// What an OCI manifest lists, for whoever downloads its blobs and stages them, as JSON.
inline result<std::string> manifest_json(std::string_view manifest) {
  selvedge_buffer *buffer = nullptr;
  selvedge_error *err = nullptr;
  const selvedge_status status = selvedge_manifest_json(detail::c_str(manifest), manifest.size(), &buffer, &err);
  return detail::text_of(status, err, buffer);
}

/// The versions of a model in a folder. Ids are 64 hexadecimal digits, as JSON has them.
class store : public detail::handle<selvedge_store, selvedge_store_close> {
public:
  using handle::handle;

  /// For writing: one at a time.
  static result<store> open(std::string_view folder, const trust &trust) {
    const auto keys = detail::texts(trust.keys);
    auto raw = detail::sized<selvedge_trust>();
    raw.keys = keys.data();
    raw.key_count = keys.size();
    raw.root = detail::text(trust.root);
    raw.flags = trust.accept_unsigned_packages ? SELVEDGE_TRUST_UNSIGNED : 0u;
    const auto authorities = detail::texts(trust.authorities);
    std::vector<selvedge_text> names, issuers;
    for (const identity &one : trust.identities) {
      names.push_back(detail::text(one.name));
      issuers.push_back(detail::text(one.issuer));
    }
    raw.authorities = authorities.data();
    raw.authority_count = authorities.size();
    raw.identities = names.data();
    raw.issuers = issuers.data();
    raw.identity_count = names.size();
    raw.sigstore = detail::text(trust.sigstore);
    selvedge_store *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_store_open(detail::c_str(folder), folder.size(), &raw, &opened, &err);
    return detail::finish<store>(status, err, [&] { return store(opened); });
  }
  /// For reading, while another process writes.
  static result<store> open_read_only(std::string_view folder) {
    selvedge_store *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_store_open_read_only(detail::c_str(folder), folder.size(), &opened, &err);
    return detail::finish<store>(status, err, [&] { return store(opened); });
  }

  /// Takes in a package, and gives the version as JSON.
  result<std::string> import(const package &from, const import_options &options = {}) const {
    const selvedge_package raw = from.raw();
    const selvedge_import_options terms = options.raw();
    return text([&](selvedge_buffer **out, selvedge_error **err) {
      return selvedge_store_import(get(), &raw, &terms, out, err);
    });
  }
  /// Takes in a package whose files were staged.
  result<std::string> import_staged(std::string_view manifest, const import_options &options = {}) const {
    const selvedge_import_options terms = options.raw();
    return text([&](selvedge_buffer **out, selvedge_error **err) {
      return selvedge_store_import_staged(get(), detail::c_str(manifest), manifest.size(), &terms, out, err);
    });
  }
  /// Begins to receive a file, or goes on with one.
  result<staged> stage(std::string_view digest, std::uint64_t size) const {
    selvedge_staged *made = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_store_stage(get(), detail::c_str(digest), digest.size(), size, &made, &err);
    return detail::finish<staged>(status, err, [&] { return staged(made); });
  }
  /// Verifies the metadata of a repository, and remembers what they allow.
  result<void> refresh(const repository &from) const {
    const auto roots = detail::texts(from.roots);
    auto raw = detail::sized<selvedge_repository>();
    raw.timestamp = detail::text(from.timestamp);
    raw.snapshot = detail::text(from.snapshot);
    raw.targets = detail::text(from.targets);
    raw.roots = roots.data();
    raw.root_count = roots.size();
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_store_refresh(get(), &raw, &err);
    return detail::done(status, err);
  }

  /// All versions, the highest number first; the one that serves, or "null"; what is held against one: as JSON.
  result<std::string> versions_json() const {
    return text([&](auto out, auto err) { return selvedge_store_versions_json(get(), out, err); });
  }
  result<std::string> current_json() const {
    return text([&](auto out, auto err) { return selvedge_store_current_json(get(), out, err); });
  }
  result<std::string> standing_json(std::string_view id) const {
    return text([&](auto out, auto err) {
      return selvedge_store_standing_json(get(), detail::c_str(id), id.size(), out, err);
    });
  }

  /// Makes a version the one that serves.
  result<void> activate(std::string_view id) const { return change(id, selvedge_store_activate); }
  /// Goes back to the version before, and gives it as JSON.
  result<std::string> rollback() const {
    return text([&](auto out, auto err) { return selvedge_store_rollback(get(), out, err); });
  }
  /// Lets a version serve no more.
  result<void> quarantine(std::string_view id, std::string_view why) const {
    selvedge_error *err = nullptr;
    const selvedge_status status = selvedge_store_quarantine(get(), detail::c_str(id), id.size(), detail::c_str(why),
                                                             why.size(), &err);
    return detail::done(status, err);
  }
  /// Counts a failure of a version, and gives how it stands as JSON; the second one is its quarantine.
  result<std::string> miss(std::string_view id, std::string_view why) const {
    return text([&](auto out, auto err) {
      return selvedge_store_miss(get(), detail::c_str(id), id.size(), detail::c_str(why), why.size(), out, err);
    });
  }
  /// Takes back all that is held against a version.
  result<void> pardon(std::string_view id) const { return change(id, selvedge_store_pardon); }
  result<void> remove(std::string_view id) const { return change(id, selvedge_store_remove); }
  /// Makes room, and gives the ids of what was removed as JSON.
  result<std::string> gc(std::size_t keep) const {
    return text([&](auto out, auto err) { return selvedge_store_gc(get(), keep, out, err); });
  }

  /// The model of a version, mapped where it lies; without an id, of the one that serves.
  result<engine> open_engine(std::string_view id = {}, const options &options = {}) const {
    const detail::raw_options raw(options);
    selvedge_engine *opened = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_store_open_engine(get(), id.data(), id.size(), raw.get(), &opened, &err);
    return detail::finish<engine>(status, err, [&] { return engine(opened); });
  }
  /// The path of a file of a version, checked before; without a name, of its model.
  result<std::string> path(std::string_view id = {}, std::string_view name = {}) const {
    return text([&](auto out, auto err) {
      return selvedge_store_path(get(), id.data(), id.size(), name.data(), name.size(), out, err);
    });
  }
  /// The bytes of a file of a version, of at most 16 MiB, checked before.
  result<buffer> file(std::string_view id, std::string_view name) const {
    selvedge_buffer *raw = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_store_file(get(), id.data(), id.size(), detail::c_str(name), name.size(), &raw, &err);
    return detail::buffer_of(status, err, raw);
  }
  /// Whether the files of a version are as they were signed.
  result<void> verify(std::string_view id = {}, const cancel *cancel = nullptr) const {
    selvedge_error *err = nullptr;
    const selvedge_status status =
        selvedge_store_verify(get(), id.data(), id.size(), cancel ? cancel->get() : nullptr, &err);
    return detail::done(status, err);
  }

private:
  template <class Call> static result<std::string> text(Call &&call) {
    selvedge_buffer *buffer = nullptr;
    selvedge_error *err = nullptr;
    const selvedge_status status = call(&buffer, &err);
    return detail::text_of(status, err, buffer);
  }
  using changer = selvedge_status (*)(const selvedge_store *, const char *, std::size_t, selvedge_error **);
  result<void> change(std::string_view id, changer call) const {
    selvedge_error *err = nullptr;
    const selvedge_status status = call(get(), detail::c_str(id), id.size(), &err);
    return detail::done(status, err);
  }
};

} // namespace SELVEDGE_ERRORS
} // namespace selvedge

#endif // SELVEDGE_STORE_HPP

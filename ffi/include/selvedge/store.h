/* selvedge/store.h: the versions of a model on disk, and which of them serves. Include "selvedge.h".
 *
 * A version is named by its id: the digest over all its files, as 64 hexadecimal digits. A package is a folder with a model,
 * a file selvedge.json that says which version of what it is, and a signature, model.sig; or that folder as a tar file or as
 * an OCI image layout.
 *
 * JSON of a version: id, name, version (its number), channel, label, share (of 10,000 devices), minimum, expires (null, or
 * seconds since 1970), key (null, or the digest of the key that signed it), bytes, model, profile, golden (names of files,
 * or null), files [{name, size}], current (whether it serves), standing {misses, quarantined, why}. */
#ifndef SELVEDGE_STORE_H
#define SELVEDGE_STORE_H

#include "base.h"
#include "engine.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_package_kind)
  SELVEDGE_PACKAGE_PATH = 0,           /* a folder, a tar file or an OCI image layout, whichever is there */
  SELVEDGE_PACKAGE_FOLDER = 1,
  SELVEDGE_PACKAGE_LAYOUT = 2,         /* an OCI image layout */
  SELVEDGE_PACKAGE_TAR_FILE = 3,       /* an open tar file, or a part of a file */
  SELVEDGE_PACKAGE_TAR_READER = 4      /* a tar stream that a function of the caller's gives */
SELVEDGE_ENUM_END(selvedge_package_kind)

#define SELVEDGE_TRUST_UNSIGNED 1u     /* selvedge_trust.flags: take packages that nobody signed; for development */

typedef struct selvedge_store selvedge_store;   /* an open store */
typedef struct selvedge_staged selvedge_staged; /* a file of a package that is being received, piece by piece */

/* Puts at most `len` bytes, which follow those before, into `bytes`, and returns their number: 0 at the end, a negative
 * number when it cannot go on, which is IO. */
typedef int64_t (*selvedge_read_fn)(void *SELVEDGE_NULLABLE user_data, void *bytes, size_t len);

/* Whose packages are taken, and how fresh they must be. One of zeros takes none. */
typedef struct selvedge_trust {
  size_t struct_size;
  const selvedge_text *SELVEDGE_NULLABLE keys; /* PEM ("-----BEGIN PUBLIC KEY-----") of ECDSA on P-256 or P-384; the
                                        * signature of one is enough */
  size_t key_count;
  selvedge_text root;                  /* the root (1.root.json, or a later one) of a TUF repository that must list a
                                        * package; empty: none */
  uint32_t flags;                      /* SELVEDGE_TRUST_* */
  uint32_t reserved;                   /* 0 */
  const selvedge_text *SELVEDGE_NULLABLE authorities; /* PEM ("-----BEGIN CERTIFICATE-----") of certificate authorities: the
                                        * signature of a key is enough that one of them certified for signing */
  size_t authority_count;
  const selvedge_text *SELVEDGE_NULLABLE identities; /* e-mail addresses or URIs: the signature of one is enough, without a
                                        * key that lasts, if */
  const selvedge_text *SELVEDGE_NULLABLE issuers; /* the OpenID Connect issuer of the same place vouched for it; both are
                                        * compared byte by byte */
  size_t identity_count;               /* of identities, and of issuers */
  selvedge_text sigstore;              /* the file trusted_root.json of the Sigstore by which identities are verified, at most
                                        * 1 MiB; nothing is fetched. Empty: none, and so nobody by identity */
} selvedge_trust;
#define SELVEDGE_TRUST_INIT { sizeof(selvedge_trust), NULL, 0, { NULL, 0 }, 0, 0, NULL, 0, NULL, NULL, 0, { NULL, 0 } }

/* Where a package comes from. Fields of another kind are not looked at. */
typedef struct selvedge_package {
  size_t struct_size;
  selvedge_package_kind kind;
  uint32_t flags;                      /* 0 */
  selvedge_text path;                  /* PATH, FOLDER, LAYOUT */
  selvedge_text tag;                   /* PATH, LAYOUT: which manifest of a layout; empty: the only one */
  int64_t file;                        /* TAR_FILE: an open descriptor (Windows: a HANDLE); it is duplicated, and its
                                        * cursor is left alone */
  uint64_t offset;                     /* TAR_FILE: where the tar begins, */
  uint64_t length;                     /* and its bytes; 0: to the end of the file */
  selvedge_read_fn SELVEDGE_NULLABLE read; /* TAR_READER: called by the call that takes this, until it returns */
  void *SELVEDGE_NULLABLE user_data;   /* of read */
} selvedge_package;
#define SELVEDGE_PACKAGE_INIT { sizeof(selvedge_package), SELVEDGE_PACKAGE_PATH, 0, { NULL, 0 }, { NULL, 0 }, 0, 0, 0, \
  NULL, NULL }

/* The terms of an import. */
typedef struct selvedge_import_options {
  size_t struct_size;
  const selvedge_cancel *SELVEDGE_NULLABLE cancel; /* ends it; what was received stays for the next one */
  const selvedge_progress *SELVEDGE_NULLABLE progress; /* bytes of one file after the other; for another thread to look
                                        * at */
  selvedge_progress_fn SELVEDGE_NULLABLE on_progress; /* the same, told */
  void *SELVEDGE_NULLABLE user_data;   /* of on_progress, until the call returns */
} selvedge_import_options;
#define SELVEDGE_IMPORT_OPTIONS_INIT { sizeof(selvedge_import_options), NULL, NULL, NULL, NULL }

/* The metadata of a TUF repository, as they were fetched; nothing of them is believed yet. */
typedef struct selvedge_repository {
  size_t struct_size;
  selvedge_text timestamp;             /* timestamp.json, at most 16,384 bytes */
  selvedge_text snapshot;              /* snapshot.json, at most 2,000,000 */
  selvedge_text targets;               /* targets.json, at most 5,000,000 */
  const selvedge_text *SELVEDGE_NULLABLE roots; /* later roots (2.root.json, ...), the lowest number first; at most 256 */
  size_t root_count;
} selvedge_repository;
#define SELVEDGE_REPOSITORY_INIT { sizeof(selvedge_repository), { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, NULL, 0 }

/* ---- Stores ---- */

/* Opens a store for writing, in a folder that is made where there is none; close it with selvedge_store_close. What a crash
 * left half done is cleared away. Errors: BUSY (it is open for writing, here or in another process), CORRUPT, IO,
 * UNSUPPORTED (a store of a later version, a key of another kind; authorities, identities or a sigstore in a library that was
 * built without certificates), INVALID_ARGUMENT (no PEM, an empty identity or issuer), UNTRUSTED (a root that its own keys did
 * not sign). CORRUPT is also a root or a sigstore that is none. */
SELVEDGE_API selvedge_status selvedge_store_open(const char *folder, size_t folder_len, const selvedge_trust *trust,
                                                 SELVEDGE_OUT(selvedge_store) out, SELVEDGE_ERR err);

/* Opens a store that is there for reading, as any number of processes may while one writes: what that one changes is seen.
 * Calls that change something are UNSUPPORTED. Errors: NOT_FOUND, CORRUPT, IO, UNSUPPORTED (of a later version). */
SELVEDGE_API selvedge_status selvedge_store_open_read_only(const char *folder, size_t folder_len,
                                                           SELVEDGE_OUT(selvedge_store) out, SELVEDGE_ERR err);

/* Verifies the metadata of a repository as a whole, and remembers what they allow: the packages that are listed, their
 * shares, the minimum. Errors: UNTRUSTED (not signed as the root demands, older than those before, expired), CORRUPT,
 * INVALID_ARGUMENT (the trust of the store has no root), UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_refresh(const selvedge_store *store, const selvedge_repository *repository,
                                                    SELVEDGE_ERR err);

/* All versions that are there as a JSON array, the highest number first; one whose manifest is damaged is left out. Free
 * the buffer with selvedge_buffer_free. Errors: IO, CORRUPT. */
SELVEDGE_API selvedge_status selvedge_store_versions_json(const selvedge_store *store, SELVEDGE_OUT(selvedge_buffer) out,
                                                          SELVEDGE_ERR err);

/* The version that serves as JSON, or "null". Errors: CORRUPT (it is damaged; selvedge_store_rollback finds the one before),
 * IO. */
SELVEDGE_API selvedge_status selvedge_store_current_json(const selvedge_store *store, SELVEDGE_OUT(selvedge_buffer) out,
                                                         SELVEDGE_ERR err);

/* What is held against a version, also one that is gone, as a JSON object: misses, quarantined, why. Errors: IO, CORRUPT. */
SELVEDGE_API selvedge_status selvedge_store_standing_json(const selvedge_store *store, const char *id, size_t id_len,
                                                          SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* ---- Import ---- */

/* Takes in a package and puts the version into `out` as JSON. Nothing of the package is believed before all of it is there,
 * as a signature that the store trusts has it: every file that is listed, and no other. An import that ended half way is
 * gone on with by the next one of the same package. The version does not serve before selvedge_store_activate. `options` may
 * be NULL. Free the buffer with selvedge_buffer_free. Errors: UNTRUSTED (no trusted key signed it, it has expired, or it is
 * older than what was admitted), CORRUPT (files that are not as they were signed, missing, too many), UNSUPPORTED (links,
 * archives, a store that is open for reading), INVALID_ARGUMENT (another model's package, a tag that is not there or
 * needed), NOT_FOUND, BUSY (another import goes on), IO (also a full disk, and a reader that failed), CANCELLED. */
SELVEDGE_API selvedge_status selvedge_store_import(const selvedge_store *store, const selvedge_package *package,
                                                   const selvedge_import_options *SELVEDGE_NULLABLE options,
                                                   SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* What an OCI manifest lists, for whoever downloads the blobs and stages them, as a JSON object: digest (of the manifest),
 * config and files [{name, digest, size, media_type}]; the config has no name and need not be staged. Free the buffer with
 * selvedge_buffer_free. Errors: CORRUPT, UNSUPPORTED. */
SELVEDGE_API selvedge_status selvedge_manifest_json(const char *manifest, size_t manifest_len,
                                                    SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Begins to receive a file of `size` bytes, or goes on with one that an earlier process began; free it with
 * selvedge_staged_free. `digest` is its SHA-256 as 64 hexadecimal digits. Errors: BUSY (it is being received already), IO
 * (also where there is no room for `size` bytes), UNSUPPORTED. */
SELVEDGE_API selvedge_status selvedge_store_stage(const selvedge_store *store, const char *digest, size_t digest_len,
                                                  uint64_t size, SELVEDGE_OUT(selvedge_staged) out, SELVEDGE_ERR err);

/* How many bytes are there, so that the next one to be written is number `offset`, and how many it will have; if both are
 * the same, nothing is to be written. Errors: INVALID_ARGUMENT (it has ended), BUSY. */
SELVEDGE_API selvedge_status selvedge_staged_offset(selvedge_staged *staged, uint64_t *offset, uint64_t *size,
                                                    SELVEDGE_ERR err);

/* Writes on. Errors: INVALID_ARGUMENT (more bytes than it has, or it has ended), IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_staged_write(selvedge_staged *staged, const void *SELVEDGE_NULLABLE bytes,
                                                   size_t len, SELVEDGE_ERR err);

/* Ends the file, which is durable then. Errors: INVALID_ARGUMENT (bytes are missing, and may be written yet; or it has
 * ended), CORRUPT (another digest: what was written is removed), IO (the same), BUSY. */
SELVEDGE_API selvedge_status selvedge_staged_finish(selvedge_staged *staged, SELVEDGE_ERR err);

/* Frees the handle; what was written of a file that has not ended stays for the next one. OK for NULL. Errors: BAD_HANDLE.
 * */
SELVEDGE_API selvedge_status selvedge_staged_free(selvedge_staged *SELVEDGE_NULLABLE staged);

/* Takes in a package whose files were staged, as selvedge_store_import does. Errors: those, and NOT_FOUND (a file that is
 * not staged). */
SELVEDGE_API selvedge_status selvedge_store_import_staged(const selvedge_store *store, const char *manifest,
                                                          size_t manifest_len,
                                                          const selvedge_import_options *SELVEDGE_NULLABLE options,
                                                          SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* ---- Which version serves ---- */

/* Makes a version the one that serves, durably. Errors: NOT_FOUND, CORRUPT (it is damaged), QUARANTINED (the message says
 * why), UNTRUSTED (below the minimum that a signature named, or older than the current one and new here), UNSUPPORTED, IO.
 * */
SELVEDGE_API selvedge_status selvedge_store_activate(const selvedge_store *store, const char *id, size_t id_len,
                                                     SELVEDGE_ERR err);

/* Goes back to the latest version that served before, is whole and may serve, and puts it into `out` as JSON. Free the
 * buffer with selvedge_buffer_free. Errors: NOT_FOUND (there is none: the current one stays), UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_rollback(const selvedge_store *store, SELVEDGE_OUT(selvedge_buffer) out,
                                                     SELVEDGE_ERR err);

/* Lets a version serve no more; if it is current, the store goes back in the same step, or none is current. `why` is for
 * people. Errors: UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_quarantine(const selvedge_store *store, const char *id, size_t id_len,
                                                       const char *SELVEDGE_NULLABLE why, size_t why_len,
                                                       SELVEDGE_ERR err);

/* Counts a failure of a version: it crashed, or gave wrong answers. The second one is its quarantine. Puts how it stands now
 * into `out` as JSON: misses, quarantined, why. Free the buffer with selvedge_buffer_free. Errors: UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_miss(const selvedge_store *store, const char *id, size_t id_len,
                                                 const char *SELVEDGE_NULLABLE why, size_t why_len,
                                                 SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Takes back all misses of a version, and its quarantine. Errors: UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_pardon(const selvedge_store *store, const char *id, size_t id_len,
                                                   SELVEDGE_ERR err);

/* Removes a version; what is open of it stays so. Errors: NOT_FOUND, INVALID_ARGUMENT (it is current), UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_remove(const selvedge_store *store, const char *id, size_t id_len,
                                                   SELVEDGE_ERR err);

/* Makes room: removes what was received and is of no version, damaged versions, those in quarantine, and of those with a
 * lower number than the current one all but the last `keep` that served. Puts the ids of what was removed into `out` as a
 * JSON array. Free the buffer with selvedge_buffer_free. Errors: UNSUPPORTED, IO. */
SELVEDGE_API selvedge_status selvedge_store_gc(const selvedge_store *store, size_t keep, SELVEDGE_OUT(selvedge_buffer) out,
                                               SELVEDGE_ERR err);

/* ---- A version: `id` of length 0 is the one that serves, and NOT_FOUND if there is none ---- */

/* Opens the model of a version, mapped where it lies, as selvedge_engine_open does; all files of the version are checked
 * before. Errors: those of selvedge_engine_open and of selvedge_store_verify. */
SELVEDGE_API selvedge_status selvedge_store_open_engine(const selvedge_store *store, const char *SELVEDGE_NULLABLE id,
                                                        size_t id_len, const selvedge_options *SELVEDGE_NULLABLE options,
                                                        SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* The path of a file of a version, checked before, for selvedge_source and for the app's own readers; with an empty name,
 * that of the model, where all files are checked. Free the buffer with selvedge_buffer_free. Errors: NOT_FOUND, CORRUPT, IO,
 * UNSUPPORTED (a path that is not UTF-8). */
SELVEDGE_API selvedge_status selvedge_store_path(const selvedge_store *store, const char *SELVEDGE_NULLABLE id, size_t id_len,
                                                 const char *SELVEDGE_NULLABLE name, size_t name_len,
                                                 SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* The bytes of a file of a version, of at most 16 MiB, checked before: a profile for selvedge_profile_decode, golden cases.
 * Free the buffer with selvedge_buffer_free. Errors: NOT_FOUND, CORRUPT, IO, UNSUPPORTED (a larger file). */
SELVEDGE_API selvedge_status selvedge_store_file(const selvedge_store *store, const char *SELVEDGE_NULLABLE id, size_t id_len,
                                                 const char *name, size_t name_len, SELVEDGE_OUT(selvedge_buffer) out,
                                                 SELVEDGE_ERR err);

/* OK if the files of a version are there, whole and unchanged, and no others. A file is read once in a process; after that
 * its size and times are compared. Errors: CORRUPT (it is damaged: the one before may serve), NOT_FOUND, IO, CANCELLED. */
SELVEDGE_API selvedge_status selvedge_store_verify(const selvedge_store *store, const char *SELVEDGE_NULLABLE id,
                                                   size_t id_len, const selvedge_cancel *SELVEDGE_NULLABLE cancel,
                                                   SELVEDGE_ERR err);

/* Closes the handle; calls in flight go on, and engines stay. The folder is free for another writer when they and all its
 * selvedge_staged have ended. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_store_close(selvedge_store *SELVEDGE_NULLABLE store);

SELVEDGE_END
#endif /* SELVEDGE_STORE_H */

/* Stores: readers that lie, fail, call the library and close what they read for; files that are received by many; records of
 * crashes in folders that are none. */
#include <pthread.h>

#include "misuse.h"

static selvedge_store *store;
static struct ground g;

/* A reader, and what it does in its first call. */
struct reader {
  int64_t says;    /* what it says of the bytes that it gave */
  int calls;       /* whether it calls the library */
  int closes;      /* whether it closes the store */
  int inner;       /* status of an import inside */
  int reads;
};

static int64_t give(void *user_data, void *bytes, size_t len) {
  struct reader *reader = user_data;
  selvedge_buffer *version;
  if (reader->reads++ == 0) {
    if (reader->calls) reader->inner = selvedge_store_import(store, &g.structs.package.s, NULL, &version, NULL);
    if (reader->closes) must(selvedge_store_close(store), "closing in a reader", NULL);
  }
  memset(bytes, 0, len);
  return reader->says;
}

static int import(struct reader *reader) {
  selvedge_buffer *version;
  selvedge_package package = SELVEDGE_PACKAGE_INIT;
  int status;
  package.kind = SELVEDGE_PACKAGE_TAR_READER;
  package.read = give;
  package.user_data = reader;
  status = selvedge_store_import(store, &package, NULL, &version, NULL);
  selvedge_buffer_free(version);
  return status;
}

static void open_store(void) {
  selvedge_error *err;
  fill_ground(&g, NULL);
  must(selvedge_store_open(g.other_store, strlen(g.other_store), &g.structs.trust.s, &store, &err), "opening a store", err);
}

static void readers(void) {
  struct reader ends = { 0, 0, 0, 0, 0 }, fails = { -1, 0, 0, 0, 0 }, least = { INT64_MIN, 0, 0, 0, 0 },
                lies = { INT64_MAX, 0, 0, 0, 0 }, calls = { 0, 1, 0, 0, 0 }, closes = { 0, 0, 1, 0, 0 };
  selvedge_package package = SELVEDGE_PACKAGE_INIT;
  selvedge_buffer *version;
  CASE("a stream of nothing", import(&ends), SELVEDGE_ERR_CORRUPT);
  CASE("a reader that fails", import(&fails), SELVEDGE_ERR_IO);
  CASE("a reader that fails with the least number", import(&least), SELVEDGE_ERR_IO);
  CASE("a reader that says that it gave more than there is room for", import(&lies), SELVEDGE_ERR_IO);
  CASE("a reader that imports", import(&calls), SELVEDGE_ERR_CORRUPT);
  TRUTH("the import within another is refused", calls.inner == SELVEDGE_ERR_BUSY);
  package.kind = SELVEDGE_PACKAGE_TAR_READER;
  CASE("no reader", selvedge_store_import(store, &package, NULL, &version, NULL), SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("a reader that closes the store", import(&closes), SELVEDGE_ERR_CORRUPT);
  CASE("the store that it closed", selvedge_store_close(store), SELVEDGE_ERR_BAD_HANDLE);
  open_store();
}

/* Whose certificates are trusted: no certificates at all, and counts that are not those of the arrays. A library that was built
 * without certificates refuses all of them. */
static void certificates(void) {
  const int none = strstr(selvedge_features(), "keyless") == NULL;
  const int invalid = none ? SELVEDGE_ERR_UNSUPPORTED : SELVEDGE_ERR_INVALID_ARGUMENT;
  const int corrupt = none ? SELVEDGE_ERR_UNSUPPORTED : SELVEDGE_ERR_CORRUPT;
  selvedge_text text = { "no PEM", 6 };
  selvedge_trust trust = SELVEDGE_TRUST_INIT;
  selvedge_store *none_opened;
#define OPENED selvedge_store_open(scratch, strlen(scratch), &trust, &none_opened, NULL)
  trust.authorities = &text;
  trust.authority_count = 1;
  CASE("an authority that is no certificate", OPENED, invalid);
  trust.authority_count = SIZE_MAX;
  CASE("more authorities than memory has", OPENED, SELVEDGE_ERR_INVALID_ARGUMENT);
  trust.authorities = NULL;
  trust.authority_count = 1;
  CASE("an authority at NULL", OPENED, SELVEDGE_ERR_INVALID_ARGUMENT);
  trust.authority_count = 0;
  trust.identities = &text;
  trust.identity_count = 1;
  CASE("an identity without an issuer", OPENED, SELVEDGE_ERR_INVALID_ARGUMENT);
  trust.issuers = &text;
  text.len = 0;
  CASE("an identity of no letters", OPENED, invalid);
  trust.identity_count = 0;
  trust.sigstore.data = "{}";
  trust.sigstore.len = 2;
  CASE("a sigstore that is none", OPENED, corrupt);
  trust.struct_size = offsetof(selvedge_trust, authorities);
  trust.reserved = 1;
  CASE("trust of the first version, with a bit of no meaning", OPENED, SELVEDGE_ERR_INVALID_ARGUMENT);
#undef OPENED
}

static void files(void) {
  selvedge_package package = SELVEDGE_PACKAGE_INIT;
  selvedge_buffer *version;
  package.kind = SELVEDGE_PACKAGE_TAR_FILE;
  package.file = -1;
  CASE("a tar of no descriptor", selvedge_store_import(store, &package, NULL, &version, NULL), SELVEDGE_ERR_INVALID_ARGUMENT);
  package.file = 1000000;
  CASE("a tar of a descriptor that is not open", selvedge_store_import(store, &package, NULL, &version, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  package.file = 0;
  package.offset = UINT64_MAX;
  package.length = 2;
  CASE("a tar beyond all files", selvedge_store_import(store, &package, NULL, &version, NULL), SELVEDGE_ERR_INVALID_ARGUMENT);
  package = g.structs.package.s;
  package.kind = SELVEDGE_PACKAGE_FOLDER;
  package.tag.data = "1.0";
  package.tag.len = 3;
  CASE("a tag for a folder", selvedge_store_import(store, &package, NULL, &version, NULL), SELVEDGE_ERR_INVALID_ARGUMENT);
}

static selvedge_staged *staged;
static int written[2];
enum { WRITES = 1000 };

static void *write_all(void *user_data) {
  int *count = user_data;
  while (*count < WRITES) {
    int status = selvedge_staged_write(staged, "warp", 4, NULL);
    if (status == SELVEDGE_OK) (*count)++;
    else if (status != SELVEDGE_ERR_BUSY) break;
  }
  return NULL;
}

/* Two threads write one file: each write is whole, or BUSY, and tried again. */
static void writers(void) {
  pthread_t threads[2];
  selvedge_error *err;
  uint64_t offset, size;
  int i;
  must(selvedge_store_stage(store, some_digest, 64, 70000, &staged, &err), "receiving a file", err);
  for (i = 0; i < 2; i++) pthread_create(&threads[i], NULL, write_all, &written[i]);
  for (i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  must(selvedge_staged_offset(staged, &offset, &size, &err), "the offset", err);
  TRUTH("every write is whole, or BUSY", written[0] == WRITES && written[1] == WRITES && offset == 2 * 4 * WRITES);
  CASE("a store that is closed while a file is received", selvedge_store_close(store), SELVEDGE_OK);
  CASE("a write after that", selvedge_staged_write(staged, "warp", 4, NULL), SELVEDGE_OK);
  CASE("the end of the file", selvedge_staged_free(staged), SELVEDGE_OK);
  CASE("its end once more", selvedge_staged_free(staged), SELVEDGE_ERR_BAD_HANDLE);
  open_store();
}

static void records(void) {
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  selvedge_engine *engine;
  selvedge_buffer *entries;
  static const uint32_t rungs[2] = { SELVEDGE_RUNG_ONE_THREAD, 1u << 31 };
  options.crash_rungs = rungs;
  options.crash_rung_count = 1;
  CASE("a ladder without a folder", selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  options.crash_folder.data = rain_path;
  options.crash_folder.len = strlen(rain_path);
  options.crash_rung_count = 2;
  CASE("a rung that is none", selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("a record in a file", selvedge_crash_entries(rain_path, strlen(rain_path), &entries, NULL), SELVEDGE_ERR_IO);
}

void misuse_stores(void) {
  open_store();
  readers();
  certificates();
  files();
  writers();
  records();
  must(selvedge_store_close(store), "closing", NULL);
}

/* Calls every function of the library with every argument wrong in turn, and holds the status against the one that the
 * headers promise; then the cases that were written by hand. No case may crash, write where it should not, or leak.
 *
 * usage: suite MODEL.onnx TABLE.safetensors SCRATCH_FOLDER [FUNCTION] */
#include "misuse.h"

static void misuse(struct hands *hands, const struct entry *entry) {
  struct ground g;
  size_t spoil;
  /* Where nothing is spoilt, a function that frees would take a handle away. */
  for (spoil = entry->frees < 0 ? 0 : 1; spoil < entry->spoil_count; spoil++) {
    fill_ground(&g, hands);
    prepare(entry->name, hands, &g);
    judge(entry->name, entry->spoils[spoil].label, entry->call(hands, &g, (int)spoil), entry->spoils[spoil].expected);
  }
}

int main(int argc, char **argv) {
  struct hands hands;
  size_t i;
  int generated;
  if (argc < 4) {
    fprintf(stderr, "usage: %s MODEL.onnx TABLE.safetensors SCRATCH_FOLDER [FUNCTION]\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  rain_path = argv[1];
  table_path = argv[2];
  scratch = argv[3];
  make_folders();
  make_hands(&hands);
  for (i = 0; i < entry_count; i++) {
    if (argc < 5 || strcmp(argv[4], entries[i].name) == 0) misuse(&hands, &entries[i]);
  }
  generated = cases_run;
  free_hands(&hands);
  if (argc < 5) {
    misuse_shapes();
    misuse_stores();
    misuse_layers();
    misuse_callbacks();
    misuse_threads();
    misuse_versions();
  }
  printf("misuse: %d cases of %d functions, %d of them written by hand, %d failed\n", cases_run, (int)entry_count,
         cases_run - generated, cases_failed);
  return cases_failed != 0;
}

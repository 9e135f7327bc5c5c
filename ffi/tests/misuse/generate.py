"""Cases of misuse, from the headers: every function, with each argument and each field of it wrong in turn.

usage: generate.py INCLUDE_FOLDER OUT_FOLDER     writes cases.h and cases.c

A function of the library becomes a C function that calls it as it should be called, with one thing spoilt: `spoil` is its
number, 0 for none. What is right comes from ground.c, for it cannot be told from a header; what is wrong follows from types
and names alone, so that a function or a field that is added is tried without a word here. BASES is what the
headers say in words."""

import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import header as headers  # noqa: E402
from spoils import ANY, Spoils  # noqa: E402

# Statuses of calls in which nothing is spoilt, where it is not OK: the error at hand is of a file that is missing, the
# engine at hand has neither text nor words, and keeps no prefixes, the store at hand trusts no repository, and its one version serves; the manifest
# at hand lists nothing, and of the file that is being received bytes are missing.
BASES = {
    "selvedge_error_code": "SELVEDGE_ERR_NOT_FOUND",
    "selvedge_engine_generate": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_score": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_rerank": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_save_prefixes": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_restore_prefixes": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_tokenize": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_detokenize": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_engine_render": "SELVEDGE_ERR_UNSUPPORTED",
    "selvedge_store_refresh": "SELVEDGE_ERR_INVALID_ARGUMENT",
    "selvedge_store_remove": "SELVEDGE_ERR_INVALID_ARGUMENT",
    "selvedge_store_import_staged": "SELVEDGE_ERR_CORRUPT",
    "selvedge_manifest_json": "SELVEDGE_ERR_CORRUPT",
    "selvedge_staged_finish": "SELVEDGE_ERR_INVALID_ARGUMENT",
    # One stage is no cascade, no deployment gave the answer at hand, and the one at hand has a single version.
    "selvedge_cascade_new": "SELVEDGE_ERR_INVALID_ARGUMENT",
    "selvedge_answer_version": "SELVEDGE_ERR_NOT_FOUND",
    "selvedge_deployment_promote": "SELVEDGE_ERR_INVALID_ARGUMENT",
    "selvedge_deployment_roll_back": "SELVEDGE_ERR_INVALID_ARGUMENT",
}
# Calls whose second time is another: what they take is used up.
USED_UP = ["selvedge_outbox_ack", "selvedge_outbox_refuse", "selvedge_outbox_split", "selvedge_outbox_bisect",
           "selvedge_store_rollback", "selvedge_models_add", "selvedge_models_add_version",
           # Where the system tells of its memory.
           "selvedge_models_watch_pressure"]
# What is as good as the rest where it stands alone, and not with the rest as it is: versions that are watched need telemetry.
NOT_ALONE = {("selvedge_deployment_new", "telemetry: NULL"): "SELVEDGE_ERR_INVALID_ARGUMENT"}
# Where another handle is needed than any of its type; the switch at hand has been set.
OTHER = {("selvedge_engine_embed", "engine"): "hands->embedder", ("selvedge_run_answer", "run"): "hands->ended_run",
         ("selvedge_store_verify", "cancel"): "NULL"}
# Milliseconds and more, or files: rarer in random sequences.
DEAR = ["open", "monitor_new", "pack", "inspect", "validate", "report", "fit", "compare", "close_window", "tick", "outbox",
        "embed", "trim", "store", "staged", "crash", "evidence", "models", "deployment"]


def main(include, out):
    header = headers.read(include)
    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, "cases.h").write_text(declarations(header))
    Path(out, "cases.c").write_text(cases(header))


def short(name):
    return name.removeprefix("selvedge_")


def declarations(header):
    lines = ["/* Written by generate.py. */", "#ifndef CASES_H", "#define CASES_H", '#include "selvedge.h"', "", "enum {"]
    lines += [f"  H_{short(h)}," for h in header.handles] + ["  HANDLE_TYPES", "};", ""]
    lines += ["/* A struct, and room behind it as of a later version. */",
              "#define WITH_ROOM(T) union { T s; unsigned char bytes[sizeof(T) + 64]; }", "", "struct structs {"]
    lines += [f"  WITH_ROOM({s}) {short(s)};" for s in header.structs if header.grows(s)] + ["};", ""]
    lines += ["extern const char *const handle_names[HANDLE_TYPES];", "void init_structs(struct structs *structs);",
              "selvedge_status free_handle(int type, void *handle);", "", "#endif"]
    return "\n".join(lines) + "\n"


def cases(header):
    lines = ["/* Written by generate.py. */", '#include "misuse.h"', ""]
    lines += ["const char *const handle_names[HANDLE_TYPES] = {"] + [f'  "{h}",' for h in header.handles] + ["};", ""]
    lines += ["void init_structs(struct structs *structs) {", "  memset(structs, 0, sizeof *structs);"]
    for struct, macro in header.initializers().items():
        lines.append(f"  {{ const {struct} init = {macro}; structs->{short(struct)}.s = init; }}")
    lines += ["}", "", "selvedge_status free_handle(int type, void *handle) {", "  switch (type) {"]
    for handle in header.handles:
        free = next(f for f in (f"{handle}_free", f"{handle}_close") if f in header.functions)
        lines.append(f"    case H_{short(handle)}: return {free}(({handle} *)handle);")
    lines += ["    default: return SELVEDGE_ERR_BAD_HANDLE;", "  }", "}", ""]
    table = []
    for name, function in header.functions.items():
        entry = Entry(header, name, function)
        lines += entry.lines()
        table.append(entry.row())
    lines += ["const struct entry entries[] = {", *table, "};", "const size_t entry_count = sizeof entries / sizeof *entries;"]
    return "\n".join(lines) + "\n"


class Entry:
    """The C function that stands for one of the library's."""

    def __init__(self, header, name, function):
        self.header, self.name, self.function = header, name, function
        self.before, self.after, self.arguments = [], [], []
        self.spoils = Spoils(header, name)
        self.frees = len(function.parameters) == 1 and re.search(r"_(free|close)$", name)
        for i, parameter in enumerate(function.parameters):
            self.parameter(parameter, function.parameters[i + 1 :])

    def lines(self):
        result = self.function.result
        called = f"{self.name}({', '.join(self.arguments)})"
        number = "(int)" if result == "selvedge_status" else ""
        if result.endswith("*"):
            call = f"  outcome.status = {called} != NULL ? SELVEDGE_OK : SELVEDGE_ERR_INTERNAL;"
        elif result == "selvedge_status":
            call = f"  outcome.status = {number}{called};"
        else:
            call = f"  (void){called};"
        lines = [f"static struct outcome call_{self.name}(struct hands *hands, struct ground *g, int spoil) {{",
                 "  struct outcome outcome = { SELVEDGE_OK, NULL };", *self.before, "  (void)hands; (void)g;",
                 "  switch (spoil) {"]
        for i, spoil in enumerate(self.spoils.all, 1):
            lines.append(f"    case {i}: {spoil.code} break;")
        lines += ["    default: break;", "  }", call, *self.after, "  return outcome;", "}",
                  f"static const struct spoil spoils_{self.name}[] = {{",
                  f'  {{ "as it should be", {self.base()} }},']
        lines += [f'  {{ "{s.label}", {self.expected(s)} }},' for s in self.spoils.all]
        return [*lines, "};", ""]

    def base(self):
        if self.frees or self.name in USED_UP:
            return ANY
        return BASES.get(self.name, "SELVEDGE_OK")

    def expected(self, spoil):
        if not self.function.result == "selvedge_status":
            return "SELVEDGE_OK"
        return NOT_ALONE.get((self.name, spoil.label)) or spoil.expected or self.base()

    def row(self):
        dear = int(any(word in self.name for word in DEAR))
        spoils = f"spoils_{self.name}"
        frees = f"H_{short(self.function.parameters[0].pointee)}" if self.frees else -1
        return f'  {{ "{self.name}", call_{self.name}, {spoils}, sizeof {spoils} / sizeof *{spoils}, {dear}, {frees} }},'

    def parameter(self, p, rest):
        h, kind = self.header, p.type
        if kind == "selvedge_error**":
            self.error(p)
        elif kind.endswith("**") and kind[:-2] in h.handles:
            self.out_handle(p)
        elif kind == "const char**":
            self.out_number(p, "const char *", "**", "NULL")
        elif p.pointee in h.handles:
            self.handle(p)
        elif p.pointee in h.structs and h.grows(p.pointee):
            self.struct(p, rest)
        elif kind.endswith("*") and rest and self.spoils.is_length(rest[0]) and not self.spoils.is_pointer(rest[0]):
            self.array(p, rest[0])
        elif kind.endswith("*") and not kind.startswith("const") and p.pointee not in ("void", "selvedge_hit"):
            self.out_number(p, f"{p.pointee} ", "*", "0")
        else:
            self.plain(p)

    def local(self, p, declared, valid):
        self.before.append(f"  {declared}{p.name} = {valid};")
        self.arguments.append(p.name)

    def error(self, p):
        self.before.append(f"  selvedge_error *error_ = (selvedge_error *)hands->rubbish, **{p.name} = &error_;")
        self.arguments.append(p.name)
        self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", None)
        self.after.append(f"  check_error(&outcome, {p.name});")

    def out_handle(self, p):
        handle = p.type[:-2]
        self.before.append(f"  {handle} *{p.name}_ = ({handle} *)hands->rubbish, **{p.name} = &{p.name}_;")
        self.arguments.append(p.name)
        self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", "SELVEDGE_ERR_INVALID_ARGUMENT")
        self.after.append(f"  if ({p.name}) got_handle(hands, &outcome, H_{short(handle)}, {p.name}_);")

    def out_number(self, p, declared, stars, zero):
        self.before.append(f"  {declared}{p.name}_, {stars}{p.name} = &{p.name}_;")
        self.before.append(f"  memset(&{p.name}_, 0xa5, sizeof {p.name}_);")
        self.arguments.append(p.name)
        self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", None if p.nullable else "SELVEDGE_ERR_INVALID_ARGUMENT")
        if self.function.result == "selvedge_status":
            self.after.append(f'  if ({p.name} && outcome.status != SELVEDGE_OK && {p.name}_ != {zero}) '
                              f'outcome.flaw = "{p.name} is not zero after a failure";')

    def handle(self, p):
        valid = OTHER.get((self.name, p.name), f"hands->live[H_{short(p.pointee)}]")
        self.local(p, f"{p.type[:-1]} *", f"({p.pointee} *){valid}")
        if not p.nullable:
            self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", "SELVEDGE_ERR_INVALID_ARGUMENT")
        elif self.frees or self.name == "selvedge_error_code":
            self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", "SELVEDGE_OK")
        else:
            self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", None)
        self.spoils.handle(p.name, p.name, p.pointee)

    def struct(self, p, rest):
        place = f"g->structs.{short(p.pointee)}"
        reads = p.type.startswith("const") or p.pointee == "selvedge_output"
        self.local(p, f"{p.type[:-1]} *", f"&{place}.s")
        self.spoils.add(f"{p.name}: NULL", f"{p.name} = NULL;", None if p.nullable else "SELVEDGE_ERR_INVALID_ARGUMENT")
        if reads:
            self.spoils.struct(p.name, place, p.pointee)
        else:
            self.before.append(f"  fill_behind_size(&{place}, sizeof {place});")
            self.spoils.sizes(p.name, place, p.pointee, grows=None)
            self.after.append(f"  check_zeroed(&outcome, {p.name}, sizeof ({p.pointee}));")
        if rest and rest[0].name.endswith("_count"):
            self.spoils.count(p.name, rest[0].name)

    def array(self, p, length):
        valid = VALID.get((self.name, p.name)) or ARRAYS[p.name]
        self.local(p, f"{p.type[:-1]} *", valid)
        self.spoils.array(p, length.name, p.name, length.name)

    def plain(self, p):
        valid = VALID.get((self.name, p.name)) or PLAIN.get(p.name) or "0"
        self.local(p, f"{p.type[:-1] + ' *' if p.type.endswith('*') else p.type + ' '}", valid)
        self.spoils.plain(p, p.name)


# What is right, by the names of parameters; the fields of ground are told in ground.h.
ARRAYS = {
    "path": "g->model", "folder": "g->folder", "to": "g->packed", "tensor": '"embeddings"', "bytes": "g->profile",
    "ids": "g->ids", "tokens": "g->ids", "out": "g->numbers", "query": "g->numbers", "id": "version_id",
    "name": '"rain.onnx"', "version": '"v1"', "plan": "g->plan", "probe": "g->probe", "why": '"it gave NaN"', "digest": "some_digest", "manifest": '"{}"',
    "store": "g->store", "crashes": "g->folder",
}
PLAIN = {
    "path_len": "strlen(g->model)", "folder_len": "strlen(g->folder)", "to_len": "strlen(g->packed)", "tensor_len": "10",
    "len": "g->profile_len", "id_count": "2", "token_count": "2", "output_count": "1", "query_len": "TABLE_WIDTH",
    "out_len": "TABLE_WIDTH", "k": "2", "hits": "g->hits", "attempt": "1", "max_bytes": "65536",
    "id_len": "64", "name_len": "9", "why_len": "11", "digest_len": "64", "manifest_len": "2", "size": "70000", "keep": "1",
    "version_len": "2", "store_len": "strlen(g->store)", "crashes_len": "strlen(g->folder)", "plan_len": "strlen(g->plan)", 
    "probe_len": "strlen(g->probe)", "stage_count": "1", "error_rate": "0.5", "budget": "1u << 30",
    "pressure": "SELVEDGE_PRESSURE_WARNING",
    "process": "1", "exit": "SELVEDGE_EXIT_OTHERWISE", "level": "SELVEDGE_TRIM_CACHES", "label": "SELVEDGE_LABEL_CORRECT", "value": "1", "id": "7",
}
VALID = {
    ("selvedge_table_gather", "out_len"): "2 * TABLE_WIDTH",
    ("selvedge_log_set", "level"): "SELVEDGE_LOG_WARN",
    ("selvedge_log_set", "log"): "quiet_log",
    ("selvedge_engine_save_prefixes", "path"): "g->kept",
    ("selvedge_engine_save_prefixes", "path_len"): "strlen(g->kept)",
    ("selvedge_engine_restore_prefixes", "path"): "g->kept",
    ("selvedge_engine_restore_prefixes", "path_len"): "strlen(g->kept)",
    ("selvedge_outbox_open", "folder"): "g->other_folder",
    ("selvedge_outbox_open", "folder_len"): "strlen(g->other_folder)",
    ("selvedge_schedule_new", "config"): '"{}"',
    ("selvedge_schedule_new", "config_len"): "2",
    ("selvedge_deployment_new", "config"): "g->deployment",
    ("selvedge_deployment_new", "config_len"): "strlen(g->deployment)",
    ("selvedge_models_add", "name"): '"rain"',
    ("selvedge_models_add", "name_len"): "4",
    ("selvedge_models_add_version", "name"): '"rain"',
    ("selvedge_models_add_version", "name_len"): "4",
    ("selvedge_models_engine", "name"): '"rain"',
    ("selvedge_models_engine", "name_len"): "4",
    ("selvedge_threshold_fit", "confidences"): "g->numbers",
    ("selvedge_threshold_fit", "right"): "g->right",
    ("selvedge_threshold_fit", "row_count"): "TABLE_WIDTH",
    ("selvedge_delayed_estimate", "reference_scores"): "g->scores",
    ("selvedge_delayed_estimate", "reference_labels"): "g->right",
    ("selvedge_delayed_estimate", "reference_count"): "TABLE_WIDTH",
    ("selvedge_delayed_estimate", "scores"): "g->scores",
    ("selvedge_delayed_estimate", "score_count"): "TABLE_WIDTH",
    ("selvedge_report_evidence", "to"): "g->evidence",
    ("selvedge_report_evidence", "to_len"): "strlen(g->evidence)",
    ("selvedge_store_open", "folder"): "g->other_store",
    ("selvedge_store_open", "folder_len"): "strlen(g->other_store)",
    ("selvedge_store_open_read_only", "folder"): "g->store",
    ("selvedge_store_open_read_only", "folder_len"): "strlen(g->store)",
}

if __name__ == "__main__":
    main(*sys.argv[1:])

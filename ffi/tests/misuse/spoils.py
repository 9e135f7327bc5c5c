"""What can be wrong with a value of a type: the spoilt ones, and the status that the headers promise for each."""

from dataclasses import dataclass

INVALID = "SELVEDGE_ERR_INVALID_ARGUMENT"
BAD_HANDLE = "SELVEDGE_ERR_BAD_HANDLE"
ANY = "ANY_STATUS"

# Fields that are only looked at with another kind of source than a path; or by another call that takes the struct.
NOT_LOOKED_AT = {
    "selvedge_source": ["file", "offset", "length", "data", "data_len"],
    "selvedge_http_response": ["body", "body_len"],
}
NOT_LOOKED_AT_BY = {
    "selvedge_engine_tokenize": ["tokens", "token_count", "stop", "stop_count", "flags", "reserved", "grammar", "grammar_kind",
                                 "grammar_flags", "temperature", "top_p", "min_p", "repeat_penalty", "frequency_penalty", "presence_penalty",
                                 "tools", "tool_count", "tool_name", "tool_choice", "thinking", "documents", "document_count",
                                 "variables", "variable_count", "adapters", "adapter_count", "biases", "bias_count"],
    "selvedge_inspect": ["cancel", "progress", "session_entries", "session_entry_count"],
    "selvedge_validate": ["session_entries", "session_entry_count"],
    # With 4 bits.
    "selvedge_pack": ["mean_bits"],
}
NOT_LOOKED_AT_BY["selvedge_engine_render"] = NOT_LOOKED_AT_BY["selvedge_engine_tokenize"]
# A text that is a name or a path is short.
NAMES = ["path", "folder", "to", "tensor", "name", "role", "why", "tag", "version", "crash_folder", "crash_app_version", "measurements", "accelerator_device",
         "store", "crashes"]
# Structs that have grown: the field that begins where the first version ended, which the oldest callers have.
GROWN = {"selvedge_message": "reasoning", "selvedge_generate": "grammar", "selvedge_event": "name", "selvedge_options": "crash_folder", "selvedge_trust": "authorities"}
# Numbers that have no upper bound in memory: how much at most, not how much is there.
NO_LENGTH = ["max_bytes"]


@dataclass
class Spoil:
    label: str
    code: str
    expected: str | None  # None: as if nothing were spoilt


class Spoils:
    """The spoilt values of one function's arguments."""

    def __init__(self, header, function):
        self.header, self.function, self.all = header, function, []

    def add(self, label, code, expected):
        self.all.append(Spoil(label, code, expected))

    @staticmethod
    def is_pointer(variable):
        return variable.type.endswith("*")

    @staticmethod
    def is_length(variable):
        name = variable.name
        return variable.type == "size_t" and (name.endswith(("len", "_count")) or name in ("rank", "capacity", "dim_capacity"))

    def handle(self, label, place, handle):
        """Handles that are none; 8 and all ones are what a table could be reached with, were it an address or an index."""
        cast, short = f"({handle} *)", handle.removeprefix("selvedge_")
        self.add(f"{label}: freed", f"{place} = {cast}hands->freed[H_{short}];", BAD_HANDLE)
        self.add(f"{label}: of another type", f"{place} = {cast}foreign(hands, H_{short});", BAD_HANDLE)
        self.add(f"{label}: a small number", f"{place} = {cast}(uintptr_t)8;", BAD_HANDLE)
        self.add(f"{label}: all ones", f"{place} = {cast}UINTPTR_MAX;", BAD_HANDLE)
        self.add(f"{label}: an address", f"{place} = {cast}(void *)g;", BAD_HANDLE)
        self.add(f"{label}: its next generation", f"{place} = {cast}next_generation(hands->live[H_{short}]);", BAD_HANDLE)

    def sizes(self, label, place, struct, grows):
        """Sizes of a struct that lies in a WITH_ROOM; `grows` is what is said of one with bits that nobody knows."""
        first = f"offsetof({struct}, {GROWN[struct]})" if struct in GROWN else f"sizeof({struct})"
        for size in ["0", "1", f"{first} - 1", "4097", "SIZE_MAX"]:
            self.add(f"{label}.struct_size: {size}", f"{place}.s.struct_size = {size};", INVALID)
        if struct in GROWN:
            self.add(f"{label}: of the first version", f"{place}.s.struct_size = {first};", None)
        later = f"{place}.s.struct_size = sizeof({struct}) + 8;"
        self.add(f"{label}: of a later version", later, None)
        self.add(f"{label}: of a later version, with a bit set", f"{later} {place}.bytes[sizeof({struct}) + 5] = 1;", grows)

    def struct(self, label, place, struct):
        self.sizes(label, place, struct, INVALID)
        fields = self.header.structs[struct]
        looked_at = NOT_LOOKED_AT.get(struct, [])
        for i, field in enumerate(fields[1:], 1):
            if field.name not in looked_at:
                self.field(f"{label}.{field.name}", f"{place}.s", field, fields[i + 1 :])

    def field(self, label, struct, field, rest):
        place, before = f"{struct}.{field.name}", len(self.all)
        if field.pointee in self.header.handles:
            self.add(f"{label}: NULL", f"{place} = NULL;", None if field.nullable else INVALID)
            self.handle(label, place, field.pointee)
        elif field.type == "selvedge_text":
            self.text(label, place, field.name in NAMES)
        elif self.is_pointer(field) and rest and self.is_length(rest[0]):
            self.array(field, rest[0].name, place, f"{struct}.{rest[0].name}", label)
        else:
            self.plain(field, place, label)
        if field.name in NOT_LOOKED_AT_BY.get(self.function, []):
            for spoil in self.all[before:]:
                spoil.expected = ANY

    def text(self, label, place, name):
        self.add(f"{label}: NULL", f"{place} = null_text;", INVALID)
        self.add(f"{label}: huge", f"{place} = huge_text;", INVALID)
        self.add(f"{label}: not UTF-8", f"{place} = latin_text;", INVALID)
        self.add(f"{label}: half a character", f"{place} = half_text;", INVALID)
        if name:
            self.add(f"{label}: long", f"{place} = long_text();", INVALID)

    def array(self, variable, length_name, place, length, label=None):
        """A pointer, and how much is there."""
        label, pointee = label or variable.name, variable.pointee
        at_least_one = f"{length} = {length} ? {length} : 1;"
        self.add(f"{label}: NULL", f"{place} = NULL; {at_least_one}", INVALID)
        self.add(f"{label}: huge", f"{place} = {self.somewhere(variable)}; {length} = SIZE_MAX;", INVALID)
        self.add(f"{label}: half of memory", f"{place} = {self.somewhere(variable)}; {length} = SIZE_MAX / 2;", INVALID)
        # Numbers may be as many as there is memory.
        if length_name.endswith("_count") and pointee in self.header.structs:
            self.count(label, length)
        if pointee == "char":
            self.add(f"{label}: not UTF-8", f"{place} = latin_text.data; {length} = latin_text.len;", INVALID)
            self.add(f"{label}: half a character", f"{place} = half_text.data; {length} = half_text.len;", INVALID)
            if variable.name in NAMES:
                self.add(f"{label}: long", f"{place} = long_text().data; {length} = long_text().len;", INVALID)
        elif pointee == "selvedge_text":
            for bad in ["null_text", "huge_text", "latin_text", "half_text"]:
                self.add(f"{label}[0]: {bad}", f"{place} = &{bad}; {length} = 1;", INVALID)
        elif pointee == "selvedge_pair":
            for bad in ["null_pair", "huge_pair", "latin_pair"]:
                self.add(f"{label}[0]: {bad}", f"{place} = &{bad}; {length} = 1;", INVALID)
        elif pointee in self.header.structs and self.header.grows(pointee):
            short = pointee.removeprefix("selvedge_")
            self.struct(f"{label}[0]", f"g->structs.{short}", pointee)
        if length_name == "rank":
            self.add(f"{label}: too many", f"{length} = 65;", INVALID)
            self.add(f"{label}: negative", f"{place} = g->negative; {length} = 2;", INVALID)
        if length_name == "byte_len":
            self.add(f"{label}: a byte less", f"{length} -= 1;", INVALID)
            self.add(f"{label}: a byte more", f"{length} += 1;", INVALID)

    @staticmethod
    def somewhere(variable):
        return "(void *)g->numbers"

    def count(self, label, length):
        self.add(f"{label}: more than any array", f"{length} = 65537;", INVALID)

    def plain(self, variable, place, label=None):
        label, kind, name = label or variable.name, variable.type, variable.name
        if kind in self.header.enums:
            self.add(f"{label}: 77", f"{place} = 77;", INVALID)
            self.add(f"{label}: the least number", f"{place} = INT32_MIN;", INVALID)
        elif kind in ("float", "double"):
            self.add(f"{label}: NaN", f"{place} = not_a_number();", INVALID)
        elif name in ("flags", "network", "reserved", "accelerator_flags"):
            self.add(f"{label}: the highest bit", f"{place} |= 0x80000000u;", INVALID)
        elif name == "index":
            self.add(f"{label}: beyond", f"{place} = 99;", "SELVEDGE_ERR_NOT_FOUND")
            self.add(f"{label}: huge", f"{place} = SIZE_MAX;", "SELVEDGE_ERR_NOT_FOUND")
        elif name in ("hits", "confidences", "reference_scores"):
            self.add(f"{label}: NULL", f"{place} = NULL;", INVALID)
        elif name == "value":
            self.add(f"{label}: neither 0 nor 1", f"{place} = 2;", INVALID)
        elif name == "out_len":
            self.add(f"{label}: one more", f"{place} += 1;", INVALID)
        elif self.is_pointer(variable) and variable.nullable:
            # A column's elements have the length of its rows.
            self.add(f"{label}: NULL", f"{place} = NULL;", INVALID if name == "data" else None)

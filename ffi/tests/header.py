"""The headers of the C ABI as data: functions, structs, enums, numbers, callbacks, handles, and where a struct stands.

Enters: the include folder. Leaves: what each header declares, in its order, with the nullability that it states. The
headers keep one form (`SELVEDGE_API result name(parameters);`, a field a line), which is all that this reads; what it
cannot read it refuses, so that nothing of a header goes unchecked."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

UMBRELLA = "selvedge.h"


@dataclass
class Variable:
    """A parameter or a field. `type` has no spaces around its stars; `nullable` is what the header says of a pointer."""

    type: str
    name: str
    nullable: bool

    def __str__(self):
        return f"{self.type}{'?' if self.nullable else ''} {self.name}"

    @property
    def pointee(self):
        """What it points to, without `const`; empty if it is no pointer."""
        return self.type.removesuffix("*").removeprefix("const ") if self.type.endswith("*") else ""


@dataclass
class Function:
    result: str
    parameters: list


@dataclass
class Header:
    functions: dict = field(default_factory=dict)
    callbacks: dict = field(default_factory=dict)
    structs: dict = field(default_factory=dict)
    enums: dict = field(default_factory=dict)
    numbers: list = field(default_factory=list)
    places: dict = field(default_factory=dict)
    handles: list = field(default_factory=list)

    def grows(self, struct):
        """Whether a struct may get more fields."""
        return self.structs[struct][0].name == "struct_size"

    def initializers(self):
        """Struct → macro that initializes it, of those that have one."""
        return {name: f"{name.upper()}_INIT" for name in self.structs if self.grows(name)}


def files(include):
    """All headers, the umbrella first, as paths relative to the folder."""
    parts = sorted(p.relative_to(include) for p in Path(include, "selvedge").glob("*.h"))
    return [Path(UMBRELLA), *parts]


def read(include):
    umbrella = Path(include, UMBRELLA).read_text()
    included = re.findall(r'#include "(selvedge/\w+\.h)"', umbrella)
    beside = [str(p) for p in files(include)[1:]]
    if sorted(included) != beside:
        raise ValueError(f"{UMBRELLA} includes {included}, and in the folder are {beside}")
    header = Header()
    for name in included:
        _read_part(header, name, Path(include, name).read_text())
    return header


def _read_part(header, name, text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    for macro, value in re.findall(r"^#define (SELVEDGE_\w+) (\S+)\s*$", text, flags=re.M):
        if value[0].isdigit() or value == "UINT32_MAX":
            header.numbers.append(macro)
    text = re.sub(r"^#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*$", "", text, flags=re.M)
    text = re.sub(r"\bSELVEDGE_(BEGIN|END)\b", "", text)
    enum, struct = r"SELVEDGE_ENUM_BEGIN\((\w+)\)(.*?)SELVEDGE_ENUM_END\(\1\)", r"typedef struct (\w+) \{(.*?)\} \1;"
    text = re.sub(enum, lambda m: _enum(header, *m.groups()), text, flags=re.S)
    text = re.sub(struct, lambda m: _struct(header, name, *m.groups()), text, flags=re.S)
    for declaration in text.split(";"):
        declaration = " ".join(declaration.split())
        if declaration:
            _declaration(header, name, declaration)


def _enum(header, name, body):
    header.enums[name] = re.findall(r"(\w+) = ", body)
    if len(header.enums[name]) != body.count(",") + 1:
        raise ValueError(f"{name}: an enumerator without a number")
    return ""


def _struct(header, file, name, body):
    header.places[name] = file
    fields = [" ".join(f.split()) for f in body.split(";")]
    header.structs[name] = [_variable(f) for f in fields if f]
    return ""


def _declaration(header, file, text):
    if handle := re.fullmatch(r"typedef struct (\w+) \1", text):
        header.handles.append(handle[1])
    elif callback := re.fullmatch(r"typedef (\w+) \(\*(\w+)\)\((.*)\)", text):
        header.callbacks[callback[2]] = Function(callback[1], _parameters(callback[3]))
    elif function := re.fullmatch(r"SELVEDGE_API (.+?)(\w+)\((.*)\)", text):
        header.functions[function[2]] = Function(_spelled(function[1]), _parameters(function[3]))
    else:
        raise ValueError(f"{file}: a declaration of no known form: {text}")


def _parameters(text):
    return [] if text == "void" else [_variable(p.strip()) for p in text.split(",")]


def _variable(text):
    if out := re.fullmatch(r"SELVEDGE_OUT\((.*)\) (\w+)", text):
        return Variable(_spelled(out[1] + "**"), out[2], False)
    if err := re.fullmatch(r"SELVEDGE_ERR (\w+)", text):
        return Variable("selvedge_error**", err[1], True)
    nullable = "SELVEDGE_NULLABLE" in text
    text = re.sub(r"\bSELVEDGE_\w+\b", " ", text)
    kind, name = re.fullmatch(r"(.*?)(\w+)", text).groups()
    # A callback is a pointer, too.
    return Variable(_spelled(kind), name, nullable)


def _spelled(text):
    return " ".join(text.replace("*", " * ").split()).replace(" *", "*")


def use(include, file):
    """A C source that includes a header, twice, and makes every struct of it (of all headers, for the umbrella)."""
    header = read(include)
    made = {s: m for s, m in header.initializers().items() if file in (UMBRELLA, header.places[s])}
    lines = [f'#include "{file}"'] * 2 + [f"static {s} {s}_ = {m};" for s, m in made.items()]
    lines += ["const void *use(int which);", "const void *use(int which) {", "  switch (which) {"]
    lines += [f"    case {i}: return &{s}_;" for i, s in enumerate(made)]
    return "\n".join([*lines, "    default: return NULL;", "  }", "}", ""])


if __name__ == "__main__":
    print(use(*sys.argv[1:]))

"""Grammars: the form that a generated text must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from ._library import lib


@dataclass(frozen=True)
class Grammar:
    """The form that a generated text must have. An answer that ends by itself is of the form, the whole of it; what a
    limit, a stop text or a full context ended is the beginning of such a text."""

    kind: int
    text: str

    @classmethod
    def json_schema(cls, schema: str | Mapping[str, Any]) -> Grammar:
        """JSON that a JSON Schema allows, given as its text or as an object."""
        return cls(lib.SELVEDGE_GRAMMAR_JSON_SCHEMA, schema if isinstance(schema, str) else json.dumps(schema))

    @classmethod
    def regex(cls, expression: str) -> Grammar:
        """The whole text matches, in the syntax of Rust's crate regex."""
        return cls(lib.SELVEDGE_GRAMMAR_REGEX, expression)

    @classmethod
    def lark(cls, rules: str) -> Grammar:
        """Lark, as llguidance reads it."""
        return cls(lib.SELVEDGE_GRAMMAR_LARK, rules)

    @classmethod
    def gbnf(cls, rules: str) -> Grammar:
        """The notation of llama.cpp."""
        return cls(lib.SELVEDGE_GRAMMAR_GBNF, rules)

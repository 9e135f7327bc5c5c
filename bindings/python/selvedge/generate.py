"""Requests for text, as the library takes them."""

from __future__ import annotations

import json
import math
from typing import Any, Iterable, Mapping, Sequence, Union

import numpy as np

from ._library import Keep, ffi, lib, new, pairs, struct, structs
from .tools import Document, Messages, Tool, add_documents, add_messages, add_tools, choice

Adapters = Union[Mapping[str, float], Sequence[str]]
"""Names, or names with the scales of their changes."""


def prompt_struct(prompt: str | None, messages: Messages | None, keep: Keep, kind: str = "selvedge_generate") -> Any:
    made = keep.add(struct(kind))
    if prompt is not None:
        keep.text(made.prompt, prompt)
    if messages is not None:
        add_messages(made, messages, keep)
    return made


def add_tokens(made: Any, tokens: Sequence[int] | None, keep: Keep) -> None:
    if tokens is not None:
        ids = np.ascontiguousarray(tokens, np.uint32)
        made.tokens, made.token_count = ffi.cast("uint32_t *", keep.memory(ids)), len(ids)


def add_chat(
    made: Any,
    tools: Sequence[Tool],
    tool_choice: str,
    tool_name: str,
    documents: Sequence[Document | tuple[str, str]],
    thinking: bool | None,
    variables: Mapping[str, Any] | None,
    keep: Keep,
) -> None:
    """What only a conversation has."""
    if tools:
        add_tools(made, tools, keep)
    made.tool_choice = choice(tool_choice)
    if tool_name:
        keep.text(made.tool_name, tool_name)
    if documents:
        add_documents(made, documents, keep)
    if thinking is not None:
        made.thinking = lib.SELVEDGE_THINKING_ON if thinking else lib.SELVEDGE_THINKING_OFF
    if variables:
        made.variables = pairs({name: json.dumps(value) for name, value in variables.items()}, keep)
        made.variable_count = len(variables)


def add_adapters(made: Any, adapters: Adapters, keep: Keep) -> None:
    scales = adapters if isinstance(adapters, Mapping) else dict.fromkeys(adapters, 1.0)
    if scales:
        made.adapters, made.adapter_count = keep.add(structs("selvedge_adapter", len(scales))), len(scales)
        for place, (name, scale) in zip(made.adapters[0 : len(scales)], scales.items()):
            keep.text(place.name, name)
            place.scale = scale


def add_logits(made: Any, bias: Mapping[int, float], ban: Iterable[int], keep: Keep) -> None:
    biases = [*bias.items(), *((token, -math.inf) for token in ban)]
    if biases:
        made.biases, made.bias_count = keep.add(new("selvedge_bias[]", biases)), len(biases)

"""Tools and conversations: what a model may call, what it calls, and what was said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple, Sequence, Union

from ._library import Keep, structs
from ._library import number as named


class ToolCall(NamedTuple):
    """A call of a tool: what its result refers to, the tool, and the arguments, a JSON object as its text."""

    id: str
    name: str
    arguments: str

    @property
    def parsed(self) -> dict[str, Any]:
        """The arguments as an object."""
        return dict(json.loads(self.arguments))


@dataclass(frozen=True)
class MalformedCall:
    """What began like a call and is none: its place among the calls, the text as it was written, and what is wrong."""

    index: int
    text: str
    reason: str


@dataclass(frozen=True)
class Tool:
    """A function of the app's that the model may call. The app runs what is called, and gives the result back with
    Message.result_of()."""

    name: str
    description: str = ""
    parameters: str | Mapping[str, Any] = "{}"
    """A JSON Schema of the arguments, an object, as its text or itself."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: str
    """ "system", "user", "assistant", "tool", or what else the model's template knows."""
    content: str = ""
    reasoning: str = ""
    """What the model thought before it."""
    tool_calls: Sequence[ToolCall] = ()
    """Of "assistant": the calls that it made."""
    tool_call_id: str = ""
    """Of "tool": the call of which it is the result."""

    @classmethod
    def result_of(cls, call: ToolCall | str, content: str) -> Message:
        """The result of a call, or of the call of an id."""
        return cls("tool", content, tool_call_id=call if isinstance(call, str) else call.id)


@dataclass(frozen=True)
class Document:
    """A document that the model may draw on, where its template has a place for it."""

    title: str
    text: str


Messages = Sequence[Union[Message, Mapping[str, Any], "tuple[str, str]"]]
CHOICES = {"auto": 0, "none": 1, "required": 2, "named": 3}


def choice(name: str) -> int:
    return named("tool_choice", name, CHOICES)


def add_messages(place: Any, messages: Messages, keep: Keep) -> None:
    """Points a struct of a prompt at messages: each a Message, a mapping of its fields, or a role and a content."""
    place.messages = keep.add(structs("selvedge_message", len(messages)))
    place.message_count = len(messages)
    for made, message in zip(place.messages[0 : len(messages)], messages):
        said = message_of(message)
        keep.text(made.role, said.role)
        keep.text(made.content, said.content)
        keep.text(made.reasoning, said.reasoning)
        keep.text(made.tool_call_id, said.tool_call_id)
        if said.tool_calls:
            made.tool_calls = keep.add(structs("selvedge_tool_call", len(said.tool_calls)))
            made.tool_call_count = len(said.tool_calls)
            for call, (id, name, arguments) in zip(made.tool_calls[0 : len(said.tool_calls)], said.tool_calls):
                keep.text(call.id, id)
                keep.text(call.name, name)
                keep.text(call.arguments, arguments)


def message_of(message: Message | Mapping[str, Any] | tuple[str, str]) -> Message:
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping):
        return Message(*message)
    calls = [call if isinstance(call, ToolCall) else ToolCall(**call) for call in message.get("tool_calls", ())]
    return Message(**{**message, "tool_calls": calls})


def add_tools(place: Any, tools: Sequence[Tool], keep: Keep) -> None:
    place.tools = keep.add(structs("selvedge_tool", len(tools)))
    place.tool_count = len(tools)
    for made, tool in zip(place.tools[0 : len(tools)], tools):
        keep.text(made.name, tool.name)
        keep.text(made.description, tool.description)
        schema = tool.parameters
        keep.text(made.parameters, schema if isinstance(schema, str) else json.dumps(schema))


def add_documents(place: Any, documents: Sequence[Document | tuple[str, str]], keep: Keep) -> None:
    place.documents = keep.add(structs("selvedge_document", len(documents)))
    place.document_count = len(documents)
    for made, document in zip(place.documents[0 : len(documents)], documents):
        given = document if isinstance(document, Document) else Document(*document)
        keep.text(made.title, given.title)
        keep.text(made.text, given.text)

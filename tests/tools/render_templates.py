#!/usr/bin/env python3
"""What Hugging Face's apply_chat_template makes of chat templates, with jinja2 set up as transformers does.

    render_templates.py FOLDER GGUF OUT     every template of the folder and of the model, and those of tests/data/templates
    render_templates.py --snippets OUT      the small templates of tests/data/templates/snippets.txt

OUT is JSON: for each template the text of each rendering, or null where it fails; {"refused": MESSAGE} where the
template refuses the conversation.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = Path(__file__).resolve().parents[1] / "data" / "templates"
NOW = datetime(2024, 2, 29, 13, 5, 9)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


class Refused(Exception):
    pass


def environment():
    def raise_exception(message):
        raise Refused(str(message))

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(env, source, variables):
    try:
        text = env.from_string(source).render(**variables)
        text.encode()  # no half of a surrogate pair
        return text
    except Refused as refused:
        return {"refused": str(refused)}
    except Exception:
        return None


TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather of a "place" – now, in °C.',
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town's name", "minLength": 1},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": None},
                "days": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            },
            "required": ["place"],
        },
    },
}
SUM = {
    "type": "function",
    "function": {
        "name": "sum",
        "description": "Adds numbers.",
        "parameters": {
            "type": "object",
            "properties": {
                "numbers": {"type": "array", "items": {"type": "number"}},
                "options": {"type": "object", "properties": {"exact": {"type": "boolean"}, "scale": {"type": "number", "default": 1.5}}},
            },
            "required": ["numbers", "options"],
        },
        "return": {"type": "number", "description": "The sum"},
    },
}


def says(role, content, **more):
    return {"role": role, "content": content, **more}


def calls(*functions, content=""):
    made = [
        {"id": f"call{i:05}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(functions)
    ]
    return says("assistant", content, tool_calls=made)


def conversations():
    """Ten, each as the variables that it adds."""
    odd = "  Ünïcödé 😀 \"quotes\" 'single' \\ back\\nslash\n\n\ttab <b>&amp;</b> {{ braces }} {% tag %}\r\nend  "
    answer = says("tool", '{"temperature": 21.5, "sky": "clear"}', name="get_weather", tool_call_id="call00000")
    return [
        {"messages": [says("user", "Hello!")]},
        {"messages": [says("system", "Be brief."), says("user", "What is 2 + 2?")]},
        {"messages": [says("user", "Hi"), says("assistant", "Hello."), says("user", "Who are you?")]},
        {"messages": [says("system", odd), says("user", odd), says("assistant", odd), says("user", odd)]},
        {
            "messages": [
                says("user", "Think."),
                says("assistant", "<think>\nWell, let me see.\n</think>\n\nForty-two."),
                says("user", "Sure?"),
            ]
        },
        {
            "messages": [
                says("system", "Use the tools."),
                says("user", "Weather in Paris?"),
                calls(("get_weather", {"place": "Paris", "days": [1, 2], "unit": None, "exact": True, "x": 0.1})),
                answer,
                says("assistant", "It is 21.5 °C."),
                says("user", "Thanks"),
            ]
        },
        {
            "messages": [
                says("user", "Both?"),
                calls(("get_weather", '{"place": "Rome"}'), ("sum", '{"numbers": [1, 2]}'), content="Let me see."),
                answer,
                says("tool", "3", name="sum", tool_call_id="call00001"),
            ]
        },
        {"messages": [says("user", [{"type": "text", "text": "One part"}, {"type": "text", "text": " and another."}])]},
        {"messages": [says("user", ""), says("user", "two in a row"), says("assistant", None)]},
        {
            "messages": [
                says("system", "You are X."),
                says("user", "Go on"),
                says("assistant", "I do.", reasoning_content="Short thought."),
            ],
            "add_generation_prompt": False,
            "enable_thinking": False,
        },
    ]


def variables(conversation, tools):
    base = {"tools": tools, "documents": None, "add_generation_prompt": True}
    return {**base, **TOKENS, **conversation}


def template_of(gguf):
    from gguf import GGUFReader

    return GGUFReader(gguf).get_field("tokenizer.chat_template").contents()


def whole(folder, gguf, out):
    sources = {f"corpus/{path.name}": path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob("*.jinja"))}
    sources["corpus/SmolLM2"] = template_of(gguf)
    sources.update({f"own/{path.name}": path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*.jinja"))})
    env = environment()
    chats = [variables(chat, tools) for chat in conversations() for tools in (None, [WEATHER, SUM])]
    templates = [
        {"name": name, "source": source, "expected": [render(env, source, chat) for chat in chats]}
        for name, source in sources.items()
    ]
    Path(out).write_text(json.dumps({"chats": chats, "templates": templates}, ensure_ascii=False), encoding="utf-8")


def snippets(out):
    """Templates between lines of dashes."""
    env = environment()
    chat = variables(conversations()[5], [WEATHER, SUM])
    chat |= {"text": " The quick BROWN fox's naïve – 'ß' straße\tǆ\n", "numbers": [3, 1, 2], "nothing": None, "list": ["b", "A", "c", "a"]}
    chat |= {"dict": {"b": 1, "a": [1, 2.5, None, True], "items": "own", "é": "ü\"\u007f"}, "people": [{"name": "Bo", "age": 3}, {"name": "al", "age": 5}, {"name": "Cy"}]}
    sources = (DATA / "snippets.txt").read_text(encoding="utf-8").split("\n----\n")
    templates = [{"source": source, "expected": render(env, source, chat)} for source in sources]
    result = {"variables": chat, "templates": templates}
    Path(out).write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--snippets":
        snippets(sys.argv[2])
    else:
        whole(*sys.argv[1:4])

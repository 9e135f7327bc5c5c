#!/usr/bin/env python3
"""Writes calls.jsonl out of the package bfcl-eval 2026.3.23.

    extract.py WHEEL > calls.jsonl

Each line is a case, every second one, of the Berkeley Function Calling Leaderboard: the tools that are called, by name and schema, and the true
calls, with the first of the values that the leaderboard accepts. What describes tools and arguments is left out.
"""

import json
import sys
import zipfile

SETS = ["simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_parallel",
        "live_parallel_multiple"]
TYPES = {"dict": "object", "float": "number", "tuple": "array", "String": "string", "any": None}
KEPT = {"type", "properties", "required", "items", "enum"}


def schema(given):
    kept = {}
    for key, value in given.items():
        if key == "properties":
            kept[key] = {name: schema(part) for name, part in value.items()}
        elif key == "items":
            kept[key] = schema(value)
        elif key == "type":
            kept[key] = TYPES.get(value, value)
        elif key in KEPT:
            kept[key] = value
    return {key: value for key, value in kept.items() if value is not None}


def first(values):
    value = values[0]
    return {key: first(part) for key, part in value.items() if part} if isinstance(value, dict) else value


def main():
    wheel = zipfile.ZipFile(sys.argv[1])
    lines = lambda path: [json.loads(line) for line in wheel.read(f"bfcl_eval/data/{path}").decode().splitlines()]
    for name in SETS:
        answers = {case["id"]: case["ground_truth"] for case in lines(f"possible_answer/BFCL_v4_{name}.json")}
        for case in lines(f"BFCL_v4_{name}.json")[::2]:
            calls = [
                {"name": tool, "arguments": {key: first(values) for key, values in arguments.items() if values and values[0] != ""}}
                for call in answers[case["id"]] for tool, arguments in call.items()
            ]
            called = {call["name"] for call in calls}
            tools = {tool["name"]: schema(tool["parameters"]) for tool in case["function"] if tool["name"] in called}
            print(json.dumps({"id": case["id"], "tools": tools, "calls": calls}, ensure_ascii=False, separators=(",", ":")))


main()

"""Selvedge: models on the device, and whether they still fit the world.

import selvedge
engine = selvedge.open("rain.onnx")
print(engine.run({"weather": [[2.5, 4.4, 2.2, 2.2]]})["rain_tomorrow"])
"""

from ._library import features, kernel_name, version
from .answer import Answer, Token
from .cancel import Cancel
from .engine import Engine, Options, Prefixes, Ranking, Scores, inspect, validate
from .errors import (
    BackendError, BadHandle, Busy, Cancelled, ContextFull, Corrupt, DeadlineExceeded, Internal, InvalidArgument, Io,
    MissingRuntime, NotFound, OutOfMemory, Panic, Quarantined, SelvedgeError, Unsupported, Untrusted,
)  # fmt: skip
from .grammar import Grammar
from .log import log
from .monitor import Alert, Monitor
from .packing import pack
from .profile import Profile
from .run import CallPiece, Done, Event, Reasoning, Run, Text, Working
from .source import Source
from .sync import Batch, HttpRequest, Judgement, Outbox, Retry
from .table import Hit, Table
from .telemetry import Telemetry, report_html
from .tools import Document, MalformedCall, Message, Tool, ToolCall

open = Engine.open
__version__ = version()

# Without `open`, which would hide Python's own from those who import all.
__all__ = [
    "Alert", "Answer", "BackendError", "BadHandle", "Batch", "Busy", "CallPiece", "Cancel", "Cancelled", "ContextFull",
    "Corrupt", "DeadlineExceeded", "Document", "Done", "Engine", "Event", "Grammar", "Hit", "HttpRequest", "Internal",
    "InvalidArgument", "Io", "Judgement", "MalformedCall", "Message", "MissingRuntime", "Monitor", "NotFound", "Options",
    "OutOfMemory", "Outbox", "Panic", "Prefixes", "Profile", "Quarantined", "Ranking", "Reasoning", "Retry", "Run", "Scores",
    "SelvedgeError", "Source", "Table", "Telemetry", "Text", "Token", "Tool", "ToolCall", "Unsupported", "Untrusted",
    "Working", "features", "inspect", "kernel_name", "log", "pack", "report_html", "validate", "version",
]  # fmt: skip

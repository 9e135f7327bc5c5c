"""The library's log, told to Python's."""

from __future__ import annotations

import atexit
import logging
from typing import Any

from ._library import NULL, RELEASE, call, callback, lend, lib, number, string

LEVELS = {"off": 0, "error": 1, "warn": 2, "info": 3, "debug": 4, "trace": 5}
TRACE = 5
_PYTHON = [0, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE]


@callback("selvedge_log_fn")
def _on_line(user_data: Any, line: Any) -> None:
    target = string(line.target).replace("::", ".")
    logger = logging.getLogger(target) if target.startswith("selvedge") else logging.getLogger(f"selvedge.{target}")
    logger.log(_PYTHON[min(line.level, 5)], "%s", string(line.message))


def log(level: str = "info") -> None:
    """Tells the library's lines up to a level ("error" to "trace") to the loggers below "selvedge", such as
    "selvedge.backend.tract"; "off" ends it. Which lines are shown, `logging` says."""
    chosen = number("level", level, LEVELS)
    if chosen:
        call(lib.selvedge_log_set, _on_line, lend(_on_line), RELEASE, chosen)
    else:
        call(lib.selvedge_log_set, NULL, NULL, NULL, 0)


# No line may come once the interpreter is gone.
atexit.register(lambda: lib.selvedge_log_set(NULL, NULL, NULL, 0, NULL))

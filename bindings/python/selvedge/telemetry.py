"""The telemetry folder, and its page for people."""

from __future__ import annotations

from typing import Any

from ._handle import Handle
from ._library import buffer, buffer_json, lib, number, owned, path_bytes, struct
from .source import Path

DURABILITIES = {"process": 0, "power": 1}


class Telemetry(Handle):
    """An open telemetry folder. One that cannot be used only counts, and status() says why, so that an app goes on."""

    __slots__ = ("folder",)

    def __init__(
        self,
        folder: Path,
        *,
        bytes: int = 0,
        history_bytes: int = 0,
        segment_bytes: int = 0,
        lanes: int = 0,
        slots: int = 0,
        durability: str = "process",
    ) -> None:
        """Opens the folder, which is made if it is not there. A limit of 0 is the library's default."""
        self.folder = folder
        path, limits = path_bytes(folder), struct("selvedge_limits")
        limits.bytes, limits.history_bytes, limits.segment_bytes = bytes, history_bytes, segment_bytes
        limits.lanes, limits.slots = lanes, slots
        limits.durability = number("durability", durability, DURABILITIES)
        self._handle = owned(
            "selvedge_telemetry", lib.selvedge_telemetry_free, lib.selvedge_telemetry_open, path, len(path), limits
        )

    def status(self) -> dict[str, Any]:
        return dict(buffer_json(lib.selvedge_telemetry_status_json, self._handle))

    def html(self) -> str:
        """What happened on this device, as a page that needs nothing else."""
        return report_html(self.folder)


def report_html(folder: Path) -> str:
    """The page of a telemetry folder, which may be in use."""
    path = path_bytes(folder)
    return buffer(lib.selvedge_report_html, path, len(path)).decode()

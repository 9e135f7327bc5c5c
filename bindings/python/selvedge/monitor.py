"""An engine that is watched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

from ._handle import Guarded
from ._library import (
    NULL, RELEASE, Keep, buffer_json, call, callback, ffi, lend, lib, name_of, out, owned, string, struct,
)  # fmt: skip
from .engine import Engine
from .profile import Profile
from .telemetry import Telemetry

EVENTS = ["none", "raised", "cleared"]
SEVERITIES = ["none", "warning", "critical"]
ACTIONS = ["none", "check_pipeline", "retrain", "roll_back"]
VERDICTS = ["none", "unknown", "steady", "suspect", "drifted"]


@dataclass(frozen=True)
class Alert:
    """An alert that was raised or cleared."""

    event: str
    """"raised" or "cleared"."""
    kind: str
    """"shift", "missing_values", "out_of_range", "new_category", "dead_feature", "embedding_drift", "concept_drift",
    "change" (of a stream), "broken_promise" (of an SLO); more may come."""
    feature: str
    """Which feature, stream or bound."""
    severity: str
    """"warning" or "critical"."""
    action: str
    """What an app may do: "check_pipeline", "retrain" or "roll_back"."""
    since: int
    """The number of the window in which it was raised."""
    at: int
    """The number of the window in which this happened: the same, or where it was cleared."""
    evidence: str
    """The numbers, in a sentence."""


def _alert(made: Any) -> Alert:
    return Alert(
        name_of(made.event, EVENTS), string(made.kind), string(made.feature), name_of(made.severity, SEVERITIES),
        name_of(made.action, ACTIONS), made.since, made.at, string(made.evidence),
    )  # fmt: skip


@callback("selvedge_alert_fn")
def _on_alert(user_data: Any, alert: Any) -> None:
    ffi.from_handle(user_data)(_alert(alert))


class Monitor(Guarded):
    """An engine that is watched: ask `monitor.engine` in its place."""

    __slots__ = ("_engine", "_telemetry")

    def __init__(
        self,
        engine: Engine,
        telemetry: Telemetry,
        *,
        probe: Any,
        profile: Profile | None = None,
        on_alert: Callable[[Alert], None] | None = None,
        **config: Any,
    ) -> None:
        """Watches an engine. `probe` says what is looked at, such as {"kind": "columns", "input": "x", "names": [...]},
        one or a list; `config` is the rest of the configuration: window, false_alarm, persistence, slo, detectors ...

        `on_alert` is told each alert, on the thread whose call closed the window; next_alert() and alerts() give the
        same."""
        super().__init__()
        keep = Keep()
        made = struct("selvedge_monitor_options")
        keep.text(made.config, json.dumps({"probe": probe, **config}))
        made.profile = NULL if profile is None else profile._handle
        if on_alert is not None:
            made.on_alert, made.user_data, made.release = _on_alert, lend(on_alert), RELEASE
        arguments = [engine._handle, telemetry._handle, made]
        self._handle = owned("selvedge_monitor", lib.selvedge_monitor_free, lib.selvedge_monitor_new, *arguments)
        self._telemetry = telemetry
        self._engine = Engine(
            owned("selvedge_engine", lib.selvedge_engine_close, lib.selvedge_monitor_engine, self._handle)
        )

    @property
    def engine(self) -> Engine:
        """The watched engine, which stays so when the monitor is closed. Give each call an id of its own, for feedback
        to come."""
        return self._engine

    def next_alert(self) -> Alert | None:
        """The next alert that waits, oldest first."""
        made = struct("selvedge_alert")
        with self._lock:
            call(lib.selvedge_monitor_next_alert, self._handle, made)
            return _alert(made) if made.event else None

    def alerts(self) -> list[Alert]:
        """All alerts that wait."""
        return list(iter(self.next_alert, None))

    def feedback(self, id: int, *, label: int | None = None, correct: bool | None = None) -> str:
        """Says what was right for the answer of an id: its class, or whether it was correct. Gives what that means for
        the model: "steady", "suspect" or "drifted"; "unknown" if no answer of the id waits for feedback."""
        if (label is None) == (correct is None):
            raise TypeError("feedback: expected either a label or correct")
        kind, value = (
            (lib.SELVEDGE_LABEL_CORRECT, bool(correct)) if label is None else (lib.SELVEDGE_LABEL_CLASS, label)
        )
        verdict = out("selvedge_label_verdict *", lib.selvedge_monitor_feedback, self._handle, id, kind, value)
        return name_of(verdict, VERDICTS)

    def tick(self) -> None:
        """Takes in what was recorded, and judges windows that are full or too old; calls do so now and then."""
        call(lib.selvedge_monitor_tick, self._handle)

    def close_window(self) -> None:
        """As tick(), and closes the window that is open."""
        call(lib.selvedge_monitor_close_window, self._handle)

    def report(self) -> dict[str, Any]:
        """The state of the model: alerts that stand, accuracy, the last windows."""
        return dict(buffer_json(lib.selvedge_monitor_report_json, self._handle))

    def html(self) -> str:
        """What happened on this device, as a page that needs nothing else."""
        return self._telemetry.html()

    def profile(self) -> Profile:
        """The profile that rows are compared with, given or learned."""
        return Profile(owned("selvedge_profile", lib.selvedge_profile_free, lib.selvedge_monitor_profile, self._handle))

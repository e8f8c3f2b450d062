"""The receipt of tracking: `tracking.json` in the run's directory, and a line in its `run.log`. Neither is sealed.

A `Job` takes it to the process that logs, and an `Answer` brings it back.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from peak_trade.errors import RunError
from peak_trade.evidence import documents, door
from peak_trade.evidence.files import encode_json
from peak_trade.evidence.ledger import now

__all__ = ["DELETED", "NAME", "Answer", "Job", "Receipt", "read", "write"]

NAME = "tracking.json"
DELETED = "it was deleted in mlflow"


class Receipt(Struct, kw_only=True):
    """What became of logging one run.

    `started`: a process was sent off, and no more is known yet. `logged`: the store has all of it. `failed` and
    `skipped` have a reason, and a hint where one is known; that of `logged` names what is left out. `store` is the
    store's address without its password; `report` is the state of the report that was logged with the run; `parent` is
    the run_id that the environment named when the run was made.
    """

    run_id: str
    status: Literal["started", "logged", "failed", "skipped"]
    store: str
    experiment: str
    reason: str = ""
    hint: str = ""
    mlflow_run_id: str | None = None
    report: str | None = None
    parent: str | None = None
    ms: float = 0.0
    time: str = field(default_factory=now)

    def failed(self, reason: str, hint: str = "") -> Receipt:
        """Return the receipt as one of a run that could not be logged."""
        return msgspec.structs.replace(self, status="failed", reason=reason, hint=hint)

    def to_json_object(self) -> dict[str, Any]:
        """Return the receipt as its file and `--json` have it."""
        return msgspec.structs.asdict(self)

    @property
    def outcome(self) -> str:
        """MLflow's id of a run that is logged, else the reason."""
        return self.mlflow_run_id or "" if self.status == "logged" else self.reason

    def said(self) -> str:
        """Return the receipt as one line.

        >>> Receipt(run_id="r", status="failed", store="s", experiment="e", reason="the store is locked").said()
        'tracking failed: the store is locked'
        """
        if self.status == "logged":
            said = f"logged to {self.store} as {self.mlflow_run_id} in {self.ms:.0f} ms"
            return f"{said}; {self.reason}" if self.reason else said
        return f"tracking {self.status}" + (f": {self.reason}" if self.reason else "")


class Job(Struct):
    """One run to log, with its receipt to fill in.

    `known` is MLflow's id of it and `report` the state of its report, where an earlier receipt says that the store has
    it. `pending` passes over what the store has, and leaves be what a person has deleted there.
    """

    run_dir: str
    limit_s: float
    receipt: Receipt
    known: str | None = None
    report: str | None = None
    pending: bool = False


class Answer(Struct):
    """The receipt of a job, None where the store had the run already; and whether the store is at fault."""

    receipt: Receipt | None = None
    unreachable: bool = False


def read(run_dir: Path) -> Receipt | None:
    """Return a run's receipt; None where there is none, or none that can be read."""
    try:
        return documents.read(run_dir, NAME, Receipt)
    except RunError:
        return None


def write(run_dir: Path, receipt: Receipt) -> bool:
    """Leave a receipt, and say whether that was possible: a directory may lie on a disk that is full or read-only."""
    line = {
        "time": receipt.time,
        "level": "info" if receipt.status in ("started", "logged") else "warning",
        "run_id": receipt.run_id,
        "logger": "peak_trade.tracking",
        "message": receipt.said(),
    }
    try:
        door.overwrite(run_dir, NAME, encode_json(receipt))
    except OSError:
        return False
    if receipt.status != "started":
        with suppress(OSError):
            door.append(run_dir, "run.log", msgspec.json.encode(line) + b"\n")
    return True

"""What a check says: the findings, each with what was expected and found, and what could not be checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from peak_trade.text import escaped

__all__ = ["Finding", "Verdict"]

_LONGEST = 300  # characters of a value that a finding shows


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Verdict:
    """What was found about one run (or the ledger); `unchecked` says what could not be checked, and why."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreadable: bool = False

    @property
    def state(self) -> str:
        """`intact`, `broken` or `unreadable`."""
        return "unreadable" if self.unreadable else "broken" if self.findings else "intact"

    def add(self, file: str, expected: object, found: object) -> None:
        """Note a finding."""
        self.findings.append(Finding(_line(file), _line(expected), _line(found)))

    def skip(self, what: str, reason: object) -> None:
        """Note what could not be checked, and why."""
        self.unchecked.append(f"{what}: {_line(reason)}")

    def compare(self, file: str, expected: object, found: object, what: str = "") -> None:
        """Note where two values are not the same; `what` stands before both."""
        if expected != found:
            self.add(file, f"{what}{expected}", f"{what}{found}")

    def agree(self, file: str, column: str, expected: Any, found: Any, tolerance: float) -> None:
        """Note the first row in which two columns, shape (N,), differ by more than `tolerance`.

        Rows are numbered as in the file.
        """
        wrong = np.flatnonzero(~(np.abs(expected - found) <= tolerance))  # a NaN is near nothing
        if len(wrong):
            row, more = int(wrong[0]), f" (and {len(wrong) - 1} rows more)" if len(wrong) > 1 else ""
            line = row + (2 if file.endswith(".csv") else 1)
            self.add(f"{file} row {line} {column}", repr(float(expected[row])), repr(float(found[row])) + more)

    def as_text(self) -> str:
        """Return one line for the run, and one for each finding and each thing left unchecked."""
        findings = [f"  {finding}" for finding in self.findings]
        return "\n".join(
            [f"{self.state:10}  {self.name}", *findings, *(f"  not checked: {what}" for what in self.unchecked)]
        )

    def to_json_object(self) -> dict[str, Any]:
        """Return the verdict as `--json` prints it."""
        return {
            "name": self.name,
            "state": self.state,
            "findings": [asdict(f) for f in self.findings],
            "unchecked": self.unchecked,
        }


def _line(value: object) -> str:
    """Return a text as part of one line: what a corrupt file holds may be anything, of any length."""
    return escaped(str(value), _LONGEST)

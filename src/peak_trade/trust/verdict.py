"""What a check says: the findings, each with what was expected and found, and what could not be checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from peak_trade.evidence.ledger import is_run_id
from peak_trade.text import escaped

__all__ = ["WHOLE", "Finding", "Proof", "Verdict", "near"]

WHOLE = {"intact": "intact", "foreign": "intact, but not of this ledger"}
"""The states of a run that is what was sealed, in words."""

_LONGEST = 300  # characters of a value that a finding shows
_SHOWN = 20  # findings of a kind: of one file, or of runs
_SKIPPED = "not checked"  # a kind that no finding has: theirs are one word
_CLOSE, _SMALL = 1e-9, 1e-3
_KINDS = 100  # what there is more is of one kind, "others"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What is vouched for beside the seal, and was found right: `what` (a signature, a tag, a timestamp) `of` a file.

    `by` is who made it, by name where whoever checks has named it, `key` a signature's key. `trusted` is whether it is
    one of those that were named; None where none were. `before` is the time at which it was there.
    """

    of: str
    what: str
    by: str
    key: str | None = None
    trusted: bool | None = None
    before: str | None = None

    def __str__(self) -> str:
        maker = f"{self.by} ({self.key})" if self.key and self.trusted else self.by
        named = "allowed signers" if self.key else "root certificates"
        known = {True: "", False: f", none of the {named}", None: f" (no {named} are named)"}
        return f"{self.of}: {self.what} {maker}{f' at {self.before}' if self.before else ''}{known[self.trusted]}"


@dataclass(slots=True)
class Verdict:
    """What was found about one run (or the ledger); `unchecked` says what could not be checked, and why.

    `foreign` is a run that its own two lines of another ledger hold; `notes` are what else its reader has to know, and
    `proofs` what others vouch for, where that is right; what is wrong of it is a finding.

    Of each kind the first are kept, and the others are counted: a stranger's file may differ in a million places.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreadable: bool = False
    foreign: bool = False
    notes: list[str] = field(default_factory=list)
    more: dict[str, int] = field(default_factory=dict)
    proofs: list[Proof] = field(default_factory=list)
    _kinds: dict[str, int] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """`intact`, `foreign` (intact, but not of this ledger), `broken` or `unreadable`."""
        if self.unreadable or self.findings:
            return "unreadable" if self.unreadable else "broken"
        return "foreign" if self.foreign else "intact"

    @property
    def holds(self) -> bool:
        """Whether it is what was sealed, in whatever ledger."""
        return self.state in WHOLE

    def add(self, file: str, expected: object, found: object) -> None:
        """Note a finding."""
        if self._is_shown("runs" if is_run_id(file) else _line(file.partition(" ")[0])):
            self.findings.append(Finding(_line(file), _line(expected), _line(found)))

    def note(self, what: object) -> None:
        """Note what is neither wrong nor left unchecked."""
        self.notes.append(_line(what))

    def skip(self, what: str, reason: object) -> None:
        """Note what could not be checked, and why."""
        if self._is_shown(_SKIPPED):
            self.unchecked.append(f"{what}: {_line(reason)}")

    @property
    def count(self) -> int:
        """How many findings there are, with those that are only counted."""
        return len(self.findings) + sum(count for kind, count in self.more.items() if kind != _SKIPPED)

    def _is_shown(self, kind: str) -> bool:
        """Count one more of a kind, and tell whether it is one of the first."""
        if kind not in self._kinds and len(self._kinds) >= _KINDS:
            kind = "others"
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if self._kinds[kind] > _SHOWN:
            self.more[kind] = self._kinds[kind] - _SHOWN
        return self._kinds[kind] <= _SHOWN

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
            [
                f"{WHOLE.get(self.state, self.state):10}  {self.name}",
                *findings,
                *(f"  {note}" for note in self.notes),
                *(f"  {proof}" for proof in self.proofs),
                *(f"  not checked: {what}" for what in self.unchecked),
                *(f"  {kind}: {count:,} more" for kind, count in self.more.items()),
            ]
        )

    def to_json_object(self) -> dict[str, Any]:
        """Return the verdict as `--json` prints it."""
        proofs = [asdict(proof) for proof in self.proofs]
        return {
            "name": self.name,
            "state": self.state,
            "findings": [asdict(f) for f in self.findings],
            "unchecked": self.unchecked,
        } | {key: value for key, value in (("notes", self.notes), ("proofs", proofs), ("more", self.more)) if value}


def _line(value: object) -> str:
    """Return a text as part of one line: what a corrupt file holds may be anything, of any length."""
    return escaped(str(value), _LONGEST)


def near(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, numbers among them as near as they are reckoned on any machine.

    >>> near({"mean": 0.1 + 0.2}, {"mean": 0.3}), near([1, None], [1, None]), near(0.3, 0.3001)
    (True, True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) <= _CLOSE * max(abs(one), _SMALL)
    return bool(one == other)

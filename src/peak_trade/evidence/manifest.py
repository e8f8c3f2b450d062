"""The manifest: an in-toto Statement v1 over the sealed files, with a predicate shaped like SLSA provenance.

https://github.com/in-toto/attestation/tree/main/spec/v1 and https://slsa.dev/spec/v1.0/provenance describe the models.
`subject`, `predicate.buildDefinition` and `predicate.results` say the same for the same config, data, code and machine;
what varies from run to run stands in `predicate.runDetails` and `predicate.receipts`, which comparisons leave out.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.errors import RunError

__all__ = [
    "BENCHMARK",
    "BUILDS",
    "BUILD_OF",
    "COMPLETED",
    "FORMATS",
    "IMPORTED",
    "LAST",
    "NAME",
    "RECORDED",
    "RUINED",
    "RUN",
    "SWEPT",
    "Manifest",
    "Predicate",
    "Subject",
    "byproducts",
    "decode",
    "encode",
    "kept",
    "unrepeatable",
]

NAME = "manifest.json"
BENCHMARK = "benchmark"
"""What a benchmark that is a file is called among what a run was made from."""
STATEMENT = "https://in-toto.io/Statement/v1"
FORMATS = {"urn:peak-trade:run-evidence:v1": 1, "urn:peak-trade:run-evidence:v2": 2}
"""Every format of the evidence, by its predicate type; the last is what is written."""
PREDICATE = next(reversed(FORMATS))
LAST = FORMATS[PREDICATE]
_UNSAID, _SAID = "look-ahead", 300  # characters
BUILD = "urn:peak-trade:backtest:v1"
RUN, SWEPT, RECORDED, IMPORTED = "run", "swept", "recorded", "imported"
BUILDS = {
    BUILD: RUN,
    "urn:peak-trade:sweep:v1": SWEPT,
    "urn:peak-trade:record:v1": RECORDED,
    "urn:peak-trade:import:v1": IMPORTED,
}
"""What a run is, by its build type.

Made here, many of them as one, watched while others made it, or read from what they have left.
"""
BUILD_OF = {kind: build for build, kind in BUILDS.items()}
RUINED = "ruined"
COMPLETED = ("sealed", RUINED, IMPORTED)
"""The statuses of a run that came to its end, with equity, trades and statistics: whatever became of the account."""


class Subject(Struct, frozen=True):
    """A sealed file: its name and `{"sha256": …}`."""

    name: str
    digest: dict[str, str]


class Predicate(Struct, frozen=True, rename="camel"):
    """What was asked, what it was made from, what came out, and the circumstances.

    `status` is `sealed`, `ruined` (as sealed, of an account that lost all it had), `imported` (of what a file says,
    whatever came of the account) or `failed`. `results` holds the
    digests over typed values, `summary`, the few statistics that lists show, `ruined`, the time of the bar at which
    such an account was closed, and `statistics`, the keys of stats.json with the edition of each one's definition
    (which manifests of version 0.1 have not). `receipts` holds what a reader of the run has to know: every optional
    part that was skipped, with the reason, and what the evidence cost;
    `ledger` names the sha256 of the ledger line that this run's START record is. `probe` is what came of asking the
    strategy again (`peak_trade.probe.Probe`), in a run that came to its end; those of format 1 have none.
    """

    status: str
    build_definition: dict[str, Any]
    run_details: dict[str, Any]
    results: dict[str, Any]
    receipts: list[dict[str, Any]]
    ledger: dict[str, str]
    error: dict[str, str] | None = None
    probe: dict[str, Any] | None = None

    @property
    def completed(self) -> bool:
        """Whether the run came to its end, with equity, trades and statistics."""
        return self.status in COMPLETED

    @property
    def kind(self) -> str:
        """What the run is: `run`, `swept`, `recorded` or `imported`. RunError where this program does not know it."""
        build = self.build_definition.get("buildType")
        if not isinstance(build, str) or build not in BUILDS:
            raise RunError(f"{NAME} has the buildType {build!r}, which this program does not know")
        return BUILDS[build]

    @property
    def of_command(self) -> bool:
        """Whether a command of whatever engine came to the result: one that was recorded, or the best of a sweep."""
        asked = self.build_definition.get("externalParameters")
        return self.kind == RECORDED or (self.kind == SWEPT and isinstance(asked, dict) and "command" in asked)

    @property
    def gaps(self) -> bool:
        """Whether trades and equity may leave out what nobody said: those of a run of ours may not."""
        return self.of_command or self.kind not in (RUN, SWEPT)

    @property
    def lookahead(self) -> str:
        """The sentence by which the strategy looks ahead; empty where nothing was found."""
        found = self.probe is not None and self.probe.get("verdict") == "FAIL"
        return str(self.probe.get("reason") or _UNSAID)[:_SAID] if self.probe and found else ""

    @property
    def repeatable(self) -> bool | None:
        """Whether the strategy gives the same answer for the same bars; None where that was not asked."""
        answer = self.probe.get("repeatable") if self.probe else None
        return answer if isinstance(answer, bool) else None

    @property
    def doubts(self) -> dict[str, Any]:
        """What speaks against the run's figures, as its ledger line says it: nothing where there is nothing."""
        return ({"lookahead": self.lookahead} if self.lookahead else {}) | (
            {"repeatable": False} if self.repeatable is False else {}
        )

    @property
    def promised(self) -> int | None:
        """How many bytes all sealed files have together, by the receipt of what the evidence cost; None without one.

        No sealed file is larger: who reads one of a stranger's passes it to the door as `limit`.
        """
        for receipt in self.receipts:
            size = receipt.get("bytes")
            if receipt.get("part") == "evidence" and type(size) is int and size >= 0:
                return size
        return None

    @property
    def rules(self) -> int:
        """The edition of the engine's rules that the run was traded by. RunError where what is there is none."""
        parameters = self.build_definition.get("internalParameters")
        edition = parameters.get("rules", 1) if isinstance(parameters, dict) else 1
        if type(edition) is not int:
            raise RunError(f"{NAME} names no edition of the engine's rules")
        return edition


class Manifest(Struct, frozen=True):
    """An in-toto Statement v1."""

    type_: str = msgspec.field(name="_type")
    subject: list[Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Predicate

    @property
    def format(self) -> int:
        """The number of the evidence's format: 1 up to version 0.3; from 2 on the code is inside."""
        return FORMATS[self.predicate_type]

    @property
    def run_id(self) -> str:
        """The run that this manifest speaks of."""
        metadata = self.predicate.run_details.get("metadata")
        return str(metadata.get("invocationId", "")) if isinstance(metadata, dict) else ""

    @property
    def files(self) -> dict[str, str]:
        """Name → sha256 of every sealed file."""
        return {subject.name: subject.digest.get("sha256", "") for subject in self.subject}


def encode(subjects: dict[str, str], predicate: Predicate) -> bytes:
    """Return the manifest's bytes for these files (name → sha256)."""
    subject = [Subject(name, {"sha256": sha256}) for name, sha256 in sorted(subjects.items())]
    return (
        msgspec.json.format(msgspec.json.encode(Manifest(STATEMENT, subject, PREDICATE, predicate)), indent=1) + b"\n"
    )


class _Format(Struct, frozen=True):
    """The part of a manifest that every version of it has."""

    type_: str = msgspec.field(name="_type")
    predicate_type: str = msgspec.field(name="predicateType")


_FORMAT, _MANIFEST = msgspec.json.Decoder(_Format), msgspec.json.Decoder(Manifest)


def decode(content: bytes) -> Manifest:
    """Decode a manifest; RunError where it is none, UnknownVersion where this program does not know its version."""
    try:
        form = _FORMAT.decode(content)  # first, for another version may have another shape
        if form.type_ != STATEMENT or form.predicate_type not in FORMATS:
            raise UnknownVersion(
                f"{NAME} has the format {form.predicate_type!r}, this program knows up to {PREDICATE!r}",
                hint="read it with the version of peak_trade that wrote it",
            )
        found = _MANIFEST.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{NAME} is not a run's manifest: {error}") from None
    if len(found.files) != len(found.subject):
        raise RunError(f"{NAME} is not a run's manifest: a file is named twice")
    return found


def byproducts(sealed: Manifest) -> dict[str, str]:
    """Return name → sha256 of the files beside a run that its manifest names all the same: what varies, written once.

    A sweep's parent has the durations of its trials there.
    """
    told = sealed.predicate.run_details.get("byproducts")
    found: dict[str, str] = {}
    for one in told if isinstance(told, list) else ():
        digest = one.get("digest") if isinstance(one, dict) else None
        sha256 = digest.get("sha256") if isinstance(digest, dict) else None
        if isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256) and isinstance(one.get("name"), str):
            found[one["name"]] = sha256
    return found


def kept(sealed: Manifest) -> dict[int, str]:
    """Return the trials of a sweep that are runs of their own: number → run_id. None of another run's manifest."""
    metadata = sealed.predicate.run_details.get("metadata")
    told = metadata.get("kept") if isinstance(metadata, dict) else None
    if not isinstance(told, dict):
        return {}
    return {
        int(at): run_id
        for at, run_id in told.items()
        if re.fullmatch("0|[1-9][0-9]{0,8}", at) and isinstance(run_id, str) and re.fullmatch("[0-9a-f-]{36}", run_id)
    }


def unrepeatable(sealed: Manifest) -> bool:
    """Tell whether trials of a sweep came to something else when they were kept, as a receipt of the parent says."""
    return any(receipt.get("outcome") == "unrepeatable" for receipt in sealed.predicate.receipts)


class UnknownVersion(RunError):
    """The manifest is of a format that this program does not know."""

"""What `verify` says of signatures and anchors: right ones are proofs, wrong ones findings.

They may come from a stranger, as the run they lie in, and are opened by the door. What can't be checked for want of
OpenSSH or an extra is said to be so.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest
from peak_trade.evidence.ledger import Entry, History, Reading
from peak_trade.evidence.results import Results
from peak_trade.trust.proofs import anchors, dsse, keys, tags, timestamps
from peak_trade.trust.verdict import Proof, Verdict

__all__ = ["NAME", "NOBODY", "Trusted", "ledger", "run", "signers"]

NAME = "manifest.dsse.json"
"""Beside a run's manifest: the same bytes in an envelope, with the signatures of all who have signed."""


class Trusted(Struct, frozen=True):
    """Whom to believe: `allowed` is a file of allowed signers, `roots` one of timestamp authorities' root certificates.

    With `signed`, a run that none of the allowed has signed is a finding. Tags are looked for in `repository`.
    """

    allowed: Path | None = None
    roots: Path | None = None
    signed: bool = False
    repository: Path | None = None


NOBODY = Trusted()
_MOST = 200  # anchors that are looked at: each takes a process or two


def run(verdict: Verdict, run_dir: Path, history: History, trusted: Trusted, *, signed: bool) -> None:
    """Check who has signed a run's manifest; `signed` tells whether there is an envelope."""
    made: set[str] = set()
    if signed:
        try:
            envelope = dsse.decode(door.read(run_dir, NAME), NAME)
            expected = door.read(run_dir, manifest.NAME)
            if (envelope.payload_type, dsse.raw(envelope.payload, NAME)) != (dsse.STATEMENT, expected):
                raise RunError("another manifest, or none")
            made = signers(verdict, NAME, manifest.NAME, envelope, trusted)
        except RunError as error:
            verdict.add(NAME, f"signatures of this run's {manifest.NAME}", error.message)
        except OSError as error:
            verdict.add(NAME, "a file that can be read", error.strerror)
    for entry in history.entries:
        if entry.event == "signed" and entry.fields.get("by") not in made:
            verdict.add(
                NAME, f"a signature by {entry.fields.get('by')}, as the ledger's line {entry.line} has it", "none"
            )
    if trusted.signed and not any(proof.trusted for proof in verdict.proofs):
        verdict.add(NAME, "a signature by one of the allowed signers", "none")


def signers(verdict: Verdict, name: str, of: str, envelope: dsse.Envelope, trusted: Trusted) -> set[str]:
    """Check all signatures of an envelope, and return the keys that they are said to be by."""
    made, message = set(), dsse.encoding(dsse.raw(envelope.payload, name), envelope.payload_type)
    for signature in envelope.signatures:
        content = dsse.raw(signature.sig, name)
        key = keys.signer_of(content)
        made.add(key)
        try:
            signer = keys.whose(content, message, trusted.allowed)
        except keys.Absent as error:
            verdict.skip(f"{name}: a signature by {key}", f"{error.message}; {error.hint}")
        except RunError as error:
            verdict.add(name, f"a signature of {of}", error.message)
        else:
            known = None if trusted.allowed is None else signer.name is not None
            verdict.proofs.append(Proof(of, "signed by", signer.name or signer.key, signer.key, known))
    return made


def ledger(verdict: Verdict, results: Results, reading: Reading, trusted: Trusted) -> None:
    """Check all that vouches for lines of a ledger: envelopes and timestamps in `anchors/`, and tags of git."""
    lines = _Lines({entry.sha256: entry for entry in reading.entries}, set())
    try:
        there = sorted(anchors.names(results), reverse=True)  # the newest first
    except OSError as error:
        verdict.add(anchors.FOLDER, "a folder of anchors", error.strerror)
        return
    if len(there) > _MOST:
        verdict.skip(anchors.FOLDER, f"the newest {_MOST} of {len(there):,} anchors are looked at")
    for entry in there[:_MOST]:
        name = f"{anchors.FOLDER}/{entry.name}"
        try:
            if entry.name.endswith(anchors.ENVELOPE):
                _envelope(verdict, name, door.read(anchors.place(results), name), lines, trusted)
            elif entry.name.endswith(anchors.TOKEN):
                _token(verdict, name, door.read(anchors.place(results), name), lines, trusted)
            else:
                verdict.skip(name, "no anchor by its name")
        except keys.Absent as error:
            verdict.skip(name, f"{error.message}; {error.hint}")
        except RunError as error:
            verdict.add(name, "an anchor", error.message)
        except OSError as error:
            verdict.add(name, "a file that can be read", error.strerror)
    if trusted.repository:
        _tags(verdict, trusted.repository, lines, reading)
    for line in reading.entries if len(there) <= _MOST else ():
        if line.event == "anchored":
            _told(verdict, line, lines)


class _Lines(Struct):
    """The lines of a ledger by their sha256, and which of them is held by what: (sha256, by)."""

    known: dict[str, Entry]
    held: set[tuple[str, str]]

    def of(self, verdict: Verdict, name: str, sha256: str) -> str:
        """Return what the line is called; where there is none, that is a finding: the ledger was written anew."""
        if sha256 in self.known:
            return f"ledger.jsonl line {self.known[sha256].line}"
        verdict.add(name, f"a line of this ledger with sha256 {sha256}", "none")
        return ""


def _envelope(verdict: Verdict, name: str, content: bytes, lines: _Lines, trusted: Trusted) -> None:
    envelope = dsse.decode(content, name)
    if envelope.payload_type != dsse.LINE:
        raise RunError(f"an envelope of {envelope.payload_type}")
    sha256 = hashlib.sha256(dsse.raw(envelope.payload, name)).hexdigest()
    if of := lines.of(verdict, name, sha256):
        lines.held |= {(sha256, key) for key in signers(verdict, name, of, envelope, trusted)}


def _token(verdict: Verdict, name: str, content: bytes, lines: _Lines, trusted: Trusted) -> None:
    stamp = timestamps.read(content, trusted.roots)
    lines.held.add((stamp.sha256, anchors.FOLDER))
    if not (of := lines.of(verdict, name, stamp.sha256)):
        return
    if stamp.trusted is False:
        verdict.add(name, "a timestamp that the roots vouch for", stamp.reason)
    else:
        verdict.proofs.append(Proof(of, "timestamped by", stamp.by, None, stamp.trusted, stamp.time))


def _tags(verdict: Verdict, repository: Path, lines: _Lines, reading: Reading) -> None:
    try:
        there = tags.of(repository)
    except tags.NoGit:  # who has none has no tags
        return
    begins, others = reading.entries[0].sha256 if reading.entries else "", 0
    for tag in there:
        if tag.begins != begins:
            others += 1
        elif of := lines.of(verdict, f"tag {tag.name}", tag.sha256):
            lines.held.add((tag.sha256, f"tag {tag.name}"))
            verdict.proofs.append(Proof(of, "in git as", f"tag {tag.name}", None, True, tag.time))
    if others:
        what = "1 tag of a ledger that begins" if others == 1 else f"{others:,} tags of ledgers that begin"
        verdict.skip(what + " otherwise", "of another folder, or this ledger was written anew")


def _told(verdict: Verdict, entry: Entry, lines: _Lines) -> None:
    """Hold what a line says of an anchor against what there is."""
    where, sha256, by = f"ledger.jsonl line {entry.line}", entry.fields.get("sha256"), entry.fields.get("by") or ""
    if sha256 not in lines.known or lines.known[sha256].line != entry.fields.get("line"):
        verdict.add(where, f"the sha256 of line {entry.fields.get('line')}", sha256)
    elif by.startswith("tag "):
        if (sha256, by) not in lines.held:
            verdict.skip(where, f"{by} is not in this repository")
    elif (sha256, by if by.startswith("SHA256:") else anchors.FOLDER) not in lines.held:
        verdict.add(where, f"its anchor by {by} in {anchors.FOLDER}/", "none")

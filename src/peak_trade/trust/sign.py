"""Sign a run, or the ledger's head, by the operator's own SSH key.

Of a run: an envelope over its manifest beside it, and a line in the ledger. What is signed is the manifest, byte for
byte, and so every sealed file. Of the ledger: its last line, which names all before it. What is not intact is not
signed. Who has signed already does not sign again, and others may add their signatures to the same envelope.
"""

from __future__ import annotations

import fcntl
import hashlib
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, files, manifest
from peak_trade.evidence.results import Results
from peak_trade.trust import verify
from peak_trade.trust.handed import Handed
from peak_trade.trust.proofs import anchors, check, dsse, keys

__all__ = ["Signed", "head", "run"]


class Signed(Struct, frozen=True):
    """A signature that is there: what it is of, the file that it lies in, its key, and whether it is new."""

    of: str
    file: str
    key: str
    new: bool


def run(given: Handed, key: Path) -> Signed:
    """Sign a run's manifest.

    Raises InputError for one in an archive, RunError where the run is not intact, holds an envelope of something else,
    or nothing can be signed.
    """
    if given.source:
        raise InputError(f"{given.source} is an archive, which is not signed", hint="just import-run takes its runs in")
    found = verify.verify(given.run)
    wrong = [finding for finding in found.findings if finding.file != check.NAME]  # others' signatures are theirs
    if wrong:
        hint = "a broken run is not signed: just verify tells more"
        raise RunError(f"run {given.run.name} is {found.state}: {wrong[0]}", hint=hint)
    with files.disk_errors(given.run.name):
        payload = door.read(given.run, manifest.NAME)
        by, new = _add(given.run, check.NAME, payload, dsse.STATEMENT, key)
    if given.results:
        history = given.results.reading().of(given.run.name)
        if not any(entry.event == "signed" and entry.fields.get("by") == by for entry in history.entries):
            with files.disk_errors(given.results.path.name):
                sha256 = hashlib.sha256(payload).hexdigest()
                given.results.ledger.append("signed", given.run.name, manifest=sha256, by=by)
    return Signed(given.run.name, str(given.run / check.NAME), by, new)


def head(results: Results, key: Path) -> Signed:
    """Sign the ledger's last line. Raises RunError where its chain is broken, or nothing can be signed."""
    with files.disk_errors(results.path.name):
        line = anchors.head(results)
        name = f"{anchors.FOLDER}/{line.name}{anchors.ENVELOPE}"
        by, new = _add(anchors.place(results), name, line.content, dsse.LINE, key)
        entry = line.entry
        if not anchors.made(results.reading(), entry, by):
            results.ledger.append("anchored", entry.run_id, line=entry.line, sha256=entry.sha256, by=by)
    return Signed(f"ledger.jsonl line {entry.line}", str(results.path / name), by, new)


def _add(folder: Path, name: str, payload: bytes, payload_type: str, key: Path) -> tuple[str, bool]:
    """Put a signature into the envelope of this name; return the key's fingerprint, and whether it is new there.

    Raises RunError where the envelope is of something else, or the key does not sign.
    """
    with door.folder(folder) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two may sign at once
        message, signatures = dsse.encoding(payload, payload_type), _there(handle, name, payload, payload_type)
        made = keys.sign(message, key)
        by = keys.signer_of(made)
        others = [one for one in signatures if keys.signer_of(dsse.raw(one.sig, name)) != by]
        for own in (one for one in signatures if one not in others):
            with suppress(RunError):  # one that is wrong is replaced
                keys.whose(dsse.raw(own.sig, name), message, None)
                return by, False
        if len(others) == dsse.MOST:
            raise RunError(f"{name} has {dsse.MOST} signatures, and takes no more")
        signatures = [*others, dsse.Signature(b64encode(made).decode(), by)]
        door.replace(handle, name, dsse.encode(dsse.Envelope.of(payload, payload_type, signatures)))
    return by, True


def _there(handle: int, name: str, payload: bytes, payload_type: str) -> list[dsse.Signature]:
    if not door.exists(handle, name):
        return []
    envelope = dsse.decode(door.read(handle, name), name)
    if (envelope.payload_type, dsse.raw(envelope.payload, name)) != (payload_type, payload):
        raise RunError(f"{name} is there, and of something else", hint=f"move {name} away and sign again")
    return envelope.signatures

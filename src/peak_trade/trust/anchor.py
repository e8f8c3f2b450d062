"""Anchor the ledger's head where its keeper can't change it: in git, as a tag, and with a timestamp authority."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from peak_trade.evidence import door, files
from peak_trade.evidence.results import Results
from peak_trade.redact import Redactor
from peak_trade.trust.proofs import anchors, tags, timestamps
from peak_trade.trust.proofs.anchors import Head

__all__ = ["Anchor", "stamp", "tag"]


class Anchor(Struct, frozen=True):
    """An anchor that is there: the line that it holds, the tag or the file that it is, and whether it is new."""

    of: str
    name: str
    new: bool


def tag(results: Results, repository: Path) -> Anchor:
    """Tag the head in a repository. Raises NoGit where git does not, RunError for a ledger that is not whole."""
    with files.disk_errors(results.path.name):
        head = anchors.head(results)
        name, new = tags.tag(repository, head)
        _note(results, head, f"tag {name}")
    return Anchor(f"ledger.jsonl line {head.entry.line}", name, new)


def stamp(results: Results, address: str, roots: Path | None) -> Anchor:
    """Have an authority vouch for the head, unless one has. Raises as `timestamps.ask`."""
    with files.disk_errors(results.path.name):
        head = anchors.head(results)
        name, folder = f"{anchors.FOLDER}/{head.name}{anchors.TOKEN}", anchors.place(results)
        new = not door.exists(folder, name)
        if new:
            door.replace(folder, name, timestamps.ask(head.content, address, roots))
        _note(results, head, Redactor().text(address))
    return Anchor(f"ledger.jsonl line {head.entry.line}", str(results.path / name), new)


def _note(results: Results, head: Head, by: str) -> None:
    if not anchors.made(results.reading(), head.entry, by):
        entry = head.entry
        results.ledger.append("anchored", entry.run_id, line=entry.line, sha256=entry.sha256, by=by)

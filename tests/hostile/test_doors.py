"""Whatever a stranger's manifest, statistics or config say, each verb reads it or refuses it in a sentence.

A value is put in the place of one of a run's, under a seal that is right: the digests agree, so that all of it is read.
A case is one value in some places of one document, drawn by chance, and always the same.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import PeakError
from peak_trade.evidence.results import Results
from peak_trade.shown import listing
from peak_trade.trust import compare, difference, handover, verify
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess, words
from peak_trade.trust.replay import golden
from peak_trade.trust.replay.recorded import Recorded

DOCUMENTS = ("manifest.json", "stats.json", "config_snapshot.json")
PLACES = 12  # of a case
VALUES: dict[str, Any] = {
    "null": None,
    "a text": "text",
    "no text": "",
    "a number": -1.5,
    "true": True,
    "400 digits": 10**400,
    "a list": [[], {}],
    "an object": {"a": {"b": None}},
    "a way out": "../../../etc/passwd",
    "an escape": "\x1b[2J\n\u202e",
    "a nesting": json.loads("[" * 40 + "]" * 40),
}


class Stranger:
    """A run that stands alone, and what is read of it; `put` writes a document, and all that has to agree with it."""

    def __init__(self, run: Path, other: Path) -> None:
        self.run, self.other = run, other
        self.before = {name: (run / name).read_bytes() for name in (*DOCUMENTS, "seal.json")}

    def put(self, name: str, content: bytes) -> None:
        statement = json.loads(self.before["manifest.json"])
        for subject in statement["subject"]:
            if subject["name"] == name:
                subject["digest"]["sha256"] = sha256(content).hexdigest()
        sealed = content if name == "manifest.json" else json.dumps(statement).encode()
        carried = json.loads(self.before["seal.json"])
        end = json.loads(carried["end"]) | {"manifest": sha256(sealed).hexdigest()}
        carried["end"] = json.dumps(end, separators=(",", ":"))
        new = self.before | {name: content, "manifest.json": sealed, "seal.json": json.dumps(carried).encode()}
        for file, written in new.items():
            (self.run / file).unlink()
            (self.run / file).write_bytes(written)

    def compared(self) -> None:
        runs = [difference.read(self.other), difference.read(self.run)]
        for pair in (runs, runs[::-1]):
            found = compare.compare(pair, 0.0)
            compare.as_text(found, every=True)
            json.dumps(found.to_json_object(), allow_nan=False)

    def shown(self) -> None:
        json.dumps(listing.describe(self.run), allow_nan=False)
        listing.summary(self.run)

    def replayed(self) -> None:
        found = Recorded(self.run, None)
        _ = (found.modules, found.left_out, found.entry, found.folder, found.seconds, found.code(), found.name)

    def lucky(self) -> None:
        found = assess.assess(Handed(self.run, None), thorough=False)
        words.as_text(found)
        json.dumps(found.to_json_object(), allow_nan=False)

    def verified(self) -> None:
        found = verify.verify(self.run)
        assert all(len(str(one)) < 1000 and str(one).isprintable() for one in found.findings)
        json.dumps(found.to_json_object(), allow_nan=False)

    @property
    def verbs(self) -> list[Callable[[], None]]:
        return [self.compared, self.shown, self.replayed, self.lucky, self.verified]


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a document; of a list, the first three."""
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node[:3]) if isinstance(node, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


@pytest.fixture
def stranger(evidence: Any) -> Stranger:
    copied = shutil.copytree(evidence.path("own"), evidence.root / "elsewhere" / evidence.runs["own"])
    return Stranger(copied, evidence.path("plain"))


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_value_in_any_place_is_read_or_refused_in_a_sentence(name: str, value: str, stranger: Stranger) -> None:
    content, wrong = stranger.before[name], []
    drawn = list(places(json.loads(content)))
    for path in random.Random(f"{name} {value}").sample(drawn, min(PLACES, len(drawn))):
        tree = json.loads(content)
        node = tree
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = VALUES[value]
        stranger.put(name, json.dumps(tree).encode())
        for verb in stranger.verbs:
            try:
                verb()
            except PeakError:
                continue
            except Exception as error:  # noqa: BLE001 - what it was is told, with all others
                wrong.append(f"{verb.__name__} {'.'.join(map(str, path))}: {type(error).__name__}: {error}")
    assert wrong == []


@pytest.mark.hostile
@pytest.mark.parametrize("name", DOCUMENTS)
def test_control_the_same_document_is_read_by_every_verb(name: str, stranger: Stranger) -> None:
    stranger.put(name, json.dumps(json.loads(stranger.before[name])).encode())
    for verb in stranger.verbs:
        verb()
    assert verify.verify(stranger.run).state == "foreign"


@pytest.mark.hostile
@pytest.mark.parametrize("name", ["../../../../away", "/tmp/away", ".", "..", "", "a/b", "LAST", "8a1d0f4e", "\x1b[2J"])
def test_a_run_that_names_itself_by_a_way_out_is_taken_nowhere(name: str, stranger: Stranger, tmp_path: Path) -> None:
    """Its manifest and both its lines agree on the name, of which paths are made where a run is kept or packed."""
    statement = json.loads(stranger.before["manifest.json"])
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = name
    carried = json.loads(stranger.before["seal.json"])
    start = json.dumps(json.loads(carried["start"]) | {"run_id": name}, separators=(",", ":"))
    statement["predicate"]["ledger"]["follows"] = sha256(start.encode()).hexdigest()
    end = json.dumps(json.loads(carried["end"]) | {"run_id": name}, separators=(",", ":"))
    stranger.before["seal.json"] = json.dumps({"start": start, "end": end}).encode()
    stranger.put("manifest.json", json.dumps(statement).encode())
    own, there = Results(stranger.other.parent), sorted(tmp_path.rglob("*"))
    assert verify.verify(stranger.run).state == "broken"
    for verb in (
        lambda: difference.read(stranger.run),
        lambda: golden.add(tmp_path / "golden", stranger.run, None, stranger.other.parents[1], "kept"),
        lambda: handover.export([Handed(stranger.run, None)], own, tmp_path / "runs.zip"),
        lambda: handover.receive(str(stranger.run), Results(tmp_path / "mine")),
    ):
        with pytest.raises(PeakError):
            verb()
    new = {str(path.relative_to(tmp_path)) for path in {*tmp_path.rglob("*")} - {*there}}
    assert new <= {"mine", "golden"} and not os.path.lexists("/tmp/away")


def test_control_a_verb_that_lets_an_error_out_is_found_out(stranger: Stranger) -> None:
    stranger.put("stats.json", b"{}")
    with pytest.raises(KeyError):
        _ = json.loads((stranger.run / "stats.json").read_bytes())["sharpe"]

"""Runs that other engines made, and files say: each tampering of their evidence is found, and a control holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, closed, recorded, result

from peak_trade.evidence import manifest, seal
from peak_trade.evidence.ledger import GENESIS
from peak_trade.record import imported
from peak_trade.trust.verdict import Verdict
from peak_trade.trust.verify import verify


def reseal(run: Path, name: str, change: Callable[[bytes], bytes], line: dict[str, Any] | None = None) -> Verdict:
    """Change a file, and forge manifest and ledger so that every digest is right again; return the verdict."""
    statement = json.loads((run / manifest.NAME).read_bytes())
    content = (run / name).read_bytes()
    changed = change(content)
    if name == manifest.NAME:
        statement = json.loads(changed)
    else:
        (run / name).chmod(0o644)
        (run / name).write_bytes(changed)
        for subject in statement["subject"]:
            if subject["name"] == name:
                subject["digest"]["sha256"] = hashlib.sha256(changed).hexdigest()
    (run / manifest.NAME).chmod(0o644)
    (run / manifest.NAME).write_bytes(json.dumps(statement).encode())
    ledger = run.parent / "ledger.jsonl"
    start, end = (json.loads(text) for text in ledger.read_text().splitlines())
    end["manifest"] = hashlib.sha256((run / manifest.NAME).read_bytes()).hexdigest()
    end |= line or {}
    end = {key: value for key, value in end.items() if value != "gone"}
    first = json.dumps(start, separators=(",", ":"), ensure_ascii=False)
    end["prev"] = hashlib.sha256(first.encode()).hexdigest()
    last = json.dumps(end, separators=(",", ":"), ensure_ascii=False)
    assert start["prev"] == GENESIS
    ledger.write_text(f"{first}\n{last}\n")
    (run / seal.NAME).chmod(0o644)
    (run / seal.NAME).write_bytes(seal.encode(first.encode(), last.encode()))
    return verify(run)


def says(verdict: Verdict) -> str:
    return "\n".join(map(str, verdict.findings))


@pytest.mark.parametrize("kind", ["recorded", "imported"])
@pytest.mark.parametrize("chosen", ["whole", "no trades", "trades alone", "no cash", "one symbol", "ruined", "nothing"])
def test_what_was_sealed_is_intact(tmp_path: Path, kind: str, chosen: str) -> None:
    nothing: dict[str, Any] = {"timestamp": DAYS[:0], "equity": np.empty(0), "open_": None}
    one = closed(symbols=None, symbol="A", currencies=None)
    told: dict[str, dict[str, Any]] = {
        "whole": {},
        "no trades": {"trades": None, "open_": None},
        "trades alone": nothing,
        "no cash": nothing | {"initial_cash": None},
        "one symbol": {"trades": one, "open_": None, "position": np.linspace(0, 1, 10)},
        "ruined": {"equity": np.array([10.0, 5, 0, -1, 2, 3, 4, 5, 6, 7])},
    }
    verdict = verify(recorded(tmp_path, None if chosen == "nothing" else result(**told[chosen]), kind))
    assert (verdict.state, says(verdict), verdict.unchecked) == ("intact", "", [])


def test_control_a_run_that_is_sealed_again_unchanged_is_intact(tmp_path: Path) -> None:
    verdict = reseal(recorded(tmp_path, result()), "symbols.csv", lambda content: content)
    assert (verdict.state, says(verdict)) == ("intact", "")


@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        ("symbols.csv", b"symbol,A,USD,3,0,75.0", b"symbol,A,USD,3,0,85.0", "symbols.csv row 2 pnl"),
        ("symbols.csv", b",-9.0,", b",-19.0,", "symbols.csv row 4 pnl"),
        ("symbols.csv", b"rest,financing", b"rest,fees", "symbols.csv row 4 symbol"),
        ("symbols.csv", b"account,,USD,6,1,230.0", b"account,,USD,6,1,240.0", "symbols.csv row 5 pnl"),
        ("stats.json", b'"win_rate": 0.6666', b'"win_rate": 0.7666', "stats.json win_rate"),
        ("stats.json", b"no position given", b"no trades given", "stats.json reasons"),
        ("equity.csv", b"10230.0", b"10330.0", "values digest"),
        ("open_trades.csv", b",74.0,", b",84.0,", "open_trades.csv"),
        ("config_snapshot.json", b'"fast": 3', b'"fast": 4', "strategy.params"),
        ("config_snapshot.toml", b'name = "pairs"', b'name = "bears"', "strategy.name"),
        (manifest.NAME, b'"currency": "USD"', b'"currency": "EUR"', "symbols.csv"),
        (manifest.NAME, b'"initial_cash": 10000.0', b'"initial_cash": 9000.0', "initial_cash"),
        (manifest.NAME, b'"name": "handmade"', b'"name": "zipline"', "engine"),
        (manifest.NAME, b"urn:peak-trade:record:v1", b"urn:peak-trade:import:v1", "kind"),
        (manifest.NAME, b"urn:peak-trade:record:v1", b"urn:peak-trade:backtest:v1", ""),
        (manifest.NAME, b"urn:peak-trade:record:v1", b"urn:peak-trade:magic:v1", "buildType"),
        (manifest.NAME, b'"status": "sealed"', b'"status": "imported"', "status imported"),
    ],
)  # fmt: skip
def test_each_change_is_found(tmp_path: Path, name: str, old: bytes, new: bytes, found: str) -> None:
    def change(content: bytes) -> bytes:
        if name == manifest.NAME:
            content = json.dumps(json.loads(content)).encode()
        assert old in content
        return content.replace(old, new)

    verdict = reseal(recorded(tmp_path, result()), name, change)
    assert verdict.state == "broken"
    assert found in says(verdict)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"engine": "zipline"}, "engine"),
        ({"symbols": 3}, "symbols"),
        ({"trades": 60}, "trades"),
        ({"exit_code": 1}, "exit_code"),
        ({"trials": 300}, "trials"),
        ({"kind": "run"}, "kind"),
        ({"ruined": "2024-01-01T00:00:00Z"}, "ruined"),
        ({"engine": "gone"}, "engine"),
    ],
)
def test_a_line_of_the_ledger_that_says_something_else_is_found(
    tmp_path: Path, line: dict[str, Any], found: str
) -> None:
    verdict = reseal(recorded(tmp_path, result()), "symbols.csv", lambda content: content, line)
    assert verdict.state == "broken"
    assert found in says(verdict)


def test_a_file_without_its_digest_is_found(tmp_path: Path) -> None:
    run = recorded(tmp_path, result())
    verdict = reseal(run, manifest.NAME, lambda content: content.replace(b'"equity_digest"', b'"equity_digits"'))
    assert "equity.csv" in says(verdict)
    verdict = reseal(run, manifest.NAME, lambda content: content.replace(b'"equity_digits"', b'"equity_digest"'))
    assert verdict.state == "intact"


def test_a_bare_edit_is_found_by_its_digest(tmp_path: Path) -> None:
    run = recorded(tmp_path, result())
    file = run / "outputs" / "deep" / "stdout.txt"
    file.chmod(0o644)
    file.write_bytes(b"gone\n")
    assert "outputs/deep/stdout.txt" in says(verify(run))


def brought_in(tmp_path: Path) -> Path:
    """Return a run that `just import` made of two files."""
    trades, equity = tmp_path / "bt.csv", tmp_path / "eq.csv"
    trades.write_text(
        "Size,EntryBar,ExitBar,EntryPrice,ExitPrice,PnL,ReturnPct,EntryTime,ExitTime,Duration,Tag\n"
        "10,1,2,100,110,98,0.098,2024-01-02,2024-01-03,1 days,a\n"
    )
    equity.write_text("timestamp,equity\n2024-01-01,10000\n2024-01-02,9998\n2024-01-03,10098\n")
    asked = imported.options(symbol="SPY", currency="USD")
    return imported.import_files([trades, equity], asked, results=tmp_path / "results", root=tmp_path).path


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('{"file": "eq.csv", "engine": "equity"', '{"file": "eq.csv", "engine": "returns"', "maps"),
        ('"options": {"symbol": "SPY"', '"options": {"symbol": "QQQ"', "options"),
        ('"annotations": {"file": "bt.csv", "bytes": ', '"annotations": {"file": "bt.csv", "bytes": 9', "bytes"),
        ('{"name": "import"', '{"name": "forgot"', "files"),
    ],
)
def test_what_an_import_was_made_from_is_held_against_its_config(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    def change(content: bytes) -> bytes:
        text = json.dumps(json.loads(content))
        assert old in text
        return text.replace(old, new, 1).encode()

    verdict = reseal(brought_in(tmp_path), manifest.NAME, change)
    assert verdict.state == "broken"
    assert found in says(verdict)


def test_the_line_of_an_import_names_its_files(tmp_path: Path) -> None:
    run = brought_in(tmp_path)
    assert reseal(run, manifest.NAME, lambda content: content).state == "intact"  # control
    assert "files" in says(reseal(run, manifest.NAME, lambda content: content, {"files": ["0" * 64]}))


@pytest.mark.parametrize("kind", ["recorded", "imported"])
def test_who_seals_again_without_the_ledger_is_found(tmp_path: Path, kind: str) -> None:
    run = recorded(tmp_path, result(), kind)
    ledger = (tmp_path / "ledger.jsonl").read_bytes()
    forged = reseal(run, "config_snapshot.json", lambda content: content.replace(b'"fast": 3', b'"fast":  3'))
    assert forged.state == "intact"  # control: with the ledger, nothing is left to tell
    (tmp_path / "ledger.jsonl").write_bytes(ledger)
    found = says(verify(run))
    assert "manifest.json: expected sha256" in found
    assert "sealed line" in found

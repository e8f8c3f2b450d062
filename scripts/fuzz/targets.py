"""What a stranger's bytes reach, one function each: it takes any bytes, and raises nothing but the house's errors.

`SEEDS` has for each target what it should look like, for a driver to change. A target that lets another error out, or
that does not end, has found a fault.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from peak_trade import config
from peak_trade.errors import PeakError
from peak_trade.evidence import manifest, symbols, tables
from peak_trade.evidence import seal as carried_lines
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.results import Results
from peak_trade.market import fingerprint, lists
from peak_trade.market.ohlcv import load_bars
from peak_trade.record import imported
from peak_trade.shown import listing, otlp, telemetry
from peak_trade.trust import given, handover, verify
from peak_trade.trust.handed import package
from peak_trade.trust.luck import stores
from peak_trade.trust.proofs import dsse, keys, timestamps

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests" / "archive" / "0.3.0"
RUNS = ARCHIVE / "runs"
MOST = 1 << 20  # bytes: what is larger is refused by its size, before it is looked at
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def lying_in(name: str, content: bytes) -> Iterator[Path]:
    """Yield a file of this name and content, alone in its folder."""
    with tempfile.TemporaryDirectory(prefix="peak_trade-fuzz-", dir=MEMORY) as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def toml(content: bytes) -> None:
    """A config."""
    with lying_in("config.toml", content) as path, suppress(PeakError):
        config.load(path)


def csv(content: bytes) -> None:
    """A file of bars as text."""
    _bars("bars.csv", content)


def parquet(content: bytes) -> None:
    """A file of bars as Parquet."""
    _bars("bars.parquet", content)


def _bars(name: str, content: bytes) -> None:
    with lying_in(name, content) as path, suppress(PeakError), warnings.catch_warnings():
        warnings.simplefilter("error")  # an overflow that NumPy warns of is one that nobody has thought of
        load_bars(path, symbol="TEST", timeframe="1h", on_violation="warn")


def series(content: bytes) -> None:
    """An equity.csv."""
    for gaps in (False, True):
        with suppress(PeakError):
            names = ("timestamp", "equity", "drawdown", "position")
            tables.read_series(Path("equity.csv"), names, content, gaps=gaps)
    with suppress(PeakError):
        symbols.read(content)


def trades(content: bytes) -> None:
    """A trades.csv, and a trades.parquet."""
    for name in ("trades.csv", "trades.parquet"):
        for gaps in (False, True):
            with suppress(PeakError):
                tables.read_trades(Path(name), content, gaps=gaps)


def seal(content: bytes) -> None:
    """A manifest."""
    with suppress(PeakError):
        found = manifest.decode(content)
        _ = (found.run_id, found.files, found.predicate.completed, found.predicate.rules)


def ledger(content: bytes) -> None:
    """A ledger: read, listed and verified."""
    with lying_in("ledger.jsonl", content) as path, suppress(PeakError):
        results = Results(path.parent)
        reading = results.reading()
        _ = (reading.head, reading.removed, reading.unknown, [history.status for history in reading.histories.values()])
        listing.rows(results)
        list(verify.verify_all(results, None, root=None))


def live(content: bytes) -> None:
    """A list of trades that were made elsewhere: CSV, JSON, or a database of freqtrade."""
    with lying_in("list", content) as path, suppress(PeakError), warnings.catch_warnings():
        warnings.simplefilter("error")
        lists.read_list(path, "TEST")


def store(content: bytes) -> None:
    """Trials that another program keeps: of freqtrade, Optuna or MLflow."""
    with lying_in("store", content) as path:
        for metric in ("sharpe", "value"):
            with suppress(PeakError):
                stores.read(path, metric=metric)


def carried(content: bytes) -> None:
    """A seal.json: the two lines of a ledger that a run carries."""
    with suppress(PeakError):
        found = carried_lines.decode(content)
        _ = (Reading([found.start, found.end]).of(found.start.run_id).status, found.start.prev)


def envelope(content: bytes) -> None:
    """An envelope with signatures, but for what OpenSSH says of them."""
    with suppress(PeakError):
        found = dsse.decode(content, "manifest.dsse.json")
        dsse.encoding(dsse.raw(found.payload, "manifest.dsse.json"), found.payload_type)
        for signature in found.signatures:
            keys.signer_of(dsse.raw(signature.sig, "manifest.dsse.json"))


def timestamp(content: bytes) -> None:
    """An answer of a timestamp authority; without the extra there is nothing to try."""
    with suppress(PeakError):
        timestamps.read(content, None)


def lines(content: bytes) -> None:
    """Lines of telemetry, as spans and as records of a log."""
    for line in content.splitlines():
        for signal in ("traces", "logs"):
            with suppress(ValueError):
                list(otlp.records(line, signal, "run", "main"))
    with lying_in("x", b"") as path, suppress(PeakError):
        folder = path.parent / "run" / "telemetry"
        folder.mkdir(parents=True)
        (folder / "traces.jsonl").write_bytes(content)
        (folder / "logs.jsonl").write_bytes(content)
        telemetry.read(path.parent, "run")


def run(content: bytes) -> None:
    """A run directory: the first byte says which file has the other bytes for its content."""
    if not content:
        return
    with tempfile.TemporaryDirectory(prefix="peak_trade-fuzz-", dir=MEMORY) as folder:
        results = Path(folder)
        shutil.copy(RUNS / "ledger.jsonl", results)
        copied = Path(shutil.copytree(_sealed(), results / _sealed().name))
        names = sorted(path.name for path in copied.iterdir())
        path = copied / names[content[0] % len(names)]
        path.unlink()
        path.write_bytes(content[1:])
        verify.verify(copied)
        with suppress(PeakError):
            listing.rows(Results(results))


def packed(content: bytes) -> None:
    """An archive of runs, with all that is in it."""
    with lying_in("runs.zip", content) as path, suppress(PeakError):
        results = Results(path.parent / "results")
        for verdict in given.verdicts([str(path)], results, root=None):
            verdict.as_text()
        handover.receive(str(path), results)


def kept(content: bytes) -> None:
    """Bars that came with a run."""
    with suppress(PeakError):
        fingerprint.parse(content)


@cache
def _sealed() -> Path:
    """The archive's run with trades.csv."""
    return next(path.parent for path in sorted(RUNS.glob("*/trades.csv")))


def exported(content: bytes) -> None:
    """What another engine has exported, in whatever form, as `just import` takes it in."""
    with lying_in("export", content) as path, suppress(PeakError), warnings.catch_warnings():
        warnings.simplefilter("error")
        imported.look([path], imported.Asked())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "toml": toml, "csv": csv, "parquet": parquet, "series": series, "trades": trades, "manifest": seal,
    "ledger": ledger, "otlp": lines, "run": run, "carried": carried, "envelope": envelope, "timestamp": timestamp,
    "archive": packed, "bars": kept, "live": live, "store": store, "import": exported,
}  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Return what a target's input should look like."""
    span = (
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"run_id","value":{"stringValue":"x"}}]},"scopeSpans":'
        b'[{"scope":{"name":"s"},"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002",'
        b'"name":"run","kind":1,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000100000000",'
        b'"attributes":[{"key":"rows","value":{"intValue":"20"}},{"key":"l","value":{"arrayValue":{"values":[]}}}],'
        b'"events":[{"name":"exception","timeUnixNano":"1","attributes":[]}],"status":{"code":2,"message":"no"}}]}]}]}\n'
    )
    log = span.replace(b"Spans", b"Logs").replace(b'"spans"', b'"logRecords"')
    found: dict[str, list[Path]] = {
        "toml": [*sorted((ROOT / "config").glob("*.toml")), *sorted((ARCHIVE / "config").glob("*.toml"))],
        "csv": [ARCHIVE / "data" / "bars.csv"],
        "parquet": sorted(RUNS.glob("*/trades.parquet"))[:1],
        "series": [_sealed() / "equity.csv"],
        "trades": [_sealed() / "trades.csv", *sorted(RUNS.glob("*/trades.parquet"))[:1]],
        "manifest": sorted(RUNS.glob("*/manifest.json")),
        "ledger": [RUNS / "ledger.jsonl"],
    }
    if name == "run":
        return [bytes([at]) + path.read_bytes() for at, path in enumerate(sorted(_sealed().iterdir()))]
    if name == "store":
        kept = ROOT / "tests" / "trust" / "stores"
        epoch = (
            b'{"loss":-1.0,"params_dict":{"rsi":7},"results_metrics":{"sharpe":1.5,"calmar":NaN},"current_epoch":1}\n'
        )
        with lying_in("optuna.db", b"") as path:
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript((kept / "optuna.sql").read_text("utf-8"))
            return [epoch * 2, (kept / "optuna_journal.log").read_bytes(), path.read_bytes()]
    if name == "import":
        legs = (
            "Trade #,Type,Date/Time,Signal,Price USD,Contracts,Profit USD\n1,Exit long,2024-01-05 09:00,C,110,2,19.6\n"
        )
        deals = ("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price", "Profit", "Balance")
        deal = ("2024.01.02 10:00:00", "2", "EURUSD", "buy", "in", "1.00", "1.1", "0.00", "10 000.00")
        rows = ("".join(f"<td>{cell}</td>" for cell in row) for row in (deals, deal))
        page = f"<html><table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table></html>"
        result = json.dumps({"strategy": {"Mine": {"trades": [_TRADE], "starting_balance": 1000}}})
        texts = (f"{legs}1,Entry long,2024-01-03 15:00,L,100,2,19.6\n", page, result, "date,ret\n2024-01-02,0.01\n")
        return [*map(str.encode, texts), page.encode("utf-16")]
    if name == "live":
        backtest = json.dumps({"strategy": {"Mine": {"trades": [_TRADE]}}}).encode()
        return [(_sealed() / "trades.csv").read_bytes(), backtest, freqtrade()]
    if name == "carried":
        told = (RUNS / "ledger.jsonl").read_bytes().splitlines()
        start, end = (line for line in told if _sealed().name.encode() in line)
        return [carried_lines.encode(start, end)]
    if name == "archive":
        return [archive_of(_sealed())]
    if name == "bars":
        loaded = load_bars(ARCHIVE / "data" / "bars.csv", symbol="TEST", timeframe="1h")
        return [b"".join(fingerprint.content(loaded.bars))]
    if name == "envelope":
        signature = dsse.Signature("U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg", "SHA256:x")
        payload = next(RUNS.glob("*/manifest.json")).read_bytes()
        return [dsse.encode(dsse.Envelope.of(payload, dsse.STATEMENT, [signature]))]
    if name == "timestamp":
        return [(ROOT / "tests" / "trust" / "token" / "answer.tsr").read_bytes()]
    if name == "parquet":
        return [bars_as_parquet(), *(path.read_bytes() for path in found[name])]
    return [path.read_bytes() for path in found[name]] if name in found else [span, log]


def archive_of(run: Path) -> bytes:
    """Return a run as an archive."""
    results = Results(RUNS)
    with (
        tempfile.TemporaryDirectory(prefix="peak_trade-fuzz-", dir=MEMORY) as folder,
        package(run.name, results) as own,
    ):
        return handover.export(own.runs, results, Path(folder) / "runs.zip").archive.read_bytes()


_TRADE = {
    "trade_id": 1, "pair": "TEST", "is_open": False, "is_short": False, "amount": 2.0, "open_rate": 100.0,
    "close_rate": 110.0, "fee_open": 0.001, "fee_close": 0.001, "open_date": "2024-01-31 13:00:00",
    "open_timestamp": 1706706000000, "close_date": "2024-02-01 09:30:00", "close_timestamp": 1706779800000,
    "profit_abs": 19.58, "exit_reason": "roi",
}  # fmt: skip


def freqtrade() -> bytes:
    """Return a database as freqtrade keeps one, with one trade."""
    with lying_in("trades.sqlite", b"") as path, closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE trades ({', '.join(_TRADE)})")
        connection.execute(f"INSERT INTO trades VALUES ({', '.join('?' * len(_TRADE))})", [*_TRADE.values()])
        connection.commit()
        return path.read_bytes()


def bars_as_parquet() -> bytes:
    """Return the archive's bars as Parquet; empty without pyarrow."""
    try:
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        return b""
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(ARCHIVE / "data" / "bars.csv"), sink)
    return bytes(sink.getvalue().to_pybytes())

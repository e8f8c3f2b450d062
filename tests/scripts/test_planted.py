"""What a stranger can plant in a run directory reaches no file outside of it, keeps nobody waiting, and stops no other.

Each kind of thing is put in the place of each name in a run, of folders, and of the run itself; then every command that
reads or writes runs is given it, as its script has it, within seconds. The controls take away what the door looks at:
then the same checks fail.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from peak_trade import open_run, script
from peak_trade.errors import PeakError
from peak_trade.evidence import door
from peak_trade.evidence.results import Results
from peak_trade.ops import doctor
from peak_trade.report import render
from peak_trade.report.page import open_page
from peak_trade.report.sections import SECTIONS
from peak_trade.tracking import receipt, worker
from peak_trade.tracking.content import report_state, run_content
from peak_trade.tracking.receipt import Receipt

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SECRET = b"the user's own, and none of a run's\n"
SEALED = (
    "manifest.json", "config_snapshot.json", "config_snapshot.toml", "stats.json", "equity.csv", "benchmark.csv",
    "trades.parquet", "trades.csv",
)  # fmt: skip
BESIDE = ("run.log", "tracking.json")
FOLDERS = ("report", "telemetry", "debug", "plots")
BELOW = ("report/backtest_report.html", "telemetry/traces.jsonl", "telemetry/receipt.json")
PLACES = (".working", ".telemetry", ".pins", ".removing")
NAMES = (*SEALED, *BESIDE, *FOLDERS, *BELOW)

# --- what is planted ----------------------------------------------------------------------------------------------


def _link(at: Path, outside: Path) -> None:
    at.symlink_to(outside / at.name)


def _hard_link(at: Path, outside: Path) -> None:
    if (outside / at.name).is_dir():  # there are none of folders
        _link(at, outside)
    else:
        os.link(outside / at.name, at)


def _zero(at: Path, outside: Path) -> None:
    at.symlink_to("/dev/zero")


def _pipe(at: Path, outside: Path) -> None:
    os.mkfifo(at)


def _socket(at: Path, outside: Path) -> None:
    with contextlib.chdir(at.parent), socket.socket(socket.AF_UNIX) as made:  # its name may have a hundred bytes
        made.bind(at.name)


def _sparse(at: Path, outside: Path) -> None:
    with at.open("wb") as file:
        file.truncate(1 << 40)  # of no room at all


def _folder(at: Path, outside: Path) -> None:
    at.mkdir()


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "a link": _link,
    "a hard link": _hard_link,
    "a link to /dev/zero": _zero,
    "a named pipe": _pipe,
    "a socket": _socket,
    "a sparse file": _sparse,
    "a folder": _folder,
}


class Case(NamedTuple):
    """A results folder with a run to plant things in, others that are as they were, and what lies outside."""

    evidence: Any
    outside: Path

    @property
    def results(self) -> Path:
        return self.evidence.results  # type: ignore[no-any-return]

    def victim(self, name: str) -> Path:
        """Return the run that has a file of this name."""
        return self.evidence.path("own" if name == "trades.csv" else "builtin")  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def planted(self, kind: str, name: str) -> Iterator[Path]:
        """Put something in the place of a name in a run (of the run itself, where that is empty), and take it away."""
        run = self.victim(name)
        at, aside = run / name, self.results.parent / "aside"
        at.rename(aside)
        try:
            KINDS[kind](at, self.outside)
            yield run
        finally:
            if at.is_dir() and not at.is_symlink():
                shutil.rmtree(at)
            else:
                at.unlink()
            aside.rename(at)

    def untouched(self) -> bool:
        """Whether all that lies outside is as it was."""
        return {
            str(path.relative_to(self.outside)): path.read_bytes() for path in self.outside.rglob("*") if path.is_file()
        } == self.before

    @property
    def before(self) -> dict[str, bytes]:
        files = [*SEALED, *BESIDE, *(f"{name.rpartition('/')[0]}/{name.rpartition('/')[2]}" for name in BELOW)]
        return dict.fromkeys([*files, *(Path(name).name for name in BELOW), "none/none", "ledger.jsonl"], SECRET)


@pytest.fixture
def case(evidence: Any, otlp: Any, tmp_path: Path) -> Case:
    made = Case(evidence, tmp_path / "outside")
    for name in made.before:
        (made.outside / name).parent.mkdir(parents=True, exist_ok=True)
        (made.outside / name).write_bytes(SECRET)
    for name in (*FOLDERS, *PLACES, *evidence.runs.values()):
        (made.outside / name).mkdir(exist_ok=True)
    for run in ("builtin", "own"):
        path = evidence.path(run)
        for folder in FOLDERS:
            (path / folder).mkdir(exist_ok=True)
        (path / "report" / "backtest_report.html").write_text("<p>")
        (path / "debug" / "bars.csv").write_text("row\n")
        (path / "telemetry" / "receipt.json").write_text("{}")
        span = otlp.span("run", 1, 0, 5)
        otlp.write(path / "telemetry", "traces.jsonl", otlp.line(evidence.runs[run], spans=[span]))
        receipt.write(path, made_receipt(path))
    return made


def made_receipt(run: Path) -> Receipt:
    return Receipt(run_id=run.name, status="logged", store="s", experiment="e", mlflow_run_id="m")


# --- who is given it ----------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Late(BaseException):
    """A command that keeps its caller waiting."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Late in what takes longer."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Inside:
    """A renderer that executes the cells here: the page as both real ones make it, without a kernel."""

    name = "inside"

    def page(self, run_dir: Path) -> str:
        page = open_page(str(run_dir), results=run_dir.parent)
        parts = [page.head(), *map(page.section, SECTIONS), page.foot()]
        return "".join(part._repr_markdown_() for part in parts if part)

    def __enter__(self) -> Inside:
        return self

    def __exit__(self, *error: object) -> None: ...


class Client:
    """Takes what is uploaded, as a store of MLflow's does: by the path that it is given."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def log_artifact(self, run_id: str, path: str, folder: str | None = None) -> None:
        self.files["/".join(filter(None, (folder, Path(path).name)))] = Path(path).read_bytes()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Call a script in this process, as `script.run` runs it."""
    monkeypatch.setattr(doctor, "_tools", lambda: iter(()))
    monkeypatch.setattr(doctor, "extras", lambda: iter(()))
    monkeypatch.setattr(render, "choose", lambda *_: Inside())
    monkeypatch.setattr(script, "claim_stdout", lambda: sys.stdout)
    loaded = {path.stem: _module(path) for path in SCRIPTS.glob("*.py")}

    def call(name: str, *words: object) -> Said:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape") for _ in range(2))
        handlers = [*logging.getLogger().handlers]
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            with within(10):
                script.run(loaded[name].main)
        logging.getLogger().handlers[:] = handlers
        said = [(stream.flush(), stream.buffer.getvalue().decode(errors="replace"))[1] for stream in (out, err)]  # type: ignore[attr-defined]
        return Said(int(left.value.code or 0), *said)

    return call


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def track(run: Path) -> dict[str, bytes]:
    """Do what the tracker does with a run, but for the store; return what was uploaded."""
    client, logger = Client(), worker.Logger.__new__(worker.Logger)
    logger._client = client
    with within(10):
        receipt.read(run)
        report_state(run)
        try:
            content = run_content(run)
            logger._upload("m", content.artifacts)
        finally:
            logger._upload_report("m", run)
            receipt.write(run, made_receipt(run).failed("no such host"))
    return client.files


def use(run: Path) -> set[str]:
    """Ask Python's API for all of a run; return what it refuses."""
    refused = set()
    with within(10):
        try:
            opened = open_run(run)
        except PeakError:
            return {"run"}
        for name in ("config", "stats", "equity", "benchmark", "trades", "manifest"):
            try:
                getattr(opened, name)
            except PeakError:
                refused.add(name)
        opened._repr_html_()
    return refused


# what can't go on without a file of that name, of those that are asked
SHOW = {"manifest.json", "config_snapshot.json", "stats.json"}


def given(case: Case, call: Callable[..., Said], name: str, run: Path) -> list[str]:
    """Give a run in which something was planted to every command; return what is wrong with what they did."""
    results, other = case.results, case.evidence.path("bare").name
    wrong: list[str] = []

    def told(what: str, said: Said, code: int | None = None) -> Said:
        if "internal:" in said.err or said.code not in (0, 1, 2) or (code is not None and said.code != code):
            wrong.append(f"{what}: {said.code}: {said.err.strip()}")
        if SECRET.decode().strip() in said.out + said.err:
            wrong.append(f"{what} shows what lies outside")
        return said

    where = ("--results-dir", results)
    for what in ("show_run", "trace_run"):
        refuses = what == "show_run" and name in ("", *SHOW)
        traced = what == "trace_run" and name in ("", "telemetry", "telemetry/traces.jsonl")
        told(what, call(what, run.name, *where), 1 if refuses or traced else 0)
        told(f"{what} --json", call(what, run.name, "--json", *where), 1 if refuses or traced else 0)
    if other not in told("runs", call("list_runs", "--full", *where), 0).out:
        wrong.append("runs leaves out another run")
    told("report-index", call("report_index", *where), 0)
    page = told("report", call("render_report", run.name, *where))
    stays = name in ("", "report")
    if page.code not in (1,) and (stays or name in SEALED):
        wrong.append(f"report: {page}")
    if name == "report/backtest_report.html" and not (door.exists(run, name) or (run / name).is_dir()):
        wrong.append("report does not replace what has its name")
    told("doctor", call("doctor", *where), 0)
    told("pin", call("pin_run", run.name, *where), 0)
    told("pins", call("pin_run", "--list", *where), 0)
    told("unpin", call("pin_run", run.name, "--remove", *where), 0)
    told("clean-artifacts", call("cleanup_artifacts", "--keep", 0, "--days", 0, *where), 0)
    try:
        uploaded = track(run)
        if name in ("", *SEALED):
            wrong.append("track takes it for a run as it was sealed")
        wrong += [f"track uploads {file}" for file, content in uploaded.items() if SECRET in content]
    except PeakError:
        if name not in ("", *SEALED):
            wrong.append("track refuses it")
    use(run)
    if not case.untouched():
        wrong.append("what lies outside was changed")
    return [f"{name or 'the run'}: {what}" for what in wrong]


# --- the tests ----------------------------------------------------------------------------------------------------


@pytest.mark.hostile(share=28)
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name in NAMES if kind != "a folder" or name not in FOLDERS]
)
def test_what_is_planted_in_a_run_reaches_nothing_and_stops_nobody(
    kind: str, name: str, case: Case, call: Callable[..., Said]
) -> None:
    with case.planted(kind, name) as run:
        assert given(case, call, name, run) == []


@pytest.mark.hostile(share=4)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "a folder"])
def test_what_is_planted_in_the_place_of_a_run_is_left_out(kind: str, case: Case, call: Callable[..., Said]) -> None:
    with case.planted(kind, "") as run:
        assert given(case, call, "", run) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_deleted_and_nothing_behind_it(kind: str, case: Case, call: Callable[..., Said]) -> None:
    for name in (*BESIDE, *FOLDERS):
        at = case.victim(name) / name
        if at.is_dir():
            shutil.rmtree(at)
        at.unlink(missing_ok=True)
        KINDS[kind](at, case.outside)
    said = call("cleanup_artifacts", "--apply", "--keep", 0, "--days", 0, "--results-dir", case.results)
    assert (said.code, Results(case.results).runs()) == (0, [])
    assert case.untouched()


def test_what_is_not_planted_is_shown_rendered_and_tracked(case: Case, call: Callable[..., Said]) -> None:
    """The first control: none of it is refused where it is what it should be."""
    run = case.victim("")
    where = ("--results-dir", case.results)
    for name in ("show_run", "trace_run", "render_report"):
        assert call(name, run.name, *where).code == 0, name
    assert {"manifest.json", "run.log", "equity.csv", "report/backtest_report.html"} <= track(run).keys()
    assert use(run) == set()


def test_a_page_that_is_asked_for_in_the_run_goes_by_the_door_too(case: Case, call: Callable[..., Said]) -> None:
    with case.planted("a link", "report") as run:
        words = (run.name, "--results-dir", case.results, "--output")
        said = call("render_report", *words, run / "report" / "page.html")
        assert (said.code, "a symbolic link in place of a folder" in said.err) == (1, True)
        assert case.untouched()
        call("render_report", *words, run / "plots" / "page.html")
        assert (run / "plots" / "page.html").exists()


@pytest.fixture
def naive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the door looks at: it opens what a name leads to."""
    monkeypatch.setattr(door, "_FILE", os.O_CLOEXEC)
    monkeypatch.setattr(door, "_FOLDER", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    monkeypatch.setattr(door.Entry, "is_file", True)


@pytest.mark.usefixtures("naive")
@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("a link", "run.log", "what lies outside was changed"),
        ("a link", "tracking.json", "what lies outside was changed"),
        ("a link", "report", "what lies outside was changed"),
        ("a link", "run.log", "track uploads run.log"),
        ("a hard link", "run.log", "what lies outside was changed"),
        ("a hard link", "tracking.json", "what lies outside was changed"),
    ],
)
def test_without_the_door_a_link_is_followed(
    kind: str, name: str, what: str, case: Case, call: Callable[..., Said]
) -> None:
    with case.planted(kind, name) as run:
        assert [said for said in given(case, call, name, run) if what in said]


@pytest.mark.usefixtures("naive")
@pytest.mark.parametrize("name", ["stats.json", "run.log", "tracking.json", "telemetry/traces.jsonl", "equity.csv"])
def test_without_the_door_a_pipe_keeps_one_waiting(name: str, case: Case) -> None:
    with case.planted("a named pipe", name) as run, pytest.raises(Late), within(0.2):
        door.read(run, name)


@pytest.mark.usefixtures("naive")
def test_without_the_door_a_pin_is_written_behind_a_link(case: Case, call: Callable[..., Said]) -> None:
    (case.results / ".pins").symlink_to(case.outside / ".pins")
    run = case.evidence.path("bare").name
    assert call("pin_run", run, "--results-dir", case.results).code == 0
    assert (case.outside / ".pins" / run).exists()


def test_without_a_limit_a_sparse_file_is_taken_into_memory(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with case.planted("a sparse file", "stats.json") as run:
        os.truncate(run / "stats.json", 32 << 20)
        with pytest.raises(OSError, match="33,554,432 bytes, more than the 16,777,216 that"):
            door.read(run, "stats.json")
        monkeypatch.setattr(door, "limit_of", lambda name: 1 << 40)
        assert len(door.read(run, "stats.json")) == 32 << 20


def test_a_table_is_bounded_by_what_the_manifest_promises(case: Case) -> None:
    run = case.victim("")
    sealed = json.loads((run / "manifest.json").read_bytes())
    promised = next(r["bytes"] for r in sealed["predicate"]["receipts"] if r["part"] == "evidence")
    for name in ("equity.csv", "benchmark.csv", "trades.parquet"):
        with case.planted("a sparse file", name):
            os.truncate(run / name, promised + 1)
            with pytest.raises(PeakError, match=f"{name}: .* bytes, more than the {promised:,} that"):
                _ = open_run(run).equity, open_run(run).benchmark, open_run(run).trades


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "a folder"])
def test_what_is_planted_beside_the_runs_keeps_nobody_waiting(
    kind: str, place: str, case: Case, call: Callable[..., Said]
) -> None:
    """A folder with all its runs may come from a stranger too."""
    at, run, other = case.results / place, case.victim("").name, case.evidence.path("bare").name
    if at.is_dir():
        shutil.rmtree(at)
    KINDS[kind](at, case.outside)
    for name, words in (
        ("list_runs", ["--full"]),
        ("show_run", [run]),
        ("trace_run", [run]),
        ("report_index", []),
        ("doctor", []),
        ("pin_run", [other]),
        ("pin_run", [other, "--remove"]),
        ("cleanup_artifacts", []),
        ("cleanup_artifacts", ["--apply", "--keep", 0, "--days", 0, "--status", "failed"]),
    ):
        said = call(name, *words, "--results-dir", case.results)
        assert "internal:" not in said.err, name
        assert said.code in ((0, 1) if name in ("pin_run", "cleanup_artifacts") else (0,)), (name, said)
    assert case.untouched()
    assert not [path for path in case.outside.rglob("*") if path.name == other and path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_in_what_a_dead_process_left_is_not_sealed(
    kind: str, case: Case, call: Callable[..., Said]
) -> None:
    run_id = "11111111-1111-4111-8111-111111111111"
    left = case.results / ".working" / run_id
    left.mkdir(parents=True)
    for name in ("manifest.json", "equity.csv", "run.log", "report"):
        KINDS[kind](left / name, case.outside)
    said = call("doctor", "--results-dir", case.results)
    assert (said.code, "internal:" in said.err, case.untouched()) == (0, False, True)
    if (sealed := case.results / run_id / "manifest.json").is_file():
        names = [subject["name"] for subject in json.loads(sealed.read_bytes())["subject"]]
        assert "equity.csv" not in names
    assert call("list_runs", "--results-dir", case.results).code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_in_the_place_of_the_ledger_is_said(kind: str, case: Case, call: Callable[..., Said]) -> None:
    run = case.victim("").name
    with case.planted(kind, "../ledger.jsonl"):
        for name, words in (
            ("list_runs", []),
            ("show_run", [run]),
            ("report_index", []),
            ("doctor", []),
            ("pin_run", [run]),
            ("cleanup_artifacts", ["--apply", "--keep", 0, "--days", 0]),
        ):
            said = call(name, *words, "--results-dir", case.results)
            assert "internal:" not in said.err, name
            assert said.code in (0, 1), (name, said)
    assert case.untouched()
    assert call("list_runs", "--results-dir", case.results).code == 0

"""Runs of every kind, made once a session; the page of each; and a real browser that tells what a page does."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config, runner
from peak_trade.errors import RunError
from peak_trade.report import inline, render
from peak_trade.report.page import open_page
from peak_trade.report.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<script>alert(1)</script> \"' ``` {{< include x >}} $x$ &amp; **b**"
STRATEGIES = """
import numpy as np


def steps(bars, *, length=7):
    return np.resize(np.repeat([0.0, 1.0, 0.5, -1.0], length), len(bars))


def never(bars):
    return np.zeros(len(bars))


def sold(bars):
    return -np.ones(len(bars))


def broken(bars, **words):
    raise ValueError(words.get("words") or "no idea")
"""


def without_ours(html: str) -> str:
    """Return a page without the scripts that are ours, and what they read: any other that is left is a stranger's."""
    for name in inline.SCRIPTS:
        html = html.replace(inline.script(name), "")
    data = r'<script(?= [^>]*type="application/json")(?: (?:type="application/json"|class="[a-z]+"))+>[^<>&`]*</script>'
    return re.sub(data, "", html)


def absent(what: str) -> None:
    """Skip a test for want of an optional part; where everything has to be there, fail."""
    if os.environ.get("PEAK_STRICT") == "1":
        pytest.fail(f"{what}, and PEAK_STRICT=1 makes every skip a failure")
    pytest.skip(f"warn: {what}")


def bars_csv(count: int) -> str:
    """Return hourly bars that swing and drift; eight of them rise to four times their price and fall again."""
    import numpy as np

    stamps = np.datetime64("2023-11-20", "s") + np.arange(count) * np.timedelta64(1, "h")
    closes = [round(100 + 8 * math.sin(hour / 9) + 0.02 * hour, 2) for hour in range(count)]
    if count == 8:
        closes = [100.0, 100.0, 150.0, 260.0, 400.0, 300.0, 200.0, 150.0]
    rows = [
        f"{stamp}Z,{close},{close + 0.5},{close - 0.5},{close},1" for stamp, close in zip(stamps, closes, strict=True)
    ]
    return "\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n"


def toml(strategy: str, *, bars: int, name: str = "", more: str = "") -> str:
    return f"""
[run]
name = {json.dumps(name or strategy)}
tags = {{ desk = {json.dumps(HOSTILE)} }}
[data]
path = "bars{bars}.csv"
symbol = "X"
timeframe = "1h"
source = {json.dumps(HOSTILE)}
[execution]
allow_short = true
fee_bps = 5
slippage_bps = 2
borrow_rate = 0.05
[strategy]
entrypoint = "own.py:{strategy}"
{more}
"""


KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "usual": (toml("steps", bars=1500, name="the usual"), ("strategy.params.length=9",)),
    "hostile": (toml("steps", bars=300, name=HOSTILE), ()),
    "idle": (toml("never", bars=300), ()),
    "one": (toml("steps", bars=1), ()),
    "two": (toml("steps", bars=2), ()),
    "unpriced": (toml("steps", bars=300, more='[stats]\nbenchmark = "none"'), ()),
    "long": (toml("steps", bars=100_000), ()),
    "sold": (toml("sold", bars=8), ()),
    "stopped": (toml("steps", bars=1500, more="[stops]\nstop_loss = 0.02\ntake_profit = 0.03"), ()),
    "failed": (toml("broken", bars=300, more=f"[strategy.params]\nwords = {json.dumps(HOSTILE)}"), ()),
}


class Runs:
    """A results directory with a run of each kind."""

    def __init__(self, folder: Path) -> None:
        self.root, self.results = folder, folder / "results"
        (folder / "own.py").write_text(STRATEGIES, encoding="utf-8")
        self.paths: dict[str, Path] = {}

    def make(self, kind: str, text: str, overrides: tuple[str, ...] = ()) -> Path:
        """Run a config and return its directory."""
        count = int(re.findall(r"bars(\d+)\.csv", text)[0])
        if not (bars := self.root / f"bars{count}.csv").exists():
            bars.write_text(bars_csv(count), encoding="utf-8")
        (self.root / f"{kind}.toml").write_text(text, encoding="utf-8")
        try:
            source = config.load(self.root / f"{kind}.toml", overrides)
            return runner.run(source, root=self.root, results=self.results)
        except RunError as error:
            return self.results / (error.run_id or "no evidence was left")

    def __getitem__(self, kind: str) -> Path:
        if kind not in self.paths:
            self.paths[kind] = self.make(kind, *KINDS[kind])
        return self.paths[kind]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy_of(runs: Runs, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a run that may be changed, beside a copy of its ledger."""

    def copied(kind: str) -> Path:
        source = runs[kind]
        shutil.copy(runs.results / "ledger.jsonl", tmp_path)
        made = tmp_path / source.name
        shutil.copytree(source, made, ignore=shutil.ignore_patterns("report"))
        for file in made.iterdir():
            file.chmod(0o644)
        return made

    return copied


class Html:
    """A page's HTML, and what it says."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.words = " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())

    def section(self, name: str) -> Html:
        """One section, by its id."""
        return Html(re.findall(rf'<section id="{name}">.*?</section>', self.html, re.DOTALL)[0])

    @property
    def sections(self) -> list[str]:
        return re.findall(r'<section id="([\w-]+)">', self.html)

    def values(self) -> dict[str, Any]:
        """The statistics that the page holds, unrounded."""
        return {
            key: json.loads(value) for key, value in re.findall(r'data-key="(\w+)" data-value="([^"]*)"', self.html)
        }

    def rows(self, table: str) -> list[list[str]]:
        """The words of each cell of the table of that label, its head first."""
        found = re.findall(rf'aria-label="{table}".*?</table>', self.html, re.DOTALL)[0]
        return [
            [Html(content).words for content in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr[^>]*>(.*?)</tr>", found, re.DOTALL)
        ]


def page_of(run_dir: Path) -> Html:
    """Return what the cells of the report show of a run, without a kernel."""
    page = open_page(str(run_dir), results=run_dir.parent)
    parts = [page.head(), *(page.section(name) for name in SECTIONS), page.foot()]
    return Html("".join(part.content for part in parts if part))


@pytest.fixture(scope="session")
def page() -> Callable[[Path], Html]:
    return page_of


@pytest.fixture(scope="session")
def builtin() -> Iterator[render.Builtin]:
    """The built-in renderer, with one kernel for all tests."""
    try:
        renderer = render.Builtin(ROOT / render.QMD)
    except render.MissingTools as error:
        absent(f"{error.message}; {error.hint}")
        raise
    with renderer:
        yield renderer


@pytest.fixture(scope="session")
def rendered(runs: Runs, builtin: render.Builtin) -> Callable[[str], Path]:
    """The HTML of a run of a kind, as it is now: a page says by what its run differs from the others that there are."""
    made: dict[str, tuple[int, Path]] = {}

    def of(kind: str) -> Path:
        run, beside = runs[kind], (runs.results / "ledger.jsonl").stat().st_size
        if made.get(kind, (0,))[0] != beside:
            made[kind] = beside, render.render(run, builtin).html
        return made[kind][1]

    return of


@pytest.fixture(scope="session")
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script as an operator does; `path` is the PATH it sees, before the interpreter's own folder."""

    def run(name: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / name), *words],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    return run


# --- a browser ----------------------------------------------------------------------------------------------------


class Browser:
    """A headless Chromium, spoken to over two pipes by the Chrome DevTools Protocol; it keeps what pages do."""

    def __init__(self, binary: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        words = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--proxy-server=127.0.0.1:9",  # else it calls home; what is on this machine goes by no proxy
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "chromium", binary, *words],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    _session: str | None = None

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; what is told meanwhile goes to `events`."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _receive(self, seconds: float = 60.0) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], seconds)
            assert ready, "the browser is silent"
            block = os.read(self._in, 1 << 20)
            assert block, "the browser is gone"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        if "method" in told:
            self.events.append(told)
        return told

    def open(self, path: Path, *, width: int = 1200, scheme: str = "light") -> None:
        """Load a file, at a width in px and in a colour scheme, and wait until it is loaded."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """Return the parameters of the events of these names since the page was opened."""
        return [event["params"] for event in self.events if event["method"] in methods]

    @property
    def complaints(self) -> list[str]:
        """What stands in the console, and what the browser itself complains of."""
        said = self.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(entry)[:300] for entry in said]

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return [str(event["request"]["url"]) for event in self.told("Network.requestWillBeSent")]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._out, b'{"id":0,"method":"Browser.close"}\0')
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        absent("no Chromium: apt-get install chromium")
        return
    profile = tmp_path_factory.mktemp("chromium")
    made = Browser(binary, profile)
    yield made
    made.close()
    for _ in range(20):  # its children may write for a moment longer
        with contextlib.suppress(OSError):
            shutil.rmtree(profile)
            break
        time.sleep(0.1)

"""What a report costs by the built-in renderer: processes as a person starts them, and how large the pages are.

Nearly all of a short one is the start: Python, the notebook's tools and the kernel, which a page of nothing pays too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from figures import Figure, config_of, figure, process, random_bars

from peak_trade import config, places, runner
from peak_trade.report import open_page
from peak_trade.report.render import OUTPUT, QMD
from peak_trade.report.sections import SECTIONS

__all__ = ["measure"]

_SHORT, _TABLED, _LONG = 10_000, 800_000, 1_000_000  # bars; those between have all trades on their page, just so
_NOTHING = '```{python}\n#| label: parameters\n#| tags: [parameters]\nrun_dir = "last"\n```\n'
_PAGE_OF_NOTHING = """
import sys
from pathlib import Path
from peak_trade.report.render import Builtin
with Builtin(Path(sys.argv[1])) as renderer:
    renderer.page(Path(sys.argv[2]))
"""


def measure(root: Path, *, repeat: int, runs: int = 100) -> Iterator[Figure]:
    """Measure single reports, `runs` of them with two kernels, and pages; nothing without the notebook's tools."""
    if any(find_spec(name) is None for name in ("ipykernel", "jupytext", "nbclient", "nbconvert")):
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        yield from _short(root, folder / "short", repeat)
        yield from _many(root, folder / "many", runs)
        for bars, what in ((_TABLED, "0.8 M bars, all trades on the page"), (_LONG, "1 M bars")):
            yield from _long(root, folder / str(bars), bars, what, min(repeat, 3))


def _run(root: Path, folder: Path, bars: int) -> Path:
    folder.mkdir()
    source = config.load(config_of(folder, random_bars(bars)))
    return runner.run(source, root=root, results=folder / "results")


def _words(root: Path, run: Path, *args: str) -> list[str]:
    script = str(root / "scripts" / "render_report.py")
    return [sys.executable, script, "--renderer", "builtin", "--results-dir", str(run.parent), *args]


def _short(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """One report of a short run, in turn with a page of nothing, and its sections without a kernel."""
    run, nothing = _run(root, folder, _SHORT), folder / "nothing"
    nothing.mkdir()
    (nothing / QMD.name).write_text(_NOTHING, encoding="utf-8")
    (nothing / "report.css").write_bytes((places.shipped(QMD).parent / "report.css").read_bytes())
    words = _words(root, run, run.name)
    bare = [sys.executable, "-c", _PAGE_OF_NOTHING, str(nothing / QMD.name), str(run)]
    pairs = [(process(words)[0], process(bare)[0]) for _ in range(repeat + 1)][1:]  # the first compiles
    whole, start = (list(column) for column in zip(*pairs, strict=True))
    share = statistics.median(one / other for other, one in pairs)
    yield figure("report: process: one of 10,000 bars", whole)
    yield figure("report: of it the start of Python, tools and kernel", start, f"{share:.0%} of it")
    yield figure("report: its sections alone, in process", [_sections(run) for _ in range(repeat + 1)][1:])
    yield _size("report: its page", run)


def _sections(run: Path) -> float:
    """Return how long every section takes that the document names, without what a notebook adds."""
    start = time.perf_counter()
    page = open_page(run, results=run.parent)
    page.head()
    for name in SECTIONS:
        page.section(name)
    page.foot()
    return time.perf_counter() - start


def _many(root: Path, folder: Path, runs: int) -> Iterator[Figure]:
    run = _run(root, folder, _SHORT)
    source = config.load(folder / "config.toml")
    for _ in range(runs - 1):
        runner.run(source, root=root, results=run.parent)
    seconds, _ = process(_words(root, run, "--all-missing"))
    yield Figure(f"report: process: --all-missing of {runs} runs", seconds, seconds, seconds, "s", "two kernels")


def _long(root: Path, folder: Path, bars: int, what: str, repeat: int) -> Iterator[Figure]:
    run = _run(root, folder, bars)
    yield figure(f"report: process: one of {what}", [process(_words(root, run, run.name))[0] for _ in range(repeat)])
    yield _size(f"report: the page of {what}", run)


def _size(name: str, run: Path) -> Figure:
    megabytes = (run / OUTPUT).stat().st_size / 1e6
    return Figure(name, megabytes, megabytes, megabytes, "MB")

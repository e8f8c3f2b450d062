"""`backtest_report.qmd` to one HTML file, by Quarto where it is installed, else by the built-in renderer.

Both execute the same cells, so sections and numbers are the same. A report replaces the one before it in one step or
not at all.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, Self

from peak_trade import places
from peak_trade.errors import RunError
from peak_trade.evidence import door
from peak_trade.evidence.results import Results
from peak_trade.report.builtin import Builtin
from peak_trade.report.quarto import NotInstalled, Quarto
from peak_trade.report.renderer import OUTPUT, CellRaised, MissingTools, Renderer
from peak_trade.trust.verdict import WHOLE

__all__ = [
    "OUTPUT",
    "QMD",
    "Builtin",
    "CellRaised",
    "MissingTools",
    "Quarto",
    "Rendered",
    "Renderer",
    "choose",
    "every",
    "loads_from_elsewhere",
    "missing",
    "put",
    "render",
    "replace",
    "show",
]

_LOG = logging.getLogger("peak_trade.report")
QMD = Path("reports") / "quarto" / "backtest_report.qmd"  # within the checkout
_KERNELS = 2


class Rendered(NamedTuple):
    """A report that was written, what wrote it, and what it says of the run's seal."""

    run_id: str
    html: Path
    renderer: str
    seal: str
    run_dir: Path
    content: str

    @property
    def faults(self) -> list[RunError]:
        """What is wrong with the run, though its report was written."""
        if self.seal in WHOLE:
            return []
        hint = f"just verify {self.run_id[:8]} says where"
        return [RunError(f"the seal of {self.run_id} is {self.seal}", hint=hint)]

    def to_json_object(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {"run_id": self.run_id, "html": str(self.html), "renderer": self.renderer, "seal": self.seal}


def render(
    run_dir: str | os.PathLike[str], renderer: Renderer, output: str | os.PathLike[str] | None = None
) -> Rendered:
    """Write a run's report to `output`, by default `report/backtest_report.html` in its directory.

    Raises RunError where a cell raises, where the page is not whole or would load anything from elsewhere, and where
    it can't be written; a report that is there already then stays as it is.
    """
    run_dir = Path(run_dir)
    path = run_dir / OUTPUT if output is None else Path(output)
    if output is not None:
        with suppress(OSError):
            if kind := places.taken(path):
                raise RunError(f"cannot write {path}: it is {kind}", hint="--output FILE")
    content = renderer.page(run_dir)
    marks = _checked(content, run_dir)
    put(run_dir, path, content.encode())
    return Rendered(run_dir.name, path, renderer.name, marks.seal, run_dir, content)


def every(
    run_dirs: Sequence[Path], name: str, qmd: Path, output: Path | None = None
) -> Generator[tuple[Path, Rendered | RunError]]:
    """Yield each run with its report, written as `render` does by `choose`'s renderer, or with why there is none.

    The built-in renderer has two kernels for several runs: while one works out a page, the other's is put together.
    Raises MissingTools where what the renderer needs is not installed.
    """
    if name != "builtin" or len(run_dirs) < 2:
        with choose(name, qmd) as renderer:
            for path in run_dirs:
                yield path, _tried(path, renderer, output)
        return
    todo: SimpleQueue[Path | None] = SimpleQueue()
    done: SimpleQueue[tuple[Path, Rendered | RunError] | BaseException] = SimpleQueue()
    for one in (*run_dirs, *[None] * _KERNELS):
        todo.put(one)

    def work(renderer: Renderer) -> None:
        try:
            with renderer:  # a kernel belongs to the loop of the thread that starts it
                for path in iter(todo.get, None):
                    done.put((path, _tried(path, renderer, output)))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.put(error)
        finally:
            Builtin.end_loop()

    renderers = [Builtin(qmd) for _ in range(_KERNELS)]
    with ThreadPoolExecutor(_KERNELS) as pool:
        try:
            for renderer in renderers:
                pool.submit(work, renderer)
            made: dict[Path, Rendered | RunError] = {}
            for path in run_dirs:
                while path not in made:
                    found = done.get()
                    if isinstance(found, BaseException):
                        raise found
                    made[found[0]] = found[1]
                yield path, made.pop(path)
        except BaseException:  # no further page is begun, and none is waited for
            with suppress(Empty):
                while True:
                    todo.get_nowait()
            for renderer in renderers:
                todo.put(None)
                renderer.kill()
            raise


def _tried(run_dir: Path, renderer: Renderer, output: Path | None) -> Rendered | RunError:
    try:
        return render(run_dir, renderer, output)
    except RunError as error:
        return error


def put(run_dir: Path, path: Path, content: bytes) -> None:
    """Write what was made of a run, in one step or not at all; RunError where it can't be written.

    Through the door where that is in the run's directory, wherever the person says otherwise.
    """
    inside, whole = Path(os.path.abspath(run_dir)), Path(os.path.abspath(path))
    try:
        if whole.is_relative_to(inside):
            door.replace(inside, whole.relative_to(inside).as_posix(), content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, content)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}", hint="check the folder and the disk, or name another by --output"
        ) from None


def _checked(content: str, run_dir: Path) -> _Marks:
    """Return what a page says of itself; RunError where it is another run's, or would load from elsewhere."""
    marks = _Marks.of(content)
    if marks.run != run_dir.name:
        raise RunError(f"the page that was made does not speak of the run {run_dir.name}")
    if marks.elsewhere:
        raise RunError(
            f"the page would load {marks.elsewhere[0]} from elsewhere",
            hint="a report is one file: no theme, font, script or picture of another host",
        )
    return marks


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in one step: whoever reads it sees the old one or the new one. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


# --- what a page says and does ------------------------------------------------------------------------------------


_IN_STYLE = re.compile(r"(?:@import\s+|url\(\s*)(?:url\()?[\"']?((?:https?:)?//[^\s\"')]+)", re.IGNORECASE)


class _Marks(HTMLParser):
    """Finds a page's verdict, and whatever it would load from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.run = self.seal = ""
        self.elsewhere: list[str] = []
        self._in_style = False

    @classmethod
    def of(cls, content: str) -> _Marks:
        marks = cls()
        marks.feed(content)
        return marks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "header" and not self.run:
            self.run, self.seal = given.get("data-run", ""), given.get("data-seal", "")
        self._in_style = tag == "style"
        for name, value in given.items():
            if name in ("src", "srcset", "poster", "data", "action", "xlink:href") or (name == "href" and tag != "a"):
                self.elsewhere += re.findall(r"(?:https?:)?//[^\s\"'<>]+", value)[:1]
            elif name == "style":
                self._style(value)

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._style(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def _style(self, css: str) -> None:
        self.elsewhere += _IN_STYLE.findall(css)


def loads_from_elsewhere(content: str) -> list[str]:
    """Return the addresses on other hosts that a page would load; a link that a reader may follow is none.

    >>> loads_from_elsewhere('<a href="https://a.example">a</a> <script src="//b.example/x.js"></script>')
    ['//b.example/x.js']
    """
    return _Marks.of(content).elsewhere


# --- which of them ------------------------------------------------------------------------------------------------


class _QuartoFirst:
    """Quarto, until it fails for a reason of its own; from then on the built-in renderer."""

    def __init__(self, quarto: Quarto) -> None:
        self._renderer: Renderer = quarto
        self._qmd = quarto.qmd

    @property
    def name(self) -> str:
        return self._renderer.name

    def page(self, run_dir: Path) -> str:
        if isinstance(self._renderer, Quarto):
            try:
                content = self._renderer.page(run_dir)
                _checked(content, run_dir)
                return content
            except CellRaised:
                raise
            except RunError as error:
                hint = f"; hint: {error.hint}" if error.hint else ""
                _LOG.warning("%s; the built-in renderer is used%s", error.message, hint)
                self._renderer = Builtin(self._qmd)
        return self._renderer.page(run_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._renderer.__exit__(*error)


def choose(name: str, qmd: Path) -> Renderer:
    """Return the renderer `quarto`, `builtin` or `auto`, which is Quarto where it is installed and works.

    That there is no Quarto is nothing to warn of: `just doctor` tells it.
    Raises MissingTools where what it needs is not installed.
    """
    if name == "builtin":
        return Builtin(qmd)
    try:
        quarto = Quarto(qmd)
    except MissingTools as error:
        if name == "quarto":
            raise
        builtin = Builtin(qmd)
        level = logging.INFO if isinstance(error, NotInstalled) else logging.WARNING
        _LOG.log(level, "%s: the built-in renderer is used", error.message)
        return builtin
    return quarto if name == "quarto" else _QuartoFirst(quarto)


def missing(results: Results) -> list[Path]:
    """Return the directories of the runs that have no report yet."""
    return [path for path in results.runs() if not door.exists(path, OUTPUT)]


def show(html: Path) -> None:
    """Open a report in the browser."""
    import webbrowser

    if not webbrowser.open(html.absolute().as_uri()):
        _LOG.warning("no browser could be started; hint: open %s", html)

"""`backtest_report.qmd` to one HTML file, by Quarto where it is installed, else by the built-in renderer.

Both execute the same cells, so sections and numbers are the same. The built-in renderer reads the qmd with jupytext (to
which `{python}` cells are R Markdown), executes it with nbclient in one kernel of this interpreter for any number of
runs, and takes the outputs to HTML with nbconvert. A report replaces the one before it in one step or not at all.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.run_dir import runs
from peak_trade.report.markup import FENCE

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
    "loads_from_elsewhere",
    "missing",
    "render",
    "replace",
    "show",
]

_LOG = logging.getLogger("peak_trade.report")
QMD = Path("reports") / "quarto" / "backtest_report.qmd"  # within the checkout
OUTPUT = Path("report") / "backtest_report.html"  # within a run directory
_OLDEST = (1, 5)  # of Quarto
_LONGEST = 600  # s, for a cell, and for Quarto
_OPTION = re.compile(r"^#\|\s*([\w-]+):\s*(.*?)\s*$", re.MULTILINE)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


class MissingTools(InputError):
    """What a renderer needs is not installed."""


class CellRaised(RunError):
    """A cell of the report raised."""


class Rendered(NamedTuple):
    """A report that was written, what wrote it, and what it says of the run's seal."""

    run_id: str
    html: Path
    renderer: str
    seal: str

    @property
    def faults(self) -> list[RunError]:
        """What is wrong with the run, though its report was written."""
        if self.seal == "intact":
            return []
        hint = f"just verify {self.run_id[:8]} says where"
        return [RunError(f"the seal of {self.run_id} is {self.seal}", hint=hint)]

    def to_json_object(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return self._asdict() | {"html": str(self.html)}


class Renderer(Protocol):
    """Makes the page of a run; a context, as it may hold a kernel."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    def page(self, run_dir: Path) -> str:
        """Return the HTML; RunError where a cell raises."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def render(run_dir: Path, renderer: Renderer, output: Path | None = None) -> Rendered:
    """Write a run's report to `output`, by default `report/backtest_report.html` in its directory.

    Raises RunError where a cell raises, where the page is not whole or would load anything from elsewhere, and where
    it can't be written; a report that is there already then stays as it is.
    """
    content = renderer.page(run_dir)
    marks = _checked(content, run_dir)
    path = run_dir / OUTPUT if output is None else output
    try:
        path.parent.mkdir(parents=output is not None, exist_ok=True)  # a run may have been removed meanwhile
        replace(path, content)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}", hint="check the folder and the disk") from None
    return Rendered(run_dir.name, path, renderer.name, marks.seal)


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


def replace(path: Path, content: str) -> None:
    """Write a text file in one step: whoever reads it sees the old one or the new one. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
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


# --- the built-in renderer ----------------------------------------------------------------------------------------


class Builtin:
    """Executes the qmd in a kernel of this interpreter, started once, and takes its outputs to HTML."""

    name = "builtin"

    def __init__(self, qmd: Path) -> None:
        self.qmd = qmd
        try:
            jupytext, nbclient, nbconvert, nbformat = map(
                import_module, ("jupytext", "nbclient", "nbconvert", "nbformat")
            )
            import_module("ipykernel")
        except ImportError as error:
            raise MissingTools(f"the report's tools are missing: {error}", hint="just setup experiments") from None
        except Exception as error:  # noqa: BLE001 - a broken installation of an optional part may raise anything
            raise MissingTools(f"the report's tools are broken: {error}", hint="just setup experiments") from None
        self._jupytext, self._nbclient, self._nbformat = jupytext, nbclient, nbformat
        self._exporter = nbconvert.HTMLExporter(
            template_name="basic",
            exclude_input=True,
            exclude_output_prompt=True,
            exclude_raw=True,
            exclude_anchor_links=True,
        )
        self._kernel: Any = None
        self._channels: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="peak_trade-report-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        self._folder.cleanup()

    def page(self, run_dir: Path) -> str:
        """Return the page of a run."""
        notebook = self._jupytext.reads(self.qmd.read_text(encoding="utf-8"), fmt="Rmd")
        given = self._nbformat.v4.new_code_cell(f"run_dir = {str(run_dir.absolute())!r}")
        notebook.cells.insert(_parameters(notebook.cells) + 1, given)
        errors = self._nbclient.exceptions
        name = ""
        try:
            client = self._client(notebook)
            for number, cell in enumerate(notebook.cells):
                name = _options(cell.source).get("label") or str(number)
                client.execute_cell(cell, number, store_history=False)
        except errors.CellExecutionError as error:
            raise _raised(name, error.ename, error.evalue) from None
        except errors.CellTimeoutError:
            self._stop()
            raise RunError(f"cell `{name}` of the report took longer than {_LONGEST} s") from None
        except RuntimeError as error:  # nbclient's and jupyter_client's word for a kernel that is gone
            self._stop()
            raise RunError(f"the kernel of the report died: {self._last_words() or error}") from None
        return self._html(notebook, run_dir.name)

    def _client(self, notebook: Any) -> Any:
        """Return a client for a notebook, on the one kernel, which is started if it is not there."""
        if self._kernel is None:
            self._kernel = self._start()
        client = self._nbclient.NotebookClient(
            notebook, km=self._kernel, timeout=_LONGEST, record_timing=False, store_widget_state=False
        )
        if self._channels is None:
            self._channels = client.start_new_kernel_client()
        client.kc = self._channels
        client.reset_execution_trackers()
        return client

    def _start(self) -> Any:
        """Start a kernel of this interpreter, whatever kernels the machine knows, without anybody's start-up files."""
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_core.utils import run_sync

        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]

        class ThisInterpreter(KernelSpecManager):
            def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
                return KernelSpec(argv=command, display_name="Python", language="python")

        folder = Path(self._folder.name)
        kernel = AsyncKernelManager(
            kernel_spec_manager=ThisInterpreter(), connection_file=str(folder / "connection.json")
        )
        environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        with (folder / "stderr").open("wb") as said:
            run_sync(kernel.start_kernel)(
                cwd=str(self.qmd.parent), env=environment, stdout=subprocess.DEVNULL, stderr=said
            )
        return kernel

    def _stop(self) -> None:
        from jupyter_core.utils import run_sync

        if self._channels is not None:
            self._channels.stop_channels()
        if self._kernel is not None:
            run_sync(self._kernel.shutdown_kernel)(now=True)
        self._channels = self._kernel = None

    def _last_words(self) -> str:
        lines = (Path(self._folder.name) / "stderr").read_text("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _html(self, notebook: Any, run_id: str) -> str:
        for cell in notebook.cells:
            shown = [output for output in cell.get("outputs", []) if "text/markdown" in output.get("data", {})]
            for output in shown:
                content = output["data"]["text/markdown"]
                output["data"] = {"text/markdown": content.removeprefix(FENCE[0]).removesuffix(FENCE[1])}
            if cell.cell_type == "code":
                cell.outputs = shown  # not what a library says on stderr, which Quarto leaves out too
        body, _ = self._exporter.from_notebook_node(notebook)
        css = (self.qmd.parent / "report.css").read_text(encoding="utf-8")
        return _PAGE.format(title=title_of(run_id), css=css, body=body.strip())


def title_of(run_id: str) -> str:
    """Return what a browser's tab shows."""
    return f"Backtest report {run_id[:8]}"


def _options(source: str) -> Mapping[str, str]:
    """Return a cell's options, written as Quarto reads them: `#| key: value`."""
    return dict(_OPTION.findall(source))


def _parameters(cells: list[Any]) -> int:
    for index, cell in enumerate(cells):
        if cell.cell_type == "code" and "parameters" in _options(cell.source).get("tags", ""):
            return index
    raise RunError("no cell of the report is tagged `parameters`")


def _raised(cell: str, kind: str, message: str) -> CellRaised:
    words = " ".join(message.split())[:300]
    return CellRaised(
        f"cell `{cell}` of the report raised {kind}" + (f": {words}" if words else ""),
        hint="the cell stands in reports/quarto/backtest_report.qmd",
    )


# --- Quarto -------------------------------------------------------------------------------------------------------


class Quarto:
    """Renders the qmd with the `quarto` binary, in a folder of its own, so that two at once don't meet.

    Raises MissingTools where there is none, or one that is too old.
    """

    name = "quarto"

    def __init__(self, qmd: Path) -> None:
        self.qmd = qmd
        binary = shutil.which("quarto")
        hint = "install Quarto 1.5 or newer, or use --renderer builtin"
        if binary is None:
            raise MissingTools("quarto is not installed", hint=hint)
        try:
            asked = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingTools(f"quarto does not run: {error}", hint=hint) from None
        found = re.match(r"\s*(\d+)\.(\d+)", asked.stdout)
        if asked.returncode or not found:
            raise MissingTools("quarto does not tell its version", hint=hint)
        if tuple(map(int, found.groups())) < _OLDEST:
            raise MissingTools(f"quarto {asked.stdout.strip()} is too old", hint=hint)
        self.binary = binary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held: Quarto starts and ends a kernel for each page."""

    def page(self, run_dir: Path) -> str:
        """Return the page of a run."""
        with tempfile.TemporaryDirectory(prefix="peak_trade-report-") as folder:
            qmd = Path(folder) / self.qmd.name
            for name in (self.qmd, self.qmd.parent / "report.css"):
                shutil.copy(name, folder)
            command = [
                self.binary, "render", qmd.name, "--to", "html",
                "-P", f"run_dir:{json.dumps(str(run_dir.absolute()))}",
                "-M", f"pagetitle:{title_of(run_dir.name)}",
            ]  # fmt: skip
            code, said = _call(command, folder)
            if code:
                raise _quarto_error(said)
            try:
                return qmd.with_suffix(".html").read_text(encoding="utf-8")
            except OSError:
                raise RunError("quarto left no page", hint="`quarto check` looks at its installation") from None


def _call(command: list[str], folder: str) -> tuple[int, str]:
    """Run Quarto and return its exit code and what it said; what it has started itself ends with it."""
    environment = {**os.environ, "QUARTO_PYTHON": sys.executable, "JUPYTER_PREFER_ENV_PATH": "1"}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise RunError(f"quarto does not run: {error.strerror}") from None
    with process:
        try:
            said, _ = process.communicate(timeout=_LONGEST)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise RunError(f"quarto took longer than {_LONGEST} s") from None
            raise
    return process.returncode, said


def _quarto_error(said: str) -> RunError:
    """Return what Quarto's output says of a failure: it names the cell as progress, and the exception at the end."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    cells = re.findall(r"^\s*Cell \d+/\d+: '([^']*)'", plain, re.MULTILINE)
    raised = re.findall(r"^(\w*(?:Error|Exception|Interrupt|Exit|Warning)): (.*)$", plain, re.MULTILINE)
    if cells and raised:
        return _raised(cells[-1], *raised[-1])
    last = next((line.strip() for line in reversed(plain.splitlines()) if line.strip()), "it said nothing")
    return RunError(f"quarto failed: {last[:300]}", hint="`quarto check` looks at its installation")


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
                _LOG.warning("%s; the built-in renderer is used; hint: %s", error.message, error.hint)
                self._renderer = Builtin(self._qmd)
        return self._renderer.page(run_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._renderer.__exit__(*error)


def choose(name: str, qmd: Path) -> Renderer:
    """Return the renderer `quarto`, `builtin` or `auto`, which is Quarto where it is installed and works.

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
        _LOG.warning("%s: the built-in renderer is used", error.message)
        return builtin
    return quarto if name == "quarto" else _QuartoFirst(quarto)


def missing(results: Path) -> list[Path]:
    """Return the directories of the runs that have no report yet."""
    return [path for path in runs(results) if not (path / OUTPUT).is_file()]


def show(html: Path) -> None:
    """Open a report in the browser."""
    import webbrowser

    if not webbrowser.open(html.absolute().as_uri()):
        _LOG.warning("no browser could be started; hint: open %s", html)

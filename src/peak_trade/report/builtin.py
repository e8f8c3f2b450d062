"""The built-in renderer: jupytext reads the qmd, nbclient executes it in one kernel, nbconvert makes the HTML."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from peak_trade.errors import RunError
from peak_trade.report import inline
from peak_trade.report.markup import FENCE
from peak_trade.report.renderer import LONGEST, MissingTools, raised, title_of

__all__ = ["Builtin"]

_OPTION = re.compile(r"^#\|\s*([\w-]+):\s*(.*?)\s*$", re.MULTILINE)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'{scripts}">
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
        self._exporter.register_filter("filter_data_type", lambda _: ["text/markdown"])  # the only one: see _html
        self._exporter.register_filter("highlight_code", lambda source, **_: source)
        # HTMLExporter's own reads the page once more and writes it anew, which takes longer than all the rest of it
        self._exported = nbconvert.TemplateExporter.from_notebook_node
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
                name = cell.id = _options(cell.source).get("label") or str(number)  # its own is another each time
                client.execute_cell(cell, number, store_history=False)
        except errors.CellExecutionError as error:
            raise raised(name, error.ename, error.evalue) from None
        except errors.CellTimeoutError:
            self._stop()
            raise RunError(f"cell `{name}` of the report took longer than {LONGEST} s") from None
        except RuntimeError as error:  # nbclient's and jupyter_client's word for a kernel that is gone
            self._stop()
            raise RunError(f"the kernel of the report died: {self._last_words() or error}") from None
        return self._html(notebook, run_dir.name)

    def kill(self) -> None:
        """End the page that another thread is at."""
        if self._kernel is not None:
            self._kernel.provisioner.process.kill()

    @staticmethod
    def end_loop() -> None:
        """Close the loop that a thread has had for its kernels, where it makes no more pages."""
        from jupyter_core.utils import ensure_event_loop

        ensure_event_loop().close()

    def _client(self, notebook: Any) -> Any:
        """Return a client for a notebook, on the one kernel, which is started if it is not there."""
        if self._kernel is None:
            self._kernel = self._start()
        client = self._nbclient.NotebookClient(
            notebook, km=self._kernel, timeout=LONGEST, record_timing=False, store_widget_state=False
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
        body, _ = self._exported(self._exporter, notebook)
        css = (self.qmd.parent / "report.css").read_text(encoding="utf-8")
        return _PAGE.format(title=title_of(run_id), css=css, body=body.strip(), scripts=inline.allowed(body))


def _options(source: str) -> Mapping[str, str]:
    """Return a cell's options, written as Quarto reads them: `#| key: value`."""
    return dict(_OPTION.findall(source))


def _parameters(cells: list[Any]) -> int:
    for index, cell in enumerate(cells):
        if cell.cell_type == "code" and "parameters" in _options(cell.source).get("tags", ""):
            return index
    raise RunError("no cell of the report is tagged `parameters`")

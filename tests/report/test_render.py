"""From the qmd to one HTML file: executed as it stands, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import without_ours

from peak_trade.errors import RunError
from peak_trade.report import builtin as builtin_module
from peak_trade.report import inline, render
from peak_trade.report import quarto as quarto_module
from peak_trade.report.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
QMD = ROOT / render.QMD


class Elements(HTMLParser):
    """What a browser makes of HTML, however it is written: tags with their attributes, and text; without the clock."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, sorted(attrs)))

    def handle_data(self, data: str) -> None:
        if text := re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "", data).strip():
            self.found.append(text)


def shown_by(html: str) -> list[object]:
    """The elements of the report itself, whatever a renderer puts around each cell."""
    parts = re.findall(r"<(?:header|nav|section|footer).*?</(?:header|nav|section|footer)>", html, re.DOTALL)
    return [element for part in parts for element in Elements(part).found]


def a_qmd(folder: Path, cell: str) -> Path:
    """The real qmd with one more cell, `extra`, before its end."""
    for name in ("report.css", QMD.name):
        shutil.copy(QMD.parent / name, folder)
    qmd = folder / QMD.name
    text = qmd.read_text(encoding="utf-8")
    before, fence, after = text.rpartition("```{python}")
    qmd.write_text(f"{before}{fence}\n#| label: extra\n{cell}\n```\n\n{fence}{after}", encoding="utf-8")
    return qmd


# --- the qmd ------------------------------------------------------------------------------------------------------


def test_the_qmd_has_a_cell_for_each_section_in_the_order_of_the_links() -> None:
    assert re.findall(r'^page\.section\("([\w-]+)"\)$', QMD.read_text(encoding="utf-8"), re.MULTILINE) == list(SECTIONS)


def test_every_cell_of_the_qmd_has_a_label_of_its_own() -> None:
    text = QMD.read_text(encoding="utf-8")
    labels = re.findall(r"```\{python\}\n#\| label: ([\w-]+)\n", text)
    assert len(labels) == text.count("```{python}") == len(set(labels))
    assert not set(labels) & set(SECTIONS)  # Quarto makes labels ids, and the sections have theirs


def test_the_front_matter_asks_for_nothing_from_elsewhere() -> None:
    yaml = pytest.importorskip("yaml")
    head = yaml.safe_load(QMD.read_text(encoding="utf-8").split("---")[1])
    html = head["format"]["html"]
    assert html.pop("include-in-header")[0]["text"].count("http-equiv") == 1
    assert html == {
        "minimal": True, "theme": "none", "css": "report.css", "embed-resources": True, "html-math-method": "plain",
        "html-table-processing": "none",
    }  # fmt: skip
    assert head["jupyter"] == "python3"
    assert head["execute"] == {"echo": False, "warning": False, "daemon": False}


def test_the_style_sheet_asks_for_nothing_from_elsewhere() -> None:
    css = (QMD.parent / "report.css").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|//", css)


# --- the built-in renderer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["usual", "hostile", "failed", "one"])
def test_the_page_is_what_the_cells_show(kind: str, rendered: Any, runs: Any, page: Any) -> None:
    html = rendered(kind).read_text(encoding="utf-8")
    assert shown_by(html) == shown_by(page(runs[kind]).html)


def test_the_page_is_one_file_without_scripts(rendered: Any) -> None:
    html = rendered("usual").read_text(encoding="utf-8")
    assert "<script" not in without_ours(html)
    assert render.loads_from_elsewhere(html) == []
    assert not re.search(r"<link|<img|<iframe|@import|src=", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize("name", inline.SCRIPTS)
def test_nothing_in_a_script_is_another_thing_to_quarto_pandoc_or_a_parser_of_html(name: str) -> None:
    script = inline.script(name).removeprefix("<script>").removesuffix("</script>")
    assert "\n\n" not in script  # ends a block of HTML
    assert not re.search(r"\{\{<|\{\{\{|^ *(```|~~~|:::)", script, re.MULTILINE)  # a shortcode, a fence
    assert not re.search(
        r"</|<!--|<script|<table|src=", script, re.IGNORECASE
    )  # an end, what Quarto or Pandoc looks for
    assert script.isprintable() or set(filter(lambda one: not one.isprintable(), script)) == {"\n"}


def test_a_page_made_again_has_the_same_bytes_but_for_when_it_was_checked(
    runs: Any, builtin: Any, tmp_path: Path
) -> None:
    pages = [render.render(runs["one"], builtin, tmp_path / name).html.read_text("utf-8") for name in "ab"]
    moment = r'<span class="moment">[^<]* UTC</span>'
    (first, once), (second, _) = (re.subn(moment, "", page) for page in pages)
    assert first == second
    assert once == 1


def test_no_source_code_is_on_the_page(rendered: Any) -> None:
    html = rendered("usual").read_text(encoding="utf-8")
    assert "page.section" not in html
    assert "Out[" not in html
    assert "pagetitle" not in html


def test_the_report_lies_in_the_run_directory_and_leaves_the_seal_intact(rendered: Any, runs: Any) -> None:
    from peak_trade.trust.verify import verify

    assert rendered("usual") == runs["usual"] / "report" / "backtest_report.html"
    assert verify(runs["usual"]).findings == []
    assert os.listdir(runs["usual"] / "report") == ["backtest_report.html"]


def test_a_report_can_be_written_elsewhere(builtin: Any, runs: Any, tmp_path: Path) -> None:
    made = render.render(runs["idle"], builtin, tmp_path / "a" / "b.html")
    assert made[:4] == (runs["idle"].name, tmp_path / "a" / "b.html", "builtin", "intact")
    assert stat.S_IMODE(made.html.stat().st_mode) == 0o644
    assert not (runs["idle"] / "report").exists()


def test_one_kernel_renders_one_run_after_another(
    builtin: Any, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = "import os\nfrom peak_trade.report.markup import raw\nraw(f'<p>kernel {os.getpid()}</p>')"
    monkeypatch.setattr(builtin, "qmd", a_qmd(tmp_path, pid))
    pages = [builtin.page(runs[kind]) for kind in ("one", "two")]
    assert [re.findall(r'data-run="([^"]*)"', page) for page in pages] == [[runs["one"].name], [runs["two"].name]]
    first, second = (re.findall(r"<p>kernel \d+", page) for page in pages)
    assert first == second != []


def test_a_cell_that_raises_is_named_and_the_old_report_stays(
    builtin: Any, copy_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = copy_of("usual")
    old = run_dir / render.OUTPUT
    old.parent.mkdir()
    old.write_text("the old one")
    folder = tmp_path / "qmd"
    folder.mkdir()
    monkeypatch.setattr(builtin, "qmd", a_qmd(folder, "1 / 0"))
    with pytest.raises(render.CellRaised) as caught:
        render.render(run_dir, builtin)
    assert caught.value.message == "cell `extra` of the report raised ZeroDivisionError: division by zero"
    assert old.read_text() == "the old one"
    assert os.listdir(old.parent) == [old.name]


def test_several_runs_come_in_their_order_as_each_alone_would(copy_of: Any, builtin: Any, tmp_path: Path) -> None:
    paths = [copy_of(kind) for kind in ("usual", "failed", "idle", "one")]
    (paths[2] / "report").write_text("in the way of a folder")
    found = list(render.every(paths, "builtin", QMD))
    assert [path for path, _ in found] == paths
    assert [isinstance(made, RunError) for _, made in found] == [False, False, True, False]
    checked = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    for path in paths[:2]:
        alone = render.render(path, builtin, tmp_path / "alone.html").content
        assert checked.sub("", (path / render.OUTPUT).read_text("utf-8")) == checked.sub("", alone)


@pytest.mark.usefixtures("builtin")
def test_what_goes_wrong_beside_a_page_is_told_and_nothing_goes_on(copy_of: Any, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("beside the page")

    monkeypatch.setattr(render, "put", broken)
    with pytest.raises(ZeroDivisionError, match="beside the page"):
        list(render.every([copy_of(kind) for kind in ("usual", "one", "idle")], "builtin", QMD))
    assert [one for one in threading.enumerate() if "ThreadPool" in one.name] == []


def test_a_kernel_that_dies_is_an_error_and_the_next_run_gets_a_new_one(
    builtin: Any, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(builtin, "qmd", a_qmd(tmp_path, "import os; os._exit(9)"))
        with pytest.raises(RunError, match="the kernel of the report died"):
            render.render(runs["one"], builtin, tmp_path / "x.html")
    assert render.render(runs["one"], builtin, tmp_path / "x.html").seal == "intact"


def test_a_page_that_would_load_from_elsewhere_is_refused(
    builtin: Any, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = "from peak_trade.report.markup import raw; raw('<img src=\"https://elsewhere.example/x.png\">')"
    monkeypatch.setattr(builtin, "qmd", a_qmd(tmp_path, image))
    with pytest.raises(RunError, match=r"would load https://elsewhere\.example/x\.png from elsewhere"):
        render.render(runs["one"], builtin, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_folder_that_cannot_be_written_is_an_error(builtin: Any, runs: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write "):
        render.render(runs["one"], builtin, tmp_path / "file" / "x.html")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<link rel="stylesheet" href="https://a.example/a.css">', ["https://a.example/a.css"]),
        ('<script src=//b.example/b.js></script>', ["//b.example/b.js"]),
        ("<style>@import url('https://c.example/c.css');</style>", ["https://c.example/c.css"]),
        ("<style>a { background: url(http://d.example/d.png) }</style>", ["http://d.example/d.png"]),
        ('<p style="background: url(//e.example/e.png)">', ["//e.example/e.png"]),
        ('<img srcset="https://f.example/f.png 2x">', ["https://f.example/f.png"]),
        ('<image xlink:href="https://g.example/g.png"/>', ["https://g.example/g.png"]),
        ('<a href="https://h.example">h</a> https://i.example <style>a{}</style> url(//j.example)', []),
        ('<link href="data:text/css,a{}"><svg xmlns="http://www.w3.org/2000/svg"></svg>', []),
    ],
)  # fmt: skip
def test_what_a_page_would_load_is_found(html: str, found: list[str]) -> None:
    assert render.loads_from_elsewhere(html) == found


# --- Quarto, which stands in for itself: it writes down what it was asked, and renders with the built-in -----------

STAND_IN = f"""#!{sys.executable}
import json, os, re, sys
from pathlib import Path
here = Path(__file__).parent
if sys.argv[1:] == ["--version"]:
    print(os.environ.get("QUARTO_SAYS", "1.7.32"))
    sys.exit()
(here / "asked.json").write_text(json.dumps([sys.argv[1:], os.getcwd(), os.environ["QUARTO_PYTHON"]]))
if os.environ.get("QUARTO_FAILS"):
    print(os.environ["QUARTO_FAILS"], file=sys.stderr)
    sys.exit(1)
if os.environ.get("QUARTO_DIES"):
    os.kill(os.getpid(), int(os.environ["QUARTO_DIES"]))
if os.environ.get("QUARTO_HANGS"):
    import subprocess
    subprocess.run(["sleep", os.environ["QUARTO_HANGS"]])
if os.environ.get("QUARTO_FORGETS"):
    sys.exit()
_, qmd, *options = sys.argv[1:]
given = dict(value.split(":", 1) for flag, value in zip(options, options[1:]) if flag in ("-P", "-M"))
from peak_trade.report import render
with render.Builtin(Path(qmd).absolute()) as builtin:
    page = builtin.page(Path(json.loads(given["run_dir"])))
title = given["pagetitle"]
page = re.sub("<title>.*?</title>", f"<title>{{title}}</title>{{os.environ.get('QUARTO_ADDS', '')}}", page, count=1)
Path(qmd).with_suffix(".html").write_text(page, encoding="utf-8")
"""


@pytest.fixture
def quarto(tmp_path: Path, builtin: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "quarto").write_text(STAND_IN)
    (folder / "quarto").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def test_quarto_gets_the_run_as_a_parameter_and_this_interpreter(
    quarto: Path, rendered: Any, runs: Any, tmp_path: Path
) -> None:
    made = render.render(runs["usual"], render.Quarto(QMD), tmp_path / "x.html")
    asked, folder, python = json.loads((quarto / "asked.json").read_text())
    assert asked == [
        "render", "backtest_report.qmd", "--to", "html", "-P", f'run_dir:"{runs["usual"]}"',
        "-M", f"pagetitle:Backtest report {runs['usual'].name[:8]}",
    ]  # fmt: skip
    assert python == sys.executable
    assert not Path(folder).exists()  # it worked in a folder of its own
    assert made.renderer == "quarto"
    assert shown_by(made.html.read_text("utf-8")) == shown_by(rendered("usual").read_text("utf-8"))
    assert f"<title>Backtest report {runs['usual'].name[:8]}</title>" in made.html.read_text("utf-8")


@pytest.mark.parametrize(
    ("said", "why"),
    [("1.4.550", "quarto 1.4.550 is too old"), ("", "does not tell its version"), ("0.9", "quarto 0.9 is too old")],
)
def test_a_quarto_that_is_too_old_counts_as_none(
    said: str, why: str, quarto: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTO_SAYS", said)
    with pytest.raises(render.MissingTools, match=why):
        render.Quarto(QMD)


def test_a_quarto_of_version_1_10_is_not_too_old(quarto: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTO_SAYS", "1.10.19")
    assert render.Quarto(QMD).binary == str(quarto / "quarto")


BEGUN = """
Starting python3 kernel...Done

Executing 'backtest_report.quarto_ipynb'
  Cell 1/17: 'parameters'...Done
"""
CELL_FAILED = f"""{BEGUN}  Cell 2/17: 'cell-equity'..
An error occurred while executing the following cell:
------------------
page.section("equity")
------------------

\x1b[0;31m---------------------------------------------------------------------------\x1b[0m
\x1b[0;31mValueError\x1b[0m                                Traceback (most recent call last)
\x1b[0;31mValueError\x1b[0m: not equity
"""
CELLS_DONE = f"""{BEGUN}  Cell 2/17: 'cell-equity'..Done
  Cell 17/17: 'end'..........Done

pandoc
  to: html
  output-file: backtest_report.html
metadata
  title: ValueError
"""
# What Quarto says where it fails for a reason of its own, by the stage it fails at, and its own words of that.
STAGES = {
    "before the cells": ("\nERROR: Jupyter is not available\n", "ERROR: Jupyter is not available"),
    "a kernel that died": (f"{BEGUN}  Cell 2/17: 'cell-equity'..\n\nERROR: Kernel died\n", "ERROR: Kernel died"),
    "Sass after the cells": (
        f"{CELLS_DONE}\n\x1b[31mERROR: Theme file compilation failed:\n\nError: Undefined variable.\x1b[39m\n"
        "\nStack trace:\n    at dartCommand (quarto.js:59894:15)\n    at async compileSass (quarto.js:59946:12)\n",
        "ERROR: Theme file compilation failed: Error: Undefined variable.",
    ),
    "Pandoc after the cells": (
        f"{CELLS_DONE}\nError running filter main.lua:\nOSError: cannot open quarto.lua\n",
        "Error running filter main.lua: OSError: cannot open quarto.lua",
    ),
    "Pandoc without the word": (f"{CELLS_DONE}\npandoc: report.css: not found\n", "pandoc: report.css: not found"),
    "nothing said": ("", "it said nothing"),
}  # fmt: skip


def test_the_cell_that_quarto_failed_at_is_named(
    quarto: Path, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTO_FAILS", CELL_FAILED)
    for name in ("quarto", "auto"):
        with pytest.raises(render.CellRaised) as caught:
            render.render(runs["one"], render.choose(name, QMD), tmp_path / "x.html")
        assert caught.value.message == "cell `cell-equity` of the report raised ValueError: not equity"


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("stage", STAGES)
def test_where_quarto_fails_for_a_reason_of_its_own_the_other_renderer_steps_in(
    stage: str,
    quarto: Path,
    runs: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    said, words = STAGES[stage]
    monkeypatch.setenv("QUARTO_FAILS", said or " ")
    with pytest.raises(RunError) as caught:
        render.render(runs["one"], render.choose("quarto", QMD), tmp_path / "x.html")
    assert (type(caught.value), caught.value.message) == (RunError, f"quarto failed: {words}")
    with render.choose("auto", QMD) as renderer:
        assert renderer.name == "quarto"
        assert render.render(runs["one"], renderer, tmp_path / "x.html").renderer == "builtin"
        assert render.render(runs["two"], renderer, tmp_path / "y.html").renderer == "builtin"
    (warning,) = warned(caplog)  # once, however many runs follow
    assert warning == (
        f"quarto failed: {words}; the built-in renderer is used; hint: `quarto check` looks at its installation"
    )


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("QUARTO_DIES", "9", "quarto was ended by SIGKILL"),
        ("QUARTO_HANGS", "1234.25", "quarto took longer than 1 s"),
        ("QUARTO_FORGETS", "1", "quarto left no page"),
    ],
)
def test_a_quarto_that_dies_hangs_or_leaves_no_page_is_stood_in_for(
    setting: str,
    value: str,
    words: str,
    quarto: Path,
    runs: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(quarto_module, "LONGEST", 1)
    monkeypatch.setenv(setting, value)
    with render.choose("auto", QMD) as renderer:
        assert render.render(runs["one"], renderer, tmp_path / "x.html").renderer == "builtin"
    assert [warning.split(";")[0] for warning in warned(caplog)] == [words]


def test_a_quarto_that_works_is_neither_warned_of_nor_stood_in_for(
    quarto: Path, runs: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with render.choose("auto", QMD) as renderer:
        assert render.render(runs["one"], renderer, tmp_path / "x.html").renderer == "quarto"
    assert warned(caplog) == []


def test_what_quarto_left_is_looked_at_whatever_its_exit_code(
    quarto: Path, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("QUARTO_FORGETS", "1")
        with pytest.raises(RunError, match="quarto left no page"):
            render.render(runs["one"], render.Quarto(QMD), tmp_path / "x.html")
    monkeypatch.setenv("QUARTO_ADDS", '<link href="https://fonts.example/css" rel="stylesheet">')
    with pytest.raises(RunError, match=r"would load https://fonts\.example/css from elsewhere"):
        render.render(runs["one"], render.Quarto(QMD), tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_quarto_that_hangs_is_ended_with_all_that_it_started(
    quarto: Path, runs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarto_module, "LONGEST", 1)
    monkeypatch.setenv("QUARTO_HANGS", "1234.5")
    with pytest.raises(RunError, match="quarto took longer than 1 s"):
        render.Quarto(QMD).page(runs["one"])
    for _ in range(600):  # it was told to end; a busy machine takes a moment to do it
        if not (left := [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x001234.5" in _content(p)]):
            break
        time.sleep(0.1)
    assert left == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_that_there_is_no_quarto_is_information(
    builtin: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level("INFO"), render.choose("auto", QMD) as renderer:
        assert renderer.name == "builtin"
    told = [(record.levelname, record.getMessage()) for record in caplog.records if "quarto" in record.getMessage()]
    assert told == [("INFO", "quarto is not installed: the built-in renderer is used")]
    with pytest.raises(render.MissingTools, match="quarto is not installed"):
        render.choose("quarto", QMD)


def test_a_quarto_that_is_there_and_can_not_be_used_is_a_warning(
    quarto: Path, builtin: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QUARTO_SAYS", "1.4.550")
    with render.choose("auto", QMD) as renderer:
        assert renderer.name == "builtin"
    assert warned(caplog) == ["quarto 1.4.550 is too old: the built-in renderer is used"]


@pytest.mark.parametrize("absent", ["jupytext", "nbclient", "nbconvert", "ipykernel"])
def test_without_the_tools_the_extra_is_named(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(render.MissingTools) as caught:
        render.choose("builtin", QMD)
    assert caught.value.hint == "just setup experiments"
    assert caught.value.exit_code == 2


def test_tools_that_are_broken_count_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise AttributeError(f"module {name} has no attribute 'x'")

    monkeypatch.setattr(builtin_module, "import_module", broken)
    with pytest.raises(render.MissingTools, match="the report's tools are broken: module jupytext has no attribute"):
        render.choose("builtin", QMD)

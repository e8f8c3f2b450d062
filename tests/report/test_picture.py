"""Pictures of a page by a real Chromium: what is in them, what is not, and that taking one reaches nothing."""

from __future__ import annotations

import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import absent

from peak_trade.errors import InputError, RunError
from peak_trade.report import picture, render

ROOT = Path(__file__).resolve().parents[2]
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>A page</title><style>
body { margin: 0; background: #fff; } div { background: #05f; height: 100px; }
@media (prefers-color-scheme: dark) { body { background: #111; } }
</style></head><body><section id="equity"><div></div></section>MORE</body></html>"""
LONG = f"1234.{os.getpid()}"  # s: known among those of tests that run beside these
HANGS = f"#!/bin/sh\nsleep {LONG} &\nsleep {LONG}\n"


@pytest.fixture(scope="module")
def chromium() -> str:
    try:
        return picture.browser()
    except render.MissingTools as error:
        absent(f"{error.message}; {error.hint}")
        raise


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def program(folder: Path, words: str) -> str:
    """Write a stand-in for a browser."""
    path = folder / "chromium"
    path.write_text(words, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def pixels(png: bytes) -> Any:
    """Return a picture's pixels, rows by columns by colours."""
    import numpy as np

    try:
        from PIL import Image
    except ImportError:
        absent("no Pillow; just setup experiments")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def left_running() -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path] if f"sleep\0{LONG}".encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


def none_is_left() -> bool:
    """Tell whether what was ended is gone; a busy machine takes a moment."""
    for _ in range(100):
        if not left_running():
            return True
        time.sleep(0.1)
    return False


# --- what is in it ------------------------------------------------------------------------------------------------


def test_a_picture_is_as_wide_as_asked_and_ends_below_the_last_line(chromium: str) -> None:
    seen = pixels(picture.take(PAGE.replace("MORE", ""), "png", program=chromium, width=640))
    # 100 px of blue below 32 px of padding, and 24 px of what is blank
    assert seen.shape[1] == 640
    assert [tuple(int(x) for x in seen[row, 320]) for row in (80, -1)] == [(0, 85, 255), (255, 255, 255)]
    blue = (seen[:, 320] == (0, 85, 255)).all(axis=1).nonzero()[0]
    assert len(blue) == 100
    assert len(seen) - 1 - blue[-1] == 25  # the last row said over and over, and 24 more of it


def test_a_picture_of_the_dark_scheme_is_dark(chromium: str) -> None:
    for dark, expected in ((False, 255), (True, 0x11)):
        seen = pixels(picture.take(PAGE.replace("MORE", ""), "png", program=chromium, width=400, dark=dark))
        assert int(seen[-1, 5, 0]) == expected


def test_nothing_below_the_top_is_in_it(chromium: str) -> None:
    more = '<section id="equity-more"><div></div></section><nav>x</nav><footer>x</footer><details>x</details>'
    whole = picture.take(PAGE.replace("MORE", ""), "png", program=chromium, width=400)
    assert picture.take(PAGE.replace("MORE", more), "png", program=chromium, width=400) == whole
    shown = '<section id="statistics"><div></div></section>'  # control: another section of the top is seen
    assert len(pixels(picture.take(PAGE.replace("MORE", shown), "png", program=chromium, width=400))) > len(
        pixels(whole)
    )


def test_no_script_runs_and_nothing_is_asked_of_a_host(chromium: str, asked: tuple[str, list[str]]) -> None:
    server, paths = asked
    script = "<script>document.querySelector('div').style.background = '#f00'</script>"
    page = PAGE.replace(
        "MORE", f"{script}<img src='{server}/picture'><img src='{server.replace('127.0.0.1', 'localhost')}/x'>"
    )
    seen = pixels(picture.take(page, "png", program=chromium, width=400))
    assert tuple(int(x) for x in seen[80, 200]) == (0, 85, 255)
    assert paths == []


def test_control_without_what_holds_it_back_a_page_does_both(
    chromium: str, asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, paths = asked
    script = "<script>document.querySelector('div').style.background = '#f00'</script>"
    monkeypatch.setattr(picture, "_OPTIONS", ("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"))
    monkeypatch.setattr(picture, "_STILL", "")
    seen = pixels(
        picture.take(PAGE.replace("MORE", f"{script}<img src='{server}/picture'>"), "png", program=chromium, width=400)
    )
    assert tuple(int(x) for x in seen[80, 200]) == (255, 0, 0)
    assert "/picture" in paths


def test_a_link_to_a_file_leads_nowhere_and_those_of_the_page_and_the_web_do() -> None:
    page = '<head></head><a class="x" href="../trials.parquet">t</a><a href="#equity">e</a><a href="https://a.example/">w</a>'
    still = picture._still(page, "")
    assert still.partition("</head>")[2] == (
        '<a class="x">t</a><a href="#equity">e</a><a href="https://a.example/">w</a>'
    )


def test_a_pdf_names_neither_a_file_nor_a_folder_of_this_machine(chromium: str, rendered: Any) -> None:
    content = picture.take(rendered("usual").read_text("utf-8"), "pdf", program=chromium)
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    streams = b"".join(_streams(content))
    for words in (b"file:", b"/tmp/", b"peak_trade-picture"):
        assert words not in content + streams


def _streams(pdf: bytes) -> Iterator[bytes]:
    for part in pdf.split(b"stream\n")[1:]:
        try:
            yield zlib.decompressobj().decompress(part)
        except zlib.error:
            continue


def test_a_row_is_blank_where_it_says_what_the_last_one_does() -> None:
    """By hand: 2 px by 40 rows of grey, of which the first two are drawn on."""
    rows = b"\0\1\2" + b"\0\3\4" + b"\0\xff\xff" * 38
    head = (2).to_bytes(4, "big") + (40).to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    chunks = (picture._chunk(b"IHDR", head), picture._chunk(b"IDAT", zlib.compress(rows)), picture._chunk(b"IEND", b""))
    seen = pixels(picture.cut(picture._SIGNATURE + b"".join(chunks)))
    assert seen.shape == (2 + 24, 2, 3)
    assert seen[:3, :, 0].tolist() == [[1, 2], [3, 4], [255, 255]]


# --- which browser, and one that fails ----------------------------------------------------------------------------


def test_where_there_is_none_it_is_said_with_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PEAK_BROWSER", raising=False)
    with pytest.raises(render.MissingTools, match="no picture: there is no Chromium") as caught:
        picture.browser()
    assert "PEAK_BROWSER=/path/to/chrome" in (caught.value.hint or "")


def test_the_one_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = program(tmp_path, HANGS)
    monkeypatch.setenv("PEAK_BROWSER", named)
    assert picture.browser() == named
    monkeypatch.setenv("PEAK_BROWSER", f"{named}-not")
    with pytest.raises(InputError, match="PEAK_BROWSER names no program"):
        picture.browser()


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LONGEST", 1.0)
    with pytest.raises(RunError, match="took longer than 1 s over the picture"):
        picture.take(PAGE, "png", program=program(tmp_path, HANGS))
    assert none_is_left()


def test_one_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    words = (
        "import sys; from peak_trade.report import picture; picture.take('<head></head>', 'png', program=sys.argv[1])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", words, program(tmp_path, HANGS)], env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(200):
        if len(left_running()) == 2:
            break
        time.sleep(0.1)
    assert len(left_running()) == 2  # control: they are there
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) != 0
    assert none_is_left()
    assert [path.name for path in tmp_path.iterdir()] == ["chromium"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("#!/bin/sh\necho 'cannot open display' >&2\nexit 3\n", "cannot open display"),
        ("#!/bin/sh\nexit 0\n", "exit code 0"),
    ],
)
def test_one_that_takes_no_picture_is_told_of_in_its_own_words(words: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"took no picture: {said}"):
        picture.take(PAGE, "pdf", program=program(tmp_path, words))


@pytest.mark.parametrize("kind", picture.KINDS)
def test_a_picture_that_was_cut_short_is_none(kind: str, chromium: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(picture.take(PAGE, kind))
    option = {"png": "--screenshot", "pdf": "--print-to-pdf"}[kind]
    for left in (whole.stat().st_size - 2, whole.stat().st_size // 2, 20, 8):
        asked = f"for word; do case $word in {option}=*) made=${{word#*=}};; esac; done"
        words = f"#!/bin/sh\n{asked}\nhead -c LEFT {whole} >$made"
        with pytest.raises(RunError, match="took half a picture: Killed"):
            picture.take(
                PAGE, kind, program=program(tmp_path, words.replace("LEFT", str(left)) + "; echo Killed >&2\n")
            )
    taken = picture.take(PAGE, kind, program=program(tmp_path, words.replace("-c LEFT", "-c 9999999")))
    assert taken  # the control: all of it is taken


# --- as an operator asks for it -----------------------------------------------------------------------------------


def test_pictures_lie_beside_the_page(chromium: str, copy_of: Any, script: Any, builtin: Any) -> None:
    run_dir = copy_of("one")
    words = (run_dir.name, "--results-dir", str(run_dir.parent), "--renderer", "builtin", "--png", "--pdf")
    done = script("render_report.py", *words)
    assert (done.returncode, done.stderr) == (0, "")
    paths = [run_dir / render.OUTPUT, *(run_dir / "report" / f"backtest_report.{kind}" for kind in picture.KINDS)]
    assert done.stdout.splitlines() == [str(path) for path in paths]
    assert sorted(path.name for path in (run_dir / "report").iterdir()) == sorted(path.name for path in paths)
    assert pixels(paths[1].read_bytes()).shape[1] == 1280


def test_without_a_browser_the_report_is_made_and_the_picture_is_exit_2(
    copy_of: Any, script: Any, builtin: Any, tmp_path: Path
) -> None:
    run_dir = copy_of("one")
    words = (run_dir.name, "--results-dir", str(run_dir.parent), "--renderer", "builtin", "--png", "--pdf")
    nowhere = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PEAK_BROWSER": ""}
    done = script("render_report.py", *words, **nowhere)
    assert (done.returncode, done.stdout) == (2, f"{run_dir / render.OUTPUT}\n")
    assert done.stderr.startswith("error: no picture: there is no Chromium\nhint: install")
    done = script("render_report.py", *words, "--optional", **nowhere, PEAK_STRICT="0")
    assert (done.returncode, done.stdout) == (0, f"{run_dir / render.OUTPUT}\n")
    assert done.stderr.startswith("warn: no picture: there is no Chromium\nhint: install")
    assert script("render_report.py", *words, "--optional", **nowhere, PEAK_STRICT="1").returncode == 2


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_report_that_is_ended_leaves_nothing_behind(
    ends: signal.Signals, copy_of: Any, builtin: Any, tmp_path: Path
) -> None:
    run_dir, aside = copy_of("one"), tmp_path / "aside"
    aside.mkdir()
    words = (run_dir.name, "--results-dir", str(run_dir.parent), "--renderer", "builtin", "--png")
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "render_report.py"), *words],
        env={**os.environ, "TMPDIR": str(aside), "PEAK_BROWSER": program(tmp_path, HANGS)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(400):
        if len(left_running()) == 2:
            break
        time.sleep(0.1)
    there = len(left_running()), len(list(aside.iterdir()))
    child.send_signal(ends)
    _, said = child.communicate(timeout=20)
    assert there == (2, 2)  # control: they and the kernel were there
    assert (child.returncode, said) == (1, "error: interrupted\n")
    assert none_is_left()
    assert list(aside.iterdir()) == []
    assert os.listdir(run_dir / "report") == ["backtest_report.html"]


def test_where_nothing_temporary_can_be_written_the_report_is_there_all_the_same(
    chromium: str, copy_of: Any, builtin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = render.render(copy_of("one"), builtin)
    monkeypatch.setattr("tempfile.tempdir", "/proc")  # in which nobody makes a folder
    taken, lacking = picture.beside(made, ["png"])
    assert (taken, len(lacking)) == ({}, 1)
    assert lacking[0].message.startswith("no picture: No such file or directory: /proc/peak_trade-picture-")
    assert "TMPDIR" in str(lacking[0].hint)
    monkeypatch.undo()  # the control
    assert picture.beside(made, ["png"]) == ({"png": str(made.html.with_suffix(".png"))}, [])


def test_a_picture_that_fails_leaves_the_one_before_as_it_was(
    copy_of: Any, script: Any, builtin: Any, tmp_path: Path
) -> None:
    run_dir = copy_of("one")
    before = run_dir / "report" / "backtest_report.png"
    before.parent.mkdir()
    before.write_bytes(b"the one before")
    dies = program(tmp_path, "#!/bin/sh\nkill -9 $$\n")
    words = (run_dir.name, "--results-dir", str(run_dir.parent), "--renderer", "builtin", "--png")
    done = script("render_report.py", *words, PEAK_BROWSER=dies)
    assert (done.returncode, done.stdout) == (1, f"{run_dir / render.OUTPUT}\n")
    assert before.read_bytes() == b"the one before"


def test_a_page_that_has_the_name_of_a_picture_stays(copy_of: Any, script: Any, builtin: Any, tmp_path: Path) -> None:
    run_dir, output = copy_of("one"), tmp_path / "x.png"
    words = (run_dir.name, "--results-dir", str(run_dir.parent), "--renderer", "builtin", "--output", str(output))
    refused = script("render_report.py", *words, "--png")
    assert refused.returncode == 2
    assert refused.stderr == f"error: {output} is the page, not its picture\nhint: --output {tmp_path / 'x.html'}\n"
    assert output.read_bytes().startswith(b"<!doctype html>")


def test_a_kind_of_page_that_there_is_not_is_refused_with_those_that_there_are(script: Any) -> None:
    refused = script("pictures/pictures.py", "holiday")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no such kind of page: holiday\nhint: report, faster, hourly, ruined, ")

"""Pictures of a page: its top as PNG, the whole of it as PDF, by a headless Chromium where there is one.

Chromium's own command line takes them, of a copy in which no script runs: what is pictured is the page as it stands.
It has a profile of its own, which goes with it, and reaches no host, this machine's neither.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from peak_trade import places
from peak_trade.call import NOT_FOUND, TIMED_OUT, call
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.report.render import Rendered, put
from peak_trade.report.renderer import MissingTools

__all__ = ["KINDS", "beside", "browser", "cut", "take"]

KINDS = ("png", "pdf")
WIDTH = 1280  # px, of a picture that nobody has given a width
LONGEST = 60.0  # s
_HIGHEST, _TOP_HIGHEST = 16_000, 4000  # px, of the window; the first is as high as Chromium draws
_MARGIN = 24  # px that are left blank below the last line
_NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
    "microsoft-edge-stable", "brave-browser",
)  # fmt: skip
_APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")  # macOS has them on no PATH
_OPTIONS = (
    "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--hide-scrollbars", "--force-device-scale-factor=1", "--disable-extensions",
    # the discard port is the proxy of everything, this machine too; no name leads anywhere
    "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_STILL = """<meta http-equiv="Content-Security-Policy" content="script-src 'none'">"""
_TOP = """<style>
body { max-width: none; padding: 2rem; }
nav, footer, details:not([open]), .skip, section:not(
  #failure, #ruin, #search, #differs, #verdict, #heat, #statistics, #equity) { display: none; }
</style>"""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WHOLE = {"png": (_SIGNATURE, b"\0\0\0\0IEND\xaeB`\x82"), "pdf": (b"%PDF-", b"%%EOF")}
"""How a file of each kind begins and ends: one that was cut short has no end."""


def browser() -> str:
    """Return the path of a Chromium or of one of its kin: `$PEAK_BROWSER`, else on PATH, else among the applications.

    Raises MissingTools where there is none, InputError where `$PEAK_BROWSER` names no program.
    """
    if named := os.environ.get("PEAK_BROWSER"):
        if found := shutil.which(named):
            return found
        raise InputError(f"PEAK_BROWSER names no program: {named}", hint="unset it, or name Chromium or Chrome")
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        for name in _APPLICATIONS:
            if os.access(program := folder / f"{name}.app" / "Contents" / "MacOS" / name, os.X_OK):
                return str(program)
    hint = "install Chromium or Chrome, or name one that is elsewhere: PEAK_BROWSER=/path/to/chrome"
    raise MissingTools("no picture: there is no Chromium", hint=hint)


def beside(made: Rendered, kinds: Iterable[str]) -> tuple[dict[str, str], list[PeakError]]:
    """Take pictures of a report that was made, and write them beside it, under its name.

    Returns the paths by their kinds, and why others could not be taken or written: the report is there all the same.
    """
    taken: dict[str, str] = {}
    lacking: list[PeakError] = []
    for kind in kinds:
        path = made.html.with_suffix(f".{kind}")
        try:
            if path == made.html:
                raise InputError(f"{path} is the page, not its picture", hint=f"--output {path.with_suffix('.html')}")
            with suppress(OSError):
                if there := places.taken(path):
                    raise RunError(f"cannot write {path}: it is {there}", hint="--output FILE")
            put(made.run_dir, path, take(made.content, kind))
        except PeakError as error:
            lacking.append(error)
        except OSError as error:  # of the folder in which it is taken
            why = f"no picture: {error.strerror}: {error.filename or tempfile.gettempdir()}"
            lacking.append(RunError(why, hint="check the disk, or name another folder for what is temporary: TMPDIR"))
        else:
            taken[kind] = str(path)
    return taken, lacking


def take(
    page: str, kind: str, *, program: str | None = None, width: int = WIDTH, dark: bool = False, whole: bool = False
) -> bytes:
    """Return a picture of a page's HTML: of the kind `png` its top, `width` px wide, of the kind `pdf` all of it.

    The top (unless `whole`) has the verdict, the key figures, and the equity: nothing of the page below that, and
    nothing that is there to be clicked. Raises MissingTools where there is no browser, RunError where it makes none,
    within `LONGEST` s.
    """
    program = program or browser()
    with tempfile.TemporaryDirectory(prefix="peak_trade-picture-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "page.html").write_text(_still(page, "" if whole or kind == "pdf" else _TOP), encoding="utf-8")
        made = folder / f"picture.{kind}"
        if kind == "pdf":  # without the lines that name the file and the time; the second word is older browsers'
            wanted = [f"--print-to-pdf={made}", "--no-pdf-header-footer", "--print-to-pdf-no-header"]
        else:
            wanted = [f"--screenshot={made}", f"--window-size={width},{_HIGHEST if whole else _TOP_HIGHEST}"]
        words = [*_OPTIONS, *wanted, f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        words += ["--no-sandbox"] * (os.geteuid() == 0)  # which root can't have
        done = call(
            program, *words, f"--user-data-dir={folder / 'profile'}", (folder / "page.html").as_uri(),
            cwd=folder, timeout_s=LONGEST,
        )  # fmt: skip
        content = made.read_bytes() if made.is_file() else b""
    if done.code == TIMED_OUT:
        raise RunError(f"{program} took longer than {LONGEST:g} s over the picture")
    begins, ends = _WHOLE[kind]
    if done.code == NOT_FOUND or not (content.startswith(begins) and content.rstrip().endswith(ends)):
        what = "half a picture" if content else "no picture"
        hint = f"{program} --headless --screenshot PAGE tries it by hand; PEAK_BROWSER names another browser"
        raise RunError(f"{program} took {what}: {done.reason}", hint=hint)
    return content if kind == "pdf" else cut(content)


def _still(page: str, style: str) -> str:
    """Return a page in which no script runs, and none of whose links leads to a file of this machine."""
    page = re.sub(r'(<a\b[^>]*?) href="(?!#|https?://)[^"]*"', r"\1", page)
    head, end, rest = page.partition("</head>")
    return f"{head}{_STILL}{style}{end}{rest}"


def cut(png: bytes) -> bytes:
    """Return a PNG without the blank at its foot, but for a margin: rows that say the same over and over.

    Rows of a PNG are told by what is next to them; as none but the last are left out, the others stay as they are.
    Interlaced ones are returned as they are.
    """
    chunks = list(_chunks(png))
    wide, high, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if interlaced:
        return png
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    size = 1 + (wide * samples * depth + 7) // 8
    data = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    last, left = data[-size:], high
    while left and data[(left - 1) * size : left * size] == last:
        left -= 1
    left = min(high, left + _MARGIN)
    head = struct.pack(">I", left).join((chunks[0][1][:4], chunks[0][1][8:]))
    kept = [(b"IHDR", head), (b"IDAT", zlib.compress(data[: left * size])), (b"IEND", b"")]
    palette = [one for one in chunks if one[0] in (b"PLTE", b"tRNS")]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in [kept[0], *palette, *kept[1:]])


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG, in order: kind and content."""
    found, at = [], len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

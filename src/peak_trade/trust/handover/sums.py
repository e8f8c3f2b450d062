"""Is an archive as a whole what was packed? The runs in it are checked one by one, by `verify`."""

from __future__ import annotations

import re
from pathlib import Path

from peak_trade.evidence import door
from peak_trade.trust.handed import DATA, Package
from peak_trade.trust.verdict import Verdict

__all__ = ["SUMS", "check"]

SUMS = "sha256sums.txt"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_BARS = re.compile(rf"{DATA}/([0-9a-f]{{64}})\.bars")


def check(name: str, package: Package) -> Verdict:
    """Hold the files of an archive against the list that it carries, and files of bars against their names."""
    verdict, folder = Verdict(name), package.folder
    if folder is None:
        return verdict
    if SUMS not in package.names:
        verdict.skip(SUMS, "it has none, so only the runs in it are checked")
        return verdict
    listed = _listed(verdict, folder)
    for file in package.names:
        if file != SUMS and file not in listed and not _beside(file):
            verdict.add(file, f"only what {SUMS} lists", "another file")
    for file, sha256 in listed.items():
        bars = _BARS.fullmatch(file)
        if bars and bars[1] != sha256:
            verdict.add(SUMS, f"sha256 {bars[1]} of {file}", f"sha256 {sha256}")
        if file not in package.names:
            verdict.add(file, f"sha256 {sha256}", "no such file")
            continue
        try:
            verdict.compare(file, sha256, door.digest(folder, file), "sha256 ")
        except OSError as error:
            verdict.add(file, f"sha256 {sha256}", error.strerror)
    if verdict.holds:
        verdict.note(
            f"its {len(listed):,} files are as {SUMS} lists them; evidence is what the seal of each run covers"
        )
    return verdict


def _beside(file: str) -> bool:
    """Tell whether a file is what somebody made of a run where an archive was unpacked: its report, say."""
    return re.match(r"runs/[^/]+/(report|plots|debug)/", file) is not None


def _listed(verdict: Verdict, folder: Path) -> dict[str, str]:
    """Return the digests that an archive lists of its files, by name."""
    listed: dict[str, str] = {}
    try:
        lines = door.read(folder, SUMS).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        verdict.add(SUMS, "a list of sha256 and file", getattr(error, "strerror", None) or error)
        return listed
    for number, line in enumerate(lines, 1):
        if (found := _LINE.fullmatch(line)) is None or found[2] in listed:
            verdict.add(f"{SUMS} line {number}", "the sha256 of one more file", line)
        else:
            listed[found[2]] = found[1]
    return listed

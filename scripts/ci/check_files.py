"""Check that files are clean: white space, line ends, conflict marks, size, and TOML, YAML and JSON that parse.

With --fix, white space and line ends are mended.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peak_trade import script
from peak_trade.errors import RunError

MAX_BYTES = 2_000_000
TRAILING_SPACE = re.compile(rb"[ \t\r]+$", re.MULTILINE)
CONFLICT_MARK = re.compile(rb"^(<{7} |={7}$|>{7} )", re.MULTILINE)


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    parser.add_argument("--fix", action="store_true", help="mend white space and line ends")
    args = parser.parse_args()
    found = [f"{path}: {fault}" for path in args.files if path.is_file() for fault in faults(path, fix=args.fix)]
    for finding in found:
        script.note(finding)
    if found:
        raise RunError("files are not clean", hint="just fix")
    return 0


def faults(path: Path, *, fix: bool = False) -> Iterator[str]:
    """Yield what is wrong with one file; a binary file is only measured."""
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        yield f"{len(data)} bytes, more than {MAX_BYTES}"
    if b"\0" in data:
        return
    clean = TRAILING_SPACE.sub(b"", data).rstrip(b"\n") + b"\n" if data.strip() else b""
    if clean != data and fix:
        path.write_bytes(clean)
    elif clean != data:
        yield "trailing white space, a carriage return, or not exactly one new line at the end"
    if CONFLICT_MARK.search(clean):
        yield "a conflict mark"
    try:
        PARSERS.get(path.suffix, str)(clean.decode())
    except ValueError as error:
        yield "does not parse: " + " ".join(str(error).split())


def parse_yaml(text: str) -> None:
    """Raise ValueError for what is no YAML."""
    import yaml  # when there is some: --help answers at once

    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(error) from None


PARSERS: dict[str, Any] = {".toml": tomllib.loads, ".json": json.loads, ".yaml": parse_yaml, ".yml": parse_yaml}


if __name__ == "__main__":
    script.run(main)

"""Picture every kind of page, to be looked through before a change of the report is called done.

Runs of each kind are made from the samples that ship, in a folder of their own; their pages are pictured whole at 390,
1,280 and 1,920 px, light and dark, and printed. With --readme only those of the README are taken, into docs/reports/:
the top of a report and of a comparison. Needs Chromium and what the report needs. Prints the folder.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from peak_trade import script
from peak_trade.errors import InputError, RunError

WIDTHS = (390, 1280, 1920)  # px
README = {"report": "report.png", "comparison": "comparison.png"}
COLOURS, LARGEST = 128, 200_000  # of the README's, and their bytes


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="which (default: all)")
    parser.add_argument("--readme", action="store_true", help="take those of the README instead")
    args = parser.parse_args()
    from pages import KINDS, Pages

    from peak_trade.report import picture, render

    kinds = args.kinds or list(README if args.readme else KINDS)
    if unknown := [kind for kind in kinds if kind not in (README if args.readme else KINDS)]:
        raise InputError(f"no such kind of page: {unknown[0]}", hint=f"{', '.join(README if args.readme else KINDS)}")
    script.show_warnings()
    program, root = picture.browser(), script.repo_root()
    folder = root / "build" / "report-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with render.Builtin(root / render.QMD) as renderer:
        pages = Pages(folder, renderer)
        for number, kind in enumerate(kinds):
            script.progress(number, len(kinds), "kinds of page")
            page = pages[kind]
            if args.readme:
                _small(picture.take(page, "png", program=program), root / "docs" / "reports" / README[kind])
                continue
            (folder / f"{kind}.pdf").write_bytes(picture.take(page, "pdf", program=program))
            for width in WIDTHS:
                for dark in (False, True):
                    shot = picture.take(page, "png", program=program, width=width, dark=dark, whole=True)
                    (folder / f"{kind}-{width}-{'dark' if dark else 'light'}.png").write_bytes(shot)
    script.progress()
    script.show(str(root / "docs" / "reports" if args.readme else folder), exact=True)
    return 0


def _small(shot: bytes, path: Path) -> None:
    """Write a picture in few colours."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(f"the picture's tools are missing: {error}", hint="just setup experiments") from None
    with Image.open(io.BytesIO(shot)) as opened:
        opened.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise RunError(f"{path} has {path.stat().st_size:,} bytes, more than {LARGEST:,}")


if __name__ == "__main__":
    script.run(main)

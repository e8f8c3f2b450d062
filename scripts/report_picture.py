"""Photograph the top of a run's report in headless Chromium, for the README: docs/reports/report.png.

RUN is a run_id, a unique start of one, or `last`. Needs Chromium, Pillow and what the report needs.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from peak_trade import script
from peak_trade.errors import InputError, RunError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync")
SIZE, COLOURS, LARGEST = (1060, 1740), 128, 150_000  # px, bytes


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="which run (default: last)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: docs/reports/report.png")
    args = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError("there is no Chromium", hint="install it: apt-get install chromium, brew install chromium")
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(f"the picture's tools are missing: {error}", hint="just setup experiments") from None
    from peak_trade.evidence.results import Results
    from peak_trade.report import render, run

    script.show_warnings()
    output = args.output or script.repo_root() / "docs" / "reports" / "report.png"
    if output.suffix != ".png":
        raise InputError(f"{output} is no picture's name", hint="--output report.png")
    with tempfile.TemporaryDirectory(prefix="peak_trade-picture-") as folder:
        html, shot = Path(folder, "report.html"), Path(folder, "report.png")
        with render.Builtin(script.repo_root() / render.QMD) as renderer:
            render.render(run.find(args.run, Results(script.results_dir(args.results_dir))), renderer, html)
        place = (f"--user-data-dir={folder}/profile", f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}")
        subprocess.run([browser, *OPTIONS, *place, html.as_uri()], check=False, capture_output=True, timeout=60)
        if not shot.is_file():
            raise RunError("Chromium took no picture", hint=f"{browser} --headless --screenshot tries it by hand")
        with Image.open(shot) as picture:
            picture.convert("RGB").quantize(COLOURS).save(output, optimize=True)
    if output.stat().st_size > LARGEST:
        raise RunError(f"{output} has {output.stat().st_size:,} bytes, more than {LARGEST:,}")
    script.show(str(output), exact=True)
    return 0


if __name__ == "__main__":
    script.run(main)

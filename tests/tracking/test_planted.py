"""What a stranger planted in a run is not uploaded, and nothing is written behind it: with a real store of MLflow's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from peak_trade.evidence import door
from peak_trade.tracking import worker
from peak_trade.tracking.store import Store

SECRET = b"export TOKEN=of-the-user\n"


def test_what_is_no_file_of_the_run_is_left_out_and_named(runs: Any, store: Store, forge: Any, tmp_path: Path) -> None:
    start_up = tmp_path / "start-up file"
    start_up.write_bytes(SECRET)
    run, other, pipes, gone = (runs[name] for name in ("plain", "flat", "secret", "failed"))
    (run / "run.log").unlink()
    (run / "run.log").symlink_to(start_up)
    (run / "report").mkdir()
    os.link(start_up, run / "report" / "backtest_report.html")
    (run / "report" / "page.css").write_text("p {}")
    (other / "report").symlink_to(tmp_path)
    (pipes / "run.log").unlink()
    os.mkfifo(pipes / "run.log")
    os.truncate(gone / "run.log", 1 << 40)
    answers = forge.log(store, run, other, pipes, gone)
    assert [answer["status"] for answer in answers] == ["logged"] * 4
    assert [answer["reason"] for answer in answers] == [
        "left out: run.log: a symbolic link in place of a file; "
        "report/backtest_report.html: a hard link in place of a file",
        "left out: report: a symbolic link in place of a file",
        "left out: run.log: a named pipe in place of a file",
        "left out: run.log: 1,099,511,627,776 bytes, more than the 67,108,864 that such a file may have",
    ]
    kept = {found["tags"]["run_id"]: found for found in forge.look(store)}
    assert "report/page.css" in kept[run.name]["artifacts"]
    assert kept[run.name]["tags"]["left_out"] == answers[0]["reason"].removeprefix("left out: ")
    for found in kept.values():
        assert found["tags"]["run_id"] == other.name or "run.log" not in found["artifacts"]
        for path in Path(urlsplit(found["artifact_uri"]).path).rglob("*"):
            assert not path.is_file() or SECRET not in path.read_bytes()
    assert start_up.read_bytes() == SECRET


def test_one_run_that_is_none_does_not_stop_the_others(
    runs: Any, cli: Callable[..., Any], store: Store, need: Callable[[str], None]
) -> None:
    need("experiments")
    (runs["flat"] / "manifest.json").unlink()
    os.mkfifo(runs["flat"] / "manifest.json")
    runs["secret"].rename(runs.results.parent / "aside")
    runs["secret"].symlink_to(runs.results.parent / "aside")
    done = cli("track_runs.py", "--pending", "--results-dir", runs.results, MLFLOW_TRACKING_URI=store.uri)
    assert done.returncode == 1
    assert "internal:" not in done.stderr
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == ["failed", "failed", "logged", "logged"]
    assert f"{runs['flat'].name}  manifest.json: a named pipe in place of a file" in done.stdout
    assert f"{runs['secret'].name}  manifest.json: " in done.stdout


def test_what_is_uploaded_is_what_was_read(runs: Any) -> None:
    """Between the look at a file and the upload a name may get another file: it is not looked at again."""
    run, uploaded = runs["plain"], {}

    class Client:
        def log_artifact(self, run_id: str, path: str, folder: str | None) -> None:
            uploaded[Path(path).name] = Path(path).read_bytes()

    logger = worker.Logger.__new__(worker.Logger)
    logger._client = Client()
    content = worker.run_content(run)
    sealed = door.read(run, "stats.json")
    (run / "stats.json").unlink()
    (run / "stats.json").write_bytes(SECRET)
    logger._upload("m", content.artifacts)
    assert uploaded["stats.json"] == sealed

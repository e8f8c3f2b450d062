"""`just replay` and `just golden` as a person calls them: what they print, where, and how they end."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CONFIG = """
[run]
name = "noisy"
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1d"
calendar = "24/7"
[strategy]
entrypoint = "noisy.py:noisy"
"""
STRATEGY = """
def noisy(bars):
    print("a strategy says something")
    return (bars.close > 104) * 1.0
"""


class Place(NamedTuple):
    folder: Path
    run_id: str

    def call(self, script: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return called(self.folder, script, *words, **settings)


def called(folder: Path, script: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "PEAK_STRICT"}
    env |= {"PEAK_RESULTS_DIR": str(folder / "results")} | settings
    command = [sys.executable, str(ROOT / "scripts" / script), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with a config, its bars and its strategy, and a run of it."""
    folder = tmp_path_factory.mktemp("replay")
    closes = [100, 103, 105, 107, 104, 102, 106, 109, 103, 101]
    rows = [f"2024-01-{day:02},{close},{close + 1},{close - 1},{close},5" for day, close in enumerate(closes, 1)]
    (folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]), encoding="utf-8")
    (folder / "noisy.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "noisy.toml").write_text(CONFIG, encoding="utf-8")
    done = called(folder, "run_strategy_from_config.py", "--config", str(folder / "noisy.toml"), "--quiet")
    return Place(folder, done.stdout.strip())


def test_a_replay_prints_its_verdict_alone_and_is_noted(place: Place) -> None:
    done = place.call("replay_run.py", place.run_id[:8])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"IDENTICAL  {place.run_id}"
    assert "a strategy says something" in done.stderr and "a strategy" not in done.stdout
    last = json.loads((place.folder / "results" / "ledger.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["run_id"], last["verdict"]) == ("replayed", place.run_id, "IDENTICAL")
    assert [path.name for path in (place.folder / "results").iterdir() if path.name.startswith(place.run_id[:8])] == [
        place.run_id
    ]


def test_a_divergence_is_exit_1_and_json_names_its_causes(place: Place) -> None:
    (place.folder / "noisy.py").write_text(STRATEGY.replace("104", "106"), encoding="utf-8")
    try:
        done = place.call("replay_run.py", "last", "--code", "here", "--json")
    finally:
        (place.folder / "noisy.py").write_text(STRATEGY, encoding="utf-8")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["code"], found["causes"][0]["input"]["name"]) == ("DIVERGED", "here", "noisy.py")
    # above 104 after 3 January, above 106 after 4 January: bought at the next open
    assert found["trade"]["entry_time"] == "2024-01-04T00:00:00Z"


def test_data_that_is_gone_is_exit_2_and_data_says_where_it_lies(place: Place) -> None:
    moved = (place.folder / "bars.csv").rename(place.folder / "moved.csv")
    try:
        gone = place.call("replay_run.py", "last")
        given = place.call("replay_run.py", "last", "--data", str(moved))
    finally:
        moved.rename(place.folder / "bars.csv")
    assert gone.returncode == 2 and not gone.stdout
    assert gone.stderr.startswith("error: the data is gone, bars from 2024-01-01 to 2024-01-10")
    assert given.returncode == 0 and given.stdout.startswith("IDENTICAL")


def test_a_ledger_that_can_not_be_written_does_not_change_the_verdict(place: Place) -> None:
    done = place.call("replay_run.py", str(place.folder / "results" / place.run_id), "--results-dir", str(place.folder))
    assert done.returncode == 0 and done.stdout.startswith("IDENTICAL")
    assert not (place.folder / "ledger.jsonl").exists()  # it is a run of another folder, as far as anybody can tell


def test_an_archive_is_replayed_where_nothing_else_of_it_is(place: Place, tmp_path: Path) -> None:
    archive = str(tmp_path / "run.zip")
    packed = place.call("export_runs.py", place.run_id, "--with-data", "--output", archive)
    assert packed.returncode == 0, packed.stderr
    away = [(place.folder / name, tmp_path / name) for name in ("bars.csv", "noisy.py")]
    for here, there in away:
        here.rename(there)
    try:
        done = called(tmp_path, "replay_run.py", archive)
        taken = called(tmp_path, "import_runs.py", archive)
        again = called(tmp_path, "replay_run.py", "last")
    finally:
        for here, there in away:
            there.rename(here)
    for one in (done, again):
        assert one.returncode == 0 and one.stdout.startswith(f"IDENTICAL  {place.run_id}"), one.stderr
        assert f"running the code that came with run {place.run_id[:8]}: noisy.py" in one.stderr
    assert taken.returncode == 0, taken.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_replay_that_is_interrupted_leaves_nothing(place: Place, tmp_path: Path, number: int) -> None:
    waits = STRATEGY.replace("def noisy(bars):", "def noisy(bars):\n    import os, time")
    slow = f"""    if os.path.exists({str(tmp_path / "slow")!r}):
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(60)
"""
    for name in ("bars.csv", "noisy.toml"):
        (tmp_path / name).write_bytes((place.folder / name).read_bytes())
    (tmp_path / "noisy.py").write_text(waits.replace("    print(", slow + "    print("), encoding="utf-8")
    done = called(tmp_path, "run_strategy_from_config.py", "--config", str(tmp_path / "noisy.toml"), "--quiet")
    assert done.returncode == 0, done.stderr
    (tmp_path / "slow").touch()
    (tmp_path / "tmp").mkdir()
    env = os.environ | {"PEAK_RESULTS_DIR": str(tmp_path / "results"), "TMPDIR": str(tmp_path / "tmp")}
    script = [sys.executable, str(ROOT / "scripts" / "replay_run.py"), "last"]
    with subprocess.Popen(script, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        assert [path.name[:12] for path in (tmp_path / "tmp").iterdir()] == ["peak-replay-"]
        process.send_signal(number)
        said, errors = process.communicate(timeout=30)
    assert process.returncode != 0 and said == "" and "interrupted" in errors
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert b"replayed" not in (tmp_path / "results" / "ledger.jsonl").read_bytes()


def test_an_archive_that_is_damaged_can_not_be_replayed(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "runs.zip"
    broken.write_bytes(b"PK\3\4" + bytes(100))
    done = place.call("replay_run.py", str(broken))
    assert done.returncode == 2 and not done.stdout, done.stderr


def test_a_run_has_no_trial_to_replay(place: Place) -> None:
    done = place.call("replay_run.py", "last", "--trial", "3")
    assert done.returncode == 2 and not done.stdout
    error = f"error: run {place.run_id[:8]} has no trial 3: it is no sweep, and has no trials"
    assert done.stderr.splitlines() == [error, f"hint: just replay {place.run_id[:8]}"]


def test_what_hangs_on_the_order_of_sets_is_not_repeatable_by_another_process(place: Place, tmp_path: Path) -> None:
    for name in ("bars.csv", "noisy.toml"):
        (tmp_path / name).write_bytes((place.folder / name).read_bytes())
    (tmp_path / "noisy.py").write_text("def noisy(bars):\n    return (bars.close > 104) * (hash('a') % 9973 / 9973)\n")
    config = str(tmp_path / "noisy.toml")
    done = called(tmp_path, "run_strategy_from_config.py", "--config", config, "--quiet", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    assert called(tmp_path, "replay_run.py", "last", PYTHONHASHSEED="1").returncode == 0  # the control
    found = called(tmp_path, "replay_run.py", "last", "--json", PYTHONHASHSEED="2")
    assert found.returncode == 1
    (cause,) = json.loads(found.stdout)["causes"]
    assert cause["input"]["kind"] == "repeatability"
    assert cause["input"]["details"][0].startswith("replayed by another process of Python: 2024-01-04T00:00:00Z")


@pytest.mark.parametrize("deed", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_run_whose_process_died_is_replayed_on_the_bars_that_it_had(place: Place, tmp_path: Path, deed: str) -> None:
    for name in ("bars.csv", "noisy.toml"):
        (tmp_path / name).write_bytes((place.folder / name).read_bytes())
    (tmp_path / "noisy.py").write_text(f"import os\n\ndef noisy(bars):\n    {deed}\n", encoding="utf-8")
    assert called(tmp_path, "run_strategy_from_config.py", "--config", str(tmp_path / "noisy.toml")).returncode == 1
    failed = json.loads((tmp_path / "results" / "ledger.jsonl").read_text().splitlines()[-1])
    of_place = json.loads((place.folder / "results" / place.run_id / "manifest.json").read_text())["predicate"]
    bars = of_place["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"]
    assert (failed["event"], failed["data"], failed["end"]) == ("failed", bars, "2024-01-10T00:00:00Z")
    again = called(tmp_path, "replay_run.py", failed["run_id"])
    assert again.returncode == 0 and "it fails as it did" in again.stdout, again.stderr
    (tmp_path / "noisy.py").write_text(STRATEGY, encoding="utf-8")
    assert called(tmp_path, "replay_run.py", failed["run_id"]).returncode == 1
    assert called(tmp_path, "verify_runs.py", "--all").returncode == 0


FAKE_UV = """#!{python}
import pathlib, subprocess, sys
print(*sys.argv[1:], sep="\\n", file=open({log!r}, "a"))
if sys.argv[1] == "venv":
    if sys.argv[sys.argv.index("--python") + 1].count(".") == 2:
        sys.exit("error: no such Python")
    subprocess.run([{base!r}, "-m", "venv", "--without-pip", sys.argv[-1]], check=True)
else:
    if {fails}:
        sys.exit("  × No solution found\\n  ╰─▶ numpy is not to be had")
    place = pathlib.Path(sys.argv[sys.argv.index("--python") + 1]).parent.parent
    (folder,) = place.glob("lib/python3*/site-packages")
    (folder / "theirs.pth").write_text({packages!r})
"""


def fake_uv(folder: Path, *, fails: bool = False) -> tuple[str, Path]:
    """Return a PATH with a `uv` whose environments have the packages of this one, and the log of its calls."""
    (folder / "bin").mkdir()
    log = folder / "calls"
    text = FAKE_UV.format(
        python=sys.executable, base=os.path.realpath(sys.executable), packages=sysconfig.get_paths()["purelib"],
        log=str(log), fails=fails,
    )  # fmt: skip
    (folder / "bin" / "uv").write_text(text, encoding="utf-8")
    (folder / "bin" / "uv").chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", log


def test_the_recorded_environment_has_the_versions_of_then(place: Place, tmp_path: Path) -> None:
    path, log = fake_uv(tmp_path)
    done = place.call("replay_run.py", "last", "--environment", "recorded", PATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("IDENTICAL") and "recorded environment" in done.stdout
    assert f"Python {'.'.join(map(str, sys.version_info[:3]))} is not to be had" in done.stdout
    calls = log.read_text(encoding="utf-8").splitlines()
    assert f"numpy=={version('numpy')}" in calls and f"msgspec=={version('msgspec')}" in calls
    assert calls[calls.index("--only-binary") + 1] == ":all:" and not any("peak" in call[:5] for call in calls)
    assert "a strategy says something" in done.stderr


def test_an_environment_that_can_not_be_made_is_exit_2(place: Place, tmp_path: Path) -> None:
    path, _ = fake_uv(tmp_path, fails=True)
    done = place.call("replay_run.py", "last", "--environment", "recorded", PATH=path)
    assert done.returncode == 2 and not done.stdout
    assert "error: the recorded packages can't be installed: No solution found numpy is not to be had" in done.stderr
    without = place.call("replay_run.py", "last", "--environment", "recorded", PATH=str(tmp_path))
    assert without.returncode == 2 and "hint: pip install uv" in without.stderr


def wheels(folder: Path, names: Iterable[str]) -> None:
    """Pack distributions that are installed here into wheels again, so that uv has them without a network."""
    for name in names:
        found = distribution(name)
        tag = re.findall(r"^Tag: (.*)$", found.read_text("WHEEL") or "", re.MULTILINE)[0]
        path = folder / f"{found.name.replace('-', '_')}-{found.version}-{tag}.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file in found.files or ():
                if file.parts[0] != ".." and file.suffix != ".pyc":
                    wheel.write(str(found.locate_file(file)), file.as_posix())


def test_uv_itself_makes_it_of_wheels_that_are_here(place: Place, tmp_path: Path) -> None:
    record = json.loads((place.folder / "results" / place.run_id / "manifest.json").read_bytes())["predicate"]
    environment = record["buildDefinition"]["internalParameters"]["environment"]
    there = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path), "UV_NO_CACHE": "1"}
    absent = place.call("replay_run.py", "last", "--environment", "recorded", **there)
    assert absent.returncode == 2 and "can't be installed" in absent.stderr
    wheels(tmp_path, ({"numpy", "msgspec"} | environment["distributions"].keys()) - {"peak_trade", "peak-trade"})
    done = place.call("replay_run.py", "last", "--environment", "recorded", **there)
    assert done.returncode == 0 and done.stdout.startswith("IDENTICAL"), done.stderr


def test_golden_runs_are_added_held_and_approved(place: Place) -> None:
    where = ("--golden-dir", str(place.folder / "golden"))
    added = place.call("golden_runs.py", "add", "last", *where)
    assert (added.returncode, added.stdout) == (0, "noisy\n"), added.stderr
    held = place.call("golden_runs.py", "check", *where)
    assert (held.returncode, held.stdout) == (0, "noisy: IDENTICAL\n"), held.stderr
    (place.folder / "noisy.py").write_text(STRATEGY.replace("104", "106"), encoding="utf-8")
    try:
        changed = place.call("golden_runs.py", "check", *where)
        approved = place.call("golden_runs.py", "approve", *where)
        again = place.call("golden_runs.py", "check", *where)
    finally:
        (place.folder / "noisy.py").write_text(STRATEGY, encoding="utf-8")
    assert changed.returncode == 1 and changed.stdout.startswith("noisy: DIVERGED")
    assert approved.returncode == 0 and approved.stdout.startswith("noisy: approved, see ")
    assert (again.returncode, again.stdout) == (0, "noisy: IDENTICAL\n")
    assert place.call("golden_runs.py", "list", *where).stdout == "noisy\n"
    assert place.call("golden_runs.py", "add", *where).returncode == 2
    nothing = place.call("golden_runs.py", "check", "--golden-dir", str(place.folder / "nowhere"))
    assert nothing.returncode == 0 and nothing.stderr.startswith("warn: there are no golden runs in ")


def spent(folder: Path, script: str, *words: str) -> float:
    """Return the processor time that a call took, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert called(folder, script, *words).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_replay_costs_at_most_1_3_times_the_run(tmp_path: Path) -> None:
    times = np.datetime_as_string(np.datetime64("2020-01-01", "s") + np.arange(10_000) * np.timedelta64(3600, "s"))
    closes = np.round(100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.002, len(times)))), 4)
    rows = [f"{time}Z,{close},{close + 1},{close - 1},{close},1" for time, close in zip(times, closes, strict=True)]
    (tmp_path / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]), encoding="utf-8")
    config = CONFIG.replace('entrypoint = "noisy.py:noisy"', 'name = "sma_crossover"').replace('"1d"', '"1h"')
    (tmp_path / "noisy.toml").write_text(config, encoding="utf-8")
    run = ("run_strategy_from_config.py", "--config", str(tmp_path / "noisy.toml"), "--quiet")
    pairs = [(spent(tmp_path, *run), spent(tmp_path, "replay_run.py", "last")) for _ in range(5)]
    took, again = (min(figures) for figures in zip(*pairs, strict=True))
    assert again <= 1.3 * took

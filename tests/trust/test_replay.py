"""Replays: the same comes of the same; what differs is found, and named by what most likely caused it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.evidence.results import Results
from peak_trade.market import fingerprint, ohlcv
from peak_trade.trust import handed, replay

Evidence = Any  # of conftest.py, which cannot be imported
ARCHIVE = Path(__file__).parents[1] / "archive"


def replayed(evidence: Evidence, name: str, **options: Any) -> replay.Replay:
    return replay.replay(evidence.path(name), Results(evidence.results), evidence.root, **options)


def own(evidence: Evidence) -> str:
    """Return the config of the run `own`, to run another like it."""
    return str((evidence.root / "config" / "own.toml").read_text(encoding="utf-8"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def strategy(evidence: Evidence, name: str, code: str, beside: Mapping[str, str] | None = None) -> None:
    """Write a strategy file with a function of the same name (and modules beside it), and run it."""
    folder = evidence.root / "strategies"
    for file, text in ({f"{name}.py": code} | dict(beside or {})).items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    evidence.run(name, own(evidence).replace("own.py:steps", f"{name}.py:{name}"))
    assert evidence.manifest(name)["predicate"]["status"] == "sealed"


@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare"])
def test_a_run_that_nothing_has_happened_to_is_identical(evidence: Evidence, name: str) -> None:
    found = replayed(evidence, name)
    assert (found.verdict, found.exit_code, found.code, found.causes) == ("IDENTICAL", 0, "sealed", [])


@pytest.mark.needs("lake")
@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_runs_that_older_versions_sealed_are_identical_with_the_code_of_here(version: str, tmp_path: Path) -> None:
    root = tmp_path / version
    shutil.copytree(ARCHIVE / version, root)
    results = Results(root / "runs")
    done = [run for run in results.runs() if json.loads((run / "manifest.json").read_bytes())["predicate"]["results"]]
    assert len(done) == 3
    for run in done:
        found = replay.replay(run, results, root)
        assert (found.verdict, found.code) == ("IDENTICAL", "here")


def test_the_code_that_was_sealed_is_run_whatever_has_become_of_it_in_the_checkout(evidence: Evidence) -> None:
    (evidence.root / "strategies" / "own.py").write_text("raise RuntimeError\n", encoding="utf-8")
    assert replayed(evidence, "own").verdict == "IDENTICAL"


def test_with_the_code_of_here_a_changed_line_is_the_cause_and_is_shown(evidence: Evidence) -> None:
    edit(evidence.root / "strategies" / "own.py", "size / 2", "size / 4")
    found = replayed(evidence, "own", here=True)
    assert (found.verdict, found.exit_code) == ("DIVERGED", 1)
    first = found.causes[0]
    assert (first.input.kind, first.input.name, first.verdict) == ("code", "strategies/own.py", "likely")
    assert first.input.details == [
        "line 7",
        "-     pattern = np.repeat([0.0, size, size / 2, -size, -size / 4], length)",
        "+     pattern = np.repeat([0.0, size, size / 4, -size, -size / 4], length)",
    ]
    # bars 10 to 14 are held at half of what bars 5 to 9 are: the change fills at the open of bar 11
    assert found.bar is not None and found.bar.time == "2024-01-01T11:00:00Z"
    assert found.trade is not None and found.trade.number_a == 1
    text = found.as_text()
    assert "first bar    2024-01-01T11:00:00Z" in text and "strategies/own.py" in text


def test_code_that_changed_without_effect_is_named(evidence: Evidence) -> None:
    edit(evidence.root / "strategies" / "own.py", "import numpy as np", "import numpy as np  # the same")
    found = replayed(evidence, "own", here=True)
    assert found.verdict == "IDENTICAL"
    assert "other code, which changes no value: strategies/own.py" in found.said


def test_how_far_a_trade_went_is_compared_too(evidence: Evidence) -> None:
    evidence.edit_csv("own", "trades.csv", 1, mae="-0.5")
    evidence.forge("own")
    assert replayed(evidence, "own").verdict == "DIVERGED"


@pytest.mark.needs("lake")
def test_a_run_in_parquet_is_identical_where_nothing_reads_that(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (evidence.path("builtin") / "trades.parquet").exists()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = replayed(evidence, "builtin")
    assert (found.verdict, found.said) == (
        "IDENTICAL", ["every value is the same; other bytes: trades.csv, trades.parquet"],
    )  # fmt: skip


def test_with_the_code_of_here_a_changed_helper_is_the_cause(evidence: Evidence) -> None:
    strategy(
        evidence, "helped", "import helper\n\ndef helped(bars):\n    return (bars.close > helper.LEVEL) * 1.0\n",
        {"helper.py": "LEVEL = 100\n"},
    )  # fmt: skip
    (evidence.root / "strategies" / "helper.py").write_text("LEVEL = 104\n", encoding="utf-8")
    assert replayed(evidence, "helped").verdict == "IDENTICAL"
    found = replayed(evidence, "helped", here=True)
    assert found.verdict == "DIVERGED"
    assert [cause.input.name for cause in found.causes] == ["strategies/helper.py"]
    assert found.causes[0].input.details == ["line 1", "- LEVEL = 100", "+ LEVEL = 104"]


@pytest.mark.parametrize(("gone", "said"), [("helped.py", "strategy file"), ("helper.py", "No module named 'helper'")])
def test_with_the_code_of_here_what_is_not_here_is_no_divergence(evidence: Evidence, gone: str, said: str) -> None:
    strategy(
        evidence, "helped", "import helper\n\ndef helped(bars):\n    return (bars.close > helper.LEVEL) * 1.0\n",
        {"helper.py": "LEVEL = 100\n"},
    )  # fmt: skip
    (evidence.root / "strategies" / gone).unlink()
    with pytest.raises(InputError, match=f"the strategy can't be loaded here: .*{said}") as error:
        replayed(evidence, "helped", here=True)
    assert error.value.hint == "without --code here its sealed code is taken"
    assert replayed(evidence, "helped").verdict == "IDENTICAL"  # as the hint says


def test_sealed_packages_relative_imports_and_imports_inside_functions_are_found(evidence: Evidence) -> None:
    strategy(
        evidence, "deep",
        "from kit.part import level\nimport kit.later\n\n"
        "def deep(bars):\n    from kit import later\n    return (bars.close > level() + later.MORE) * 1.0\n",
        {"kit/__init__.py": "", "kit/part.py": "from . import base\n\ndef level():\n    return base.LEVEL\n",
         "kit/base.py": "LEVEL = 100\n", "kit/later.py": "MORE = 1\n"},
    )  # fmt: skip
    shutil.rmtree(evidence.root / "strategies")
    assert replayed(evidence, "deep").verdict == "IDENTICAL"


def test_a_module_that_an_entrypoint_names_is_the_sealed_one(evidence: Evidence) -> None:
    (evidence.root / "bots").mkdir()
    (evidence.root / "bots" / "slow.py").write_text(
        "def slow(bars):\n    return (bars.close > 101) * 1.0\n", encoding="utf-8"
    )
    evidence.run("module", own(evidence).replace("strategies/own.py:steps", "bots.slow:slow"))
    edit(evidence.root / "bots" / "slow.py", "101", "105")
    assert replayed(evidence, "module").verdict == "IDENTICAL"
    assert replayed(evidence, "module", here=True).verdict == "DIVERGED"


def test_a_strategy_file_of_a_librarys_name_takes_no_librarys_place(evidence: Evidence) -> None:
    strategy(
        evidence, "statistics",
        "import random\n\ndef statistics(bars):\n    random.seed(1)\n    return (bars.close > 101) * 1.0\n",
    )  # fmt: skip
    assert "statistics" in json.dumps(evidence.manifest("statistics"))
    assert replayed(evidence, "statistics").verdict == "IDENTICAL"


def test_a_registered_strategy_is_the_sealed_one_too(evidence: Evidence) -> None:
    name = "code/peak_trade/strategies/sma_crossover.py"
    path = evidence.path("builtin") / name
    edited = path.read_text(encoding="utf-8").replace("above(fast_mean, slow_mean", "above(slow_mean, fast_mean")
    evidence.rewrite("builtin", name, edited.encode())
    evidence.forge("builtin")
    found = replayed(evidence, "builtin")
    assert found.verdict == "DIVERGED" and found.bar is not None
    assert replayed(evidence, "builtin", here=True).verdict == "IDENTICAL"


def test_a_bar_that_was_revised_is_the_cause_and_its_day_is_named(evidence: Evidence) -> None:
    lines = (evidence.root / "data" / "bars.csv").read_text(encoding="utf-8").splitlines()
    cells = lines[34].split(",")
    cells[2] = str(float(cells[2]) + 3)  # the high, and with it the close
    cells[4] = cells[2]
    lines[34] = ",".join(cells)
    (evidence.root / "data" / "bars.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = replayed(evidence, "own")
    assert found.verdict == "DIVERGED"
    assert [(cause.input.kind, cause.input.details) for cause in found.causes] == [("data", ["revised 2024-01-02"])]
    assert found.bar is not None and found.bar.time == "2024-01-02T09:00:00Z"
    assert "other bars in 2024-01-02" in found.as_text()


def test_a_revised_bar_that_no_trade_depends_on_is_the_cause_of_other_statistics(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[30].split(",")  # no position is held there: the benchmark alone is another
    cells[2] = cells[4] = str(float(cells[2]) + 3)
    lines[30] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = replayed(evidence, "own")
    assert (found.verdict, found.bar, found.trade) == ("DIVERGED", None, None)
    assert "benchmark_sharpe" in [figure.key for figure in found.figures]
    assert [(cause.input.kind, cause.verdict) for cause in found.causes] == [("data", "likely")]


def test_a_run_whose_last_bars_are_held_out_is_replayed_without_them(evidence: Evidence) -> None:
    evidence.run("held", own(evidence).replace('name = "our own"', 'holdout = "1d"'))
    found = replayed(evidence, "held")
    assert (found.verdict, found.said[1:], found.bars) == ("IDENTICAL", [], 23)


def test_a_file_that_has_grown_still_has_the_bars_of_the_run(evidence: Evidence) -> None:
    with (evidence.root / "data" / "bars.csv").open("a", encoding="utf-8") as file:
        file.write("2024-01-03T00:00:00Z,100.0,101.0,99.0,100.5,7\n")
    found = replayed(evidence, "own")
    assert found.verdict == "IDENTICAL" and found.bars == 48
    assert "more bars now than the run read" in found.said[0]


def test_days_that_are_gone_can_not_be_replayed_and_are_named(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "2024-01-02" not in line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="no bars of 2024-01-02 any more") as told:
        replayed(evidence, "own")
    assert "--data" in told.value.hint


def test_data_that_is_gone_is_named_by_its_days_and_can_be_given(evidence: Evidence, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.csv"
    (evidence.root / "data" / "bars.csv").rename(moved)
    with pytest.raises(InputError, match="the data is gone, bars from 2024-01-01 to 2024-01-02"):
        replayed(evidence, "own")
    assert replayed(evidence, "own", paths=[str(moved)]).verdict == "IDENTICAL"


def test_bars_that_came_along_are_taken_where_the_data_is_gone_or_another(evidence: Evidence, tmp_path: Path) -> None:
    given = tmp_path / "handover"
    shutil.copytree(evidence.path("own"), given / "runs" / evidence.runs["own"])
    bars = evidence.manifest("own")["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    digest = bars["digest"]["sha256"]
    (given / "data").mkdir()
    loaded = ohlcv.load_bars(evidence.root / "data" / "bars.csv", symbol="TEST", timeframe="1h")
    (given / "data" / f"{digest}.bars").write_bytes(b"".join(fingerprint.content(loaded.bars)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with handed.handed(str(given), Results(tmp_path / "results")) as one:
        assert one.results is None
        with pytest.raises(InputError, match="the data is gone"):
            replay.replay(one.run, one.results, elsewhere)
        assert replay.replay(one.run, one.results, elsewhere, along=one.data).verdict == "IDENTICAL"
        edit(evidence.root / "data" / "bars.csv", ",1010", ",1011")
        found = replay.replay(one.run, one.results, evidence.root, along=one.data)
        assert found.verdict == "IDENTICAL" and "other bars" not in found.as_text()
        (given / "data" / f"{digest}.bars").write_bytes(b"{}\n")
        with pytest.raises(InputError, match="the bars that came along can't be read"):
            replay.replay(one.run, one.results, elsewhere, along=one.data)


def test_a_strategy_that_gives_two_answers_is_told_to_before_all_else(evidence: Evidence) -> None:
    strategy(
        evidence, "dice",
        "import os\n\ndef dice(bars):\n    return [1.0 if byte < 128 else 0.0 for byte in os.urandom(len(bars))]\n",
    )  # fmt: skip
    found = replayed(evidence, "dice")
    assert found.verdict == "DIVERGED"
    assert (found.causes[0].input.kind, found.causes[0].verdict) == ("repeatability", "likely")


def test_a_strategy_that_reads_what_is_not_recorded_is_said_to(evidence: Evidence) -> None:
    level = evidence.root / "level.txt"
    level.write_text("101", encoding="utf-8")
    strategy(
        evidence, "reader",
        "from pathlib import Path\n\ndef reader(bars):\n"
        f"    return (bars.close > float(Path({str(level)!r}).read_text())) * 1.0\n",
    )  # fmt: skip
    assert replayed(evidence, "reader").verdict == "IDENTICAL"
    level.write_text("104", encoding="utf-8")
    found = replayed(evidence, "reader")
    assert found.verdict == "DIVERGED" and not found.causes
    assert "nothing that is recorded differs" in found.as_text()
    level.unlink()
    assert "FileNotFoundError" in replayed(evidence, "reader").error


def moved_by(factor: float) -> Callable[[Evidence], None]:
    def forge(evidence: Evidence) -> None:
        path = evidence.path("own") / "equity.csv"
        rows = path.read_text(encoding="utf-8").splitlines()
        time, equity, *rest = rows[30].split(",")
        rows[30] = ",".join([time, repr(float(equity) * (1 + factor)), *rest])
        evidence.rewrite("own", "equity.csv", ("\n".join(rows) + "\n").encode())

        def of_another_machine(statement: Any) -> None:
            environment = statement["predicate"]["buildDefinition"]["internalParameters"]["environment"]
            environment |= {"cpu": "another", "blas": "mkl 1.0"}

        evidence.forge("own", of_another_machine)

    return forge


def test_what_another_processor_may_change_is_within_tolerance_and_it_is_named(evidence: Evidence) -> None:
    moved_by(1e-12)(evidence)
    found = replayed(evidence, "own")
    assert (found.verdict, found.exit_code) == ("WITHIN_TOLERANCE", 0)
    assert "environment cpu: another →" in found.as_text() and "environment blas: mkl 1.0 →" in found.as_text()


def test_what_is_more_than_that_has_diverged(evidence: Evidence) -> None:
    moved_by(1e-7)(evidence)
    found = replayed(evidence, "own")
    assert found.verdict == "DIVERGED"
    assert found.bar is not None and (found.bar.time, found.bar.column) == ("2024-01-02T05:00:00Z", "equity")


def test_a_run_by_a_rule_of_an_older_edition_can_not_be_replayed(evidence: Evidence) -> None:
    evidence.run("trailing", f"{own(evidence)}\n[stops]\ntrailing_stop = 0.02\n")

    def of_old(statement: Any) -> None:
        statement["predicate"]["buildDefinition"]["internalParameters"]["rules"] = 1

    assert replayed(evidence, "trailing").verdict == "IDENTICAL"
    evidence.forge("trailing", of_old)
    with pytest.raises(InputError, match="edition 1 of the engine's rules .*trailing_stop was a fraction of the entry"):
        replayed(evidence, "trailing")


def test_a_default_of_the_version_that_ran_is_kept(evidence: Evidence) -> None:
    def older(snapshot: Any) -> None:
        assert "fee_bps" in snapshot["execution"]
        snapshot["execution"]["initial_cash"] = 20_000.0  # as if that had been the default then

    evidence.edit_json("builtin", "config_snapshot.json", older)
    evidence.forge("builtin")
    found = replayed(evidence, "builtin")
    assert found.bar is not None and found.bar.b == 20_000.0


def test_a_run_that_failed_is_identical_where_it_fails_as_it_did(evidence: Evidence) -> None:
    found = replayed(evidence, "failed")
    assert (found.verdict, found.exit_code) == ("IDENTICAL", 0)
    assert found.said == [f"it fails as it did: {evidence.manifest('failed')['predicate']['error']['message']}"]
    edit(evidence.root / "strategies" / "own.py", "no idea what to do", "another")
    assert replayed(evidence, "failed").verdict == "IDENTICAL"
    other = replayed(evidence, "failed", here=True)
    assert other.verdict == "DIVERGED" and "another" in other.error
    assert [cause.input.name for cause in other.causes] == ["strategies/own.py"]
    edit(evidence.root / "strategies" / "own.py", 'raise ValueError("another")', "return bars.close * 0")
    mended = replayed(evidence, "failed", here=True)
    assert (mended.verdict, mended.error) == ("DIVERGED", "")
    assert mended.said[0].startswith("it failed then: the strategy raised ValueError: no idea")


def test_a_run_whose_strategy_took_too_long_or_left_is_identical_where_it_does_so_again(evidence: Evidence) -> None:
    (evidence.root / "strategies" / "slow.py").write_text(
        "import time\n\ndef slow(bars):\n    time.sleep(30)\n", encoding="utf-8"
    )
    text = own(evidence).replace("own.py:steps", "slow.py:slow")
    evidence.run("slow", text.replace('name = "our own"', "timeout_s = 0.3"))
    found = replayed(evidence, "slow")
    assert found.verdict == "IDENTICAL" and "ran longer than run.timeout_s = 0.3 s" in found.said[0]


def test_a_run_that_is_broken_can_not_be_replayed(evidence: Evidence) -> None:
    evidence.edit_csv("own", "equity.csv", 3, equity="1.0")
    with pytest.raises(InputError, match="equity.csv is not what was sealed"):
        replayed(evidence, "own")
    evidence.rewrite("plain", "code/peak_trade/strategies/signals.py", b"raise SystemExit(0)\n")
    with pytest.raises(InputError, match="signals.py is not what was sealed"):
        replayed(evidence, "plain")


def test_a_manifest_that_was_made_to_fit_is_refused_by_the_ledger(evidence: Evidence) -> None:
    statement = evidence.manifest("own")
    statement["predicate"]["runDetails"]["host"] = "another"
    evidence.write_manifest("own", statement)
    with pytest.raises(InputError, match=r"manifest\.json is not what was sealed"):
        replayed(evidence, "own")


def test_a_run_elsewhere_is_held_against_the_lines_that_it_carries(evidence: Evidence, tmp_path: Path) -> None:
    copy = tmp_path / "given"
    shutil.copytree(evidence.path("own"), copy)
    said: list[str] = []
    assert replay.replay(copy, None, evidence.root, tell=said.append).verdict == "IDENTICAL"
    assert said == [f"running the code that came with run {evidence.runs['own'][:8]}: strategies/own.py"]
    statement = evidence.manifest("own")
    statement["predicate"]["runDetails"]["host"] = "another"
    (copy / "manifest.json").chmod(0o644)
    (copy / "manifest.json").write_bytes(json.dumps(statement).encode())
    with pytest.raises(InputError, match=r"manifest\.json is not what was sealed"):
        replay.replay(copy, None, evidence.root)


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("os._exit(0)", "ended the process"),
        ("os.kill(os.getpid(), 9)", "ended the process"),
        ("raise SystemExit(0)", "SystemExit"),
        ("time.sleep(60)", "ran longer than run.timeout_s"),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}); time.sleep(60)", "ran longer than"),
    ],
)
def test_whatever_a_strategy_does_to_its_process_is_a_divergence(
    evidence: Evidence, deed: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peak_trade.trust.replay.apart.GRACE_S", 0.5)
    flag = evidence.root / "flag"
    (evidence.root / "strategies" / "wild.py").write_text(
        f"import os, signal, time\n\ndef wild(bars):\n    if os.path.exists({str(flag)!r}):\n        {deed}\n"
        "    return (bars.close > 101) * 1.0\n",
        encoding="utf-8",
    )
    evidence.run(
        "wild", own(evidence).replace("own.py:steps", "wild.py:wild").replace('name = "our own"', "timeout_s = 1")
    )
    assert replayed(evidence, "wild").verdict == "IDENTICAL"
    flag.touch()
    found = replayed(evidence, "wild")
    assert found.verdict == "DIVERGED" and told in found.error


def test_a_strategy_can_not_change_what_is_said_of_it(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = importlib.import_module("peak_trade.trust.replay.replay")
    for name in ("held", "DIVERGED"):  # the run itself is made in this process, and does as it likes
        monkeypatch.setattr(inner, name, getattr(inner, name))
    count = evidence.root / "count"
    strategy(
        evidence, "sly",
        f"""import os
import peak_trade.trust.replay.replay as verdict

def sly(bars):
    first = not os.path.exists({str(count)!r})
    with open({str(count)!r}, "a"):
        pass
    verdict.held = lambda *_, **__: {{"verdict": "IDENTICAL", "causes": [], "said": []}}
    verdict.DIVERGED = "IDENTICAL"
    return (bars.close > (101 if first else 104)) * 1.0
""",
    )  # fmt: skip
    monkeypatch.undo()
    assert replayed(evidence, "sly").verdict == "DIVERGED"


def is_alive(pid: int) -> bool:
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(told.strip()) and not told.strip().startswith("Z")


def test_what_a_strategy_started_dies_with_it_and_nothing_is_left(evidence: Evidence, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pids = evidence.root / "pids"
    strategy(
        evidence, "parent",
        "import os\n\ndef parent(bars):\n    child = os.posix_spawnp('sleep', ['sleep', '99'], os.environ)\n"
        f"    with open({str(pids)!r}, 'a') as file:\n        print(child, file=file)\n"
        "    print('said by a strategy')\n    return (bars.close > 101) * 1.0\n",
    )  # fmt: skip
    first = int(pids.read_text())
    os.kill(first, 9)
    os.waitpid(first, 0)
    assert replayed(evidence, "parent").verdict == "IDENTICAL"
    child = int(pids.read_text().split()[1])
    for _ in range(200):  # it is killed; who reaps it is the system's business
        if not is_alive(child):
            break
        time.sleep(0.01)
    assert not is_alive(child)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("peak-")] == []


def test_names_of_sealed_code_that_lead_elsewhere_are_refused(evidence: Evidence) -> None:
    outside = evidence.root / "outside.py"

    def lead_out(statement: Any) -> None:
        for made in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
            if made["name"] == "code":
                made["annotations"]["leftOut"] = [{"file": "../../outside.py", "sha256": "0" * 64, "reason": "so"}]

    evidence.forge("own", lead_out)
    with pytest.raises(InputError, match="no name of a file in a run"):
        replayed(evidence, "own")
    assert not outside.exists()


def test_code_that_was_left_out_is_taken_from_the_checkout_that_still_has_it(evidence: Evidence) -> None:
    strategy(
        evidence, "keyed", "import vault\n\ndef keyed(bars):\n    return (bars.close > 101) * 1.0\n",
        {"vault.py": 'API_KEY = "sk-Zz9-31415926535"\n'},
    )  # fmt: skip
    assert not (evidence.path("keyed") / "code" / "strategies" / "vault.py").exists()
    assert replayed(evidence, "keyed").verdict == "IDENTICAL"
    (evidence.root / "strategies" / "vault.py").write_text("API_KEY = 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"code/strategies/vault\.py is not in the run: .*secret"):
        replayed(evidence, "keyed")
    assert replayed(evidence, "keyed", here=True).verdict == "IDENTICAL"


LEAKS = {
    "a token": 'X = "ghp_' + "a1B2" * 9 + '"',
    "a token in a URL": 'X = "https://' + "0a1b2c3d" * 4 + '@host.example/"',
    "a private key": 'X = """-----BEGIN ' + "PRIVATE KEY-----" + '\nMIIE\n-----END PRIVATE KEY-----"""',
    "an environment of its own": 'import os\nos.environ.setdefault("API_KEY", "Zz9-31415926535")',
}


@pytest.mark.parametrize("what", LEAKS)
def test_no_file_of_a_run_holds_a_secret_of_its_code(evidence: Evidence, what: str) -> None:
    strategy(
        evidence, "leaking", "import vault\nimport plain\n\ndef leaking(bars):\n    return (bars.close > 101) * 1.0\n",
        {"vault.py": LEAKS[what] + "\n", "plain.py": 'X = "https://me@host.example/"\n'},
    )  # fmt: skip
    folder = evidence.path("leaking") / "code" / "strategies"
    assert sorted(path.name for path in folder.iterdir()) == ["leaking.py", "plain.py"]
    made = json.loads((evidence.path("leaking") / "manifest.json").read_text("utf-8"))["predicate"]["buildDefinition"]
    (told,) = [one["annotations"] for one in made["resolvedDependencies"] if one["name"] == "code"]
    (left_out,) = told["leftOut"]
    assert (left_out["file"], left_out["reason"]) == ("strategies/vault.py", "it holds what looks like a secret")


def test_a_replay_is_no_trial_and_stands_in_the_ledger(evidence: Evidence) -> None:
    results = Results(evidence.results)
    before = results.reading()
    found = replayed(evidence, "own")
    assert results.reading() is before  # nothing is written unless it is noted
    replay.note(results, found)
    replay.note(results, found)
    after = results.reading()
    assert after.runs.keys() == before.runs.keys() and not after.unknown and not after.broken
    history = after.of(evidence.runs["own"])
    assert history.state == "sealed" and not history.misplaced
    last = history.entries[-1]
    assert (last.event, last.fields) == (
        "replayed", {"verdict": "IDENTICAL", "code": "sealed", "environment": "this"},
    )  # fmt: skip
    assert not evidence.broken()


ODD: list[Any] = [
    None, True, -1, 10**18, 1.5, "", "x" * 300, "../../etc/passwd", "/dev/zero", "/**/*", "\0", "\u202e", [], {}, [1],
    {"a": 1}, {"": ""}, "0" * 64, "1.0; ls", "os:system",
]  # fmt: skip


def places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_strangers_manifest_or_config_holds_it_is_a_verdict_or_a_sentence(
    evidence: Evidence, tmp_path: Path, seed: int
) -> None:
    draw, sealed = random.Random(seed), evidence.manifest("own")
    ways = list(places(sealed["predicate"]))
    told = set()
    for number in range(12):
        copy = tmp_path / str(number)
        shutil.copytree(evidence.path("own"), copy)
        (copy / "seal.json").unlink()  # whoever writes a manifest writes that too
        made, file = json.loads(json.dumps(sealed)), copy / "config_snapshot.json"
        config = json.loads(file.read_bytes())
        for tree, way in ((made["predicate"], draw.choice(ways)), (config, draw.choice(list(places(config))))):
            if tree is config and number % 3:
                continue
            for key in way[:-1]:
                tree = tree[key]
            tree[way[-1]] = draw.choice(ODD)
        for path, content in ((file, json.dumps(config)), (copy / "manifest.json", "")):
            if path == file:
                digest = hashlib.sha256(content.encode()).hexdigest()
                for subject in made["subject"]:
                    subject["digest"]["sha256"] = {file.name: digest}.get(subject["name"], subject["digest"]["sha256"])
            path.chmod(0o644)
            path.write_text(content or json.dumps(made), encoding="utf-8")
        try:
            found = replay.replay(copy, None, evidence.root)
            assert found.as_text() and json.dumps(found.to_json_object())
            told.add(found.verdict)
        except InputError:
            told.add("refused")
    assert {"IDENTICAL", "refused"} <= told


@pytest.mark.parametrize("name", ["own", "failed"])
def test_a_full_disk_is_no_divergence(evidence: Evidence, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    count = len(evidence.ledger())
    for most in (0, 200, 1500, 4000)[
        : 3 + (name == "own")
    ]:  # bytes of a file: the first that is written, or a later one
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
        try:
            with pytest.raises(InputError, match="it can't be made again: ") as error:
                replayed(evidence, name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert error.value.hint == "check the disk, and $TMPDIR"
    assert len(evidence.ledger()) == count
    assert replayed(evidence, name).verdict == "IDENTICAL"  # the control

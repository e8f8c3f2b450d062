"""Replays of code from elsewhere, of code that reads what lies beside it, and of bars that are known by the month."""

from __future__ import annotations

import json
import py_compile
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import config, runner
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.trust import replay

Evidence = Any  # of conftest.py, which cannot be imported
CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1d"
calendar = "24/7"
[strategy]
entrypoint = "mine/first.py:first"
"""
FIRST = "def first(bars):\n    return (bars.close > 100) * 1.0\n"
DAYS = 600  # of which a fingerprint knows the months


class Elsewhere:
    """A folder outside of any checkout: a config, 600 days of bars, strategies below `mine/`, and results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, Results(folder / "results")
        self.lines = ["timestamp,open,high,low,close,volume"]
        days = np.datetime64("2023-01-01") + np.arange(DAYS)
        for number, day in enumerate(days):
            close = 100 + number % 7 - 3  # from 97 to 103
            self.lines.append(f"{day},{close},{close + 1},{close - 1},{close},5")
        self.bars(self.lines)

    def bars(self, lines: list[str]) -> None:
        (self.folder / "bars.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def run(self, code: str = FIRST, params: Mapping[str, str] = {}, **files: str) -> Path:
        self.write(
            {"first.py": code} | {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
        )
        (self.folder / "own.toml").write_text(CONFIG, encoding="utf-8")
        (self.folder / "checkout").mkdir(exist_ok=True)
        loaded = config.load(
            self.folder / "own.toml", [f"strategy.params.{key}={value}" for key, value in params.items()]
        )
        try:
            return runner.run(loaded, root=self.folder / "checkout", results=self.results.path)
        except RunError as error:
            return self.results.path / str(error.run_id)

    def replay(self, run: Path, **options: Any) -> replay.Replay:
        return replay.replay(run, self.results, self.folder / "checkout", **options)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


# --- days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [1, 166, DAYS])
def test_a_day_that_is_gone_is_named_where_fingerprints_know_the_month(elsewhere: Elsewhere, day: int) -> None:
    run = elsewhere.run()
    gone = elsewhere.lines[day].split(",")[0]
    elsewhere.bars([line for line in elsewhere.lines if not line.startswith(gone)])
    with pytest.raises(InputError, match=f"the data has no bars of {gone} any more"):
        elsewhere.replay(run)


def test_a_close_that_was_revised_is_named_by_its_day(elsewhere: Elsewhere) -> None:
    run = elsewhere.run()
    lines = [*elsewhere.lines]
    day, opened, *_ = lines[166].split(",")
    assert day == "2023-06-15"
    lines[166] = f"{day},{opened},999,{float(opened) - 1},998,5"
    elsewhere.bars(lines)
    found = elsewhere.replay(run)
    assert found.verdict == "DIVERGED"
    assert [(one.input.kind, one.input.details) for one in found.causes] == [
        ("data", ["revised 2023-06", "other closes 2023-06-15"])
    ]


def test_a_volume_that_was_revised_is_named_by_its_month_and_changes_nothing(elsewhere: Elsewhere) -> None:
    run = elsewhere.run()
    elsewhere.bars(
        [line.removesuffix(",5") + ",6" if line.startswith("2023-06-15") else line for line in elsewhere.lines]
    )
    found = elsewhere.replay(run)
    assert (found.verdict, [one.input.details for one in found.causes]) == ("IDENTICAL", [["revised 2023-06"]])


def test_bars_that_have_come_since_are_left_out_and_those_between_are_named(elsewhere: Elsewhere) -> None:
    elsewhere.bars([line for line in elsewhere.lines if not line.startswith("2023-06-15")])
    run = elsewhere.run()
    elsewhere.bars([*elsewhere.lines, "2024-09-01,100,101,99,100,5"])
    found = elsewhere.replay(run)
    assert found.verdict == "DIVERGED"
    assert found.causes[0].input.details == ["revised 2023-06", "bars come 2023-06-15"]


# --- code -------------------------------------------------------------------------------------------------------------


def test_a_file_beside_the_code_is_read_as_it_is_now(elsewhere: Elsewhere) -> None:
    reads = "from pathlib import Path\nHERE = Path(__file__).parent\n"
    run = elsewhere.run(
        f"{reads}LEVEL = float((HERE / 'level.txt').read_text()) + float((HERE / 'more' / 'by.txt').read_text())\n"
        "def first(bars):\n    return (bars.close > LEVEL) * 1.0\n",
        level_txt="100", more__by_txt="1",
    )  # fmt: skip
    assert elsewhere.replay(run).verdict == "IDENTICAL"
    elsewhere.write({"level.txt": "101"})
    other = elsewhere.replay(run)
    assert other.verdict == "DIVERGED" and "it depends on what is not (a file" in other.as_text()
    (elsewhere.folder / "mine" / "level.txt").unlink()
    gone = elsewhere.replay(run)
    assert gone.verdict == "DIVERGED" and "No such file or directory: 'code/level.txt'" in gone.error


def test_code_that_lies_beside_but_was_not_sealed_is_none_of_it(elsewhere: Elsewhere) -> None:
    run = elsewhere.run(
        "def first(bars):\n    try:\n        import helper\n    except ImportError:\n        return bars.close * 0\n"
        "    return (bars.close > 100) * 1.0\n"
    )
    elsewhere.write({"helper.py": "", "kit/__init__.py": ""})
    assert elsewhere.replay(run).verdict == "IDENTICAL"


def test_in_a_checkout_a_file_beside_the_code_is_read_too(evidence: Evidence) -> None:
    (evidence.root / "models").mkdir()
    (evidence.root / "models" / "level.txt").write_text("101", encoding="utf-8")
    (evidence.root / "strategies" / "beside.py").write_text(
        "from pathlib import Path\n\ndef beside(bars):\n"
        "    return (bars.close > float((Path(__file__).parents[1] / 'models' / 'level.txt').read_text())) * 1.0\n",
        encoding="utf-8",
    )
    text = (evidence.root / "config" / "own.toml").read_text(encoding="utf-8")
    evidence.run("beside", text.replace("own.py:steps", "beside.py:beside"))
    found = replay.replay(evidence.path("beside"), Results(evidence.results), evidence.root)
    assert (found.verdict, found.error) == ("IDENTICAL", "")


def test_a_failure_of_code_from_elsewhere_is_the_same_where_its_folder_has_another_name(elsewhere: Elsewhere) -> None:
    run = elsewhere.run("def first(bars):\n    raise KeyError('BTC/USDT')\n")
    assert "at mine/first.py:2" in json.loads((run / "manifest.json").read_bytes())["predicate"]["error"]["message"]
    assert elsewhere.replay(run).verdict == "IDENTICAL"
    elsewhere.write({"first.py": "def first(bars):\n    raise KeyError('ETH/USDT')\n"})
    other = elsewhere.replay(run, here=True)
    assert (other.verdict, [one.input.kind for one in other.causes]) == ("DIVERGED", ["code"])


def test_a_helper_that_lacks_a_name_is_a_divergence_of_code_and_one_that_is_gone_is_none(elsewhere: Elsewhere) -> None:
    run = elsewhere.run(
        "from kit.level import LEVEL\n\ndef first(bars):\n    return (bars.close > LEVEL) * 1.0\n",
        kit__level_py="LEVEL = 100\n",
    )
    elsewhere.write({"kit/level.py": "LEVL = 100\n"})
    renamed = elsewhere.replay(run, here=True)
    assert renamed.verdict == "DIVERGED" and "cannot import name 'LEVEL'" in renamed.error
    assert [one.input.details for one in renamed.causes] == [["line 1", "- LEVEL = 100", "+ LEVL = 100"]]
    shutil.rmtree(elsewhere.folder / "mine" / "kit")
    with pytest.raises(InputError, match="can't be loaded here: .*No module named 'kit'") as told:
        elsewhere.replay(run, here=True)
    assert told.value.hint == "without --code here its sealed code is taken"
    assert elsewhere.replay(run).verdict == "IDENTICAL"


def test_a_package_that_is_not_here_is_told_from_code_that_is_not(elsewhere: Elsewhere) -> None:
    run = elsewhere.run()
    elsewhere.write({"first.py": f"import no_such_package\n{FIRST}"})
    with pytest.raises(InputError, match="can't be loaded here: .*no_such_package") as told:
        elsewhere.replay(run, here=True)
    assert "--environment recorded" in told.value.hint


def test_a_replay_that_fails_is_not_told_to_have_other_parameters(elsewhere: Elsewhere) -> None:
    run = elsewhere.run("def first(bars, *, level=100):\n    return (bars.close > level) * 1.0\n")
    elsewhere.write({"first.py": "def first(bars, *, level=100):\n    raise ValueError(level)\n"})
    found = elsewhere.replay(run, here=True)
    assert (found.verdict, [one.input.kind for one in found.causes]) == ("DIVERGED", ["code"])


def test_compiled_code_is_loaded_as_what_it_is(elsewhere: Elsewhere) -> None:
    elsewhere.write({"kit/__init__.py": "", "kit/fast.py": "LEVEL = 101\n"})
    kit = elsewhere.folder / "mine" / "kit"
    py_compile.compile(str(kit / "fast.py"), cfile=str(kit / "fast.pyc"))
    (kit / "fast.py").unlink()
    run = elsewhere.run("from kit.fast import LEVEL\n\ndef first(bars):\n    return (bars.close > LEVEL) * 1.0\n")
    found = elsewhere.replay(run)
    assert (found.verdict, found.error, found.code) == ("IDENTICAL", "", "sealed")


def test_a_file_that_is_run_without_being_a_module_is_the_sealed_one(elsewhere: Elsewhere) -> None:
    run = elsewhere.run(
        "from pathlib import Path\nother = Path(__file__).parent / 'more' / 'levels.py'\nnames = {}\n"
        "exec(compile(other.read_text(), str(other), 'exec'), names)\n\n"
        "def first(bars):\n    return (bars.close > names['LEVEL']) * 1.0\n",
        more__levels_py="LEVEL = 101\n",
    )
    elsewhere.write({"more/levels.py": "LEVEL = 102\n"})
    found = elsewhere.replay(run)
    assert (found.verdict, found.said) == ("IDENTICAL", [])
    other = elsewhere.replay(run, here=True)
    assert (other.verdict, other.causes[0].input.details) == ("DIVERGED", ["line 1", "- LEVEL = 101", "+ LEVEL = 102"])


# --- secrets ----------------------------------------------------------------------------------------------------------

KEY = "API_KEY = 'sk-Zz9-31415926535'\n"


def test_code_that_was_left_out_whole_is_that_of_its_digest_and_no_other(elsewhere: Elsewhere) -> None:
    run = elsewhere.run(KEY + FIRST)
    assert not (run / "code").exists()
    said: list[str] = []
    found = elsewhere.replay(run, tell=said.append)
    assert (found.verdict, found.code, found.said) == ("IDENTICAL", "sealed", [])
    elsewhere.write({"first.py": KEY + FIRST.replace("100", "101")})
    with pytest.raises(InputError, match=r"code/first\.py is not in the run: it holds what looks like a secret"):
        elsewhere.replay(run)
    assert elsewhere.replay(run, here=True).verdict == "DIVERGED"  # the control


def test_a_secret_of_the_config_that_decides_is_named(elsewhere: Elsewhere) -> None:
    code = "def first(bars, *, {}=''):\n    return (bars.close > 90 + len({})) * 1.0\n"
    run = elsewhere.run(code.format("api_key", "api_key"), params={"api_key": "sk-Zz9-314159"})
    with pytest.raises(InputError, match=r"its config had secrets, which no run keeps: strategy\.params\.api_key"):
        elsewhere.replay(run)
    run = elsewhere.run(code.format("api_key", "'ten signs.'"), params={"api_key": "sk-Zz9-314159"})
    assert elsewhere.replay(run).verdict == "IDENTICAL"  # it decides nothing


# --- digests ----------------------------------------------------------------------------------------------------------


def forged(evidence: Evidence, name: str, file: str, row: int, **cells: str) -> replay.Replay:
    """Return the replay of a run whose file was edited, sealed anew but for the digests of its values."""
    results = evidence.manifest(name)["predicate"]["results"]
    digests = {key: results[key] for key in ("equity_digest", "trades_digest")}
    evidence.edit_csv(name, file, row, **cells)
    evidence.forge(name, lambda statement: statement["predicate"]["results"].update(digests))
    return replay.replay(evidence.path(name), Results(evidence.results), evidence.root)


def test_digests_that_are_not_those_of_the_files_prove_nothing(evidence: Evidence) -> None:
    found = forged(evidence, "own", "trades.csv", 1, pnl="12345.0")
    assert found.verdict == "DIVERGED" and found.trade is not None and found.trade.columns == ["pnl"]
    found = forged(evidence, "plain", "equity.csv", 3, equity="9999.0")
    assert found.verdict == "DIVERGED" and found.bar is not None and found.bar.a == 9999.0

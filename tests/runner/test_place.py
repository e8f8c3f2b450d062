"""Where an exception came from: the last line of a person's own, in the sentence that its operator reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config, runner
from peak_trade.errors import RunError

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[strategy]
entrypoint = "{entrypoint}"
"""


@pytest.fixture
def fails(tmp_path: Path, csv: str) -> Any:
    """Return what a run says whose strategy's file, and what lies beside it, has this text."""

    def run(text: str, entrypoint: str = "own.py:own", folder: Path = tmp_path, **beside: str) -> str:
        (tmp_path / "bars.csv").write_text(csv)
        for name, content in {"own": text, **beside}.items():
            (folder / f"{name}.py").write_text(content)
        (tmp_path / "c.toml").write_text(CONFIG.format(entrypoint=entrypoint))
        with pytest.raises(RunError) as caught:
            runner.run(config.load(tmp_path / "c.toml"), root=tmp_path, results=tmp_path / "results")
        (error,) = (json.loads(path.read_text()) for path in (tmp_path / "results").glob("*/error.json"))
        assert error["message"] == caught.value.message
        return caught.value.message

    return run


@pytest.fixture(scope="module")
def csv() -> str:
    rows = (f"2024-01-01T{hour:02}:00:00Z,100,101,99,100,1" for hour in range(24))
    return "\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n"


def test_the_line_that_raised_is_named(fails: Any) -> None:
    told = fails("import math\n\ndef own(bars):\n    half = len(bars) // 2\n    return half / (half - 12)\n")
    assert told == ("the strategy raised ZeroDivisionError: division by zero, at own.py:5: return half / (half - 12)")


def test_the_last_of_ones_own_files_counts_not_that_of_a_library(fails: Any) -> None:
    own = "from helper import half\n\ndef own(bars):\n    return half(bars)\n"
    helper = "import numpy as np\n\ndef half(bars):\n    return np.ones(3).reshape(2, 2)\n"
    told = fails(own, helper=helper)
    assert told.endswith(", at helper.py:4: return np.ones(3).reshape(2, 2)")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("import numpy as np\nimport nothing_of_that_name\n", "own.py:2: import nothing_of_that_name"),
        ("def own(bars):\n    return (1\n", "own.py:2: return (1"),
        ("x = 1\ny = x / 0\n", "own.py:2: y = x / 0"),
        ("import helper\n", "helper.py:1: 1 / 0"),
    ],
)
def test_a_file_that_cannot_be_loaded_names_its_line(fails: Any, text: str, place: str) -> None:
    assert fails(text, helper="1 / 0\n").endswith(f", at {place}")


def test_the_line_is_the_one_that_ran_whatever_is_there_now(fails: Any) -> None:
    text = "import pathlib\ndef own(bars):\n    pathlib.Path(__file__).write_text('#')\n    raise ValueError('gone')\n"
    assert fails(text).endswith(", at own.py:4: raise ValueError('gone')")


def test_a_file_outside_is_named_without_its_folders(fails: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    told = fails("def own(bars):\n    raise ValueError('no')\n", f"{folder}/own.py:own", folder)
    assert told == "the strategy raised ValueError: no, at own.py:2: raise ValueError('no')"


def test_a_long_line_is_cut(fails: Any) -> None:
    told = fails(f"def own(bars):\n    raise ValueError('{'x' * 500}')\n")
    assert len(told) < 400 and told.endswith("x…")


def test_a_secret_of_the_code_is_in_no_sentence_and_no_log(fails: Any, tmp_path: Path) -> None:
    text = "API_KEY = 'abcdefgh1234'\n\ndef own(bars):\n    raise ValueError(API_KEY, 'abcdefgh1234')\n"
    assert fails(text).endswith(
        "ValueError: ('[redacted]', '[redacted]'), at own.py:4: raise ValueError(API_KEY, '[redacted]')"
    )
    left = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert not [path for path in left if b"abcdefgh1234" in path.read_bytes()]
    assert [path for path in left if b"[redacted]" in path.read_bytes()], "the control"


@pytest.mark.parametrize(
    "text",
    [
        "def own(bars):\n    exec(compile('1 / 0', '/etc/hostname', 'exec'))\n",
        "def own(bars):\n    exec(compile('\\n' * 5000 + '1 / 0', '<string>', 'exec'))\n",
    ],
)
def test_no_line_of_what_is_no_code_of_ones_own_is_shown(fails: Any, text: str) -> None:
    told = fails(text)
    assert ", at own.py:2: exec(compile(" in told


def test_an_exception_that_hides_its_way_is_told_all_the_same(fails: Any) -> None:
    text = "class Odd(SyntaxError):\n    filename = property(lambda self: 1 / 0)\ndef own(bars):\n    raise Odd('x')\n"
    assert fails(text).startswith("the strategy raised Odd: ")


@pytest.mark.parametrize("text", ["x = 1\0\n", "# coding: nope\n"])
def test_a_file_that_python_names_no_line_of_is_named_itself(fails: Any, text: str) -> None:
    assert fails(text).endswith(", at own.py")


@pytest.mark.parametrize("then", ["os.remove(__file__)", "pathlib.Path(__file__).write_text('#')"])
def test_the_line_of_a_module_that_is_gone_or_another_is_the_one_that_ran(
    fails: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    (tmp_path / "lib").mkdir()  # in which Python itself finds it, not the strategy's loader
    (tmp_path / "lib/gone_by_now.py").write_text(f"import os, pathlib\n{then}\ndef half():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.delitem(sys.modules, "gone_by_now", raising=False)
    told = fails("import gone_by_now\ndef own(bars):\n    return gone_by_now.half()\n")
    assert told.endswith(", at lib/gone_by_now.py:4: return 1 / 0")
    (log,) = (path.read_text() for path in (tmp_path / "results").glob("*/run.log"))
    assert "    return 1 / 0" in log


def test_of_a_group_the_first_in_it_is_named(fails: Any) -> None:
    text = (
        "def own(bars):\n    found = []\n    for of in (0, ''):\n        try:\n            1 / of\n"
        "        except Exception as error:\n            found.append(error)\n"
        "    raise ExceptionGroup('all', [ExceptionGroup('some', found)])\n"
    )
    assert fails(text) == (
        "the strategy raised ExceptionGroup: all (1 sub-exception), the first is ZeroDivisionError, at own.py:5: 1 / of"
    )


def test_where_a_strategy_stood_when_its_time_was_up_is_told_and_not_sealed(tmp_path: Path, csv: str) -> None:
    (tmp_path / "bars.csv").write_text(csv)
    (tmp_path / "own.py").write_text("import time\ndef own(bars):\n    time.sleep(60)\n")
    (tmp_path / "c.toml").write_text("[run]\ntimeout_s = 1\n" + CONFIG.format(entrypoint="own.py:own"))
    with pytest.raises(RunError) as caught:
        runner.run(config.load(tmp_path / "c.toml"), root=tmp_path, results=tmp_path / "results")
    assert caught.value.message.endswith("run.timeout_s = 1 s, at own.py:3: time.sleep(60)")
    (told,) = (tmp_path / "results").glob("*/error.json")
    assert json.loads(told.read_text())["message"] == "the strategy ran longer than run.timeout_s = 1 s"
    assert caught.value.message in (told.parent / "run.log").read_text()

"""Telemetry goes through OpenTelemetry's own command: as it is installed, checked before, and nothing is left of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.obs import launch

pytestmark = [pytest.mark.slow, pytest.mark.needs("observability")]

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter with all that ours has but the command, beside which one of another make may be put."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    here = Path(sys.prefix)
    shutil.copy(here / "pyvenv.cfg", venv)
    (venv / "lib").symlink_to(here / "lib")
    (venv / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    return venv / "bin" / "python"


RECORDS = """
import json, os, sys
with open(os.environ["CALLS"], "a") as file: file.write(json.dumps(sys.argv[1:]) + "\\n")
from opentelemetry.instrumentation.auto_instrumentation import run
run()
"""


def test_the_command_is_called_once_as_it_is_installed_with_the_program_behind_two_dashes(
    case: Any, python: Path, same_as_plain: Callable[[Any], None]
) -> None:
    calls = case.folder / "calls"
    python.with_name("opentelemetry-instrument").write_text(RECORDS)
    ran = case.run(python=str(python), CALLS=str(calls))
    same_as_plain(ran)
    [words] = map(json.loads, calls.read_text().splitlines())
    assert words[:2] == ["--", str(python)]
    assert (ran.stderr, ran.receipt()["status"]) == ("", "done")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (None, "the extra observability is not installed"),
        ("raise RuntimeError('out of order')\n", "RuntimeError: out of order"),
        ("#!/bin/sh\nexit 3\n", "SyntaxError: .*"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("", "opentelemetry-instrument did not start it"),
        ("import opentelemetry.instrumentation.gone\n", "the extra observability is not installed"),
    ],
    ids=["missing", "raises", "another", "exits", "empty", "half"],
)
def test_a_command_that_is_broken_is_found_before_the_start(
    command: str | None, reason: str, case: Any, python: Path, same_as_plain: Callable[[Any], None]
) -> None:
    if command is not None:
        python.with_name("opentelemetry-instrument").write_text(command)
    ran = case.run(python=str(python))
    same_as_plain(ran)
    [receipt] = [one for one in ran.manifest()["predicate"]["receipts"] if one["part"] == "telemetry"]
    [warning] = ran.said("warn")
    assert warning.partition(": ")[::2] == ("telemetry skipped", receipt["reason"])
    assert len(ran.said("hint")) == 1
    assert re.fullmatch(reason, receipt["reason"])
    assert not ran.telemetry.exists()


def test_a_run_that_does_not_start_says_it_too(case: Any, python: Path) -> None:
    (case.folder / "bars.csv").unlink()
    ran = case.run(python=str(python))
    assert ran.code == 2
    assert ran.said("warn") == ["telemetry skipped: the extra observability is not installed"]


def test_a_program_that_is_not_there_is_told_as_without(case: Any, tools: Any) -> None:
    traced, plain = (case.call([tools.wrapper, "no-such-program"], PEAK_OTEL_ENABLED=on) for on in "10")
    assert traced.code == plain.code == 127
    assert len(traced.stderr.splitlines()) == 1
    assert traced.stderr.endswith("no-such-program: not found\n")


# --- the runbook's plain command ------------------------------------------------------------------------------------


def test_a_script_that_is_started_plainly_goes_through_the_command_by_itself(
    case: Any, tools: Any, same_as_plain: Callable[[Any], None]
) -> None:
    run_id = str(uuid.uuid4())
    ran = case.call(case.command("--run-id", run_id)[1:], run_id)  # in a folder that is not the checkout
    same_as_plain(ran)
    assert (ran.stderr, ran.receipt()["status"]) == ("", "done")
    assert [span.name for span in ran.spans()].count("run") == 1
    unnamed = case.call(case.command()[1:])
    assert unnamed.spans()[0].resource["run_id"] == unnamed.run_id


def test_a_script_that_cannot_be_started_so_says_why_once(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    run_id = str(uuid.uuid4())
    _, python, *words = case.command("--run-id", run_id)
    ran = case.call([python, "-I", *words], run_id)  # which takes nothing from the environment
    same_as_plain(ran)
    assert ran.said("warn") == ["telemetry skipped: opentelemetry-instrument did not start it"]
    assert [one["outcome"] for one in ran.manifest()["predicate"]["receipts"] if one["part"] == "telemetry"] == [
        "skipped"
    ]


def test_help_is_not_recorded(case: Any, tools: Any) -> None:
    done = case.call([sys.executable, tools.script, "--help"], "x", OTEL_CONFIG_FILE="/nowhere.yaml")
    assert (done.code, done.stderr) == (0, "")


# --- nothing is left of it ------------------------------------------------------------------------------------------


LOOKS = """
import json, os, subprocess, sys
seen = {"environment": dict(os.environ), "path": sys.path, "modules": sorted(sys.modules) if sys.argv[1:] else []}
if not sys.argv[1:]:
    seen["child"] = json.loads(subprocess.check_output([sys.executable, __file__, "child"]))
print(json.dumps(seen))
"""


def test_a_program_and_its_children_see_the_environment_and_the_path_that_was_theirs(case: Any, tools: Any) -> None:
    (case.folder / "looks.py").write_text(LOOKS)
    mine = {
        "OTEL_PYTHON_DISTRO": "mine",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "",
        "PYTHONPATH": os.pathsep.join([str(case.folder / "lib"), "", "relative"]),
    }
    command = [tools.wrapper, sys.executable, str(case.folder / "looks.py")]
    plain, traced = (
        json.loads(case.call(command, "x", PEAK_OTEL_ENABLED=on, PEAK_RUN_ID=str(uuid.uuid4()), **mine).stdout)
        for on in "01"
    )
    for seen in (plain, plain["child"], traced, traced["child"]):
        for name in ("PEAK_OTEL_ENABLED", "PEAK_RUN_ID", "_"):
            seen["environment"].pop(name, None)
    assert traced == plain
    assert traced["environment"]["OTEL_PYTHON_DISTRO"] == "mine"


# Put on PYTHONPATH as a module that the command imports: in its second start, where Python itself would die of Ctrl-C.
INTERRUPTS = """
import importlib, os, signal, sys
if "OTEL_PYTHON_CONFIGURATOR" in os.environ: os.kill(os.getpid(), signal.SIGINT)
folder = os.path.dirname(__file__)
sys.path.remove(folder)
del sys.modules["wrapt"]
sys.modules["wrapt"] = importlib.import_module("wrapt")
sys.path.insert(0, folder)
"""


def test_an_interrupt_while_the_command_starts_python_is_what_it_is_without(case: Any) -> None:
    (case.folder / "wrapt.py").write_text(INTERRUPTS)
    ran = case.run(PYTHONPATH=str(case.folder))
    assert (ran.code, ran.stdout, ran.stderr) == (1, "", "error: interrupted\n")
    assert not ran.results.exists()


# --- the stock command ----------------------------------------------------------------------------------------------


def test_the_stock_command_around_the_wrapper_changes_nothing(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "LOGS", "METRICS")}
    for on in ("1", "0"):
        run_id = str(uuid.uuid4())
        command = [str(INSTRUMENT), "--", *case.command("--run-id", run_id)]
        ran = case.call(command, run_id, PEAK_OTEL_ENABLED=on, **none)
        assert (ran.code, ran.stderr) == (0, "")
        same_as_plain(ran)
        assert ran.telemetry.exists() == (on == "1")


def test_edges_that_are_installed_twice_are_there_once(case: Any, tools: Any) -> None:
    program = (
        "import sys\nfrom unittest.mock import MagicMock\nfrom peak_trade.obs import edges, hooks\n"
        "class Session(MagicMock): pass\n"
        "for _ in range(2): edges.install(Session(loggers=None))\n"
        "print(sum(type(finder).__name__ == '_Finder' for finder in sys.meta_path))\n"
        "hooks.when_imported({'this_one': {'f': lambda f: lambda: f() + 1}})\n"
        "hooks.when_imported({'this_one': {'f': lambda f: lambda: f() + 1}})\n"
        "import this_one\nprint(this_one.f())\n"
    )
    (case.folder / "this_one.py").write_text("def f(): return 1\n")
    done = case.call([sys.executable, "-c", program], "x", PYTHONPATH=str(case.folder))
    assert done.stdout == "1\n3\n", done.stderr


def test_a_command_line_that_makes_a_run_is_known() -> None:
    assert launch.makes_run([sys.executable, "-m", "peak_trade", "run", "c.toml"])
    assert not launch.makes_run([sys.executable, "-m", "peak_trade", "runs"])

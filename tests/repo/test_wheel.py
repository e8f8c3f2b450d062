"""What a person installs works in an empty folder, without a checkout: it runs, verifies, reports, asks and traces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.commands import COMMANDS

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what is tracked, so that nothing is left in the checkout."""
    pytest.importorskip("hatchling", reason="the extra dev is not installed")
    source = tmp_path_factory.mktemp("source") / "peak_trade"
    for name in ("src", "scripts", "reports", "ops"):
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(root / name, source)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=source, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_what_its_commands_are_and_nothing_of_a_checkout(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name.removeprefix("peak_trade/shipped/") for name in names if "/shipped/" in name}
    scripts = {name for name in shipped if name.startswith("scripts/")}
    assert scripts == {f"scripts/{command.script}" for command in COMMANDS.values()}
    assert "peak_trade/py.typed" in names
    assert [name for name in names if "bench/" in name or name.endswith(".sh")] == []


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone, which finds the packages of this one, but not its checkout."""
    path = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(path, with_pip=False, symlinks=True)
    packages = next((path / "lib").glob("python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "others.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n", encoding="utf-8")
    (path / "share").symlink_to(Path(sys.prefix) / "share")
    if (command := Path(sys.prefix) / "bin" / "opentelemetry-instrument").is_file():
        text = command.read_text(encoding="utf-8").partition("\n")[2]
        mine = path / "bin" / command.name
        mine.write_text(f"#!{path / 'bin' / 'python'}\n{text}", encoding="utf-8")
        mine.chmod(0o755)
    console = path / "bin" / "peak-trade"
    console.write_text(f"#!{path / 'bin' / 'python'}\nfrom peak_trade.__main__ import entry\nentry()\n", "utf-8")
    console.chmod(0o755)
    return path


@pytest.fixture
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a config and its bars."""
    path = tmp_path_factory.mktemp("a person's folder")
    shutil.copy(root / "data" / "samples" / "sp500_daily.csv", path / "bars.csv")
    config = (root / "config" / "my_strategy.toml").read_text(encoding="utf-8")
    (path / "mine.toml").write_text(config.replace("data/samples/sp500_daily.csv", "bars.csv"), encoding="utf-8")
    return path


@pytest.fixture
def call(installed: Path, folder: Path) -> Call:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PEAK_", "PYTHON", "VIRTUAL_ENV"))}

    def called(*words: str, console: bool = False, **settings: str) -> subprocess.CompletedProcess[str]:
        start = (
            [str(installed / "bin" / "peak-trade")]
            if console
            else [str(installed / "bin" / "python"), "-m", "peak_trade"]
        )
        path = f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [*start, *words],
            cwd=folder,
            env=ours | {"PATH": path, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    return called


@pytest.mark.slow
def test_an_installed_package_does_the_whole_way_in_any_folder(call: Call, folder: Path, installed: Path) -> None:
    where = subprocess.run(
        [installed / "bin" / "python", "-c", "import peak_trade; print(peak_trade.__file__)"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(installed))
    ran = call("run", "mine.toml")
    run_id = ran.stdout.strip()
    assert ran.returncode == 0, ran.stderr
    assert (folder / "results" / run_id / "manifest.json").is_file()
    assert run_id[:8] in call("runs").stdout
    assert "sma_crossover" in call("show", "last", console=True).stdout
    assert call("verify", "--all").stdout == f"intact      ledger.jsonl\nintact      {run_id}\n"
    listed = call("doctor", "--json")
    assert listed.returncode == 0, listed.stderr
    assert not [finding for finding in json.loads(listed.stdout) if finding["name"] == "pins"]


@pytest.mark.slow
def test_an_installed_package_renders_its_report(call: Call, folder: Path) -> None:
    pytest.importorskip("nbclient")
    run_id = call("run", "mine.toml", "--quiet").stdout.strip()
    rendered = call("report", "last", "--renderer", "builtin")
    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stdout == f"{folder / 'results' / run_id / 'report' / 'backtest_report.html'}\n"
    assert run_id in Path(rendered.stdout.strip()).read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_installed_package_fills_and_asks_its_lake(call: Call, folder: Path) -> None:
    pytest.importorskip("duckdb")
    run_id = call("run", "mine.toml", "--quiet").stdout.strip()
    built = call("lake-build")
    assert built.returncode == 0, built.stderr
    asked = call("lake-query", "--format", "csv", f"SELECT symbol FROM runs WHERE run_id = '{run_id}'")
    assert asked.stdout == "symbol\nSPX\n", asked.stderr
    assert (folder / "data" / "lake").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("console", [False, True])
def test_an_installed_package_traces_a_run(call: Call, console: bool, folder: Path) -> None:
    pytest.importorskip("opentelemetry.instrumentation")
    ran = call("run", "mine.toml", "--quiet", console=console, PEAK_OTEL_ENABLED="1")
    assert ran.stderr == ""
    told = json.loads(call("trace", ran.stdout.strip(), "--json").stdout)
    assert {"run", "load_bars", "strategy", "backtest", "seal"} <= {span["name"] for span in told["spans"]}


@pytest.mark.slow
def test_a_command_is_helped_where_it_is_unknown_or_asked_what_it_does(call: Call) -> None:
    refused = call("verfy", "last")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: unknown command `verfy`\nhint: did you mean `verify`?\n"
    helped = call("--help")
    assert helped.returncode == 0
    assert [name for name, command in COMMANDS.items() if f"  {name} " not in helped.stdout] == []
    assert call("lake-report", "--help").stdout.startswith("usage: peak-trade lake-report [-h]")
    assert call("--version").stdout.count(".") == 2
    assert call().returncode == 2


@pytest.mark.slow
def test_a_hint_away_from_a_checkout_names_what_is_there(call: Call) -> None:
    refused = call("show", "nothing")
    assert refused.returncode == 2
    assert refused.stderr.endswith("hint: peak-trade runs lists them\n")
    strayed = call("run", "nowhere.toml")
    assert strayed.returncode == 2
    assert "nowhere.toml: No such file or directory; looked in " in strayed.stderr


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_command_is_the_recipe_of_its_name(justfile: dict[str, Any]) -> None:
    for name, command in COMMANDS.items():
        recipe = justfile["recipes"][name]
        assert command.line == recipe["doc"].replace("`just ", "`"), name
        line = "".join(part if isinstance(part, str) else f"<{part[0][1]}>" for part in recipe["body"][0])
        if name == "report-last":  # by way of a file that names the same script
            assert "render_last_report.sh" in line
            continue
        ends = " ".join([f"scripts/{command.script}", *command.before, '"$@"'])
        assert line.endswith(ends), name
        assert command.traced == ("<traced>" in line), name

"""Set-up remembers what it installed, does nothing when nothing has changed, and keeps stdout for the command.

uv is a stand-in on these pages: it writes down what it was asked, so that each question is seen.
The real one is used by every recipe that CI runs, in a fresh clone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

STAND_IN = """#!/usr/bin/env bash
[[ $1 != --version ]] || exit 0
printf '%s\\n' "$*" >>"$0.asked"
[[ $1 != "${FAILING-}" ]] || exit 1
[[ $1 != pip || -z ${HELD-} ]] || read -r _ <"$HELD"
if [[ $1 == venv ]]; then
    mkdir -p .venv/bin
    printf '#!/usr/bin/env bash\\nprintf "<%%s>" "$@"\\n' >.venv/bin/python
    chmod +x .venv/bin/python
fi
"""


class Checkout:
    """A copy of what set-up needs, with a stand-in for uv."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        for name in ("pyproject.toml", "constraints.txt", "justfile"):
            shutil.copy(root / name, path)
        shutil.copytree(root / "scripts" / "utils", path / "scripts" / "utils")
        self.uv = path / "uv"
        self.uv.write_text(STAND_IN, encoding="utf-8")
        self.uv.chmod(0o755)

    def __call__(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "UV": str(self.uv), **settings}
        return subprocess.run(
            command,
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def setup(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return self("scripts/utils/setup_env.sh", *arguments, **settings)

    def asked(self) -> list[str]:
        """What uv was asked since the last look."""
        notes = self.uv.with_name("uv.asked")
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, tmp_path)


def test_the_first_setup_makes_the_environment_at_the_pins(checkout: Checkout) -> None:
    assert checkout.setup().stdout == "environment is ready: .venv (extras: none)\n"
    made, installed = checkout.asked()
    assert made == "venv --quiet --clear .venv"
    assert installed == (
        "pip install --quiet --python .venv/bin/python --compile-bytecode --constraint constraints.txt --editable ."
    )


def test_a_repeated_setup_asks_for_nothing(checkout: Checkout) -> None:
    checkout.setup("lake")
    checkout.asked()
    again = checkout.setup("lake")
    assert again.stdout == "environment is ready: .venv (extras: lake)\n"
    assert checkout.asked() == []


def test_a_further_extra_keeps_the_earlier_ones(checkout: Checkout) -> None:
    checkout.setup("lake")
    checkout.asked()
    checkout.setup("observability", "lake")
    (installed,) = checkout.asked()
    assert installed.endswith("--editable .[lake,observability]")
    assert checkout.setup("observability").stdout == "environment is ready: .venv (extras: lake observability)\n"
    assert checkout.asked() == []


def test_the_extra_all_holds_every_other(checkout: Checkout) -> None:
    checkout.setup("all")
    checkout.asked()
    checkout.setup("lake", "dev")
    assert checkout.asked() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_brings_every_extra_to_the_new_pins(name: str, checkout: Checkout) -> None:
    checkout.setup("lake")
    checkout.asked()
    with (checkout.path / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    checkout.setup()
    (installed,) = checkout.asked()
    assert installed.endswith("--editable .[lake]")


def test_a_file_with_a_new_time_and_the_same_content_changes_nothing(checkout: Checkout) -> None:
    checkout.setup()
    checkout.asked()
    os.utime(checkout.path / "constraints.txt", (2e9, 2e9))
    checkout.setup()
    assert checkout.asked() == []


def test_an_unknown_extra_is_refused_with_the_known_ones(checkout: Checkout) -> None:
    refused = checkout.setup("lakes")
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: unknown extra `lakes`\n"
        "hint: known: dev experiments lake calendars observability market timestamp engines luck share search cluster "
        "all\n"
    )
    assert checkout.asked() == []


def test_a_checkout_that_was_moved_is_set_up_anew(checkout: Checkout, root: Path) -> None:
    checkout.setup("lake")
    (checkout.path / "elsewhere").mkdir()
    moved = Checkout(root, checkout.path / "elsewhere")
    shutil.copytree(checkout.path / ".venv", moved.path / ".venv")
    moved.setup()
    made, installed = moved.asked()
    assert made.startswith("venv")
    assert installed.endswith("--editable .[lake]")


@pytest.fixture
def held(checkout: Checkout) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A set-up of `lake` that stands still while it installs, and the gate that lets it go on when it is closed."""
    fifo = checkout.path / "held"
    os.mkfifo(fifo)
    environment = {**os.environ, "UV": str(checkout.uv), "HELD": str(fifo)}
    command = ["scripts/utils/setup_env.sh", "lake"]
    with subprocess.Popen(command, cwd=checkout.path, env=environment, start_new_session=True) as process:
        while process.poll() is None:
            try:
                gate = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it yet
                time.sleep(0.01)
                continue
            with open(gate, "wb") as opened:
                yield process, opened
            return
        pytest.fail("the set-up did not stand still")


def test_of_two_setups_at_once_the_second_waits_and_adds_to_what_the_first_left(
    checkout: Checkout, held: tuple[subprocess.Popen[bytes], IO[bytes]]
) -> None:
    first, gate = held
    environment = {**os.environ, "UV": str(checkout.uv)}
    command = ["scripts/utils/setup_env.sh", "dev"]
    with subprocess.Popen(command, cwd=checkout.path, env=environment, stderr=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        with gate:
            assert second.stderr.readline() == "waiting for another set-up of this checkout …\n"
        assert second.stderr.read() == "setting up .venv (extras: lake dev)\n"
    assert (first.wait(), second.returncode) == (0, 0)
    assert [asked.split()[-1] for asked in checkout.asked()] == [".venv", ".[lake]", ".[lake,dev]"]


def test_a_recipe_that_needs_nothing_new_does_not_wait(checkout: Checkout) -> None:
    checkout.setup("lake")
    with (checkout.path / "pyproject.toml").open("r+", encoding="utf-8") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert checkout("scripts/utils/in_env.sh", "--with", "lake", "echo", "ran").stdout == "ran\n"


def test_a_setup_that_was_killed_keeps_nobody_waiting(
    checkout: Checkout, held: tuple[subprocess.Popen[bytes], IO[bytes]]
) -> None:
    os.killpg(held[0].pid, signal.SIGKILL)
    again = checkout.setup()
    assert again.returncode == 0
    assert again.stderr.endswith("setting up .venv (extras: none)\n")  # it may have waited for it to be dead


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is macOS's way to a lock")
def test_without_the_command_flock_perl_takes_the_same_lock(checkout: Checkout) -> None:
    text = (checkout.path / "scripts/utils/setup_env.sh").read_text(encoding="utf-8")
    lock = text.split("\nlock() {")[1].split("\n}\n")[0]
    ask = f"command() {{ return 1; }}\nlock() {{{lock}\n}}\nexec 9<>pyproject.toml\nlock -n && echo ours"
    assert checkout("bash", "-c", ask).stdout == "ours\n"
    with (checkout.path / "pyproject.toml").open("r+", encoding="utf-8") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert checkout("bash", "-c", ask).stdout == ""


def test_a_link_to_the_environment_of_another_checkout_is_refused(checkout: Checkout, root: Path) -> None:
    checkout.setup("lake")
    checkout.asked()
    (checkout.path / "elsewhere").mkdir()
    other = Checkout(root, checkout.path / "elsewhere")
    (other.path / ".venv").symlink_to(checkout.path / ".venv")
    for refused in (other.setup(), other("scripts/utils/in_env.sh", "echo", "ran")):
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == (
            f"error: .venv is a link to the environment of another checkout, {checkout.path}\n"
            "hint: rm .venv, and this one gets its own\n"
        )
    assert other.asked() == []
    assert "environment is ready" in checkout.setup("lake").stdout


def test_windows_is_refused_with_what_works_there(checkout: Checkout) -> None:
    refused = checkout("bash", "-c", "OSTYPE=msys; source scripts/utils/setup_env.sh", "scripts/utils/setup_env.sh")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: windows is supported through WSL 2 only\nhint: ")
    assert checkout.asked() == []


def test_a_failed_install_is_tried_again(checkout: Checkout) -> None:
    failed = checkout.setup("lake", FAILING="pip")
    assert failed.returncode == 1
    assert "error: the packages could not be installed" in failed.stderr
    checkout.asked()
    assert checkout.setup("lake").returncode == 0
    assert len(checkout.asked()) == 1


def test_a_recipe_goes_on_with_the_last_setup_where_an_update_fails(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.path / "constraints.txt").write_text("numpy==0\n", encoding="utf-8")
    ran = checkout("scripts/utils/in_env.sh", "echo", "ran", FAILING="pip")
    assert ran.returncode == 0
    assert ran.stdout == "ran\n"
    assert "warn: going on with the packages of the last set-up" in ran.stderr


def test_a_command_that_brings_the_environment_to_new_pins_says_so_and_tells_the_run(checkout: Checkout) -> None:
    """Once: the next command finds the environment as it is, and says nothing."""
    checkout.setup()
    pins = checkout.path / "constraints.txt"
    pins.write_text(pins.read_text(encoding="utf-8") + "dreamed-up==2.0 \\\n", encoding="utf-8")
    told = ["scripts/utils/in_env.sh", "bash", "-c", 'printf "%s" "${PEAK_RENEWED-}"']
    first, second = checkout(*told), checkout(*told)
    assert first.stdout == ".venv was brought to new pins: dreamed-up==2.0"
    assert first.stdout in first.stderr.splitlines()
    assert (second.stdout, second.stderr) == ("", "")


def test_a_recipe_does_not_go_on_without_an_extra_that_it_needs(checkout: Checkout) -> None:
    checkout.setup()
    ran = checkout("scripts/utils/in_env.sh", "--with", "dev", "echo", "ran", FAILING="pip")
    assert ran.returncode == 1
    assert ran.stdout == ""


def test_an_environment_made_by_hand_is_left_alone(checkout: Checkout) -> None:
    checkout(str(checkout.uv), "venv")
    (checkout.path / ".venv/lib/python3.11/site-packages/peak_trade-0.1.0.dist-info").mkdir(parents=True)
    checkout.asked()
    assert checkout("scripts/utils/in_env.sh", "echo", "ran").stdout == "ran\n"
    assert checkout.asked() == []
    assert checkout.setup().returncode == 0
    assert len(checkout.asked()) == 1


def test_a_command_in_the_environment_has_stdout_for_itself(checkout: Checkout) -> None:
    ran = checkout("scripts/utils/in_env.sh", "--with", "dev", "python", "a b", "c")
    assert ran.stdout == "<a b><c>"
    assert checkout.asked()[-1].endswith("--editable .[dev]")


def test_recipes_pass_arguments_with_spaces_unharmed(checkout: Checkout, run: Any) -> None:
    ran = run(
        "just",
        "run",
        "my config.toml",
        "--set",
        "a='b  c'",
        "$HOME",
        cwd=checkout.path,
        UV=str(checkout.uv),
        NO_COLOR="1",
    )
    assert ran.stdout == "<scripts/run_strategy_from_config.py><--config><my config.toml><--set><a='b  c'><$HOME>"


@pytest.mark.parametrize(("stage", "config"), [("p1", "my_strategy"), ("p2", "btcusdt_donchian")])
def test_a_stage_with_options_alone_runs_its_default_config(
    stage: str, config: str, checkout: Checkout, run: Any
) -> None:
    ran = run("just", stage, "--set", "a=5", cwd=checkout.path, UV=str(checkout.uv))
    given = f"<scripts/run_strategy_from_config.py><--config><config/{config}.toml><--set><a=5>"
    assert ran.stdout == f"{given}\n"


def test_p1_runs_the_default_config(checkout: Checkout, run: Any) -> None:
    ran = run("just", "p1", cwd=checkout.path, UV=str(checkout.uv))
    assert ran.stdout == "<scripts/run_strategy_from_config.py><--config><config/my_strategy.toml>\n"


def test_uv_is_found_on_path_where_nobody_names_it(checkout: Checkout) -> None:
    found = checkout("scripts/utils/find_uv.sh", UV="", PATH=f"{checkout.path}:/usr/bin:/bin")
    assert found.stdout == f"{checkout.path}/uv\n"


def test_a_uv_that_does_not_start_is_passed_over(checkout: Checkout) -> None:
    broken = checkout.path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    found = checkout("scripts/utils/find_uv.sh", UV=str(broken), PATH=f"{checkout.path}:/usr/bin:/bin")
    assert found.stdout == f"{checkout.path}/uv\n"


def test_a_missing_uv_that_cannot_be_installed_is_said_in_a_sentence(checkout: Checkout) -> None:
    checkout.uv.unlink()
    tools = checkout.path / "tools"
    tools.mkdir()
    for name in ("bash", "sed"):
        (tools / name).symlink_to(str(shutil.which(name)))
    found = checkout("scripts/utils/find_uv.sh", UV="", PATH=str(tools))
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr == "error: uv is missing and could not be installed\nhint: pip install uv\n"


def test_the_pins_are_compiled_for_every_extra_and_platform(checkout: Checkout) -> None:
    assert checkout("scripts/utils/update_pins.sh", "--upgrade").returncode == 0
    (asked,) = checkout.asked()
    assert asked == (
        "pip compile pyproject.toml --quiet --universal --all-extras --generate-hashes --python-version 3.11"
        " --output-file constraints.txt --upgrade"
    )


def test_the_validator_has_an_environment_of_its_own(root: Path, checkout: Checkout) -> None:
    wanted = checkout.path / "tests/trust/validator/requirements.txt"
    wanted.parent.mkdir(parents=True)
    shutil.copy(root / "tests/trust/validator/requirements.txt", wanted)
    folder = checkout.path / ".venv/roc-validator"
    folder.mkdir(parents=True)  # the stand-in makes none
    script = "scripts/utils/setup_validator.sh"

    failed = checkout(script, FAILING="pip")
    assert (failed.returncode, failed.stdout) == (0, ""), "the tests that need it say so"
    assert failed.stderr.startswith("setting up .venv/roc-validator\nwarn: roc-validator could not be set up\nhint: ")
    assert len(checkout.asked()) == 2

    assert checkout(script).stderr == "setting up .venv/roc-validator\n"
    made, installed = checkout.asked()
    assert made == "venv --quiet --clear --no-project --python .venv/bin/python .venv/roc-validator"
    assert "--require-hashes" in installed and installed.endswith(
        " --requirement tests/trust/validator/requirements.txt"
    )
    assert checkout(script).stderr == "" and checkout.asked() == []

    wanted.write_text("roc-validator==0\n", encoding="utf-8")
    assert checkout(script).returncode == 0 and len(checkout.asked()) == 2


def test_all_tests_have_what_they_need_set_up_or_fail(recipes: dict[str, Any]) -> None:
    assert [one["recipe"] for one in recipes["test"]["dependencies"]] == ["_validator", "_axe"]
    assert "--all-extras" in str(recipes["test"]["body"])


def test_tests_start_no_uv_and_no_pip_that_loads_anything(tmp_path: Path) -> None:
    assert (os.environ["UV_OFFLINE"], os.environ["PIP_NO_INDEX"]) == ("1", "1")
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on PATH")
    done = subprocess.run(
        [uv, "pip", "install", "--target", tmp_path, "--no-cache", "--no-deps", "msgspec"],
        capture_output=True, text=True, timeout=60, env=os.environ | {"UV_FIND_LINKS": ""},
    )  # fmt: skip
    assert done.returncode != 0 and "network was disabled" in done.stderr

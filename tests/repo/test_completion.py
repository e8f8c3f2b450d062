"""TAB: recipes and run_ids in bash, zsh and fish, and nothing that somebody else's file name can bring about.

The shells are real and sit on a pseudo-terminal, as before a person.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "utils" / "completion.sh"
RUNS = ("0a1b2c3d-0000-4000-8000-000000000001", "12345678-0000-4000-8000-000000000002")
# Each would leave a file X behind where a shell expands it, or takes it for words of the command line.
HOSTILE = (
    "12345678-a-b-c-$(touch X)",
    "12345678-a-b-c-`touch X`",
    "12345678-a-b-c-;touch X;",
    "12345678-a-b-c-\ntouch X\n",
    "12345678-a-b-c-&touch X&",
    "12345678-a-b-c-|touch X",
    "12345678-a-b-c-'$(touch X)'",
    '12345678-a-b-c-"$(touch X)"',
    "12345678-a-b-c-\\$(touch X)",
    "12345678-a-b-c-*",
    "12345678-a-b-c-?[a-z]{a,b}~",
    "12345678-a-b-c-${PATH}$'\\x41'",
    "12345678-a-b-c-a[$(touch X)]",
    "12345678-a-b-c-<(touch X)",
    "12345678-0000-4000-8000-$(touch X)12",  # as long as a run_id
    "12345678-0000-4000-8000-0000000\x1b]0;o\x07",
    "12345678-0000-4000-8000-00000000000\n",
    "-12345678-a-b-c-$(touch X)",
    "--help-a-b-c-d",
)
# What would be wrong in each shell: names that are expanded, or that come onto the line unquoted.
CARELESS = {
    "bash": """
        _careless() {
            local runs=($(cd "$PEAK_RESULTS_DIR" && compgen -G '????????-*-*-*-*'))
            COMPREPLY=($(compgen -W "last ${runs[*]-}" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o bashdefault -o default -F _careless just""",
    "zsh": """
        _careless() { local run; for run in $PEAK_RESULTS_DIR/????????-*-*-*-*(N:t); eval "compadd -- $run"; }
        compdef _careless just""",
    "fish": """
        function _careless; for run in $PEAK_RESULTS_DIR/*; eval echo (path basename -- $run); end; end
        complete -c just -a '(_careless)'""",
}


class Shell(NamedTuple):
    start: tuple[str, ...]
    ready: str  # has it complete, and take what is typed key by key


SHELLS = {
    "bash": Shell(
        ("bash", "--norc", "--noprofile", "-i"),
        "bind 'set enable-bracketed-paste off'; bind 'set page-completions off'",
    ),
    "zsh": Shell(("zsh", "-f", "-i"), "autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste"),
    "fish": Shell(("fish", "--no-config", "-i"), "set -g fish_greeting"),
}


class Terminal:
    """A shell on a terminal, standing in a folder that has a justfile and files with hostile names."""

    def __init__(self, name: str, folder: Path, results: Path) -> None:
        self.name, self.said, self.asked = name, "", 0
        ours, theirs = pty.openpty()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        settings = {"TERM": "xterm", "PATH": path, "PEAK_RESULTS_DIR": str(results), "HOME": str(folder.parent)}
        self.process = subprocess.Popen(
            SHELLS[name].start, cwd=folder, env={**os.environ, **settings}, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        )  # fmt: skip
        os.close(theirs)
        self.ours = ours
        self.line(SHELLS[name].ready)

    def load(self, completions: str, folder: Path) -> Terminal:
        path = folder / f"completions.{self.name}"
        path.write_text(completions, encoding="utf-8")
        self.line(f"source {path}")
        return self

    def prompt(self, deadline: float) -> None:
        """Wait until the shell reads key by key: before that, the terminal itself takes ^U, and TAB with it."""
        while termios.tcgetattr(self.ours)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise TimeoutError(self.said)
            time.sleep(0.001)

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def line(self, text: str) -> str:
        """Enter a line, and return what was shown until it was done."""
        self.asked += 1
        before = len(self.said)
        deadline = time.monotonic() + 30
        self.prompt(deadline)
        self.type(f"{text}\r")
        self.type(f"echo 'done''-{self.asked}-'\r")
        while f"done-{self.asked}-" not in self.said[before:]:
            if not select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(self.said)
            self.said += os.read(self.ours, 65536).decode(errors="replace")
        return self.said[before:]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "of $(touch X) 'others'"
    for name in (*RUNS, *HOSTILE):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def stand(tmp_path: Path) -> Path:
    """A folder with a justfile whose recipes write their arguments to `given`."""
    folder = tmp_path / "stand"
    folder.mkdir()
    recipes = "".join(f"{name} *words:\n    @printf '%s\\n' \"$@\" >given\n" for name in ("show", "run"))
    (folder / "justfile").write_text(f"set positional-arguments\n{recipes}", encoding="utf-8")
    for name in HOSTILE:
        (folder / name).touch()
    return folder


@pytest.fixture(params=list(SHELLS))
def terminal(request: pytest.FixtureRequest, stand: Path, results: Path) -> Iterator[Terminal]:
    """Each shell that is installed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed: nobody has pressed TAB in it; what it is told is read below")
    opened = Terminal(request.param, stand, results)
    yield opened
    opened.close()


@pytest.fixture
def completing(terminal: Terminal, tmp_path: Path) -> Terminal:
    """A terminal with our completions."""
    told = subprocess.run([SCRIPT, terminal.name], capture_output=True, text=True, env={**os.environ, "JUST": just()})
    assert (told.returncode, told.stderr) == (0, "")
    return terminal.load(told.stdout, tmp_path)


def just() -> str:
    return str(Path(sys.executable).with_name("just"))


def attacked(*folders: Path) -> list[str]:
    return [str(path) for folder in folders for path in folder.rglob("X")]


def given(stand: Path) -> str:
    """What the recipe was called with."""
    return (stand / "given").read_text(encoding="utf-8")[:-1]


def only(stand: Path, *names: str) -> None:
    """Have these files alone beside the justfile."""
    for name in HOSTILE:
        (stand / name).unlink()
    for name in names:
        (stand / name).touch()


TYPED = ("just show 1", "just show 12345678-a", "just show ", "just show -", "just verify 12345678-0000-4000-8000-")


def test_tab_runs_no_name_of_a_directory(completing: Terminal, tmp_path: Path) -> None:
    for typed in TYPED:
        completing.line(f"{typed}\t\t\x15")
    assert attacked(tmp_path) == []


def test_tab_would_run_it_where_names_are_expanded(terminal: Terminal, tmp_path: Path) -> None:
    terminal.load(CARELESS[terminal.name], tmp_path)
    for typed in TYPED:
        terminal.line(f"{typed}\t\t\x15")
        assert attacked(tmp_path) != [], f"{typed!r}: TAB was not pressed"
        for path in attacked(tmp_path):
            Path(path).unlink()


def test_tab_completes_a_run_id(completing: Terminal, stand: Path) -> None:
    completing.line("just show last 0a\t")
    assert given(stand) == f"last\n{RUNS[0]}"
    completing.line("just show la\t")
    assert given(stand) == "last"


def test_tab_completes_a_recipe(completing: Terminal, stand: Path) -> None:
    completing.line("just sho\t 1")
    assert given(stand) == "1"


def test_a_run_id_is_completed_among_hostile_names_that_begin_with_it(completing: Terminal, stand: Path) -> None:
    only(stand)
    completing.line("just show 12345678\t")
    assert given(stand) == RUNS[1]


def test_a_file_that_is_completed_and_entered_is_one_word(completing: Terminal, stand: Path) -> None:
    """Where no run_id fits, files are offered: were they not quoted, ENTER would run the name."""
    names = {f"file{at}": f"file{at}{hostile}" for at, hostile in enumerate(HOSTILE[:9])}
    only(stand, *names.values())
    for typed, name in names.items():
        completing.line(f"just run {typed}\t")
        assert given(stand) in (name, name.split("\n")[0])  # fish takes a line for a name
    assert attacked(stand) == []


def test_enter_would_run_the_name_as_just_itself_completes_it_in_bash(
    stand: Path, results: Path, tmp_path: Path
) -> None:
    only(stand, f"file{HOSTILE[0]}")
    terminal = Terminal("bash", stand, results)
    told = subprocess.run([just(), "--completions", "bash"], capture_output=True, text=True, check=True).stdout
    terminal.load(told, tmp_path).line("just run file\t")
    terminal.close()
    assert attacked(stand) != []


@pytest.mark.parametrize(
    ("shell", "enters", "held"),
    [
        ("bash", "for run in ", "[[ $run == *[!0123456789abcdef-]* ||"),
        ("zsh", "for run in ", "[[ $run == *[^0123456789abcdef-]* ]] ||"),
        ("fish", "for run in ", r"string match -r -- '(?<=/)[0-9a-f][0-9a-f-]{35}(?=/\z)' $run"),
    ],
)
def test_a_name_enters_in_one_place_and_is_held_there(shell: str, enters: str, held: str) -> None:
    """For a machine without zsh or fish, where nobody presses TAB: what the shell is told, read."""
    settings = {**os.environ, "JUST": "true"}  # in place of what `just` says
    ours = subprocess.run([SCRIPT, shell], capture_output=True, text=True, check=True, env=settings).stdout
    assert [ours.count(enters), ours.count("$results/") + ours.count('"$results"/'), ours.count(held)] == [1, 1, 1]
    assert ours.index(enters) < ours.index(held)
    assert [word for word in ("compgen", "eval", "compadd -Q", "xargs", "basename") if word in ours] == []


def test_completion_asks_for_runs_where_a_recipe_takes_one(root: Path, recipes: dict[str, Any]) -> None:
    text = (root / "scripts" / "utils" / "completion.sh").read_text(encoding="utf-8")
    (names,) = re.findall(r"^run_recipes='(.*)'$", text, re.MULTILINE)
    assert [name for name in names.split() if name not in recipes] == []


def test_bash_completes_run_ids_in_a_folder_below_the_justfile(tmp_path: Path, root: Path, run: Any) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "justfile").touch()
    (tmp_path / "results" / "0a1b2c3d-0000-4000-8000-000000000001").mkdir(parents=True)
    ask = f"""
eval "$({root}/scripts/utils/completion.sh bash)"
COMP_WORDS=(just show 0) COMP_CWORD=2
_peak_trade just 0 show
echo "${{COMPREPLY[@]}}"
"""
    answered = run("bash", "-c", ask, cwd=tmp_path / "docs" / "deep", PEAK_RESULTS_DIR="")
    assert answered.stdout == "0a1b2c3d-0000-4000-8000-000000000001\n"


def test_the_shell_to_complete_in_is_the_one_that_is_used(run: Any) -> None:
    named, used = run("scripts/utils/completion.sh", "fish"), run("scripts/utils/completion.sh", SHELL="/usr/bin/fish")
    assert named.returncode == 0
    assert used.stdout == named.stdout
    unnamed = run("scripts/utils/completion.sh", SHELL="")
    assert unnamed.returncode == 2
    assert unnamed.stderr == "error: no shell is named\nhint: known: bash, zsh, fish\n"


def test_an_unknown_shell_is_refused_with_the_known_ones(run: Any) -> None:
    refused = run("scripts/utils/completion.sh", "tcsh")
    assert refused.returncode == 2
    assert refused.stderr == "error: unknown shell `tcsh`\nhint: known: bash, zsh, fish\n"

"""`peak_trade.script`: arguments, errors and output in the house voice, seen from outside as an operator sees them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade import places, script
from peak_trade.errors import InputError

HEAD = '''"""Add numbers.

Whole ones.
"""
import sys
from peak_trade import places, script
from peak_trade.errors import InputError, RunError

def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--scale", type=int, default=1)
    args = parser.parse_args()
'''
FOOT = "\nscript.run(main)\n"


def call(tmp_path: Path, body: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose `main` ends with `body`."""
    path = tmp_path / "add.py"
    path.write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()) + FOOT, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_main_gives_the_exit_code(tmp_path: Path) -> None:
    assert call(tmp_path, "return 0").returncode == 0
    assert call(tmp_path, "return 1").returncode == 1


def test_the_docstring_is_the_help(tmp_path: Path) -> None:
    answered = call(tmp_path, "return 0", "--help")
    assert answered.returncode == 0
    assert "Add numbers.\n\nWhole ones.\n" in answered.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scal", "2"], "error: unknown option `--scal`\nhint: did you mean `--scale`?\n"),
        (["--scal=2"], "error: unknown option `--scal`\nhint: did you mean `--scale`?\n"),
        (["--scale"], "error: argument --scale: expected one argument\nhint: `add.py --help` shows the usage\n"),
        (["two"], "error: argument numbers: invalid int value: 'two'\nhint: `add.py --help` shows the usage\n"),
    ],
)
def test_wrong_usage_is_a_sentence_and_a_hint(arguments: list[str], said: str, tmp_path: Path) -> None:
    refused = call(tmp_path, "return 0", *arguments)
    assert refused.stderr == said
    assert refused.returncode == 2


@pytest.mark.parametrize(
    ("prog", "recipe"), [("describe_data.py", "data"), ("fuzz.py", "fuzz"), ("mutate.py", "mutate")]
)
def test_the_hint_of_a_recipe_names_the_recipe(prog: str, recipe: str) -> None:
    parser = script.parser("Describe.", prog=prog)
    parser.add_argument("files", nargs="+")
    with pytest.raises(InputError) as caught:
        parser.parse_args([])
    assert caught.value.hint == f"`just help {recipe}` shows the usage"


def test_years_before_the_last_bar_are_a_value_and_no_option() -> None:
    parser = script.parser("Read.", prog="read.py")
    script.reading_options(parser)
    assert script.reading_keys(parser.parse_args(["--start", "-5y", "--sort"])) == {"start": "-5y", "sort": True}
    with pytest.raises(InputError, match="unknown option `-5y`"):
        parser.parse_args(["-5y"])


def test_an_argument_too_many_is_named(tmp_path: Path) -> None:
    parser = script.parser("Take one.", prog="one.py")
    parser.add_argument("only")
    with pytest.raises(InputError, match="unexpected argument `second`") as caught:
        parser.parse_args(["first", "second"])
    assert caught.value.hint == "`one.py --help` shows the usage"


@pytest.mark.parametrize("words", ["a b --quick", "--quick a b", "a --quick b", "a --to x b", "a --to=x --quick b"])
def test_options_may_stand_between_the_arguments(words: str) -> None:
    parser = script.parser("Take some.", prog="some.py")
    parser.add_argument("some", nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--to")
    assert parser.parse_args(words.split()).some == ["a", "b"]
    with pytest.raises(InputError, match="unknown option `--qick`"):
        parser.parse_args(["a", "--qick", "b"])


def test_a_seed_is_no_negative_number() -> None:
    parser = script.parser("Take one.", prog="one.py")
    parser.add_argument("--seed", type=script.seed)
    assert parser.parse_args(["--seed", "0"]).seed == 0
    with pytest.raises(InputError, match="-1 is below 0"):
        parser.parse_args(["--seed", "-1"])


@pytest.mark.parametrize(("kind", "code"), [("InputError", 2), ("RunError", 1)])
def test_an_error_of_the_house_gives_its_own_exit_code(kind: str, code: int, tmp_path: Path) -> None:
    failed = call(tmp_path, f"raise {kind}('no bars', hint='add some')")
    assert failed.stderr == "error: no bars\nhint: add some\n"
    assert failed.returncode == code


def test_an_error_without_a_hint_is_one_line(tmp_path: Path) -> None:
    assert call(tmp_path, "raise RunError('no bars')").stderr == "error: no bars\n"


def test_an_unexpected_error_is_a_sentence_too(tmp_path: Path) -> None:
    failed = call(tmp_path, "raise KeyError('lost\\n thing')")
    assert failed.stderr == "error: internal: KeyError: 'lost\\n thing'\nhint: `--debug` shows where\n"
    assert failed.returncode == 1


def test_an_unexpected_error_without_words_is_named(tmp_path: Path) -> None:
    assert call(tmp_path, "raise ZeroDivisionError").stderr.splitlines()[0] == "error: internal: ZeroDivisionError"


@pytest.mark.parametrize("kind", ["RunError", "KeyError"])
def test_debug_shows_the_traceback_before_the_sentence(kind: str, tmp_path: Path) -> None:
    failed = call(tmp_path, f"raise {kind}('lost')", "--debug")
    first, *_, last, _ = [*failed.stderr.splitlines(), ""] if kind == "RunError" else failed.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("error: ")


def test_an_interrupt_is_a_sentence_and_a_failure(tmp_path: Path) -> None:
    failed = call(tmp_path, "raise KeyboardInterrupt")
    assert failed.stderr == "error: interrupted\n"
    assert failed.returncode == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    call(tmp_path, "for n in range(100_000): print(n)\nreturn 0")  # writes the script
    piped = subprocess.run(
        ["bash", "-c", '"$0" "$1" | head -n 1; echo "${PIPESTATUS[0]}"', sys.executable, str(tmp_path / "add.py")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert piped.stdout == "0\n0\n"
    assert piped.stderr == ""


def test_a_broken_pipe_elsewhere_is_an_error(tmp_path: Path) -> None:
    failed = call(tmp_path, "raise BrokenPipeError(32, 'Broken pipe')")
    assert failed.stderr.startswith("error: internal: BrokenPipeError")
    assert failed.returncode == 1


def test_what_is_said_to_a_person_goes_to_stderr(tmp_path: Path) -> None:
    told = call(
        tmp_path, "script.note('3 runs')\nscript.warn('no lake', hint='just setup lake')\nprint('id')\nreturn 0"
    )
    assert told.stdout == "id\n"
    assert told.stderr == "3 runs\nwarn: no lake\nhint: just setup lake\n"


@pytest.mark.parametrize(("no_color", "said"), [("", "\x1b[31merror:\x1b[0m no bars\r\n"), ("1", "error: no bars\r\n")])
def test_labels_are_coloured_on_a_terminal_unless_no_color_is_set(no_color: str, said: str, tmp_path: Path) -> None:
    call(tmp_path, "raise RunError('no bars')")  # writes the script
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, str(tmp_path / "add.py")], stderr=theirs, env={**os.environ, "NO_COLOR": no_color}, timeout=60
    )
    os.close(theirs)
    assert os.read(ours, 4096).decode() == said
    os.close(ours)


def test_json_is_printed_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    script.print_json({"sharpe": None, "name": "é"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"sharpe": None, "name": "é"}
    assert printed.endswith("}\n")


def test_json_with_a_nan_is_an_error_not_invalid_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script.print_json({"sharpe": float("nan")})


def test_the_root_is_the_checkout_that_holds_the_package() -> None:
    assert script.repo_root() == Path(__file__).parents[2]


def test_without_a_checkout_the_root_is_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "lib" / "site-packages" / "peak_trade")
    monkeypatch.delenv("PEAK_RESULTS_DIR", raising=False)
    monkeypatch.delenv("PEAK_LAKE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert script.repo_root() == tmp_path
    assert script.results_dir() == tmp_path / "results"
    assert places.lake() == tmp_path / "data" / "lake"


def test_without_a_checkout_no_hint_names_a_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.warn("broken", hint="just verify last")
    assert capsys.readouterr().err == "warn: broken\nhint: just verify last\n"
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "lib" / "site-packages" / "peak_trade")
    script.warn("broken", hint="just verify last")
    assert capsys.readouterr().err == "warn: broken\nhint: peak-trade verify last\n"
    script.note("it is just a word")
    assert capsys.readouterr().err == "it is just a word\n"


def test_a_folder_of_results_that_is_not_there_is_named_with_where_was_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(f"there is no folder {tmp_path / 'nowhere'}")):
        script.results_dir("nowhere", there=True)


def test_results_are_where_the_caller_says_else_the_environment_else_the_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PEAK_RESULTS_DIR", "from/environment")
    assert script.results_dir("given") == Path("given")
    assert script.results_dir(None) == Path("from/environment")
    monkeypatch.delenv("PEAK_RESULTS_DIR")
    assert script.results_dir() == script.repo_root() / "results"


def test_the_helper_imports_nothing_but_leaves_of_the_package() -> None:
    asked = "import sys; before = set(sys.modules); import peak_trade.script; print(*set(sys.modules) - before)"
    answered = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    foreign = {name for name in answered.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    leaves = ("", ".errors", ".places", ".script", ".terminal", ".text", ".threads")
    assert foreign == {f"peak_trade{name}" for name in leaves}


def closed(tmp_path: Path, body: str, streams: str) -> subprocess.CompletedProcess[str]:
    """Run a script that a shell starts with some of its streams closed."""
    path = tmp_path / "add.py"
    path.write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()) + FOOT, encoding="utf-8")
    words = ["bash", "-c", f'"$0" "$1" {streams}', sys.executable, str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


TALKS = """\
import os
result = script.claim_stdout()
print("chatter"), os.write(1, b"more\\n"), script.note("said")
print("result", file=result)
return 0"""


def test_with_stderr_closed_stdout_still_carries_the_result_alone(tmp_path: Path) -> None:
    control = closed(tmp_path, TALKS, "")
    assert (control.stdout, sorted(control.stderr.split())) == ("result\n", ["chatter", "more", "said"])
    done = closed(tmp_path, TALKS, "2>&-")
    assert (done.returncode, done.stdout) == (0, "result\n")


@pytest.mark.parametrize("streams", [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", "2</dev/null"])
def test_with_streams_closed_the_work_is_done_all_the_same(tmp_path: Path, streams: str) -> None:
    done = closed(tmp_path, TALKS, streams)
    assert done.returncode == 0, done.stderr


def test_loading_leaves_the_collector_as_it_was_and_what_it_made_out_of_its_sight() -> None:
    program = (
        "import gc; from peak_trade import script\n"
        "with script.loading(): before, kept = gc.isenabled(), [[]]\n"
        "print(before, gc.isenabled(), any(found is kept for found in gc.get_objects()))\n"
        "gc.disable()\n"
        "with script.loading(): pass\n"
        "print(gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False True False", "False"]


def test_a_clock_in_the_year_9999_is_a_sentence(tmp_path: Path) -> None:
    """What Python's own clock raises there, which no test may set."""
    body = "import time\ndef late(): raise OverflowError('timestamp too large to convert to C _PyTime_t')\n"
    failed = call(tmp_path, body + "time.time = late\nlate()")
    assert failed.stderr.splitlines()[0] == "error: this machine's clock is beyond what Python can tell, the year 2262"
    assert failed.returncode == 1
    control = call(tmp_path, body + "late()")
    assert control.stderr.startswith("error: internal: OverflowError")

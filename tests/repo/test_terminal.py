"""What a person sees: colour and progress on a terminal alone, one voice everywhere, nothing that a locale dies of."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py"))]
SHELL = [*sorted((ROOT / "scripts").rglob("*.sh")), ROOT / ".ci" / "run"]
COUNTING = """
from peak_trade import script
def main():
    for done in range(4):
        script.progress(done, 3, "runs")
        if done == 1:
            script.note("a word between")
    return 0
script.run(main)
"""
FAILING = """
from peak_trade import script
from peak_trade.errors import RunError
def main():
    script.progress(1, 3, "runs")
    raise RunError("no bars", hint="add some")
script.run(main)
"""


def on_terminal(program: str, *, columns: int = 80, **settings: str) -> str:
    """Run a Python program whose stdout and stderr are one terminal, and return all that it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {"TERM": "xterm", "NO_COLOR": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | plain | settings, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    process.wait(timeout=60)
    return said.decode().replace("\r\n", "\n")


def piped(program: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | settings, capture_output=True, text=True, timeout=60
    )


def test_progress_is_drawn_over_itself_on_a_terminal_and_goes_away() -> None:
    first, *_, last = on_terminal(COUNTING).split("\r\x1b[K")[1:]
    assert first == "0 of 3 runs " + 30 * "."
    assert last == ""


def test_a_word_between_takes_the_place_of_the_bar() -> None:
    assert "\r\x1b[K1 of 3 runs ##########....................\r\x1b[Ka word between\n" in on_terminal(COUNTING)


def test_an_error_does_not_end_up_behind_the_bar() -> None:
    assert on_terminal(FAILING).endswith("\r\x1b[K\x1b[31merror:\x1b[0m no bars\n\x1b[36mhint:\x1b[0m add some\n")


def test_a_bar_never_runs_into_a_second_line() -> None:
    drawn = on_terminal(COUNTING, columns=20).split("\r\x1b[K")
    assert max(len(line) for line in drawn if "runs" in line) == 19


def test_help_is_as_wide_as_the_terminal_and_100_columns_at_most() -> None:
    program = "import sys\nfrom peak_trade import script\nmade = script.parser('Add.')\n"
    program += "made.add_argument('--option', help='word ' * 40)\nsys.argv[1:] = ['--help']\nmade.parse_args()"
    widths = [max(map(len, on_terminal(program, columns=columns).splitlines())) for columns in (60, 200)]
    assert 50 < widths[0] <= 60
    assert 90 < widths[1] <= 100
    assert max(map(len, piped(program).stdout.splitlines())) == widths[1]


@pytest.mark.parametrize("settings", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_a_dumb_terminal_gets_words_alone(settings: dict[str, str]) -> None:
    assert on_terminal(COUNTING, **settings) == "a word between\n"
    assert on_terminal(FAILING, **settings) == "error: no bars\nhint: add some\n"


def test_no_color_takes_the_colour_and_leaves_the_bar() -> None:
    said = on_terminal(FAILING, NO_COLOR="1")
    assert said.endswith("\r\x1b[Kerror: no bars\nhint: add some\n")
    assert "1 of 3 runs" in said


def test_a_pipe_gets_words_alone() -> None:
    done = piped(COUNTING)
    assert (done.stdout, done.stderr) == ("", "a word between\n")
    assert piped(FAILING).stderr == "error: no bars\nhint: add some\n"


PRINTING = """
import os, sys
from peak_trade import script
def main():
    print({what}, file={where})
    return 0
script.run(main)
"""


def test_what_a_locale_cannot_show_is_shown_by_its_number() -> None:
    done = piped(PRINTING.format(what="'100 € …'", where="sys.stdout"), PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "100 \\u20ac \\u2026\n", "")


@pytest.mark.parametrize("where", ["sys.stdout", "script.claim_stdout()"])
def test_a_path_that_is_no_text_goes_out_as_it_is(where: str) -> None:
    program = PRINTING.format(what="os.fsdecode(b'r\\xff')", where=where)
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"r\xff\n", b"")


def test_one_place_draws_on_the_terminal() -> None:
    escapes = [path for path in SOURCES if re.search(r"\\x1b\[K|\\033|f\"\\r", path.read_text(encoding="utf-8"))]
    assert [path.name for path in escapes] == ["terminal.py"]


# The voice: a message is lower case and has no full stop; a name keeps its own spelling.
NAMES = re.compile(r"PEAK_|MLFLOW_|MLflow|Chromium|Ctrl-C|Docker|DuckDB|JSON|Parquet|Quarto|SQL|TOML")
SPEAKERS = {"InputError", "RunError", "MissingTools", "error", "fail", "note", "warn", "warning"}


def literal(node: ast.expr) -> str:
    """What a message begins and ends with, as far as it is written down; an expression shows as `{}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    return ""


def messages(path: Path) -> list[str]:
    """The messages and hints that a Python file writes down."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SPEAKERS:
                found += [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "hint")]
    return [text for text in map(literal, found) if text]


def out_of_tune(text: str) -> bool:
    return (text[0].isupper() and not NAMES.match(text)) or (text.endswith(".") and not text.endswith(".."))


def test_every_message_is_in_lower_case_without_a_full_stop() -> None:
    said = {text: path.name for path in SOURCES for text in messages(path)}
    assert len(said) > 200
    assert {text: name for text, name in said.items() if out_of_tune(text)} == {}


def test_shell_scripts_speak_in_the_same_voice() -> None:
    said = [
        (path.name, text.split("\\n")[0])
        for path in SHELL
        for text in re.findall(r"\b(?:error|warn|hint): ([^'\"]+)", path.read_text(encoding="utf-8"))
    ]
    assert len(said) > 8
    assert [(name, text) for name, text in said if out_of_tune(text)] == []


@pytest.mark.parametrize(
    ("text", "heard"), [("No bars", True), ("no bars.", True), ("no bars", False), ("Parquet is binary", False)]
)
def test_a_false_note_would_be_heard(text: str, heard: bool) -> None:
    assert out_of_tune(text) is heard


# --- one function writes to a terminal ------------------------------------------------------------------------------

STREAMS = {f"sys.{name}" for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
ASKED = {"isatty", "fileno", "flush", "encoding", "reconfigure"}  # of a stream, without writing to it
TAKERS = {"show", "say", "coloured", "_draws", "call", "verify"}  # what a stream is handed to; all write by `show`
WRITES = re.compile(
    r"print|pprint\.\w+|traceback\.print_\w+|warnings\.showwarning|logging\.(basicConfig|StreamHandler)|sys\.\w+hook"
    r"|os\.(system|popen|spawn\w+|posix_spawn\w*)|click\.\w+|rich\.\w+|readline\.insert_text|pty\.spawn"
)
STARTS = re.compile(r"(subprocess\.)?(run|Popen|call|check_call|check_output)|asyncio\.create_subprocess\w+")
DEVICES = {"/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2"}
ALLOWED = {
    ("src/peak_trade/terminal.py", "sys.stdout"): "where `show` writes if nobody says otherwise",
    (
        "src/peak_trade/script.py",
        "sys.stdout",
    ): "print_json asks whether it is a terminal; the claimed one stands for it",
    ("src/peak_trade/supervisor.py", "sys.stdout"): "flushed before it forks",
    ("src/peak_trade/trust/replay/apart.py", "sys.stdout"): "flushed before it forks",
    ("src/peak_trade/trust/replay/apart.py", "sys.stderr"): "flushed before it forks",
    ("src/peak_trade/supervisor.py", "sys.stderr"): "as above",
    ("src/peak_trade/probe/asking.py", "sys.stdout"): "led nowhere while a strategy is asked again, and put back",
    ("src/peak_trade/probe/asking.py", "sys.stderr"): "as above",
    ("src/peak_trade/probe/watch.py", "sys.addaudithook"): "it hears of calls, and says nothing",
    ("src/peak_trade/observer/events.py", "sys.addaudithook"): "as above",
    ("src/peak_trade/observer/kept.py", "sys.addaudithook"): "it refuses to write where a replay must not",
    ("src/peak_trade/sweep/keepers.py", "traceback.print_exc"): "a fault of ours, in a child: nobody else can tell",
    ("src/peak_trade/sweep/executor/worker.py", "sys.stdout"): "flushed before it forks, and once a chunk is made",
    ("src/peak_trade/sweep/executor/worker.py", "sys.stderr"): "as above",
    (
        "src/peak_trade/sweep/executor/cluster.py",
        "subprocess.Popen",
    ): "a worker's own: what it says is the worker's log",
    ("scripts/automation/open_pr.py", "subprocess.run"): "git and gh, which may ask the person something",
    ("scripts/automation/open_pr.py", "sys.stderr"): "where git writes, of those two",
    ("scripts/ci/mutate.py", "subprocess.run"): "mutmut, which shows how far it is",
    ("scripts/ci/mutate.py", "subprocess.check_output"): "its list of survivors is read",
    ("scripts/recipes.py", "subprocess.run"): "just and our scripts, which say themselves what is wrong",
}


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written, for names alone."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def ways_out(source: str) -> list[str]:
    """What a program may write to a terminal by, other than by handing text and stream to `show`."""
    tree = ast.parse(source)
    above = {id(child): parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("sys", "traceback", "pprint", "logging", "subprocess"):
            given = [f"{node.module}.{name.name}" for name in node.names]
            found += [name for name in given if name in STREAMS or WRITES.fullmatch(name) or STARTS.fullmatch(name)]
        elif isinstance(node, ast.Attribute) and (name := dotted(node)) in STREAMS:
            parent = above[id(node)]
            if isinstance(parent, ast.keyword):
                parent = above[id(parent)]
            asked = isinstance(parent, ast.Attribute) and parent.attr in ASKED
            handed = isinstance(parent, ast.Call) and dotted(parent.func).rpartition(".")[2] in TAKERS
            started = isinstance(parent, ast.Call) and STARTS.fullmatch(dotted(parent.func))
            if not (asked or handed or started):
                found.append(name)
        elif isinstance(node, ast.Call):
            called = dotted(node.func)
            keywords = {keyword.arg for keyword in node.keywords}
            kept = "capture_output" in keywords or {"stdout", "stderr"} <= keywords
            starts = called.startswith(("subprocess.", "asyncio.")) and STARTS.fullmatch(called)
            if WRITES.fullmatch(called) or (starts and not kept):
                found.append(called)
            if called == "os.write" and isinstance(node.args[0], ast.Constant):
                found.append(called)
        elif isinstance(node, ast.Constant) and node.value in DEVICES:
            found.append(str(node.value))
    return found


def test_one_function_writes_to_a_terminal() -> None:
    ours = {path: path.relative_to(ROOT).as_posix() for path in SOURCES if "bench" not in path.parts}  # no recipe's
    found = {(ours[path], way) for path in ours for way in ways_out(path.read_text(encoding="utf-8"))}
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set()  # no reason outlives what it is for


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "print(1, file=result)",
        "sys.stdout.write('a')",
        "sys.stderr.buffer.write(b'a')",
        "out = sys.stdout",
        "json.dump(value, sys.stdout)",
        "from sys import stderr",
        "traceback.print_exc()",
        "os.write(2, b'a')",
        "open('/dev/tty', 'w')",
        "logging.StreamHandler()",
        "subprocess.run(['ls'])",
        "subprocess.Popen(['ls'], stdout=pipe)",
        "os.system('ls')",
    ],
)
def test_another_way_would_be_found(source: str) -> None:
    assert ways_out(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "show('a', sys.stderr)",
        "sys.stdout.isatty()",
        "subprocess.run(['ls'], stdout=sys.stderr, stderr=None)",
        "file.write(1)",
    ],
)
def test_what_writes_by_it_is_let_be(source: str) -> None:
    assert ways_out(source) == []


LOGS = re.compile(r"from peak_trade\.(api|data|evidence|market|ops|report|runner|shown|tracking|trust)\b")


def test_every_script_that_can_log_shows_warnings_in_its_own_way() -> None:
    """Else Python writes them as they are."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in SOURCES if "scripts" in path.parts}
    logging = {name: text for name, text in texts.items() if "script.run(main)" in text and LOGS.search(text)}
    assert len(logging) > 20
    assert [name for name, text in logging.items() if "script.show_warnings()" not in text] == []


# --- text that others wrote -----------------------------------------------------------------------------------------

BELL, MARKS = "\x1b]0;owned\x07\x1b[2J", "\x1b\x07\x7f\x9b\x85\u202e\u2066\u200f\u2028\ufeff"
NASTY = f"{BELL}{MARKS}\rerror: forged\nhint: forged"
ACTS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|^(error|hint): forged", re.M
)
OURS = re.compile(r"\r\x1b\[K|\x1b\[(?:0|1|2|31|33|36)m")  # the bar, and our colours
SABOTAGED = """
import runpy, sys
from peak_trade import terminal, text
if {sabotage}:
    for module in (terminal, text):
        module.escaped = lambda text, limit=None, keep="": text[:limit]
    text.json_escaped = lambda text: text
sys.argv = {words!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def acts(*words: str, sabotage: bool = False, **settings: str) -> list[str]:
    """What a script sends to a terminal that would act on it, in spite of `show` or without it (`sabotage`)."""
    script = [str(ROOT / "scripts" / words[0]), *words[1:]]
    said = on_terminal(SABOTAGED.format(sabotage=sabotage, words=script), **settings)
    assert re.search(r"owned|forged", said), said  # it has come so far
    found = [match[0] for match in ACTS.finditer(OURS.sub("", said))]
    return [mark for mark in found if "--debug" not in words or len(mark) == 1]  # a traceback has lines of its own


SAMPLE = str(ROOT / "data" / "samples" / "sp500_daily.csv")


def config(folder: Path, without: str = "", **keys: str) -> Path:
    """A config whose key `section_key` is a hostile text, in TOML's own escapes."""
    given = {"data_path": SAMPLE, "data_symbol": "A", "data_timeframe": "1d", "strategy_name": "macd"}
    keys = {name: text for name, text in given.items() if name != without} | keys
    sections: dict[str, list[str]] = {"data": [], "strategy": []}
    for name, value in keys.items():
        section, _, key = name.partition("_")
        sections[section].append(f"{key} = {json.dumps(value)}")
    path = folder / "config.toml"
    text = "\n".join(line for section, lines in sections.items() for line in (f"[{section}]", *lines))
    path.write_text(text.replace("\x7f", "\\u007f"), encoding="utf-8")
    return path


RUN = "run_strategy_from_config.py", "--config"


@pytest.mark.parametrize("key", ["data_path", "strategy_name"])
def test_a_value_of_a_config_does_not_act_on_the_terminal(key: str, tmp_path: Path) -> None:
    path = str(config(tmp_path, "strategy_name" if key == "strategy_entrypoint" else "", **{key: NASTY}))
    assert acts(*RUN, path) == []
    assert acts(*RUN, path, sabotage=True) != []


@pytest.mark.parametrize("line", ["[{}]", "[data]\n{} = 1", "[strategy.params]\n{} = 1"])
def test_a_name_in_a_config_does_not_act_on_the_terminal(line: str, tmp_path: Path) -> None:
    name = json.dumps(NASTY).replace("\x7f", "\\u007f")
    path = config(tmp_path)
    path.write_text(f"{line.format(name)}\n{path.read_text(encoding='utf-8')}".replace("\n[data]\n[data]", "\n[data]"))
    if line.startswith("[data]"):
        path.write_text(line.format(name), encoding="utf-8")
    assert acts(*RUN, str(path)) == []
    assert acts(*RUN, str(path), sabotage=True) != []


@pytest.mark.parametrize(
    "words",
    [
        ("list_runs.py", f"--{NASTY}"),
        ("list_runs.py", NASTY),
        ("verify_runs.py", "--results-dir", NASTY),
        ("describe_data.py", NASTY, "--debug"),
        ("query_lake.py", "--report", NASTY),
        ("recipes.py", NASTY),
    ],
)
def test_an_argument_does_not_act_on_the_terminal(words: tuple[str, ...]) -> None:
    assert acts(*words) == []
    assert acts(*words, sabotage=True) != []


SPEAKING = """
import logging, sys, warnings
from peak_trade import script
from peak_trade.obs import launch
script.show_warnings()
def main():
    {what}
    return 0
script.run(main)
"""


@pytest.mark.parametrize(
    "what",
    [
        "script.note(text)",
        "script.warn(text, hint=text)",
        "script.show(text)",
        "script.show(text, exact=True)",
        "script.show(text, sys.stderr, painted=True)",
        "script.progress(1, 2, text)",
        "script.print_json({text: text})",
        "script.print_json({text: text}, script.claim_stdout())",
        "logging.getLogger('x').warning('%s; hint: %s', text, text)",
        "logging.getLogger('x').warning(text + '%s', text, text)",
        "logging.captureWarnings(True), warnings.warn(text)",
        "launch.say(text)",
        "raise ValueError(text)",
        "raise OSError(2, text, text)",
    ],
)
def test_no_way_to_speak_lets_text_act_on_the_terminal(what: str) -> None:
    program = SPEAKING.format(what=f"text = {NASTY!r}; {what}")
    lines = r"\x1b|^(?!$)" if "show(" in what else ""  # lines are kept by `show` itself
    said = OURS.sub("", on_terminal(program))
    assert "owned" in said
    found = [match[0] for match in ACTS.finditer(said)]
    assert [mark for mark in found if not (lines and "forged" in mark)] == []


def test_what_a_terminal_would_obey_is_noticed() -> None:
    said = OURS.sub("", on_terminal(f"print({NASTY!r})"))
    assert set(MARKS) - {"\u2028"} <= set("".join(ACTS.findall(said))) or len(ACTS.findall(said)) > 10


def test_json_on_a_terminal_is_the_same_value_and_in_a_pipe_the_same_bytes(tmp_path: Path) -> None:
    value = {NASTY: [NASTY, "ä ü € 漢字", "\U000e0001\ud800"]}
    program = f"from peak_trade import script\nscript.print_json({value!r})"
    said = on_terminal(program)
    assert ACTS.findall(said) == []
    assert "ä ü € 漢字" in said
    assert json.loads(said) == value
    piped_out = piped(program.replace("\\ud800", "")).stdout
    assert "\u202e" in piped_out
    assert json.loads(piped_out) == json.loads(json.dumps(value).replace("\\ud800", ""))


def test_a_telemetry_file_s_name_and_what_is_in_it_do_not_act_on_the_terminal(tmp_path: Path, otlp: Any) -> None:
    run_id = "11111111-1111-4111-8111-111111111111"
    otlp.run(tmp_path, run_id)
    name = NASTY.replace("/", "").replace("\n", " ")
    otlp.write(
        tmp_path / run_id / "telemetry", f"{name}.logs.jsonl", otlp.line(run_id, logs=[otlp.log(NASTY, 17)]), b"torn"
    )
    words = ("trace_run.py", run_id, "--logs", "--results-dir", str(tmp_path))
    assert acts(*words) == []
    assert acts(*words, sabotage=True) != []
    assert acts(*words, "--json") == []
    assert acts(*words, "--json", sabotage=True) != []


def test_a_shell_script_does_not_say_what_would_act_on_the_terminal() -> None:
    path = str(ROOT / "scripts" / "utils" / "completion.sh")
    said = on_terminal(f"import os; os.execv({path!r}, [{path!r}, {NASTY!r}])")
    assert "forged" in said
    assert ACTS.findall(said) == []


def test_set_up_says_what_is_wrong_in_plain_marks() -> None:
    text = (ROOT / "scripts" / "utils" / "setup_env.sh").read_text(encoding="utf-8")
    (own,) = re.findall(r"^plain\(\) \{.*?^\}$", text, re.MULTILINE | re.DOTALL)
    said = {
        word: subprocess.run(["bash", "-c", f'{own}; plain "$1"', "-", word], capture_output=True, text=True).stdout
        for word in (NASTY, "unknown extra `a`", "café")
    }
    assert said["unknown extra `a`"] == "unknown extra `a`"
    assert said["café"] == "café"
    assert "forged" in said[NASTY]
    assert ACTS.findall(said[NASTY]) == []

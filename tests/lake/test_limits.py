"""A question ends: in time, within its memory, at Ctrl-C, and with the one who asked, whatever DuckDB is doing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import ask, build, child, reads
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results

Script = Callable[..., subprocess.CompletedProcess[bytes]]
ROOT = Path(__file__).resolve().parents[2]
LONG = "SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))"
LARGE = "SELECT format('{:2000000000}', 1)"
SPILLS = "SELECT count(*) FROM (SELECT range, hash(range) AS h FROM range(200000000) ORDER BY h) WHERE h > 5"


@pytest.fixture(scope="module")
def lake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits") / "place"
    shutil.copytree(template, folder)
    build.build(Results(folder / "results"), folder / "lake", root=folder)
    return folder / "lake"


# --- the table ----------------------------------------------------------------------------------------------------


def several(count: int, text: str, between: str = ", ") -> str:
    """Return a text `count` times, with the number of each in place of {i} and the one before in place of {j}."""
    return between.join(text.format(i=i, j=i - 1) for i in range(1, count + 1))


def nested(count: int, before: str, inner: str, after: str) -> str:
    return before * count + inner + after * count


# What DuckDB does not interrupt within a second, or what takes more than its memory limit, by kind.
HOSTILE = {
    "text: levenshtein": LONG,
    "text: damerau_levenshtein": "SELECT damerau_levenshtein(repeat('a', 20000), repeat('b', 20000))",
    "text: editdist3": "SELECT editdist3(repeat('a', 300000), repeat('b', 300000))",
    "text: jaro_similarity": "SELECT jaro_similarity(repeat('ab', 3000000), repeat('ba', 3000000))",
    "text: jaro_winkler_similarity": "SELECT jaro_winkler_similarity(repeat('ab', 3000000), repeat('ba', 3000000))",
    "text: format": LARGE,
    "text: format of text": "SELECT format('{:>2000000000}', 'x')",
    "text: printf": "SELECT printf('%2000000000d', 1)",
    "text: printf by a width": "SELECT printf('%*d', 2000000000, 1)",
    "text: repeat": "SELECT length(repeat('abcdefgh', 400000000))",
    "text: replace": "SELECT length(replace(repeat('a', 1000000), 'a', repeat('b', 4000)))",
    "text: split": "SELECT len(string_split(repeat('a,', 100000000), ','))",
    "text: split to letters": "SELECT len(string_split(repeat('a', 100000000), ''))",
    "text: strip_accents": "SELECT length(strip_accents(repeat('é', 400000000)))",
    "text: upper": "SELECT length(upper(repeat('a', 2000000000)))",
    "text: reverse": "SELECT length(reverse(repeat('ä', 900000000)))",
    "pattern: replaced": "SELECT length(regexp_replace(repeat('a', 3000000), 'a', repeat('b', 2000), 'g'))",
    "pattern: split": "SELECT len(regexp_split_to_array(repeat('a,', 100000000), ','))",
    "pattern: compiled": "SELECT count(*) FROM range(8) t(i) WHERE "
    "regexp_matches(repeat('x', 10000), '((a{1,30}){1,30}){1,1}' || repeat('.?', 20000) || i)",
    "pattern: tried everywhere": "SELECT regexp_matches(repeat('a', 20000000), '(a?){500}(a){500}$b')",
    "list: range": "SELECT len(range(400000000))",
    "list: generate_series": "SELECT len(generate_series(1, 400000000))",
    "list: sort": "SELECT list_sort(list_reverse(range(30000000)))[1]",
    "list: distinct": "SELECT len(list_distinct(range(40000000)))",
    "list: unique": "SELECT list_unique(range(40000000))",
    "list: reduce": "SELECT list_reduce(range(30000000), lambda a, b: (a + b) % 7)",
    "list: intersect": "SELECT len(list_intersect(range(40000000), range(40000000)))",
    "list: has_any": "SELECT list_has_any(range(40000000), range(-40000000, 0))",
    "list: position": "SELECT list_position(range(200000000), -1)",
    "list: zip": "SELECT len(list_zip(range(60000000), range(60000000)))",
    "list: flatten": "SELECT len(flatten(repeat([range(10000)], 40000)))",
    "list: cosine": "SELECT list_cosine_similarity(range(90000000)::DOUBLE[], range(90000000)::DOUBLE[])",
    "list: concat": "SELECT len(list_concat(range(150000000), range(150000000)))",
    "list: mode": "SELECT list_mode(range(30000000))",
    "list: to JSON": "SELECT length(to_json(range(90000000))::VARCHAR)",
    "list: to text": "SELECT length(range(90000000)::VARCHAR)",
    "list: grade": "SELECT len(list_grade_up(list_reverse(range(30000000))))",
    "recursion: a long call in each step": "WITH RECURSIVE t(n, d) AS (SELECT 1, 0::BIGINT UNION ALL SELECT n + 1, "
    "levenshtein(repeat('a', 200000), repeat('b', 200000)) FROM t) SELECT max(d) FROM t",
    "recursion: a text that doubles": "WITH RECURSIVE t(s) AS (SELECT repeat('ab', 300000000) UNION ALL "
    "SELECT s || s FROM t WHERE length(s) < 4000000000) SELECT max(length(s)) FROM t",
    "recursion: a list that doubles": "WITH RECURSIVE t(l) AS (SELECT range(50000000) UNION ALL "
    "SELECT list_concat(l, l) FROM t WHERE len(l) < 2000000000) SELECT max(len(l)) FROM t",
    "literal: a number of 3,000,000 digits": "SELECT ('1' || repeat('0', 3000000))::BIGNUM",
    "literal: 400,000 sums in a list": f"SELECT 1 WHERE 1 IN ({several(400_000, '{i}+{i}')})",
    "pivot: 80,000 columns turned to rows": "SELECT count(*) FROM (UNPIVOT "
    f"(SELECT {several(80_000, '{i} AS c{i}')}) ON COLUMNS(*) INTO NAME n VALUE v)",
    "plan: ROLLUP of 10,000": f"SELECT 1 FROM (SELECT {several(10_000, '1 AS a{i}')}) "
    f"GROUP BY ROLLUP ({several(10_000, 'a{i}')})",
    "plan: an expression that names itself twice, 27 times": "SELECT 1 AS a0, " + several(27, "a{j} + a{j} AS a{i}"),
    "plan: a table of itself twice, 25 times": "WITH t0 AS (SELECT 1 AS a), "
    + several(25, "t{i} AS NOT MATERIALIZED (FROM t{j} UNION ALL FROM t{j})")
    + " SELECT count(*) FROM t25",
    "plan: a table joined to itself, 21 times": "WITH t0 AS (SELECT 1 AS a), "
    + several(21, "t{i} AS NOT MATERIALIZED (SELECT x.a FROM t{j} AS x JOIN t{j} AS y USING (a))")
    + " SELECT count(*) FROM t21",
    "plan: 40,000 conditions": "SELECT count(*) FROM range(10) t(a) WHERE "
    + several(40_000, "(a = {i} AND a > {i})", " OR "),
    "plan: 800 outer joins": "SELECT count(*) FROM range(2) t(a) "
    + several(800, "LEFT JOIN range(2) t{i}(a{i}) ON a = a{i}", " "),
    "plan: sorted by 60,000": f"SELECT 1 FROM range(3) ORDER BY {several(60_000, 'range % {i}')}",
    "plan: 60,000 ranges": "SELECT 1 WHERE " + several(60_000, "{i} BETWEEN 0 AND {i}", " AND "),
    "literal: a type of 100,000 fields": f"SELECT NULL::STRUCT({several(100_000, 'a{i} INT')})",
    "nesting: 60,000 subqueries": nested(60_000, "SELECT * FROM (", "SELECT 1", ")"),
    "nesting: 200 that see the one before": "SELECT count(*) FROM range(3) t0(a0)"
    + several(200, ", LATERAL (SELECT a{j} + 1) t{i}(a{i})", ""),
}  # fmt: skip


def ended(way: str, lake: Path, sql: str) -> dict[str, Any]:
    """Return what questions.py tells of a question."""
    helper = str(Path(__file__).with_name("questions.py"))
    done = subprocess.run(
        [sys.executable, helper, way, str(lake)], input=sql.encode(), capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    told: dict[str, Any] = json.loads(done.stderr.decode().splitlines()[-1])
    return told


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_question_that_duckdb_does_not_stop_keeps_both_limits(name: str, lake: Path) -> None:
    told = ended("child", lake, HOSTILE[name])
    assert told["kept"], told
    assert told["error"] and "\n" not in told["error"]


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("name", HOSTILE)
def test_control_in_process_the_question_exceeds_a_limit(name: str, lake: Path) -> None:
    told = ended("alone", lake, HOSTILE[name])
    assert not told["kept"], told


def test_the_table_is_of_every_kind_that_duckdb_does_not_interrupt() -> None:
    assert len(HOSTILE) >= 42
    assert {name.partition(":")[0] for name in HOSTILE} >= {
        "text", "pattern", "list", "recursion", "literal", "pivot", "plan", "nesting"
    }  # fmt: skip


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM range(30000000)", "FROM range(100000)"])
def test_control_an_honest_question_is_answered_within_the_same_limits(sql: str, script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--format", "csv", "--memory-limit", "300MB", "--timeout", 50, sql)
    assert (done.returncode, done.stderr) == (0, b"")


# --- at the command line ------------------------------------------------------------------------------------------


def test_a_timeout_is_a_sentence_with_what_to_do(script: Script, lake: Path) -> None:
    start = time.monotonic()
    done = script("query_lake", "--lake-dir", lake, "--timeout", "2", LONG)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == [
        "error: no answer within 2 s", "hint: ask for less, or give it longer with --timeout"
    ]  # fmt: skip
    assert time.monotonic() - start < 30  # of the question alone: the table above


def test_a_memory_limit_is_a_sentence_with_what_to_do(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--memory-limit", "300MB", LARGE)
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode().splitlines()
    assert (len(said), said[1]) == (2, f"hint: {child.SMALLER}")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "1e300"])
def test_a_timeout_that_is_none_is_refused(seconds: str, script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--timeout", seconds, "SELECT 1")
    assert (done.returncode, b"not a time" in done.stderr) == (2, True)


def test_where_memory_cannot_be_bounded_it_is_said(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "bound_memory", lambda limit: False)
    for given, notes in (("300MB", [ask._NOT_HELD]), (None, [])):
        with ask.Asking(lake, memory_limit=given) as asking:
            asking.answer("SELECT 1")
        assert asking.notes == notes


def query(lake: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start the command, and return once its child is at work on the question."""
    started = subprocess.Popen(
        [sys.executable, "scripts/query_lake.py", "--lake-dir", str(lake), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"NO_COLOR": "1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # which whoever started the tests may ignore
    )
    while not (there := children(started.pid)) or worked(there[0]) < 1:
        assert started.poll() is None, started.communicate()
        time.sleep(0.02)
    return started


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def worked(pid: int) -> float:
    """Return the seconds that a process has computed: far more than one is the question, not the start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def gone(pid: int) -> bool:
    """Wait until a process has ended, for a while."""
    for _ in range(200):
        with_status = Path(f"/proc/{pid}/status")
        if not with_status.exists() or "State:\tZ" in with_status.read_text():
            return True
        time.sleep(0.02)
    return False


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="who is at work is read from Linux's /proc")


@linux
@pytest.mark.parametrize("group", [False, True], ids=["the command", "its group, as a terminal does"])
def test_control_c_ends_what_duckdb_does_not_interrupt(group: bool, lake: Path) -> None:
    asked = query(lake, LONG)
    [worker] = children(asked.pid)
    (os.killpg if group else os.kill)(asked.pid, signal.SIGINT)
    start = time.monotonic()
    out, said = asked.communicate(timeout=60)
    assert (asked.returncode, out, said) == (1, b"", b"error: interrupted\n")
    assert time.monotonic() - start < 5  # alone it takes forty
    assert gone(worker)


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_child_ends_with_the_one_who_asked(number: signal.Signals, lake: Path) -> None:
    asked = query(lake, LONG)
    [worker] = children(asked.pid)
    assert not Path(f"/proc/{worker}/status").read_text().startswith("State:\tZ")  # the control: it is at work
    asked.send_signal(number)
    asked.communicate(timeout=60)
    assert asked.returncode == -number
    assert gone(worker)


@linux
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_child_that_dies_of_a_question_is_a_sentence(number: signal.Signals, lake: Path) -> None:
    asked = query(lake, LONG)
    os.kill(children(asked.pid)[0], number)
    _, said = asked.communicate(timeout=60)
    assert asked.returncode == 1
    assert said.decode().splitlines() == [
        f"error: DuckDB died of the question ({number.name})",
        f"hint: {child.SMALLER}",
    ]


def test_a_reader_that_stands_still_does_not_keep_a_question_alive(lake: Path) -> None:
    words = ["--lake-dir", str(lake), "--format", "csv", "--timeout", "4", "FROM range(300000000)"]
    with subprocess.Popen(
        [sys.executable, "scripts/query_lake.py", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asked:
        assert asked.wait(timeout=60) == 1  # and not a line of it has been read
        assert b"no answer within 4 s" in asked.communicate()[1]


@linux
def test_what_a_killed_question_had_spilled_goes_with_it(lake: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "spill", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    program = (
        "import sys; from pathlib import Path; from peak_trade.data.lake import ask;"
        f"ask.Asking(Path({str(lake)!r}), 'csv', memory_limit='300MB').answer({SPILLS!r})"
    )
    asked = subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"TMPDIR": str(folder)},
                             cwd=here, stderr=subprocess.PIPE)  # fmt: skip
    while not any(path.is_file() for path in folder.rglob("*")):  # the control: it does spill
        assert asked.poll() is None, asked.communicate()
        time.sleep(0.02)
    asked.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in asked.communicate(timeout=60)[1]
    assert os.listdir(folder) == os.listdir(here) == []
    alone = f"import duckdb; duckdb.connect(config={{'memory_limit': '300MB'}}).execute({SPILLS!r})"
    spilling = subprocess.Popen([sys.executable, "-c", alone], cwd=here)
    while not any(path.is_file() for path in here.rglob("*")):  # the control: DuckDB by itself spills where it is
        assert spilling.poll() is None
        time.sleep(0.02)
    spilling.kill()
    spilling.wait()
    assert os.listdir(here) == [".tmp"]


# --- one after another --------------------------------------------------------------------------------------------


@pytest.fixture
def asking(lake: Path) -> Iterator[ask.Asking]:
    with ask.Asking(lake) as made:
        yield made


def test_a_session_has_one_child_and_a_new_one_after_a_kill(
    asking: ask.Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.answer("SELECT 1 AS a")
    first = asking._child
    asking.answer("SELECT 2 AS b")
    with pytest.raises(InputError, match="no table nothing"):
        asking.answer("FROM nothing")
    assert asking._child is first and first and first.alive
    asking.timeout_s = 0.3
    with pytest.raises(RunError, match="no answer within"):
        asking.answer(LONG)
    assert not first.alive
    asking.timeout_s = None
    asking.answer("SELECT 3 AS c")
    assert asking._child is not first
    assert capsys.readouterr().out == "a\n1\nb\n2\nc\n3\n"


def test_a_child_that_died_between_two_questions_is_a_sentence_and_the_next_is_answered(asking: ask.Asking) -> None:
    asking.answer("SELECT 1")
    assert asking._child
    os.kill(asking._child._pid, signal.SIGKILL)
    with pytest.raises(RunError, match="DuckDB died"):
        asking.answer("SELECT 1")
    asking.answer("SELECT 1")


def test_an_error_that_nobody_foresaw_is_told_with_where_it_was(
    asking: ask.Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise LookupError("no idea")

    monkeypatch.setattr(ask.query, "connect", broken)
    with pytest.raises(RuntimeError, match="LookupError: no idea") as raised:
        asking.answer("SELECT 1")
    assert "in _answered" in raised.value.__notes__[0]


# --- where an answer goes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("/", "it is a folder"), (".", "it is a folder"), ("..", "it is a folder"), ("{tmp}", "it is a folder"),
        ("{tmp}/link", "it is a folder"), ("/dev/null", "it is no regular"), ("{tmp}/pipe", "it is no regular"),
        ("{tmp}/none/x.csv", "there is no folder"), ("{tmp}/file/x.csv", "Not a directory"),
        ("{tmp}/loop/x.csv", "Too many levels"), ("{tmp}/" + "x" * 300, "File name too long"),
    ],
)  # fmt: skip
def test_an_output_that_no_answer_can_go_to_is_a_sentence(
    output: str, reason: str, script: Script, lake: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(lake.parent)
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir(tmp_path))
    done = script("query_lake", "--lake-dir", lake, "--output", output.format(tmp=tmp_path), "SELECT 1")
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()[0]
    assert said.startswith("error: cannot write ") and reason in said
    assert sorted(os.listdir(tmp_path)) == before


def test_an_output_as_long_as_a_name_can_be_is_written(script: Script, lake: Path, tmp_path: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--output", tmp_path / ("x" * 251 + ".csv"), "SELECT 1 AS a")
    assert (done.returncode, [path.read_text() for path in tmp_path.iterdir()]) == (0, ["a\n1\n"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_stdout_is_a_sentence(lake: Path) -> None:
    words = [sys.executable, "scripts/query_lake.py", "--lake-dir", str(lake), "--format", "csv", "FROM range(9)"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"error: cannot write the answer: no space left on device\n")


@pytest.mark.parametrize("way", ["argument", "stdin", "file"])
def test_a_question_that_is_not_utf_8_is_a_sentence(way: str, script: Script, lake: Path, tmp_path: Path) -> None:
    text = b"SELECT '\xe9'"
    (tmp_path / "q.sql").write_bytes(text)
    words: list[Any] = {"argument": [os.fsdecode(text)], "stdin": [], "file": ["--file", tmp_path / "q.sql"]}[way]
    done = script("query_lake", "--lake-dir", lake, *words, stdin=text if way == "stdin" else b"")
    assert (done.returncode, b"not UTF-8" in done.stderr) == (2, True)


@pytest.mark.parametrize("way", ["stdin", "file", "pipe"])
def test_a_question_has_a_size(way: str, script: Script, lake: Path, tmp_path: Path) -> None:
    for size, code in ((reads.LONGEST, 0), (reads.LONGEST + 1, 2)):  # the first is the control
        text = b"SELECT 1 --".ljust(size, b"x")
        file = tmp_path / f"{size}.sql"
        file.write_bytes(text)
        words: list[Any] = {"stdin": [], "file": ["--file", file], "pipe": ["--file", "/dev/stdin"]}[way]
        done = script("query_lake", "--lake-dir", lake, *words, stdin=b"" if way == "file" else text)
        assert done.returncode == code, done.stderr
        assert (b"1,000,000 bytes" in done.stderr) is (code == 2)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device without end")
@pytest.mark.parametrize("way", ["file", "stdin", "folder"])
def test_a_question_without_end_is_a_sentence(way: str, lake: Path, tmp_path: Path) -> None:
    file = {"file": ["--file", "/dev/zero"], "stdin": [], "folder": ["--file", str(tmp_path)]}[way]
    words = [sys.executable, "scripts/query_lake.py", "--lake-dir", str(lake), *file]
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(words, cwd=ROOT, stdin=endless, capture_output=True, timeout=60, check=False)
    said = {"file": b"neither a file nor a pipe", "stdin": b"1,000,000 bytes", "folder": b"it is a folder"}[way]
    assert done.returncode == 2 and said in done.stderr and b"internal" not in done.stderr


def test_a_pipe_that_nobody_writes_to_ends_with_the_time(lake: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    words = [sys.executable, "scripts/query_lake.py", "--lake-dir", str(lake), "--file", str(tmp_path / "pipe")]
    done = subprocess.run([*words, "--timeout", "1"], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and b"within 1 s" in done.stderr and b"internal" not in done.stderr
    late = f"(sleep 1; echo 'SELECT 42 AS x' > {tmp_path / 'pipe'}) & exec {shlex.join(words)} --timeout 50"
    done = subprocess.run(["bash", "-c", late], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.stdout.split()[-1:] == [b"42"]  # the control: who writes late is read


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc")
def test_what_is_no_place_for_a_file_is_said_to_be_none(script: Script, lake: Path, tmp_path: Path) -> None:
    mem, new = b"/proc/self/mem: it is no regular file", b"/proc/self/new: no file can be made in /proc/self"
    for output, code, reason in (
        ("/proc/self/mem", 1, mem), ("/proc/self/new", 1, new), (str(tmp_path / "new"), 0, b"")  # the control
    ):  # fmt: skip
        done = script("query_lake", "--lake-dir", lake, "--output", output, "SELECT 1")
        assert done.returncode == code and reason in done.stderr


@pytest.mark.parametrize("depth", [400, 20_000])
def test_a_question_that_is_nested_deeply_is_a_sentence(depth: int, script: Script, lake: Path) -> None:
    sql = nested(depth, "SELECT * FROM (", "SELECT 1", ")")
    done = script("query_lake", "--lake-dir", lake, "--timeout", "50", stdin=sql.encode())
    assert done.returncode in (1, 2) and done.stderr.startswith(b"error: ") and b"internal" not in done.stderr


@pytest.mark.parametrize(("how", "shown"), [("csv", b"\\x1b[31mred\\x9b"), ("json", b"\\u001B[31mred\\u009b")])
def test_an_answer_cannot_act_on_a_terminal(how: str, shown: bytes, lake: Path) -> None:
    sql = "SELECT chr(27) || '[31mred' || chr(155) AS word, 'é' AS other"
    here, there = os.openpty()
    words = [sys.executable, str(ROOT / "scripts" / "query_lake.py"), "--lake-dir", str(lake), "--format", how, sql]
    subprocess.run(words, stdout=there, stdin=subprocess.DEVNULL, check=True, timeout=60)
    seen = os.read(here, 1 << 16)
    os.close(there)
    os.close(here)
    assert shown in seen and "é".encode() in seen and b"\x1b" not in seen and b"\x9b" not in seen
    piped = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
    assert "\x9b".encode() in piped  # the control: a program gets the text itself

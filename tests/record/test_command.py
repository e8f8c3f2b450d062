"""Any command, as it is typed: what it says and how it ends passes through, and evidence of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.record.recorder import PYTHON, ROOT, SCRIPT, Recorder, gone

from peak_trade.evidence.ledger import Ledger


def test_what_a_command_says_passes_through_and_is_kept(record: Recorder) -> None:
    done = record("sh", "-c", r"printf 'out\000\377'; echo err >&2")
    assert (done.returncode, done.stdout) == (0, b"out\x00\xff")
    assert done.stderr.startswith(b"err\n")
    assert done.stderr.splitlines()[-1].decode() == record.run.name
    assert (record.run / "outputs/stdout.txt").read_bytes() == b"out\x00\xff"
    assert (record.run / "outputs/stderr.txt").read_bytes() == b"err\n"


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("exit 3", 3, ("Exited", "the command ended with exit code 3")),
        ("kill -9 $$", -9, ("Killed", "the command was ended by SIGKILL")),
        ("kill -TERM $$", -15, ("Killed", "the command was ended by SIGTERM")),
        ("kill -SEGV $$", -11, ("Killed", "the command was ended by SIGSEGV")),
    ],
)
def test_a_command_that_fails_leaves_evidence_and_its_way_out(
    record: Recorder, command: str, code: int, told: tuple[str, str]
) -> None:
    done = record("sh", "-c", command)
    assert done.returncode == code
    assert record.predicate["status"] == "failed"
    error = record.predicate["error"]
    assert (error["type"], error["message"]) == told
    assert json.loads((record.run / "error.json").read_bytes()) == error
    assert not (record.run / "equity.csv").exists()
    assert record.findings == []


def test_start_is_on_disk_before_the_command_begins(record: Recorder) -> None:
    done = record("sh", "-c", 'cat "$PEAK_RUN_DIR"/../../../ledger.jsonl; echo "$PEAK_RUN_ID"')
    line, run_id = done.stdout.decode().splitlines()
    start = json.loads(line)
    assert (start["event"], start["run_id"], start["kind"]) == ("start", run_id, "recorded")
    assert run_id == record.run.name


def test_what_lies_in_its_folder_is_sealed_byte_for_byte(record: Recorder) -> None:
    record(
        "sh",
        "-c",
        r'cd "$PEAK_RUN_DIR" && mkdir a && printf "\000\r\n" > a/b.bin && echo mine > stdout.txt && ln -s /etc l',
    )
    assert (record.run / "outputs/a/b.bin").read_bytes() == b"\x00\r\n"
    assert (record.run / "outputs/stdout.txt").read_bytes() == b""
    assert (record.run / "outputs/stdout.txt.2").read_bytes() == b"mine\n"
    assert not (record.run / "outputs/l").is_symlink()
    assert record.receipt("outputs")["reason"] == "given/l: a symbolic link"
    assert not (record.run / "given").exists()
    assert record.findings == []


def test_the_time_that_is_up_ends_all_that_was_started(record: Recorder) -> None:
    begun = time.monotonic()
    done = record(
        "sh", "-c", "(trap '' TERM; sleep 60 & echo $!; wait) & sleep 61 & echo $!; wait", options=("--timeout", "1")
    )
    assert done.returncode == 124
    assert time.monotonic() - begun < 20
    assert all(gone(int(pid)) for pid in done.stdout.split())
    assert record.predicate["error"]["message"] == "the command ran longer than 1 s"


def test_a_command_within_its_time_is_left_alone(record: Recorder) -> None:
    assert record("sh", "-c", "exit 0", options=("--timeout", "60")).returncode == 0


def test_a_recorder_that_is_killed_takes_its_command_along_and_doctor_seals_it(record: Recorder) -> None:
    process = record.start("sh", "-c", "sleep 60 & echo $! $$; wait")
    assert process.stdout
    pids = list(map(int, process.stdout.readline().split()))
    process.kill()
    process.communicate()
    assert all(gone(pid) for pid in pids)
    [left] = (record.results / ".working").iterdir()
    doctor = [PYTHON, ROOT / "scripts/doctor.py", "--results-dir", record.results]
    told = subprocess.run(doctor, capture_output=True, text=True, check=False).stdout
    assert "sealed as failed" in told
    assert record.run.name == left.name
    assert record.predicate["status"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_once(record: Recorder, number: signal.Signals) -> None:
    code = f"import signal, time, sys; c = []; signal.signal({int(number)}, lambda *_: c.append(1)); "
    code += "print('up', flush=True); time.sleep(1.2); print(len(c)); sys.exit(7)"
    process = record.start(PYTHON, "-c", code)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"1\n", 7)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_reaches_the_command_once(record: Recorder, number: signal.Signals) -> None:
    code = f"import signal, time, sys; c = []; signal.signal({int(number)}, lambda *_: c.append(1)); "
    code += "print('up', flush=True); time.sleep(1.2); print(len(c)); sys.exit(7)"
    process = record.start(PYTHON, "-c", code, start_new_session=True)
    assert process.stdout
    process.stdout.readline()
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"1\n", 7)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ((), 2, "no command to record"),
        (("no-such-command",), 127, "no-such-command: command not found"),
        (("/tmp",), 126, "/tmp is a folder"),
        (("./plain",), 126, "./plain: permission denied"),
    ],
)
def test_what_can_not_start_leaves_no_trace(record: Recorder, command: tuple[str, ...], code: int, says: str) -> None:
    (record.stands / "plain").write_text("echo")
    done = record(*command)
    assert (done.returncode, done.stdout) == (code, b"")
    assert says in done.stderr.decode()
    assert not record.results.exists()


def test_a_script_without_a_first_line_is_one_of_the_shell(record: Recorder) -> None:
    script = record.stands / "mine"
    script.write_text("echo $1\n")
    script.chmod(0o755)
    assert record("./mine", "a b").stdout == b"a b\n"


def test_a_command_reads_what_it_is_given(record: Recorder) -> None:
    assert record("cat", input=b"x" * 200_000).stdout == b"x" * 200_000


def test_a_reader_that_goes_ends_the_command_as_it_would(record: Recorder) -> None:
    process = record.start("yes", stderr=subprocess.DEVNULL)
    assert process.stdout
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert process.wait(timeout=30) == -signal.SIGPIPE


def test_much_output_passes_whole_and_is_kept_in_part(record: Recorder) -> None:
    done = record("head", "-c", "20000000", "/dev/zero")
    assert len(done.stdout) == 20_000_000
    assert (record.run / "outputs/stdout.txt").stat().st_size < 5_000_000
    assert record.receipt("stdout")["outcome"] == "cut"
    assert record.predicate["results"]["outputs"]["stdout"] == {"bytes": 20_000_000}


def test_both_streams_in_one_place_keep_their_order(record: Recorder) -> None:
    code = "import os\nfor n in range(300): os.write(1, b'o%d\\n' % n); os.write(2, b'e%d\\n' % n)"
    done = record(PYTHON, "-c", code, stderr=subprocess.STDOUT, options=("--quiet",))
    assert done.stdout.splitlines()[:600] == [b"%c%d" % (c, n) for n in range(300) for c in b"oe"]


def test_what_is_left_running_goes_on_and_is_told(record: Recorder) -> None:
    done = record("sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!")
    pid = int(done.stdout)
    try:
        assert not gone(pid, within=0.2)
        assert record.receipt("command")["outcome"] == "left running"
    finally:
        os.kill(pid, signal.SIGKILL)


def test_secrets_are_masked_in_all_that_is_kept_and_in_nothing_that_is_said(record: Recorder) -> None:
    told = "echo $API_TOKEN; echo hunter22-secret"
    done = record("sh", "-c", told, "--password", "hunter22-secret", env={"API_TOKEN": "tok-123456789"})
    assert done.stdout == b"tok-123456789\nhunter22-secret\n"
    kept = [path.read_bytes() for path in record.results.rglob("*") if path.is_file()]
    assert not [1 for content in kept if b"tok-123456789" in content or b"hunter22-secret" in content]
    assert b"[redacted]\n[redacted]\n" in (record.run / "outputs/stdout.txt").read_bytes()


def test_inputs_are_materials_by_their_digest(record: Recorder) -> None:
    (record.stands / "bars.csv").write_text("a\n")
    record("true", options=("--input", "bars.csv"))
    [found] = [one for one in record.predicate["buildDefinition"]["resolvedDependencies"] if one["name"] == "bars.csv"]
    assert found["digest"]["sha256"] == "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"


def test_files_are_collected_by_pattern(record: Recorder) -> None:
    command = "mkdir out; echo 1 > out/a.csv; echo 2 > out/b.csv"
    record("sh", "-c", command, options=("--collect", "output=out/*.csv", "output=none/*"))
    assert sorted(path.name for path in (record.run / "outputs/out").iterdir()) == ["a.csv", "b.csv"]
    assert "nothing matches output=none/*" in record.receipt("collect")["reason"]


EQUITY = "date,equity\n2024-01-02,1000\n2024-01-03,1010\n2024-01-04,990\n2024-01-05,1020\n"


@pytest.mark.parametrize(("role", "there"), [("equity", True), ("output", False)])
def test_files_with_a_role_are_the_result_where_no_engine_is_seen(record: Recorder, role: str, there: bool) -> None:
    (record.stands / "made").write_text(EQUITY)
    record("cp", "made", "equity.csv", options=("--collect", f"{role}=equity.csv"))
    assert (record.run / "outputs/equity.csv").read_text() == EQUITY
    assert (record.run / "stats.json").exists() == there
    if there:
        assert json.loads((record.run / "stats.json").read_bytes())["total_return"] == pytest.approx(0.02, abs=1e-15)
    assert record.findings == []


def test_a_file_that_says_nothing_known_is_kept_and_named(record: Recorder) -> None:
    (record.stands / "made").write_text("a;b\n1;2\n")
    done = record("cp", "made", "trades.csv", options=("--collect", "trades=trades.csv"))
    assert done.returncode == 0
    assert b"warn: collect skipped: trades.csv" in done.stderr
    assert (record.run / "outputs/trades.csv").read_text() == "a;b\n1;2\n"
    assert record.findings == []


def test_a_command_that_makes_a_run_has_a_run_of_its_own(record: Recorder) -> None:
    inner = [PYTHON, str(SCRIPT), "--quiet", "--results-dir", "inner", "--", "sh", "-c", 'echo "$PEAK_RUN_ID"']
    done = record(*inner)
    [path] = [path for path in (record.stands / "inner").iterdir() if len(path.name) == 36]
    assert (done.returncode, done.stdout.decode()) == (0, f"{path.name}\n")
    assert path.name != record.run.name


def test_json_goes_where_it_is_asked_for(record: Recorder) -> None:
    done = record("echo", "said", options=("--json", "-", "--quiet"))
    assert json.loads(done.stdout)["run_id"] == record.run.name
    assert done.stderr.startswith(b"said\n")
    other = record("echo", "said", options=("--json", "run.json", "--quiet", "--run-id", "not-one"))
    assert other.returncode == 2
    assert not (record.stands / "run.json").exists()


def test_strict_makes_an_engine_that_was_not_seen_a_failure(record: Recorder) -> None:
    done = record("true", options=("--engine", "vectorbt"), env={"PEAK_STRICT": "1"})
    assert done.returncode == 1
    assert record.predicate["status"] == "failed"
    assert "vectorbt was asked for, and not seen" in record.predicate["error"]["message"]


def test_an_engine_that_was_not_seen_is_said_else(record: Recorder) -> None:
    done = record("true", options=("--engine", "vectorbt"))
    assert done.returncode == 0
    assert b"warn: engine skipped: vectorbt was asked for, and not seen" in done.stderr


def test_the_results_folder_may_be_moved_meanwhile(record: Recorder) -> None:
    done = record("sh", "-c", f"mv {record.results} {record.results}.new")
    assert done.returncode == 0
    record.results = record.results.with_name("results.new")
    assert Ledger(record.results).read().runs[record.run.name].state == "sealed"


def on_a_terminal(words: list[str], folder: Path, typed: bytes = b"", at: bytes = b"") -> tuple[bytes, int]:
    """Run words on a terminal, type something once it has said `at`, and return what it shows, and how it ended."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execv(words[0], words)
    shown = b""
    with contextlib.suppress(OSError):  # nobody has it open any more
        while piece := os.read(terminal, 65536):
            shown += piece
            if typed and at in shown:
                os.write(terminal, typed)
                typed = b""
    os.close(terminal)
    return shown, os.waitpid(pid, 0)[1]


ASKS = "import os, sys\nprint([os.isatty(n) for n in range(3)], flush=True)\nprint(input('name? '), '\\033[1mx')"
WAITS = """
import os, signal, time
def ended(number, _):
    os.write(1, b"\\a\\n")
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
signal.signal(signal.SIGINT, ended)  # whatever line it comes at, this is what there is to see
os.write(1, b"up\\n")
while True:
    time.sleep(30)
"""


@pytest.mark.parametrize(
    ("code", "typed", "at"), [(ASKS, b"joe\n", b"name? "), (WAITS, b"\x03", b"up\r\n")], ids=["asks", "waits"]
)
def test_a_terminal_shows_what_it_would(record: Recorder, code: str, typed: bytes, at: bytes) -> None:
    (record.stands / "mine.py").write_text(code)
    plain = [PYTHON, "mine.py"]
    options = ["--results-dir", str(record.results), "--quiet"]
    shown, ended = on_a_terminal(plain, record.stands, typed, at)
    recorded = on_a_terminal([PYTHON, str(SCRIPT), *options, "--", *plain], record.stands, typed, at)
    assert at in shown
    assert recorded[1] == ended
    assert recorded[0].startswith(shown)
    assert recorded[0].splitlines()[-1].decode() == record.run.name


def test_a_command_sees_the_size_of_the_terminal(record: Recorder) -> None:
    code = "import os, fcntl, termios, struct; fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('4H', 33, 77, 0, 0)); "
    code += f"os.execv({PYTHON!r}, [{PYTHON!r}, {str(SCRIPT)!r}, '--results-dir', {str(record.results)!r}, '--', "
    code += f"{PYTHON!r}, '-c', 'import os; print(os.get_terminal_size(1))'])"
    shown, _ = on_a_terminal([PYTHON, "-c", code], record.stands)
    assert b"columns=77, lines=33" in shown


def test_a_full_disk_costs_the_evidence_and_is_said(record: Recorder) -> None:
    code = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    words = [PYTHON, "-c", code, str(SCRIPT), "--results-dir", str(record.results), "--", "head", "-c", "200000"]
    own = {key: value for key, value in os.environ.items() if not key.startswith("PEAK_")}
    done = subprocess.run([*words, "/dev/zero"], cwd=record.stands, env=own, capture_output=True, check=False)
    assert done.stdout == bytes(200_000)
    assert b"error: cannot write the evidence: File too large" in done.stderr
    assert done.returncode == 1
    told = subprocess.run(
        [PYTHON, ROOT / "scripts/doctor.py", "--results-dir", record.results],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sealed as failed" in told.stdout
    assert record.findings == []

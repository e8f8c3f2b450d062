"""The process in front of a run: whatever becomes of the run's own, the run has an end, and ends in time."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results
from peak_trade.runner.limits import within

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/run_strategy_from_config.py"
STRATEGIES = """
import ctypes, os, signal, subprocess, sys, threading, time
import numpy as np

EVERY = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}

def fine(bars): return np.ones(len(bars))
def sums(bars): return np.ones(len(bars)) * sum(range(10**11))
def convolves(bars): return np.convolve(np.ones(10**7), np.ones(10**7))
def blocks_signals(bars): signal.pthread_sigmask(signal.SIG_BLOCK, EVERY); time.sleep(600)
def ignores_signals(bars):
    for number in EVERY: signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
def resets_the_timer(bars):
    while True: signal.setitimer(signal.ITIMER_REAL, 0); time.sleep(0.1)
def sleeps_in_c(bars): ctypes.CDLL(None).sleep(600); time.sleep(600)
def stops_itself(bars): os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)
def hangs_in_its_text(bars):
    class Endless(Exception):
        def __str__(self): time.sleep(600)
    raise Endless
def has_an_endless_default(bars, *, kind=type("Endless", (), {"__repr__": lambda self: time.sleep(600)})()):
    return np.ones(len(bars))
def never_leaves(bars): threading.Thread(target=time.sleep, args=(600,)).start(); return np.ones(len(bars))
def starts_children(bars):
    inner = "import os, subprocess, time; subprocess.Popen(['sleep', '611']); time.sleep(611)"
    subprocess.Popen([sys.executable, "-c", inner], start_new_session=True)
    while os.popen("pgrep -fxc 'sleep 611'").read().strip() == "0": time.sleep(0.05)
    signal.pthread_sigmask(signal.SIG_BLOCK, EVERY); time.sleep(600)
def leaves_children(bars):
    subprocess.Popen(["sleep", "613"], start_new_session=True)
    time.sleep(600)
def keeps_a_child(bars):
    subprocess.Popen(["sleep", "614"], start_new_session=True, stdout=-3, stderr=-3)
    return np.ones(len(bars))
def waits_for_workers(bars):
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(2) as pool: list(pool.map(time.sleep, (615, 615)))
def exits_in_its_text(bars):
    class Quiet(Exception):
        def __str__(self): raise SystemExit(0)
        __repr__ = __str__
    raise Quiet
def interrupts_in_its_text(bars):
    class Quiet(Exception):
        def __str__(self): raise KeyboardInterrupt
    raise Quiet
def tells_no_name(bars):
    class Mute(type):
        def __getattribute__(cls, name): raise RuntimeError("no " + name)
    class Nameless(Exception, metaclass=Mute): pass
    raise Nameless
def tells(word, content):
    for at in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{at}").startswith("pipe:") and int(at) > 2:
                os.write(int(at), word + bytes([0, 0, 0, len(content)]) + content)
        except OSError: pass
    os._exit(0)
def tells_half_a_word(bars): tells(b"S", b"ab")
def tells_another_will(bars): tells(b"W", b"ab")
def tells_a_good_end(bars): tells(b"B", b"0")
def holds_the_ledger(bars):
    [ledger] = [os.path.join(at, "ledger.jsonl") for at in [sys.argv[sys.argv.index("--results-dir") + 1]]]
    import fcntl
    handle = os.open(ledger, os.O_RDWR); fcntl.flock(handle, fcntl.LOCK_EX)
    if os.fork() == 0: os.setsid(); time.sleep(600)
    time.sleep(600)
def swallows_interrupts(bars):
    while True:
        try: print("waiting", file=sys.stderr, flush=True); time.sleep(600)
        except BaseException: pass
def keeps_the_lock(bars):
    if os.fork() == 0: time.sleep(612)
    os._exit(0)
def waits(bars): print("waiting", file=sys.stderr, flush=True); time.sleep(600); return np.ones(len(bars))
def counts_interrupts(bars):
    for at in range(2):
        try:
            if at == 0: print("waiting", file=sys.stderr, flush=True)
            time.sleep(600 if at == 0 else 1.5)
        except KeyboardInterrupt: print("interrupted", file=sys.stderr, flush=True)
    return np.ones(len(bars))
def starves(bars):
    from peak_trade import script
    from peak_trade.evidence.run_dir import RunDir
    def fails(*given, **named): raise SystemError("error return without exception set")
    script._fail = RunDir.seal = fails  # as all may do where no memory is left
    return np.ones(len(bars))
def leaves_a_decoy(bars):
    from pathlib import Path
    [here] = Path(os.environ["RESULTS"], ".working").iterdir()
    Path(os.environ["RESULTS"], here.name, "x").mkdir(parents=True)
    os._exit(0)
def forgets(bars):
    from peak_trade.evidence.run_dir import RunDir
    def fails(*given, **named): raise MemoryError
    RunDir.seal = fails
    return np.ones(len(bars))
def reads(bars): print("read", input(), file=sys.stderr, flush=True); return np.ones(len(bars))
def debugs(bars): import pdb; pdb.set_trace(); return np.ones(len(bars))
"""
ENDLESS = ("sums", "convolves", "blocks_signals", "ignores_signals", "resets_the_timer", "sleeps_in_c", "stops_itself",
           "hangs_in_its_text", "has_an_endless_default")  # fmt: skip
TOO_LONG = "the strategy ran longer than run.timeout_s = 0.5 s"


@pytest.fixture
def command(config: Path, ram: Path) -> Callable[..., list[str]]:
    """Return the command line that runs one of the strategies above."""
    (ram / "user.py").write_text(STRATEGIES)
    text = config.read_text().replace("fast = 2\nslow = 5\n", "")

    def words(name: str, *more: str) -> list[str]:
        config.write_text(text.replace('name = "sma_crossover"', f'entrypoint = "user.py:{name}"'))
        return [sys.executable, str(SCRIPT), "--config", str(config), "--results-dir", str(ram / "results"), *more]

    return words


@pytest.fixture
def started(command: Callable[..., list[str]]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a run, and returns once its strategy waits."""
    made: list[subprocess.Popen[str]] = []

    def start(name: str, *more: str, before: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        process = subprocess.Popen([*before, *command(name, *more)], start_new_session=True, **options)
        made.append(process)
        assert process.stderr and process.stderr.readline() == "waiting\n"
        return process

    yield start
    for process in made:
        process.kill()
        process.communicate()


def only(results: Path) -> tuple[Path, dict[str, Any]]:
    """Return the only run, and its error."""
    [run] = Results(results).runs()
    error = run / "error.json"
    return run, json.loads(error.read_bytes()) if error.exists() else {}


def shows(run: Path) -> str:
    """Return what shows a run's evidence."""
    return f"just show {run.name[:8]} --results-dir {run.parent}"


def done(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **options)


# --- the limit ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDLESS)
def test_a_limit_stops_whatever_a_strategy_does(
    command: Callable[..., list[str]], ram: Path, look: Any, name: str
) -> None:
    began = time.monotonic()
    outcome = done(command(name, "--set", "run.timeout_s=0.5"))
    assert time.monotonic() - began < 30  # it would go on for ten minutes and more
    assert (outcome.returncode, outcome.stdout) == (1, "")
    run, error = only(ram / "results")
    said, _, hint = outcome.stderr.partition("\n")
    assert said == f"error: {TOO_LONG}" or said.startswith(f"error: {TOO_LONG}, at user.py:")
    assert hint == f"hint: raise it or make the strategy faster; {shows(run)}\n"
    assert error == {"stage": "strategy", "type": "TimeOut", "message": TOO_LONG}
    assert json.loads((run / "run.log").read_text().splitlines()[-1])["message"].startswith(TOO_LONG)
    statement = json.loads((run / "manifest.json").read_bytes())["predicate"]
    assert statement["status"] == "failed" and statement["runDetails"]["argv"][-1] == "run.timeout_s=0.5"
    assert statement["buildDefinition"]["externalParameters"]["overrides"] == {"run.timeout_s": 0.5}
    assert (run / "config_snapshot.toml").read_bytes() == (ram / "config.toml").read_bytes()
    assert look.unrecovered(ram / "results") == []


def test_control_without_a_supervisor_a_long_call_goes_on(command: Callable[..., list[str]]) -> None:
    script = (
        "import runpy, sys; from peak_trade import supervisor; supervisor.stand_by = lambda **_: supervisor.UNWATCHED;"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    python, *words = command("blocks_signals", "--set", "run.timeout_s=0.5")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([python, "-c", script, *words], timeout=8, capture_output=True)


def test_a_run_with_a_limit_leaves_its_process_too(
    command: Callable[..., list[str]], ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    outcome = done(command("never_leaves", "--set", "run.timeout_s=5", "--quiet"))
    assert time.monotonic() - began < 60
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.strip() == only(ram / "results")[0].name


def test_what_a_run_has_started_is_stopped_with_it(command: Callable[..., list[str]], ram: Path) -> None:
    outcome = done(command("starts_children", "--set", "run.timeout_s=4"))
    assert outcome.returncode == 1, outcome.stderr
    if sys.platform == "linux":
        assert subprocess.run(["pgrep", "-fx", "sleep 611"]).returncode == 1


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("exits_in_its_text", "Quiet", "the strategy raised Quiet: its text raised SystemExit"),
        ("interrupts_in_its_text", "Quiet", "the strategy raised Quiet: its text raised KeyboardInterrupt"),
        ("tells_no_name", "Nameless", "the strategy raised Nameless"),
    ],
)
def test_an_exception_that_will_not_be_told_leaves_a_failed_run(
    command: Callable[..., list[str]], ram: Path, name: str, kind: str, said: str
) -> None:
    outcome = done(command(name))
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert f"error: {said}" in outcome.stderr
    assert only(ram / "results")[1]["type"] == kind


def test_a_folder_of_its_name_is_not_taken_for_a_run_that_is_sealed(
    command: Callable[..., list[str]], ram: Path, look: Any
) -> None:
    outcome = done(command("leaves_a_decoy"), env=os.environ | {"RESULTS": str(ram / "results")})
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-2].startswith("error: the strategy ended the run's process, with exit code 0")
    run, error = only(ram / "results")
    assert error["type"] == "Exited" and not (run / "x").exists()
    assert (run.parent / ".left" / run.name / run.name / "x").is_dir()  # the control: it was there
    assert look.unrecovered(ram / "results") == []


@pytest.mark.parametrize(("name", "control"), [("starves", "SystemError"), ("forgets", "error: internal: MemoryError")])
def test_a_run_that_ends_by_what_nobody_has_a_word_for_is_sealed_by_its_supervisor(
    command: Callable[..., list[str]], ram: Path, look: Any, name: str, control: str
) -> None:
    outcome = done(command(name))
    assert outcome.returncode == 1 and control in outcome.stderr
    assert "ended the run's process, with exit code 1, before its run was sealed" in outcome.stderr
    assert only(ram / "results")[1]["type"] == "Exited"
    assert look.unrecovered(ram / "results") == []


@pytest.mark.skipif(sys.platform != "linux", reason="a strategy finds the pipe by /proc here")
@pytest.mark.parametrize("name", ["tells_half_a_word", "tells_another_will", "tells_a_good_end"])
def test_words_of_a_strategy_do_not_keep_its_run_from_its_seal(
    command: Callable[..., list[str]], ram: Path, name: str
) -> None:
    outcome = done(command(name))
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: the strategy ended the run's process, with exit code 0")
    assert only(ram / "results")[1]["type"] == "Exited"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the child goes its way")
def test_a_child_that_holds_the_ledger_is_stopped_with_its_run(command: Callable[..., list[str]], ram: Path) -> None:
    outcome = done(command("holds_the_ledger", "--set", "run.timeout_s=0.5"))
    assert (outcome.returncode, TOO_LONG in outcome.stderr) == (1, True)
    assert only(ram / "results")[1]["type"] == "TimeOut"


def test_who_insists_stops_a_run_that_swallows_interrupts(started: Any, ram: Path) -> None:
    process = started("swallows_interrupts")
    for at in range(3):
        process.send_signal(signal.SIGINT)
        if at < 2:
            assert process.stderr.readline() == "waiting\n"
            time.sleep(0.7)  # what comes sooner is the same one, handed on
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, "error: interrupted\n" in stderr) == (1, True)
    assert only(ram / "results")[1]["type"] == "KeyboardInterrupt"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what a strategy left goes its way: docs/dev/security.md")
def test_what_a_run_that_ends_politely_has_started_is_stopped_too(command: Callable[..., list[str]], ram: Path) -> None:
    def still(seconds: int) -> bool:
        return subprocess.run(["pkill", "-KILL", "-fx", f"sleep {seconds}"]).returncode == 0

    assert TOO_LONG in done(command("leaves_children", "--set", "run.timeout_s=0.5")).stderr
    assert not still(613)
    assert done(command("keeps_a_child", "--set", "run.timeout_s=20")).returncode == 0
    assert still(614), "the control: what was started by a run that ends by itself is its own"


def children_of_init() -> set[str]:
    lines = subprocess.run(["ps", "-eo", "ppid=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line for line in lines if line.split()[0] == "1" and "waits_for_workers" in line}


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_workers_that_a_stopped_run_waits_for_are_stopped(command: Callable[..., list[str]], ram: Path) -> None:
    outcome = done(command("waits_for_workers", "--set", "run.timeout_s=0.5"))
    assert (outcome.returncode, TOO_LONG in outcome.stderr) == (1, True)
    assert children_of_init() == set()


def test_a_child_that_holds_the_lock_does_not_keep_a_run_from_its_seal(
    command: Callable[..., list[str]], ram: Path, look: Any
) -> None:
    assert done(command("keeps_the_lock")).returncode == 1
    assert only(ram / "results")[1]["type"] == "Exited"
    assert look.unrecovered(ram / "results") == []


def test_the_alarm_is_as_it_was_after_a_strategy() -> None:
    def mine(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        for strategy in (lambda: 1, lambda: 1 / 0):
            with suppress(ZeroDivisionError):
                within(60, strategy)
            assert signal.getsignal(signal.SIGALRM) is mine
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


# --- signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", ["the command", "its group", "both"])
def test_a_signal_reaches_a_strategy_once(started: Any, number: int, to: str) -> None:
    process = started("counts_interrupts", "--quiet", "--set", "run.probe=off")
    if to != "its group":
        os.kill(process.pid, number)
    if to != "the command":
        os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "interrupted\n")
    assert len(stdout) == 37


def test_a_signal_that_is_handed_on_late_is_the_same(started: Any) -> None:
    process = started("counts_interrupts", "--quiet", "--set", "run.probe=off")
    os.kill(process.pid, signal.SIGSTOP)  # as on a machine that has no time for it
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(0.25)
    os.kill(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_other_signals_end_a_run_with_evidence(started: Any, ram: Path, look: Any, number: int) -> None:
    # under `nohup`, or in a script's background, they are ignored from the start
    process = started("waits", preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    name = signal.Signals(number).name
    assert process.returncode == 1
    assert stderr.startswith(f"error: the run's process was ended by {name} before its run was sealed\n")
    assert look.unrecovered(ram / "results") == []


def test_a_run_that_ignores_hangups_goes_on(started: Any) -> None:
    process = started("waits", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    os.killpg(process.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)


@pytest.mark.skipif(not shutil.which("timeout"), reason="there is no `timeout` here, as on macOS")
def test_timeout_ends_a_run_as_ever(started: Any, ram: Path) -> None:
    process = started("waits", before=("timeout", "600"))
    process.send_signal(signal.SIGALRM)  # the time is up, it thinks: it tells its child, and then the group
    assert "error: interrupted\n" in process.communicate(timeout=60)[1]
    assert process.returncode == 124
    assert only(ram / "results")[1]["message"] == "interrupted"


def test_a_run_dies_with_its_supervisor(started: Any, ram: Path, look: Any) -> None:
    process = started("waits")
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while run_dir.unfinished(Results(ram / "results"))[0].alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(run_dir.recover(Results(ram / "results"))) == 1
    assert look.unrecovered(ram / "results") == []


# --- what it must not change ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_streams_that_are_closed_are_no_reason_to_fail(
    command: Callable[..., list[str]], ram: Path, closed: tuple[int, ...]
) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    outcome = subprocess.run(command("fine"), preexec_fn=close, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0
    run, error = only(ram / "results")
    assert error == {} and outcome.stdout.strip() == ("" if 1 in closed else run.name)


def test_a_strategy_may_read_what_the_command_is_given(command: Callable[..., list[str]]) -> None:
    assert "read 42\n" in done(command("reads"), input="42\n").stderr


def test_a_debugger_in_a_strategy_has_the_terminal(command: Callable[..., list[str]], ram: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command("debugs"))
    said, deadline = b"", time.monotonic() + 60
    words = [b"p 40 + 2\n", b"c\n"]
    try:
        while time.monotonic() < deadline:
            said += os.read(terminal, 1 << 12)
            if words and said.count(b"(Pdb) ") > 2 - len(words):
                os.write(terminal, words.pop(0))
    except OSError:
        pass  # its end
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert b"42\r\n" in said
    assert only(ram / "results")[1] == {}


def test_ctrl_c_at_a_terminal_is_one(command: Callable[..., list[str]], ram: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command("counts_interrupts"))
    said, pressed = b"", False
    try:
        while True:
            said += os.read(terminal, 1 << 12)
            if b"waiting" in said and not pressed:
                os.write(terminal, b"\x03")
                pressed = True
    except OSError:
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert said.count(b"interrupted") == 1


def test_the_run_that_a_strategy_starts_has_a_supervisor_of_its_own(
    command: Callable[..., list[str]], ram: Path, look: Any
) -> None:
    words = command("fine")
    inner = ram / "inner.toml"
    inner.write_text((ram / "config.toml").read_text())
    (ram / "user.py").write_text(
        STRATEGIES
        + f"""
def nests(bars):
    import peak_trade
    words = {words!r}
    words[3] = {str(inner)!r}
    subprocess.run([*words, "--quiet"], check=True, stdout=sys.stderr)
    peak_trade.run({str(inner)!r}, results={str(ram / "results")!r})
    os._exit(0)
"""
    )
    words[words.index("--config") + 1] = str(ram / "outer.toml")
    (ram / "outer.toml").write_text((ram / "config.toml").read_text().replace("user.py:fine", "user.py:nests"))
    outcome = done(words)
    assert outcome.returncode == 1, outcome.stderr
    runs = Results(ram / "results").runs()
    assert sorted((run / "error.json").exists() for run in runs) == [False, False, True]
    assert look.unrecovered(ram / "results") == []


# --- killed at any call ---------------------------------------------------------------------------------------------


def test_a_run_killed_at_any_call_is_sealed_by_its_supervisor(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    calls = forge.cli(config, copies(), "--quiet", fault={"n": 0, "where": "run"}).calls
    first = calls.index("fsync ledger.jsonl") + 2
    for n in range(first, len(calls) + 1):
        results = copies()
        [earlier] = Results(results).runs()
        outcome = forge.cli(config, results, "--quiet", fault={"n": n, "where": "run"})
        where = f"at call {n} ({calls[n - 1]})"
        assert run_dir.unfinished(Results(results)) == [], where
        assert look.unrecovered(results) == [], where
        [made] = set(Results(results).runs()) - {earlier}
        failed = (made / "error.json").exists()
        assert outcome.code == (1 if failed else -9), f"{where}: {outcome.stderr}"
        assert len(outcome.said("error")) == failed, where


def test_a_supervisor_that_is_killed_at_any_call_leaves_what_can_be_recovered(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any, ram: Path
) -> None:
    (ram / "user.py").write_text("import os\ndef vanishes(bars): os._exit(0)\n")
    text = config.read_text().replace("fast = 2\nslow = 5\n", "")
    config.write_text(text.replace('name = "sma_crossover"', 'entrypoint = "user.py:vanishes"'))
    complete = forge.cli(config, copies(), fault={"n": 0, "where": "supervisor"})
    assert complete.code == 1 and len(complete.calls) > 10
    for n in range(1, len(complete.calls) + 1):
        results = copies()
        outcome = forge.cli(config, results, fault={"n": n, "where": "supervisor"})
        assert outcome.code == -9
        run_dir.recover(Results(results))
        assert look.unrecovered(results) == [], outcome.calls[-1]


@pytest.mark.parametrize("code", ["ENOSPC", "EACCES", "EIO"])
def test_a_supervisor_that_can_not_write_says_so(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any, ram: Path, code: str
) -> None:
    (ram / "user.py").write_text("import os\ndef vanishes(bars): os._exit(0)\n")
    text = config.read_text().replace("fast = 2\nslow = 5\n", "")
    config.write_text(text.replace('name = "sma_crossover"', 'entrypoint = "user.py:vanishes"'))
    calls = forge.cli(config, copies(), fault={"n": 0, "where": "supervisor"}).calls
    for n in range(1, len(calls) + 1):
        results = copies()
        outcome = forge.cli(config, results, fault={"n": n, "where": "supervisor", "code": code})
        where = f"at call {n} ({calls[n - 1]})"
        assert outcome.code == 1 and len(outcome.said("error")) == 1, f"{where}: {outcome.stderr}"
        assert not outcome.said("error")[0].startswith("internal"), f"{where}: {outcome.stderr}"
        run_dir.recover(Results(results))
        assert look.unrecovered(results) == [], where


# --- threads of other tools, in the process in front ----------------------------------------------------------------

# As `opentelemetry-instrument` leaves it; the run ends, or is told to, while its supervisor looks elsewhere: not before
# it listens at all, when a signal would end it as any process, and not when it waits for one.
THREADED = """
import os, signal, sys, threading, time
for _ in range(3): threading.Thread(target=threading.Event().wait, daemon=True).start()
from peak_trade import supervisor
(listens, listening), (done, do) = os.pipe(), os.pipe()
wait = supervisor._Supervisor._wait
def late(self):
    supervisor._Supervisor._wait = wait
    os.write(listening, b"1")
    if sys.argv[1] == "asked": os.read(done, 1)
    else: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
    while signal.sigpending(): time.sleep(0.01)  # until a thread has taken it
    return wait(self)
supervisor._Supervisor._wait = late
if sys.argv[2] == "unheard": supervisor._has_threads = lambda: False
with supervisor.stand_by() as line:
    os.read(listens, 1)
    if sys.argv[1] == "asked":
        os.kill(os.getppid(), signal.SIGTERM)
        os.write(do, b"1")
        time.sleep(600)
    line.free()
sys.exit(7)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread that waits may not be given the signal")
@pytest.mark.parametrize("signals", ["heard", "unheard"])
@pytest.mark.parametrize(("end", "code"), [("of itself", 7), ("asked", -signal.SIGTERM)])
def test_a_signal_that_a_thread_is_given_is_heard_too(end: str, code: int, signals: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", THREADED, end, signals])
    try:
        if signals == "heard":
            assert process.wait(timeout=60) == code
        else:
            with pytest.raises(subprocess.TimeoutExpired):  # the control
                process.wait(timeout=2)
    finally:
        process.kill()
        process.wait()

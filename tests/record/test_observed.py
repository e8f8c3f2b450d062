"""What a command read, wrote, loaded and started is known afterwards, whatever process did it and however it ended."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import peak_trade.observer
from peak_trade.record import observed
from peak_trade.record.observed import Observed
from peak_trade.redact import Redactor

SITE = Path(peak_trade.observer.__file__).parent / "site"
DATA = "a,b\n1,2\n"


class Folder:
    """Where a command runs, and what it did there."""

    def __init__(self, tmp_path: Path) -> None:
        self.path, self.spool = tmp_path / "work", tmp_path / "spool"
        self.path.mkdir()
        self.spool.mkdir()
        self.put("data.csv", DATA)
        time.sleep(0.02)  # so that a file's time tells that it was there before
        self.since_ns = time.time_ns()
        self.exit_code = 0

    def put(self, name: str, content: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def run(self, *words: str, watched: bool = True, **variables: str) -> str:
        environment = os.environ | variables
        if watched:
            environment |= {"PYTHONPATH": str(SITE), "PEAK_RECORD_SPOOL": str(self.spool)}
        done = subprocess.run(
            words, cwd=self.path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        self.exit_code = done.returncode
        return done.stdout + done.stderr

    def script(self, code: str, *words: str, **options: Any) -> str:
        self.put("script.py", code)
        return self.run(sys.executable, "script.py", *words, **options)

    def seen(self, *command: str, **options: Any) -> Observed:
        return observed.look(
            self.spool, self.path, command or (sys.executable, "script.py"), redactor=Redactor(environment={}),
            since_ns=self.since_ns, **options,
        )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def names(them: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in them]


def said(found: Observed) -> str:
    return "\n".join(" ".join(one) for one in found.receipts)


def test_what_a_script_reads_and_writes_is_named_with_its_digest(folder: Folder) -> None:
    folder.script("import own\nopen('data.csv').read()\nopen('out.txt', 'w').write('x')\nopen('out.txt').read()\n")
    folder.put("own.py", "x = 1\n")
    folder.script("import own\nopen('data.csv').read()\nopen('out.txt', 'w').write('y')\nopen('out.txt').read()\n")
    found = folder.seen()
    assert found.materials == [
        {
            "name": "data.csv",
            "digest": {"sha256": hashlib.sha256(DATA.encode()).hexdigest()},
            "annotations": {"role": "read", "bytes": len(DATA)},
        }
    ]
    assert names(found.written) == ["out.txt"]
    assert sorted(found.code.files) == ["own.py", "script.py"]
    assert found.environment["python"] == sys.version.split()[0]
    assert not found.effects


POOL = """
import multiprocessing as m
if __name__ == '__main__':
    with m.get_context('{}').Pool(2) as pool:
        pool.map(work, [1])
"""
CHILD = """'-c', 'open("data.csv").read(); open("out.txt", "w").write("1")'"""
WAYS = {
    "fork": "import os\nif os.fork() == 0:\n    work()\n    os._exit(0)\nos.wait()\n",
    "exit": "work()\nimport os\nos._exit(3)\n",
    "kill": "work()\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "crash": "work()\nraise SystemError('down')\n",
    "atexit": "work()\nimport atexit, sys\natexit.register(sys.exit, 5)\n",
    "thread": "import threading\none = threading.Thread(target=work)\none.start()\none.join()\n",
    "fork pool": POOL.format("fork"),
    "spawn pool": POOL.format("spawn"),
    "forkserver": POOL.format("forkserver"),
    "loky": "import joblib as j\nif __name__ == '__main__':\n    j.Parallel(2)(j.delayed(work)(n) for n in (1, 2))\n",
    "subprocess": f"import subprocess, sys\nsubprocess.run([sys.executable, {CHILD}])\n",
    "exec": f"import os, sys\nos.execv(sys.executable, [sys.executable, {CHILD}])\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_seen_in_whatever_process_it_happens(folder: Folder, way: str) -> None:
    work = "def work(n=0):\n    open('data.csv').read()\n    with open('out.txt', 'w') as f: f.write(str(1))\n"
    plain = folder.script(work + WAYS[way], watched=False)
    code = folder.exit_code
    (folder.path / "out.txt").unlink()
    assert folder.script(work + WAYS[way]) == plain
    assert folder.exit_code == code
    found = folder.seen()
    assert names(found.materials) == ["data.csv"]
    assert names(found.written) == ["out.txt"]
    assert "script.py" in found.code.files
    assert "unseen" not in found.effects, said(found)


@pytest.mark.parametrize("words", [["-I"], ["-E"], ["-S"], ["-B", "-Is"]])
def test_a_python_that_can_t_be_seen_is_counted(folder: Folder, words: list[str]) -> None:
    child = "['-c', 'open(\"data.csv\").read()']"
    folder.script(f"import subprocess, sys\nsubprocess.run([sys.executable, *{words}, *{child}], check=True)\n")
    found = folder.seen()
    assert len(found.effects["unseen"]) == 1
    assert "1 Python that it started: python -" in said(found)
    assert not found.materials  # which is why it has to be said


def test_a_python_in_an_environment_of_its_own_is_counted(folder: Folder) -> None:
    folder.script("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'], env={})\n")
    assert folder.seen().effects == {"unseen": ["an environment of its own"]}


def test_a_command_without_python_is_said_to_be_unseen(folder: Folder) -> None:
    folder.put("job.sh", "#!/bin/sh\ncat data.csv > copy.csv\n")
    folder.run("sh", "job.sh")
    found = folder.seen("sh", "job.sh")
    assert "observer saw nothing" in said(found)
    assert list(found.code.files) == ["job.sh"]
    assert found.environment == {}


def test_a_shell_that_starts_python_is_seen_through(folder: Folder) -> None:
    folder.put("job.sh", f"#!/bin/sh\n{sys.executable} -c 'open(\"data.csv\").read()'\n")
    folder.run("sh", "job.sh")
    found = folder.seen("sh", "job.sh")
    assert names(found.materials) == ["data.csv"]


def test_a_file_that_changes_while_it_runs_is_said_to_have(folder: Folder) -> None:
    folder.script("open('data.csv').read()\nopen('data.csv', 'a').write('3,4\\n')\n")
    found = folder.seen()
    assert found.materials[0]["annotations"]["changed"] is True
    assert "files changed data.csv" in said(found)
    assert names(found.written) == ["data.csv"]


def test_a_file_that_is_gone_afterwards_is_named_without_a_digest(folder: Folder) -> None:
    folder.script("import os\nopen('data.csv').read()\nos.remove('data.csv')\n")
    found = folder.seen()
    assert found.materials == [{"name": "data.csv", "annotations": {"role": "read", "bytes": 8, "gone": True}}]
    assert "can't be read any more" in said(found)


def test_code_is_kept_as_it_was_when_it_was_loaded(folder: Folder) -> None:
    folder.script("open(__file__, 'w').write('other = 1\\n')\n")
    assert folder.seen().code.files["script.py"] == b"open(__file__, 'w').write('other = 1\\n')\n"


def test_files_elsewhere_are_told_apart(folder: Folder, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.csv"
    other.write_text(DATA)
    os.utime(other, (1, 1))
    (folder.path / "link.csv").symlink_to(other)
    folder.script(f"open({str(other)!r}).read()\nopen('link.csv').read()\nopen('/etc/hosts').read()\n")
    found = {one["name"]: one for one in folder.seen().materials}
    assert set(found) == {str(other), "link.csv"}
    assert found[str(other)]["annotations"]["outside"] is True
    assert found["link.csv"]["digest"] == found[str(other)]["digest"]


def test_what_is_no_file_is_passed_over(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    code = "import os\nopen(os.open('pipe', os.O_RDONLY | os.O_NONBLOCK)).read()\nopen('/dev/null').read()\n"
    folder.script(f"{code}os.listdir('.')\ntry:\n    open('none')\nexcept OSError:\n    print('no')\n")
    found = folder.seen()
    assert not found.materials and not found.written


def test_many_files_and_a_huge_one_are_bounded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.script("for n in range(300):\n    open(f'many-{n:03d}', 'w').write('x')\n", watched=False)
    folder.since_ns = time.time_ns() + 1
    folder.script("for n in range(300): open(f'many-{n:03d}').read()\n")
    monkeypatch.setattr(observed, "_MOST", 100)
    found = folder.seen()
    assert len(found.materials) == 101
    assert found.materials[-1]["name"] == "(200 more)"
    assert "200 of 300 files that were read are not named" in said(found)


def test_the_network_and_programs_are_named(folder: Folder) -> None:
    folder.script(
        "import socket, subprocess\nsubprocess.run(['true'])\n"
        "socket.create_server(('127.0.0.1', 0)).close()\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "try:\n    one.connect(('192.0.2.1', 9))\nexcept OSError:\n    pass\n"
    )
    assert folder.seen().effects == {"network": ["192.0.2.1:9"], "programs": ["true"]}
    assert "replay may differ it reached 192.0.2.1:9; it started true" in said(folder.seen())


def test_the_clock_and_unseeded_randomness_are_named_by_line(folder: Folder) -> None:
    folder.script("import random, time\nx = random.random()\ny = time.time()\n")
    assert folder.seen().effects == {"clock": ["script.py:3 time.time"], "random": ["script.py:2 random.random"]}
    folder.script("import random\nrandom.seed(3)\nx = random.random()\n")
    for old in folder.spool.iterdir():
        old.unlink()
    folder.script("import random\nrandom.seed(3)\nx = random.random()\n")
    assert not folder.seen().effects


def test_torn_and_hostile_notes_are_told_and_end_nothing(folder: Folder) -> None:
    folder.script("open('data.csv').read()\n")
    (own,) = folder.spool.glob("*.frames")
    own.write_bytes(own.read_bytes()[:-7])
    (folder.spool / "1-1.frames").write_bytes(b"\x00" * 4000)
    found = folder.seen()
    assert names(found.materials) == ["data.csv"]
    assert "2 files of notes ended within one" in said(found)


@pytest.mark.parametrize("breaks", ["shutil.rmtree(spool)", "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))"])
def test_notes_that_can_t_be_written_change_nothing(folder: Folder, breaks: str) -> None:
    begin = f"import resource, shutil\nspool = {str(folder.spool)!r}\n{breaks}\n"
    folder.put("own.py", "")
    assert folder.script(f"{begin}import own\nprint(open('data.csv').read())\n") == f"{DATA}\n"
    assert folder.exit_code == 0


def test_a_folder_that_is_gone_ends_no_watching(folder: Folder) -> None:
    gone = "import os, subprocess, sys\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"
    child = f"print(open({str(folder.path / 'data.csv')!r}).read())"
    assert folder.script(f"{gone}sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))\n") == f"{DATA}\n"
    found = folder.seen()
    assert found.processes == 2 and names(found.materials) == ["data.csv"]
    assert "observer" not in said(found)


def test_ten_thousand_files_cost_little(folder: Folder) -> None:
    (folder.path / "many").mkdir()
    for n in range(2_000):
        folder.put(f"many/{n}.csv", "1")
    code = "import time\nbegan = time.process_time()\nfor n in range(2000): open(f'many/{n}.csv').close()\n"
    code += "print(time.process_time() - began)\n"
    without = min(float(folder.script(code, watched=False)) for _ in range(3))
    assert min(float(folder.script(code)) for _ in range(3)) < without + 2_000 * 40e-6  # 15 on a machine at rest
    assert len(folder.seen().materials) == 2_000


def test_a_process_that_has_closed_all_descriptors_is_the_same_process(folder: Folder) -> None:
    child = "import subprocess, sys\nsubprocess.run([sys.executable, *sys.argv[1:], '-c', 'open(\"data.csv\")'])\n"
    folder.script(f"import os\nos.closerange(3, 4096)\n{child}")
    found = folder.seen()
    assert names(found.materials) == ["data.csv"] and "not seen" not in said(found)
    folder.script(f"import os\nos.closerange(3, 4096)\n{child}", "-S")
    assert "1 Python that it started" in said(folder.seen())


def test_descriptors_are_the_commands_own(folder: Folder) -> None:
    code = """
import os
print(open('data.csv').fileno())
os.closerange(3, 1 << 12)
files = [open(f'kept-{n}.txt', 'w') for n in range(900)]
print(files[0].fileno())
open('data.csv').read()
os.mkdir('below')
open('below/more.csv', 'w').close()
print([one for one in files if os.fstat(one.fileno()).st_size])
"""
    plain = folder.script(code, watched=False)
    shutil.rmtree(folder.path / "below")
    assert folder.script(code) == plain
    assert "below/more.csv" in names(folder.seen().written)


def test_an_alarm_of_the_command_still_rings(folder: Folder) -> None:
    code = (
        "import signal, itertools\nclass Late(Exception): pass\ndef ring(*_): raise Late\n"
        "signal.signal(signal.SIGALRM, ring)\nsignal.setitimer(signal.ITIMER_REAL, 0.3)\n"
        "try:\n    for n in itertools.count(): open(f'data.csv').close(); open(f'n{n % 50}', 'a').close()\n"
        "except Late:\n    print('rang')\n"
    )
    assert folder.script(code) == "rang\n"


def test_a_secret_in_code_is_not_kept(folder: Folder) -> None:
    folder.script("api_key = 'sk-live-1234567890abcdef'\n")
    found = folder.seen()
    assert not found.code.files
    assert found.code.left_out[0]["reason"] == "it holds what looks like a secret"


def test_a_test_run_and_coverage_are_commands_like_others(folder: Folder) -> None:
    folder.put("test_own.py", "def test():\n    assert open('data.csv').read()\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "test_own.py"]
    assert "1 passed" in folder.run(*words)
    found = folder.seen(*words)
    assert names(found.materials) == ["data.csv"]
    assert "test_own.py" in found.code.files
    assert "pytest" in found.environment["distributions"]


def test_a_program_that_is_a_script_of_python_is_seen_through_and_no_other_program(folder: Folder) -> None:
    program = Path(sys.executable).with_name("opentelemetry-instrument")
    if not program.exists():
        pytest.skip("opentelemetry-distro is not installed")
    folder.put("script.py", "import sys\nprint('opentelemetry' in sys.modules)\nopen('data.csv').read()\n")
    off = dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    assert "True" in folder.run(str(program), sys.executable, "script.py", **off)  # its own sitecustomize ran too
    found = folder.seen()
    assert names(found.materials) == ["data.csv"]
    assert list(found.code.files) == ["script.py"]
    assert not found.effects


def test_a_notebook_is_code_and_what_its_kernel_reads_is_data(folder: Folder) -> None:
    program = Path(sys.executable).with_name("jupyter")
    if not program.exists() or not find_spec("nbconvert") or not find_spec("ipykernel"):
        pytest.skip("nbconvert is not installed")
    cell = '{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [], "source": [%s]}'
    kernel = '{"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}'
    cells = cell % "\"open('data.csv').read()\""
    folder.put("own.ipynb", f'{{"cells": [{cells}], "metadata": {kernel}, "nbformat": 4, "nbformat_minor": 5}}')
    folder.since_ns = time.time_ns() + 1
    words = [str(program), "nbconvert", "--to", "notebook", "--execute", "own.ipynb", "--output", "made.ipynb"]
    told = folder.run(*words)
    assert folder.exit_code == 0, told
    found = folder.seen(*words)
    assert names(found.materials) == ["data.csv"]
    assert list(found.code.files) == ["own.ipynb"]
    assert names(found.written) == ["made.ipynb"]
    assert "programs" not in found.effects


def test_a_file_that_can_t_be_read_is_no_material(folder: Folder) -> None:
    folder.put("closed.csv", "1")
    code = "import os\nos.chmod('closed.csv', 0)\ntry:\n    open('closed.csv').read()\nexcept OSError:\n    pass\n"
    folder.script(code)
    found = folder.seen()
    assert [one["name"] for one in found.materials if "digest" not in one] in ([], ["closed.csv"])


def test_a_sparse_file_of_gigabytes_is_digested_without_being_held(folder: Folder) -> None:
    import resource

    with (folder.path / "huge.bin").open("wb") as file:
        file.truncate(1 << 30)
    folder.since_ns = time.time_ns() + 1
    folder.script("open('huge.bin', 'rb').read(10)\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = folder.seen()
    assert found.materials[0]["annotations"]["bytes"] == 1 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16  # kB


def test_what_breaks_in_the_watching_is_a_receipt_and_the_command_goes_on(folder: Folder) -> None:
    code = "import os\nplain, os.stat = os.stat, lambda *a, **k: 1 / 0\nprint(open('data.csv').read())\n"
    assert folder.script(f"{code}open('more.txt', 'w')\n") == f"{DATA}\n"
    assert folder.exit_code == 0
    assert folder.seen().receipts == [("observer", "broke", "files: ZeroDivisionError: division by zero")]

"""What lies in a run directory is reached by `evidence/door.py` alone: a stranger may have put a link or a pipe there.

Whoever reads run directories may call nothing that opens, looks at or changes a file by its path. What is no run
directory has its line in `ALLOWED`, by module and function, with the reason.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = ("api", "data", "evidence", "obs", "ops", "record", "report", "runner", "shown", "sweep",
         "tracking", "trust")  # fmt: skip
"""Folders of the package whose modules take run directories."""

METHODS = frozenset(
    "open read_bytes read_text write_bytes write_text touch unlink rename stat lstat exists is_file is_dir is_symlink "
    "iterdir glob rglob mkdir rmdir chmod symlink_to hardlink_to readlink samefile owner group is_fifo".split()
)
"""Of paths; `replace` is left out, as text has it too: `os.replace` is below."""
MODULES = {
    "os": frozenset(
        "open stat lstat scandir listdir walk fwalk unlink remove removedirs rename renames replace mkdir makedirs "
        "rmdir chmod chown truncate link symlink readlink mkfifo mknod utime access".split()
    ),
    "os.path": frozenset("exists lexists isfile isdir islink getsize getmtime realpath samefile".split()),
    "files": frozenset(["digest", "opened", "write"]),
    "glob": None,
    "io": frozenset(["open"]),
    "shutil": None,
    "tempfile": None,
}
"""Functions of modules that take a path; None stands for all of them."""
NAMES = frozenset(["open", "opened", "digest"])

NO_FILES = frozenset(["_DIRECT", "door", "webbrowser"])
"""Owners of such a name that open no file here: addresses, and the door itself."""

REPOSITORY = "files of the repository, no run"
WITHOUT = "names and sizes of whatever lies there, by way of `lstat`: nothing is opened"
THERE = "whether a folder is there: nothing is opened"
BESIDE = "in results/, beside the runs"
OWN = "a folder of its own making"
LAKE = "the lake's own files"
FILES = "files of bars that a person names, and the notes beside them"
ALLOWED = {
    "data.difference._is_run": "whether a word is a path",
    "data.fetch": FILES,
    "data.lake.ask": "what a person names: a file of SQL, a file for the answer",
    "data.lake.build._Build._somewhere": "whether a folder is there: nothing is opened",
    "data.lake.build._Build.go": "whether a name is there: nothing is opened",
    "data.lake.check": LAKE,
    "data.lake.child": OWN,
    "data.lake.commit": LAKE,
    "data.lake.compact": LAKE,
    "data.lake.parts": LAKE,
    "data.lake.publish": LAKE,
    "data.lake.query": LAKE,
    "data.lake.target": "the folder that a person has the lake published to",
    "data.lake.writer": LAKE,
    "evidence.archive": "an archive that a person names; what is in it goes through the door",
    "evidence.distributions": "of Python's packages",
    "evidence.door": "the door",
    "evidence.files": "what the door and those who write are made of",
    "evidence.ledger": BESIDE,
    "evidence.pins": BESIDE,
    "evidence.provenance": REPOSITORY,
    "evidence.results": BESIDE,
    "evidence.run_dir": "a run in the making, by the descriptor of its directory, whose lock it holds",
    "evidence.tables": "a file that the caller names: who reads a run's hands its content over",
    "runner.code": "where a person's own code lies: it is read from what was loaded",
    "runner.edition._as_its_own": REPOSITORY,
    "runner.place": "a person's own code, of which a line is shown",
    "runner.testament": WITHOUT,
    "sweep.abandoning.abandon": THERE,
    "sweep.chosen.seal": THERE,
    "sweep.claims": BESIDE,
    "sweep.commanded": "what the words of a command name, and " + THERE,
    "sweep.executor": "of this process, and " + THERE,
    "sweep.folder": BESIDE,
    "sweep.joining.find_folder": THERE,
    "sweep.keeping._differs": THERE,
    "sweep.marks.find": THERE,
    "sweep.order.join": THERE,
    "sweep.recorder": THERE,
    "sweep.records": BESIDE,
    "sweep.start": BESIDE,
    "ops.doctor._disk": WITHOUT,
    "ops.doctor._sizes": WITHOUT,
    "ops.doctor._tool": "programs on PATH",
    "ops.doctor.examine": REPOSITORY,
    "ops.doctor.pins": REPOSITORY,
    "ops.gh": "programs on PATH",
    "ops.git": REPOSITORY,
    "ops.git_state": REPOSITORY,
    "ops.merge_log": REPOSITORY,
    "ops.pins": REPOSITORY,
    "ops.post_merge": REPOSITORY,
    "ops.pull_request": REPOSITORY,
    "ops.removal": "deletes by descriptors of its own, and opens no file: tests/ops/test_retention.py",
    "ops.retention._Survey": WITHOUT,
    "ops.retention._may_change": WITHOUT,
    "ops.retention._mounts": "of the system",
    "ops.retention._swept": WITHOUT,
    "ops.retention._telemetry": WITHOUT,
    "ops.retention.plan": BESIDE,
    "obs.edges._reported": "the size of a page that was just written",
    "obs.farewell": "its own files in results/.telemetry/, on their way to the door",
    "obs.launch": "programs on PATH",
    "obs.session": "its own files in results/.telemetry/, which take the run's name with it",
    "report.builtin": "the source of the report, and a folder of its own making",
    "report.index._pages": "names alone, of pages beside the runs",
    "report.index.write": "parts of the page that ship with the package",
    "report.inline.script": "the script that ships with the package",
    "report.picture.beside": "the name of the folder for what is temporary: nothing is opened",
    "report.picture.browser": "programs on PATH, and among the applications",
    "report.picture.take": "a folder of its own making",
    "report.quarto": "the source of the report, and a folder of its own making",
    "report.render.put": "where the person wants the page, as --output names it",
    "report.render.replace": "results/index.html, and what --output names",
    "report.sheet": "the style that ships, and where the person wants the page, as --html names it",
    "report.run.find": "whether a word is a path: what is there is opened by the door",
    "tracking.condition": "the store",
    "tracking.database": "the store",
    "tracking.page": "the store",
    "tracking.store": "the store",
    "tracking.worker.Logger._upload": OWN,
    "shown.telemetry._real": "results/ itself, which may be a link of the user's own",
    "trust.content._check_data": "the files of bars that a run names, found by market.promised",
    "trust.benchmarks.find": "the files of a benchmark that a run names, found by market.promised",
    "trust.luck.series.gather": "whether a folder is there: nothing is opened",
    "trust.luck.mlruns": "what a person names: a folder of MLflow's",
    "trust.luck.stores": "what a person names: a store of trials that another program made",
    "trust.proofs.anchors": BESIDE,
    "trust.proofs.keys": "what a person names: a key, a file of allowed signers; and a signature for OpenSSH to read",
    "trust.proofs.tags.repository": "whether what a person names is a folder: nothing is opened",
    "trust.proofs.timestamps": "what a person names: root certificates",
    "trust.replay.__main__": OWN,
    "trust.replay.apart._make": "the system's /dev/null",
    "trust.replay.beside": "names of the checkout, or of where a config lay; links to them, in a folder of its own",
    "trust.replay.environment": OWN,
    "trust.replay.golden": REPOSITORY,
    "trust.replay.order.Order": OWN,
    "trust.replay.order.lay_out": OWN,
    "trust.replay.trials": OWN,
    "trust.replay.replay.again": OWN,
    "trust.replay.commanded": OWN,
    "trust.replay.imported": OWN,
    "trust.replay.scratch": "a folder of its own making; what a person's command was made from, where that lies",
    "record.apart.main": "devices, which are the system's",
    "record.asked": "what a person types: whether a path is there",
    "record.child": "programs on PATH, and processes of the system",
    "record.closing": "folders of its own making: what processes noted is no run's until it is read",
    "record.code": "a person's own code, where it lies",
    "record.collect": "what a person names; in the run's own folder, regular files alone",
    "record.command": "a run in the making",
    "record.imported": "whether a name is there: nothing is opened",
    "record.observed": "a person's own files, where they lie, and the folder of what processes noted",
    "record.sources": "files that a person names, opened without following or waiting",
    "record.spool": "the folder of what processes noted",
    "record.telling": "where the person wants the answer",
    "trust.replay.swept": "a folder of its own making, and a run that it has just made there",
    "trust.handed": "what a person names: whether it is a folder or a file, and the names in it",
    "trust.handover.packing.kept_of": THERE,
    "trust.handover.packing._write": "where the person wants the archive",
    "trust.handover.receiving": "in results/, where it makes runs: what is in one goes through the door",
    "trust.verify": WITHOUT,
}
"""A module, or a class or function in one, that need not go by the door, and why."""


def calls(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield each call that is not allowed: the function that it stands in, its line, and what it is."""
    rest: list[tuple[ast.AST, str]] = [(tree, "")]
    while rest:
        node, inside = rest.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{inside}.{node.name}"
        if isinstance(node, ast.Call) and (name := forbidden(node.func)):
            yield inside, node.lineno, name
        rest += [(child, inside) for child in ast.iter_child_nodes(node)]


def forbidden(function: ast.expr) -> str:
    name = ast.unparse(function)
    owner, _, last = name.rpartition(".")
    if not owner:
        return name if name in NAMES else ""
    if owner in MODULES:
        of = MODULES[owner]
        return name if of is None or last in of else ""
    return name if last in METHODS and owner not in NO_FILES else ""


def found(package: Path, rooms: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the calls that are not allowed, by module and function."""
    listed = defaultdict(list)
    for room in rooms:
        for path in sorted((package / room).rglob("*.py")):
            module = ".".join(path.relative_to(package).with_suffix("").parts)
            for inside, line, name in calls(ast.parse(path.read_text("utf-8"))):
                listed[f"{module}{inside}"].append(f"{path.relative_to(package)}:{line}: {name}")
    return listed


def allowed(name: str) -> set[str]:
    """Return the lines of `ALLOWED` that a module and function fall under."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)} & ALLOWED.keys()


def test_run_directories_are_read_and_written_by_the_door_alone(root: Path) -> None:
    listed = found(root / "src" / "peak_trade", ROOMS)
    assert {name: lines for name, lines in listed.items() if not allowed(name)} == {}


def test_nothing_is_allowed_that_is_not_there(root: Path) -> None:
    used = set().union(*map(allowed, found(root / "src" / "peak_trade", ROOMS)))
    assert ALLOWED.keys() - used == set()


@pytest.mark.parametrize(
    "line",
    [
        "open(run_dir / 'run.log', 'ab')",
        "(run_dir / 'stats.json').read_bytes()",
        "path.open('ab').write(b'')",
        "os.open(path, os.O_RDONLY)",
        "list(os.scandir(run_dir))",
        "(run_dir / 'report').mkdir()",
        "[path for path in run_dir.rglob('*')]",
        "shutil.copytree(run_dir, other)",
        "files.digest(run_dir / 'manifest.json')",
        "tempfile.mkstemp(dir=run_dir)",
        "os.path.exists(path)",
    ],
)
def test_the_test_would_find_one(line: str, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "page.py").write_text(f"def made(run_dir):\n    return door.read(run_dir, 'a')\n\n{line}\n")
    [(name, [said])] = found(tmp_path, ("report",)).items()
    assert (name, said.startswith("report/page.py:4: ")) == ("report.page", True)

"""Plant small faults in one module, one after the other, and show those that its tests do not notice.

MODULE is a path below src/peak_trade: engine, stats/equity, redact. Its tests are those of its folder below tests/ and
tests/test_MODULE*.py; --tests names others. All happens in a copy, which is kept in the cache of the user: called
again, it tries what has changed, and those faults that went unnoticed before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from peak_trade import script
from peak_trade.errors import InputError, RunError

SETTINGS = '\n[tool.mutmut]\nonly_mutate = ["{}"]\npytest_add_cli_args_test_selection = {}\n'
MARKED = r"(?m)^( *)@(or_undefined|(?:cached_)?property|contextmanager)\n(\1def (\w+).*\n(?:(?:\1[ )].*)?\n)*)"


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("module", metavar="MODULE")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="the tests to run, named from the checkout's root")
    parser.add_argument("--json", action="store_true", help="print counts and survivors as JSON")
    args = parser.parse_args()
    if not find_spec("mutmut"):
        raise RunError("mutmut is not installed", hint="just setup dev")
    root, module = script.repo_root(), f"src/peak_trade/{args.module.removesuffix('.py')}.py"
    if not (root / module).is_file():
        raise InputError(f"there is no {module}", hint="name a module as in: just mutate stats/equity")
    own = re.compile(rf"(test_)?{Path(args.module).with_suffix('').parts[0]}(_.*)?")
    tests = args.tests or [f"tests/{path.name}" for path in (root / "tests").iterdir() if own.fullmatch(path.stem)]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peak-trade" / "mutants"
    copy = cache / sha256(str(root / module).encode()).hexdigest()[:16]
    notes = copy / "mutants" / f"{module}.meta"
    lay_out(root, copy, module, SETTINGS.format(module, json.dumps(sorted(tests))), notes)
    mutmut(copy, "run", "--max-children", "1")
    codes = json.loads(notes.read_bytes())["exit_code_by_key"]
    alive = {name: mutmut(copy, "show", name, shown=False) for name, code in codes.items() if code in (0, 33)}
    share = round(100 - 100 * len(alive) / max(len(codes), 1), 1)
    found = {"module": module, "faults": len(codes), "noticed_percent": share, "unnoticed": alive}
    text = "\n".join([*alive.values(), f"{module}: {len(codes)} faults, {share} % noticed, {len(alive)} not"])
    script.print_json(found) if args.json else script.show(text)
    return 0


def lay_out(root: Path, copy: Path, module: str, settings: str, notes: Path) -> None:
    """Copy what git would, twice: the second copy is the one that is tested, where the tool writes the module anew.

    It leaves out what is decorated, so `@mark` above `def f` becomes `f = mark(f)` below it. Code 33: no test calls it.
    """
    listed = subprocess.check_output(["git", "ls-files", "-zco", "--exclude-standard"], cwd=root, text=True)
    for file in (file for file in listed.split("\0") if (root / file).is_file()):
        for target in (copy / file, copy / "mutants" / file)[: 1 if file == module else 2]:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, target)
    (copy / module).write_text(re.sub(MARKED, r"\n\3\1\4 = \2(\4)\n", (root / module).read_text("utf-8")), "utf-8")
    project = copy / "pyproject.toml"
    project.write_text(project.read_text("utf-8") + settings, encoding="utf-8")
    if notes.exists():
        known = json.loads(notes.read_bytes())
        known["exit_code_by_key"] = {k: None if v in (0, 33) else v for k, v in known["exit_code_by_key"].items()}
        notes.write_text(json.dumps(known), encoding="utf-8")  # what went unnoticed counts as not tried


def mutmut(copy: Path, *words: str, shown: bool = True) -> str:
    """Call the tool in the copy, at low priority; what it says is progress, unless it is asked for."""
    command = ["nice", str(Path(sys.executable).with_name("mutmut")), *words]
    env, out = os.environ | {"PYTHONPATH": str(copy / "mutants" / "src")}, 2 if shown else subprocess.PIPE
    if (done := subprocess.run(command, cwd=copy, env=env, stdout=out, text=True, check=False)).returncode:
        raise RunError("the faults could not be tried", hint="see the lines above; without a fault all tests must pass")
    return done.stdout or ""


if __name__ == "__main__":
    script.run(main)

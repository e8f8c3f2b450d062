"""The gates stop what they are there to stop, and say why they let the rest pass."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

BUGS = {
    "F401": "import os\n",
    "F632": "def f(a: str) -> bool:\n    return a is 'x'\n",
    "F811": "def f() -> int:\n    return 1\n\n\ndef f() -> int:\n    return 2\n",
    "F821": "print(undefined)\n",
    "F841": "def f() -> None:\n    unused = 1\n",
    "F631": "assert (1, 'always true')\n",
    "PLW0129": "assert 'always true'\n",
    "PT015": "def test() -> None:\n    assert False\n",
    "PLR0124": "def f(a: int) -> bool:\n    return a == a\n",
    "B015": "def f(a: int) -> None:\n    a == 1\n",
    "B006": "def f(a: list[int] = []) -> list[int]:\n    return a\n",
    "B023": "fs = []\nfor i in range(3):\n    fs.append(lambda: i)\n",
    "A001": "list = [1]\n",
    "A002": "def f(type: int) -> int:\n    return type\n",
    "E722": "try:\n    x = 1\nexcept:\n    x = 2\n",
    "BLE001": "try:\n    x = 1\nexcept Exception:\n    x = 2\n",
    "PT011": "import pytest\n\n\ndef test() -> None:\n    with pytest.raises(ValueError):\n        int('x')\n",
    "DTZ005": "import datetime\n\nnow = datetime.datetime.now()\n",
    "NPY002": "import numpy as np\n\nx = np.random.rand(3)\n",
    "PGH003": "x: int = 'a'  # type: ignore\n",
    "RUF012": "class A:\n    x = []\n",
    "T201": "print('left behind')\n",
    "D103": "def public() -> None:\n    pass\n",
}


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_ruff_stops_real_bugs(root: Path, tmp_path: Path, run: Any) -> None:
    for code, text in BUGS.items():
        (tmp_path / f"{code}.py").write_text(text, encoding="utf-8")
    checked = run(
        "ruff", "check", "--config", str(root / "pyproject.toml"), "--output-format", "concise", str(tmp_path)
    )
    found = set(re.findall(r"(\w+)\.py:\d+:\d+: (\w+)", checked.stdout))
    assert [code for code in BUGS if (code, code) not in found] == []


def test_every_rule_that_ruff_ignores_has_its_reason_beside_it(root: Path, settings: dict[str, Any]) -> None:
    lint = settings["ruff"]["lint"]
    ignored = [*lint["ignore"], *(code for codes in lint["per-file-ignores"].values() for code in codes)]
    lines = (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert ignored
    assert [code for code in ignored if not any(re.match(rf'\s*"{code}",\s+# \S', line) for line in lines)] == []


def test_every_rule_that_a_file_waives_has_its_reason_there(files: list[str], root: Path) -> None:
    reasons: dict[tuple[str, str], str] = {}
    for name in files:
        if name.endswith(".py"):
            for code, reason in re.findall(r"# noqa: ([A-Z]+\d+)(.*)", (root / name).read_text(encoding="utf-8")):
                reasons[name, code] = max(reasons.get((name, code), ""), reason.strip(" -()"), key=len)
    assert reasons
    assert [waived for waived, reason in reasons.items() if len(reason) < 8] == []


def test_every_warning_that_pytest_lets_pass_has_its_reason_above_it(root: Path, settings: dict[str, Any]) -> None:
    first, *passed = settings["pytest"]["ini_options"]["filterwarnings"]
    lines = [line.strip() for line in (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()]
    at = [next(number for number, line in enumerate(lines) if line.strip("\"',") == entry) for entry in passed]
    assert first == "error"
    assert [lines[number] for number in at if not lines[number - 1].startswith("#")] == []


def test_every_module_has_its_place_in_the_layers(root: Path, settings: dict[str, Any]) -> None:
    layers = [
        name.strip(" ()")
        for row in settings["importlinter"]["contracts"][0]["layers"]
        for name in re.split("[|:]", row)
    ]
    paths = [path.relative_to(root / "src").with_suffix("") for path in (root / "src" / "peak_trade").rglob("*.py")]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths]

    def placed(module: str) -> bool:
        return any(
            layer == module or module.startswith(f"{layer}.") or layer.startswith(f"{module}.") for layer in layers
        )

    assert "peak_trade.errors" in modules
    assert [module for module in modules if not placed(module)] == []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("errors", "import peak_trade.doctor", "an import only points down"),
        ("doctor", "import peak_trade.script", "the package does not know its scripts"),
        ("script", "import peak_trade.config", "an import only points down"),
        ("doctor", "import opentelemetry", "telemetry watches from outside"),
    ],
)
def test_import_linter_stops_an_import_against_the_layers(
    module: str, line: str, contract: str, root: Path, tmp_path: Path, run: Any
) -> None:
    shutil.copy(root / "pyproject.toml", tmp_path)
    package = shutil.copytree(root / "src" / "peak_trade", tmp_path / "peak_trade")
    with (package / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    checked = run("lint-imports", "--no-logo", "--no-cache", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert checked.returncode == 1
    assert f"{contract} BROKEN" in checked.stdout


def test_hooks_are_local_and_start_in_the_environment(root: Path) -> None:
    text = (root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: (.*)", text)
    assert re.findall(r"repo: (.*)", text) == ["local"]
    assert len(entries) >= 7
    assert [entry for entry in entries if not entry.startswith("scripts/utils/in_env.sh --with dev ")] == []

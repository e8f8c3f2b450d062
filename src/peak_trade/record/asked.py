"""What was asked of a recorded run: a command, and what is to be noted of it."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError, did_you_mean
from peak_trade.redact import MASK, Redactor, is_secret_key
from peak_trade.text import as_utf8

__all__ = ["ROLES", "NotStarted", "Order", "beside_keys", "check", "masked", "order", "search_path"]

ROLES = ("equity", "returns", "trades", "output")
_PICK = re.compile(r"last|best:[a-z][a-z0-9_]*|\d{1,9}")
_CALLED = {"backtesting.py": "backtesting", "nautilus": "nautilus_trader", "zipline-reloaded": "zipline"}


class NotStarted(RunError):
    """The command is not there (exit code 127, as a shell has it), or can't be run (126)."""

    def __init__(self, message: str, hint: str, code: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = code


class Order(Struct, kw_only=True):
    """What was asked: a command, and what is to be noted of it. Paths and patterns count from the current folder."""

    command: list[str]
    name: str = ""
    tags: dict[str, str] = {}
    inputs: list[str] = []
    collect: list[tuple[str, str]] = []
    engine: str = "auto"
    pick: str = "last"
    timeout_s: float | None = None


def order(command: Sequence[str], options: Mapping[str, Any]) -> Order:
    """Return what the words of a command line ask for; InputError where they ask for nothing that there is."""
    pairs = {name: [_pair(f"--{name}", word) for word in options[name]] for name in ("tag", "collect")}
    for role, _ in pairs["collect"]:
        if role not in ROLES:
            raise InputError(f"--collect knows no role `{role}`", hint=did_you_mean(role, ROLES))
    if not _PICK.fullmatch(options["pick"]):
        raise InputError(
            f"--pick takes last, best:STAT or an index, not `{options['pick']}`", hint="--pick best:sharpe"
        )
    told = options["json"]
    if told not in (None, "-") and (os.path.isdir(told) or not os.path.isdir(os.path.dirname(os.path.abspath(told)))):
        raise InputError(f"--json {told}: a folder, or in none that is there", hint="--json run.json")
    limit = options["timeout"]
    if limit is not None and not (0 < limit < math.inf):
        raise InputError(f"--timeout takes seconds above 0, not {limit:g}", hint="--timeout 600")
    return Order(
        command=list(command), name=options["name"], tags=dict(pairs["tag"]), inputs=options["input"],
        collect=pairs["collect"], engine=_engine(options["engine"]), pick=options["pick"], timeout_s=limit,
    )  # fmt: skip


def _engine(name: str) -> str:
    """Return the engine to watch for, as its trials call it: by the name of its package."""
    if name in ("auto", "off"):
        return name
    from peak_trade.observer.hooks import ENGINES

    known = {"auto", "off", "peak_trade.record", *(module.partition(".")[0] for module in ENGINES)}
    if (called := _CALLED.get(name, name)) not in known:
        raise InputError(f"--engine knows no `{as_utf8(name)}`", hint=did_you_mean(name, known))
    return called


def _pair(option: str, word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not (key and equals and value):
        raise InputError(f"{option} takes KEY=VALUE, not `{as_utf8(word)}`", hint=f"{option} {_EXAMPLES[option]}")
    return key, value


_EXAMPLES = {"--tag": "desk=fx", "--collect": "'equity=out/*.csv'"}


def check(order: Order) -> None:
    """Look whether there is what was asked for, before anything is written."""
    if not order.command:
        raise InputError("no command to record", hint="just record -- python my_backtest.py")
    if order.pick.startswith("best:"):
        from peak_trade.stats import STATS  # not every command waits for NumPy

        name, known = order.pick.removeprefix("best:"), [stat.key for stat in STATS]
        if name not in known:
            raise InputError(f"--pick knows no statistic `{name}`", hint=did_you_mean(name, known))
    for name in order.inputs:
        if not os.path.isfile(name):
            raise InputError(f"--input {name}: no such file; looked in {Path.cwd()}", hint="check the path")
    if not os.path.isdir(os.curdir):
        raise InputError("the current folder is no more", hint="cd to one that is there")
    program, path = order.command[0], search_path()
    if shutil.which(program, path=path):
        return
    there = program if "/" in program else shutil.which(program, mode=os.F_OK, path=path)
    if there and os.path.isdir(there):
        raise NotStarted(f"{program} is a folder", "name the program in it", 126)
    if there and os.path.lexists(there):
        raise NotStarted(f"{program}: permission denied", f"chmod +x {there}, or name what runs it", 126)
    raise NotStarted(f"{program}: command not found", "type it as you do without `just record --`", 127)


def search_path() -> str:
    """Return where the command is looked for: as where it was typed, and last beside this program's own."""
    typed = os.environ.get("PEAK_PATH") or os.environ.get("PATH", os.defpath)
    own = os.environ.get("PATH", "").partition(os.pathsep)[0] if "PEAK_PATH" in os.environ else ""
    return f"{typed}{os.pathsep}{own}" if own else typed


def masked(redactor: Redactor, command: Sequence[str]) -> list[str]:
    """Return the words of a command without its secrets, also those that stand as a word after their key."""
    beside = set(beside_keys(command))
    words = redactor.argv(map(as_utf8, command))
    return [MASK if word in beside else one for word, one in zip(command, words, strict=True)]


def beside_keys(command: Sequence[str]) -> list[str]:
    """Return the words that stand after an option that has the name of a secret, as in `--api-key k-123`."""
    return [
        after
        for word, after in pairwise(command)
        if word.startswith("-") and "=" not in word and is_secret_key(word.lstrip("-")) and not after.startswith("-")
    ]

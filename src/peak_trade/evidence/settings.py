"""What a run was asked for, short enough for a line of the ledger: by this, lists tell runs of one strategy apart.

`params` are the strategy's parameters, `settings` what else the config or an override sets, by dotted keys. Values are
scalars; what is longer, or is a list, is its text, cut, with a mark that changes when what was cut off does.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import msgspec

__all__ = ["Scalar", "asked", "defaults", "fills", "keys", "named", "of_snapshot", "short"]

_MOST, _KEY, _TEXT = 32, 60, 80  # how many there are, and their characters, at most
_LARGEST = 1 << 63
_ELSEWHERE = ("run.name", "data.symbol", "data.timeframe", "strategy.name", "strategy.entrypoint", "strategy.params")
_NO_PART = ("tracking", "lake", "overrides")  # sections that change nothing of a run, and what is none
Scalar = str | int | float | bool | None


def named(config: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """Return what a run's first line in the ledger tells of its config: `name`, `params` and `settings`, if any.

    `config` is the resolved one as plain values, secrets masked; `given` are the keys that somebody has set (`keys`).
    """
    told = {
        "name": config["run"].get("name"),
        "params": short(config["strategy"]["params"]),
        "settings": asked(config, given),
    }
    return {key: value for key, value in told.items() if value}


def asked(config: Mapping[str, Any], given: Collection[str]) -> dict[str, Scalar]:
    """Return those of a resolved config's values that somebody has set and that have no place of their own."""
    found: dict[str, Any] = {}
    for section, values in config.items():
        if section in _NO_PART or not isinstance(values, Mapping):
            continue
        for key, value in values.items():
            name = f"{section}.{key}"
            if name not in given or name in _ELSEWHERE:
                continue
            if isinstance(value, Mapping):
                found |= {f"{name}.{inner}": one for inner, one in value.items()}
            else:
                found[name] = value
    return short(found)


def of_snapshot(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `named` does, of a resolved config whose file is not at hand: what is no default was set."""
    usual = defaults()
    given = {f"{section}.{key}" for section, values in config.items() if isinstance(values, Mapping) for key in values}
    return named(config, {key for key in given if key not in usual or usual[key] != _value(config, key)})


def fills(config: Mapping[str, Any]) -> str:
    """Return what a reader has to know of how a run's decisions filled; empty where it is the usual."""
    execution = config.get("execution")
    told = execution.get("fill") if isinstance(execution, Mapping) else None
    return "at the close that each decision was made on" if told == "close" else ""


def _value(config: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    return config[section][name]


@cache
def defaults() -> Mapping[str, Any]:
    """Return the value of each key that a config need not set, by its dotted name; of tables, which are empty, none."""
    from peak_trade.config import Config, Data, Strategy  # not every list has a run without its own settings

    sections = msgspec.to_builtins(Config(data=Data(path="-", symbol="-", timeframe="-"), strategy=Strategy(name="-")))
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in values.items()
        if f"{section}.{key}" not in ("data.path", *_ELSEWHERE) and not isinstance(value, Mapping)
    }


def keys(content: bytes, overrides: Collection[str]) -> frozenset[str]:
    """Return the keys, as `data.path`, that a config's file or an override of it sets."""
    return _set_in(content) | {".".join(key.split(".")[:2]) for key in overrides}


@lru_cache(maxsize=8)  # many runs have one config
def _set_in(content: bytes) -> frozenset[str]:
    tree = tomllib.loads(content.decode("utf-8").removeprefix("\ufeff"))
    return frozenset(
        f"{section}.{key}" for section, values in tree.items() if isinstance(values, dict) for key in values
    )


def short(values: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return values as the ledger holds them.

    >>> short({"fast": 10, "weights": [0.5, 0.5], "none": None})
    {'fast': 10, 'weights': '[0.5,0.5]', 'none': None}
    """
    return dict(_short(values))


def _short(values: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    for at, (key, value) in enumerate(values.items()):
        if at == _MOST - 1 and len(values) > _MOST:
            rest = dict(list(values.items())[at:])
            yield "…", f"{len(rest)} more #{_mark(_text(rest))}"
            return
        yield _cut(str(key), _KEY), _scalar(value)


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool | float) or (type(value) is int and abs(value) < _LARGEST):
        return value
    return _cut(value if isinstance(value, str) else _text(value), _TEXT)


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 11]}… #{_mark(text)}"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]

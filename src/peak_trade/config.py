"""The run's config: a TOML file, decoded and validated by msgspec, with overrides from the command line.

Every key, its default and its range stand here and nowhere else.
Relative paths (`data.path`, a strategy's file) are looked for beside the config file first, then in the root of the
repository: see `Source.bases`.
"""

from __future__ import annotations

import copy
import datetime as dt
import glob
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from peak_trade import toml
from peak_trade.errors import InputError, did_you_mean
from peak_trade.places import looked

__all__ = [
    "BUY_AND_HOLD",
    "DETECTED",
    "NO_BENCHMARK",
    "UNSAID",
    "Config",
    "Data",
    "Execution",
    "Lake",
    "Reading",
    "Run",
    "Sizing",
    "Source",
    "Stats",
    "Stops",
    "Strategy",
    "Tracking",
    "changed",
    "compose",
    "load",
    "locate",
    "parse",
    "reading",
]
_DOTTED = re.compile(r"[\w-]+(\.[\w-]+)+")
_LENGTH = re.compile(r"[1-9]\d{0,4}[yMwdhm]", re.ASCII)
_MARKS = re.compile(r"[*?\[\]\x00]")
_DEEPEST = 16  # tables and lists within each other
_LONGEST = 1 << 20  # bytes
_PARTS = 32  # of a key
_DEEP_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_PARTS}}}""")

BUY_AND_HOLD, NO_BENCHMARK = "buy_and_hold", "none"
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Unknown keys are refused: a misspelt key must never be a silent default."""


class Run(_Section, frozen=True):
    """Who and how: nothing here changes a number except `seed`, and `holdout`, which leaves the last bars unseen.

    `probe` asks the strategy again with its last bars cut off, to tell whether it looks ahead: `auto` in a few places,
    within its own time again or a second; `full` in many; `off` for one that must be asked once, for what it does
    beside deciding. `holdout` is how long before the last bar those begin that no run sees, as `365d` or `1y`;
    `just unseal-holdout` ends it.
    """

    name: Name | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    timeout_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    tags: dict[str, str] = {}
    probe: Literal["auto", "off", "full"] = "auto"
    holdout: Name | UnsetType = UNSET  # left out of a snapshot where nothing is said


class Reading(_Section, frozen=True, kw_only=True):
    """How files of bars are read where they do not say it themselves; all of it detected by default.

    `format` names a dialect; `columns` maps our names (also `date` and `time`) to a file's, by name or by position from
    1; `timezone` is of times without one; `start` and `end` bound the bars that are used, `end` not included; `adjust`
    names the column of adjusted closes by which the prices are scaled.
    """

    format: Name | None = None
    columns: dict[str, str | int] = {}
    date_format: Name | None = None
    timezone: Name | None = None
    delimiter: Name | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Name | None = None
    sort: bool = False
    start: Name | None = None
    end: Name | None = None
    adjust: Name | None = None


DETECTED = Reading()


class Data(Reading, frozen=True, kw_only=True):
    """Where the bars come from and how they are read and checked."""

    path: Name
    symbol: Name
    timeframe: Name
    calendar: Name | None = None
    source: str = ""
    on_violation: Literal["reject", "drop-rows", "warn"] = "reject"


class Strategy(_Section, frozen=True):
    """A registered `name`, or the `entrypoint` of a user's own function: exactly one of them.

    What follows `params` says how it is asked and what its answer means: see docs/dev/strategies.md. `bars` is what it
    is handed, of a data frame with `frame` for the library and `case` for the names of columns. `signals` is what it
    answers, with `take` for the columns that count of several, `shifted` where each value stands one bar after its
    decision, and `ties` for a bar at which it both enters and leaves.
    """

    name: Name | None = None
    entrypoint: Name | None = None
    params: dict[str, Any] = {}
    # left out of a snapshot where nothing is said
    bars: Literal["arrays", "dataframe"] | UnsetType = UNSET
    frame: Literal["pandas", "polars"] | UnsetType = UNSET
    case: Literal["lower", "title", "upper"] | UnsetType = UNSET
    signals: Literal["target", "entries_exits", "events", "positions"] | UnsetType = UNSET
    take: list[Name] | UnsetType = UNSET
    shifted: bool | UnsetType = UNSET
    ties: Literal["ignore", "enter", "leave"] | UnsetType = UNSET


class Execution(_Section, frozen=True):
    """Money and costs: rates in basis points of notional, `borrow_rate` as a fraction per year.

    A decision fills at the open of the bar after it, or by `fill = "close"` at the close that it was made on.
    """

    initial_cash: Annotated[float, Meta(gt=0, le=1e15)] = 10_000.0
    # below 4,000 each, selling leaves something and buying costs less than twice the price: the fills have a solution
    fee_bps: Annotated[float, Meta(ge=0, lt=4_000)] = 0.0
    slippage_bps: Annotated[float, Meta(ge=0, lt=4_000)] = 0.0
    allow_short: bool = False
    borrow_rate: Annotated[float, Meta(ge=0, le=10)] = 0.0
    fill: Literal["next_open", "close"] | UnsetType = UNSET  # left out of a snapshot where nothing is said

    @property
    def at_close(self) -> bool:
        """Whether a decision fills at the close that it was made on."""
        return self.fill == "close"


class Sizing(_Section, frozen=True):
    """What is done to the target before it is traded; `min_trade_value` (quote) is measured from the position held."""

    scale: Annotated[float, Meta(gt=0, le=100)] = 1.0
    max_exposure: Annotated[float, Meta(gt=0, le=1)] = 1.0
    min_trade_value: Annotated[float, Meta(ge=0, le=1e15)] = 0.0


class Stops(_Section, frozen=True):
    """Distances as fractions: of the entry price, `trailing_stop` of the peak price since; absent means none."""

    stop_loss: Fraction | None = None
    take_profit: Annotated[float, Meta(gt=0, le=100)] | None = None
    trailing_stop: Fraction | None = None


class Stats(_Section, frozen=True):
    """`risk_free_rate` is a fraction per year; `periods_per_year` overrides what bars and calendar say.

    `benchmark` is `buy_and_hold` (of the bars, at the costs of the run), `none`, or a file of bars of something else.
    """

    risk_free_rate: Annotated[float, Meta(gt=-1, le=10)] = 0.0
    benchmark: Name = BUY_AND_HOLD
    periods_per_year: Annotated[float, Meta(gt=0, le=1e9)] | None = None

    @property
    def benchmark_file(self) -> str:
        """The path or pattern of the benchmark's file; empty where it has none."""
        return "" if self.benchmark in (BUY_AND_HOLD, NO_BENCHMARK) else self.benchmark

    @property
    def benchmark_name(self) -> str:
        """What that is called: its file's name without what follows the first dot, and without marks of a pattern."""
        return _MARKS.sub("", Path(self.benchmark_file).name.partition(".")[0]).strip("-_ ") or "benchmark"


class Tracking(_Section, frozen=True):
    """Where a finished run is also logged; never able to change the run."""

    mode: Literal["off", "auto", "strict"] = "off"
    experiment: Name = "peak_trade"
    timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 60.0


class Lake(_Section, frozen=True):
    """How the lake takes this run's bars; never able to change the run.

    More than the share `max_revised` of the bars that it has under the same symbol, timeframe and source must not have
    other values; None: the lake's own (5 %, or `$PEAK_LAKE_MAX_REVISED`).
    """

    max_revised: Annotated[float, Meta(ge=0, le=1)] | None = None


class Config(_Section, frozen=True, kw_only=True):
    """A whole config; only `data` and `strategy` are required."""

    run: Run = Run()
    data: Data
    strategy: Strategy
    execution: Execution = Execution()
    sizing: Sizing = Sizing()
    stops: Stops = Stops()
    stats: Stats = Stats()
    tracking: Tracking = Tracking()
    lake: Lake | UnsetType = UNSET  # left out of a snapshot where nothing is said


UNSAID: Mapping[str, Any] = {
    "strategy.bars": "arrays",
    "strategy.frame": "pandas",
    "strategy.case": "lower",
    "strategy.signals": "target",
    "strategy.shifted": False,
    "execution.fill": "next_open",
}
"""What a key means that a snapshot leaves out where nothing is said."""


class Source(Struct, frozen=True):
    """A loaded config with what it was made from: the file's bytes and the overrides in the order given.

    `held` is the time from which on its bars are held out, where `run.holdout` has been applied: `data.end` by then.
    `lenient` is that of a run from before signals were declared: what its strategy returned was taken for a target.
    """

    path: Path
    content: bytes
    overrides: dict[str, Any]
    config: Config
    held: str = ""
    lenient: bool = False

    def bases(self, root: Path) -> list[Path]:
        """Return the folders in which a relative path is looked for, in order."""
        return list(dict.fromkeys([self.path.parent, root]))


def locate(path: str, bases: Sequence[Path]) -> str:
    """Return `path` (a file or a glob) below the first of `bases` where there is something; absolute paths stand.

    Raises InputError where there is nothing in any of them.
    """
    for base in bases:
        if os.path.exists(there := os.path.join(base, path)):
            return there
        pattern = os.path.join(glob.escape(str(base)), path)  # a folder may be called [old]
        if glob.has_magic(path) and "\0" not in path and next(glob.iglob(pattern, recursive=True), None):
            return pattern
    raise nowhere(path, bases)


def nowhere(path: str, bases: Sequence[Path]) -> InputError:
    """Return the error that says that there is no such file, and where that was looked for."""
    where = "" if Path(path).is_absolute() else f"; looked in {' and '.join(str(base) for base in bases)}"
    return InputError(f"there is no file {path}{where}", hint="check data.path in the config")


def load(path: str | os.PathLike[str], overrides: Sequence[str] | Mapping[str, Any] = ()) -> Source:
    """Read `path`, apply `overrides` and validate.

    An override is a text `section.key=value`, the value in TOML or a bare word; or of a mapping, dotted key → value.
    Raises InputError for anything a person can have got wrong: no such file, no TOML, unknown keys, types, ranges.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a usable path"
        if isinstance(error, FileNotFoundError):
            reason = f"{reason}{looked(path)}"
        raise InputError(f"config {path}: {reason}", hint="start from config/my_strategy.toml") from None
    try:
        values = _values(overrides)
        return Source(path.resolve(), content, values, parse(content, values))
    except UnicodeDecodeError as error:
        raise InputError(f"config {path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # TOML's own error, or a number of thousands of digits
        raise InputError(f"config {path} is not valid TOML: {error}", hint="see config/my_strategy.toml") from None


def reading(keys: Mapping[str, Any]) -> Reading:
    """Return how files are read, from keys of `[data]`; InputError for one that is unknown or of another type."""
    try:
        return msgspec.convert(_dates_as_text(keys), Reading)
    except msgspec.ValidationError as error:
        raise InputError(f"the data options are wrong: {error}") from None


def compose(
    tree: Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any] = (), *, folder: str | os.PathLike[str] = "."
) -> Source:
    """Return a config that is a mapping of sections rather than a file; its relative paths count from `folder`.

    Its content is the mapping as TOML, which is what a run keeps of it.
    Raises InputError as `load` does, and for a value that TOML can't hold.
    """
    content = toml.dumps(toml.plain(tree)).encode()
    values = _values(overrides)
    return Source(Path(folder).resolve() / "config.toml", content, values, parse(content, values))


def _values(overrides: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides by their dotted keys; of several for one key the last one counts, in its own place."""
    values: dict[str, Any] = {}
    if isinstance(overrides, Mapping):
        for key in overrides:
            if not _DOTTED.fullmatch(key):
                raise InputError(f"the override {key!r} is not of the form section.key", hint="strategy.params.fast")
        return {key: toml.plain(value, key) for key, value in overrides.items()}
    for key, value in map(_parse_override, overrides):
        values.pop(key, None)
        values[key] = value
    return values


def parse(content: bytes, overrides: Mapping[str, Any]) -> Config:
    """Return the config of a TOML text with `overrides` (dotted key → value) applied.

    Raises InputError for what the config may not hold, ValueError or RecursionError where the text is no TOML.
    """
    text = content.decode("utf-8-sig")
    if len(content) > _LONGEST or _DEEP_KEY.search(text):  # the parser takes minutes for a key of 100 kB
        raise InputError(
            f"a config has at most {_LONGEST:,} bytes, and keys of at most {_PARTS} parts",
            hint="start from config/my_strategy.toml",
        )
    tree = tomllib.loads(text)  # some editors put a byte order mark in front
    for key, value in overrides.items():
        _set(tree, key, value)
    if isinstance(data := tree.get("data"), dict):
        tree["data"] = _dates_as_text(data)
    return _decode(tree)


def changed(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return a config with some of its keys changed (dotted key → value), checked as `parse` does.

    Only the sections that a key names are decoded anew, so that a search of thousands costs little.
    Raises InputError for what the config may not hold.
    """
    sections: dict[str, dict[str, Any]] = {}
    for key, value in overrides.items():
        section = key.partition(".")[0]
        if section not in sections and isinstance(getattr(config, section, UNSET), Struct):
            sections[section] = msgspec.to_builtins(getattr(config, section))
        _set(sections, key, value)
    for unknown in _unknown_names(sections):
        raise unknown
    _refuse_unusable(sections)
    try:
        anew = {name: msgspec.convert(tree, _fields(Config)[name]) for name, tree in sections.items()}
    except msgspec.ValidationError:
        whole = msgspec.to_builtins(config) | sections
        return _decode(whole)  # it says where
    return _consistent(msgspec.structs.replace(config, **anew))


def _dates_as_text(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data section whose `start` and `end` are text, where TOML or Python gave a date or a time."""
    return {
        key: value.isoformat() if key in ("start", "end") and isinstance(value, dt.date) else value
        for key, value in data.items()
    }


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _DOTTED.fullmatch(key):
        raise InputError(f"--set {text!r} is not of the form section.key=value", hint="--set strategy.params.fast=10")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"--set {text!r} is not UTF-8 text") from None
    try:
        parsed = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        return key, value.strip()  # a bare word is a string: --set data.symbol=SPX
    return key, parsed["value"] if parsed.keys() == {"value"} else value.strip()


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for name in sections:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise InputError(f"--set {key}: {name} is a value, not a section", hint="see config/my_strategy.toml")
    tree[last] = copy.deepcopy(value) if isinstance(value, dict) else value  # a later key may go into it


def _decode(tree: dict[str, Any]) -> Config:
    for unknown in _unknown_names(tree):
        raise unknown
    _refuse_unusable(tree)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise _readable(str(error), tree) from None
    return _consistent(config)


def _unknown_names(tree: dict[str, Any]) -> Iterator[InputError]:
    """Yield an error for each section, and each key of a section, that there is not."""
    sections = _fields(Config)
    for name, value in tree.items():
        if name not in sections:
            what = f"section [{name}]" if isinstance(value, dict | list) else f"key `{name}` outside of a section"
            yield InputError(f"unknown {what}", hint=_home(name, value) or did_you_mean(name, sections))
        elif isinstance(value, dict):
            known = _fields(sections[name])
            for key, inner in value.items():
                if key not in known:
                    hint = _home(key, inner) or did_you_mean(key, known)
                    if name == "strategy" and hint.startswith("known"):
                        hint = "what the strategy takes belongs under [strategy.params]"
                    yield InputError(f"unknown key `{key}` in [{name}]", hint=hint)


def _home(name: str, value: Any) -> str:
    """Return a hint that says where `name` belongs, nothing where no section has it: its header is missing or wrong."""
    sections = _fields(Config)
    if name in sections:
        return f"[{name}] is a section of its own" if isinstance(value, dict) else ""
    homes = [section for section, kind in sections.items() if name in _fields(kind)]
    if not homes:
        return ""
    if isinstance(value, dict):
        return f"write [{homes[0]}.{name}]"
    return f"`{name}` belongs under {' or '.join(f'[{section}]' for section in homes)}"


@cache
def _fields(struct: type[Struct]) -> dict[str, Any]:
    return {field.name: _stated(field.type) for field in msgspec.structs.fields(struct)}


def _stated(kind: Any) -> Any:
    """Return a field's type where it is given: without the mark for one that is not."""
    options = [option for option in get_args(kind) if option is not UnsetType]
    return options[0] if len(options) == 1 < len(get_args(kind)) else kind


def _refuse_unusable(value: Any, key: str = "", depth: int = 0) -> None:
    """Refuse what TOML can write but neither a strategy nor a file of evidence can hold."""
    if depth > _DEEPEST:
        raise InputError(f"{key[:60]}… is nested more than {_DEEPEST} levels deep", hint="make it flatter")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unusable(inner, f"{key}.{name}" if key else name, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unusable(inner, key, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key} is {value}, which is not a number to compute with", hint="give a finite number")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"{key} is a whole number of more than 64 bits", hint="give a smaller one")


def _readable(message: str, tree: dict[str, Any]) -> InputError:
    """Turn msgspec's sentence into ours: the key as written in TOML, the value given, all that is allowed."""
    missing = re.fullmatch(r"Object missing required field `(\w+)`(?: - at `\$\.?(.*)`)?", message)
    if missing:
        key = f"{missing[2]}.{missing[1]}" if missing[2] else f"[{missing[1]}]"
        return InputError(f"{key} is missing", hint="see config/my_strategy.toml")
    what, _, path = message.partition(" - at `$.")
    names = [name for name in path.rstrip("`").replace("[...]", "").split(".") if name]
    value: Any = tree
    kind: Any = Config
    for name in names:
        value = value.get(name) if isinstance(value, dict) else value
        kind = _fields(kind).get(name, kind) if _is_struct(kind) else kind
    allowed = "a section" if _is_struct(kind) else _allowed(kind)
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "…"
    return InputError(
        f"{'.'.join(names) or 'config'} is {shown}, allowed: {allowed or what}", hint="see config/my_strategy.toml"
    )


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _allowed(kind: Any) -> str:
    """Describe an annotated type as an interval, a choice or a plain word."""
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    info = msgspec.inspect.type_info(kind)
    options = [part for part in getattr(info, "types", (info,)) if not isinstance(part, msgspec.inspect.NoneType)]
    part = options[0]
    if isinstance(part, msgspec.inspect.LiteralType):
        return " or ".join(repr(value) for value in part.values)
    if isinstance(part, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        word = words[int if isinstance(part, msgspec.inspect.IntType) else float]
        low = f"> {part.gt:.12g}" if part.gt is not None else f">= {part.ge:.12g}" if part.ge is not None else ""
        high = f"< {part.lt:.12g}" if part.lt is not None else f"<= {part.le:.12g}" if part.le is not None else ""
        return " ".join([word, " and ".join(bound for bound in (low, high) if bound)]).strip()
    if isinstance(part, msgspec.inspect.StrType):
        return "text" + (f" of {part.min_length} to {part.max_length} characters" if part.max_length else "")
    if isinstance(part, msgspec.inspect.BoolType):
        return "true or false"
    if isinstance(part, msgspec.inspect.DictType):
        if isinstance(part.value_type, msgspec.inspect.UnionType):
            return "a table of names or positions"
        return "a table of text" if isinstance(part.value_type, msgspec.inspect.StrType) else "a table"
    return ""


def _consistent(config: Config) -> Config:
    """Refuse what could not take effect, so that no configured cost, stop or size is silently ignored."""
    strategy, execution = config.strategy, config.execution
    if (strategy.name is None) == (strategy.entrypoint is None):
        raise InputError(
            "[strategy] needs either `name` or `entrypoint`, and not both",
            hint='name = "sma_crossover", or entrypoint = "path/to/file.py:function"',
        )
    if execution.borrow_rate and not execution.allow_short:
        raise InputError(
            "execution.borrow_rate cannot take effect while execution.allow_short is false",
            hint="set execution.allow_short = true, or take borrow_rate out",
        )
    _declared(strategy)
    if config.run.holdout is not UNSET and not _LENGTH.fullmatch(config.run.holdout):
        raise InputError(
            f"run.holdout is {config.run.holdout[:60]!r}, allowed: a length before the last bar",
            hint='holdout = "365d"; the units are y, M (month), w, d, h and m',
        )
    return config


def _declared(strategy: Strategy) -> None:
    """Refuse a declaration of a strategy's manner that could not take effect."""
    told = {key: getattr(strategy, key) for key in ("bars", "frame", "case", "signals", "take", "shifted", "ties")}
    told = {key: value for key, value in told.items() if value is not UNSET}
    if strategy.name is not None and told:
        raise InputError(
            f"strategy.{next(iter(told))} cannot take effect: what is registered as {strategy.name!r} takes arrays and "
            "returns a target",
            hint="take it out; it is for an entrypoint of your own",
        )
    for key in ("frame", "case"):
        if key in told and told.get("bars") != "dataframe":
            raise InputError(
                f'strategy.{key} cannot take effect without bars = "dataframe"', hint='add bars = "dataframe"'
            )
    if "ties" in told and told.get("signals") != "entries_exits":
        raise InputError(
            'strategy.ties cannot take effect without signals = "entries_exits"',
            hint='add signals = "entries_exits", or take ties out: where each bar has one value, none is a tie',
        )
    if "take" in told:
        most = (2, 4) if told.get("signals") == "entries_exits" else (1,)
        if len(told["take"]) not in most:
            raise InputError(
                f"strategy.take has {len(told['take'])} names, allowed: {' or '.join(map(str, most))}",
                hint='take = ["signal"]; of entries_exits two, or four with those of shorts: entries, exits, and so on',
            )

"""Make a run again, and say whether the same came of it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.engine import RULES
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.manifest import Manifest
from peak_trade.evidence.results import Results
from peak_trade.runner import edition
from peak_trade.runner.limits import termination_raised
from peak_trade.trust import difference
from peak_trade.trust.difference import Cause, Difference, Input, Sealed
from peak_trade.trust.difference.causes import rank
from peak_trade.trust.difference.series import moved
from peak_trade.trust.handed import Handed, handed
from peak_trade.trust.replay import apart, data, environment
from peak_trade.trust.replay.apart import End
from peak_trade.trust.replay.data import Data
from peak_trade.trust.replay.order import lay_out
from peak_trade.trust.replay.recorded import Recorded

__all__ = ["DIVERGED", "IDENTICAL", "TOLERANCE", "WITHIN_TOLERANCE", "Replay", "again", "note", "opened", "replay"]

IDENTICAL, WITHIN_TOLERANCE, DIVERGED = "IDENTICAL", "WITHIN_TOLERANCE", "DIVERGED"
TOLERANCE = 1e-9  # relative: what another processor or library may change
_NAMED = 5  # causes, statistics
_LONG_S = 2.0


class Replay(Struct, frozen=True):
    """What came of a run that was made again.

    `code` is `sealed`, or `here` for that of the checkout; `environment` is `this`, or `recorded` for that of the
    recorded versions. `seconds` is what making it took, `took` what it took then, by its own clock. `bar` and `trade`
    are the first that differ, `figures` the statistics, `causes` what differs of what it was made from, the likeliest
    first. `said` are sentences that a reader has to know, `error` is why it failed this time.
    """

    run_id: str
    verdict: str
    code: str
    environment: str
    bars: int
    seconds: float
    took: float
    said: list[str] = []
    error: str = ""
    told: str = ""
    bar: difference.Bar | None = None
    trade: difference.Trade | None = None
    figures: list[difference.Figure] = []
    causes: list[Cause] = []

    @property
    def exit_code(self) -> int:
        """1 where it diverged, else 0."""
        return int(self.verdict == DIVERGED)

    def to_json_object(self) -> dict[str, Any]:
        """Return the replay as `--json` prints it."""
        tree: dict[str, Any] = msgspec.to_builtins(self)
        return tree

    def as_text(self) -> str:
        """Return the replay as a person reads it: the verdict, and what it rests on."""
        made = f"{self.code} code, {self.environment} environment, {self.bars:,} bars in {self.seconds:.2f} s"
        lines = [f"{self.verdict}  {self.run_id}", f"  {made}", *(f"  {one}" for one in self.said)]
        if self.error:
            lines.append(f"  it failed this time: {self.error}")
        if self.verdict != IDENTICAL and self.told:
            lines.append(f"  {self.told}")
        if self.bar:
            lines.append(f"  first bar    {self.bar.time} {self.bar.column}: {_pair(self.bar.a, self.bar.b)}")
        if self.trade:
            lines += _trade_lines(self.trade)
        lines += [f"  {one.key}: {_pair(*one.values)}" for one in self.figures[:_NAMED]]
        if len(self.figures) > _NAMED:
            lines.append(f"  … and {len(self.figures) - _NAMED} more statistics")
        if self.causes:
            lines.append("  what differs, the likeliest cause first:")
        for at, cause in enumerate(self.causes[:_NAMED], 1):
            why = f" ({cause.why})" if cause.why else ""
            lines.append(f"    {at}. {cause.verdict}: {_input(cause.input)}{why}")
            lines += [f"         {line}" for line in cause.input.details]
        if len(self.causes) > _NAMED:
            lines.append(f"    … and {len(self.causes) - _NAMED} more")
        return "\n".join(lines)


def replay(
    run: Path, results: Results | None, root: Path, *, here: bool = False, recorded: bool = False,
    paths: Sequence[str] = (), along: Path | None = None, tell: Callable[[str], None] = lambda _: None,
) -> Replay:  # fmt: skip
    """Make a run again and hold what comes of it against what was sealed.

    With its sealed code, or that of `here`, the checkout at `root`, in this environment or in one of the `recorded`
    versions; on the bars of `paths`, else of where its config says, else of those that came `along`. `tell` is told
    what takes long. Strategies run with the rights of this process.
    Raises InputError where it can't be made: it is broken, its bars are gone, or it was made by rules of another day.
    """
    found = Recorded(run, results)
    of_old, said = _rules(found), list[str]()
    if not here and not found.code():
        here = True
        said.append("it holds no code, as all runs of its version: that of the checkout is taken")
    bars = data.find(found, root, paths, along)
    if not here and (results is None or results.reading().of(found.sealed.run_id).received):
        tell(f"running the code that came with run {found.name}: {', '.join(sorted(found.code()))}")
    if recorded:
        tell("making an environment of the recorded versions …")
    with ExitStack() as stack:
        python = stack.enter_context(environment.of(found)) if recorded else None
        said += python.said if python else []
        if found.seconds > _LONG_S:
            tell(f"making run {found.name} again, which took {found.seconds:,.0f} s …")
        began = time.perf_counter()
        end, made = stack.enter_context(again(found, bars, root, here=here, python=python))
        seconds = time.perf_counter() - began
        told = _held(found, bars, end, made)
        causes = told.pop("causes")
        if told["verdict"] != IDENTICAL and made is not None and not end.message:
            if seconds > _LONG_S:
                tell("making it once more, to see whether it repeats itself …")
            causes = [*_repeated(found, bars, root, made, here=here, python=python), *causes]
    if told["verdict"] != IDENTICAL:
        said += of_old
    if told["verdict"] == DIVERGED and not causes:
        said.append("nothing that is recorded differs: it depends on what is not (a file, the clock, the network)")
    return Replay(
        run_id=found.sealed.run_id,
        code="here" if here else "sealed",
        environment="recorded" if recorded else "this",
        bars=len(bars.loaded.bars),
        seconds=round(seconds, 3),
        took=round(found.seconds, 3),
        said=[*said, *bars.said, *told.pop("said")],
        causes=causes,
        **told,
    )


@contextmanager
def opened(which: str, results: Results) -> Iterator[Handed]:
    """Yield what `which` names, as `trust.handed` does; InputError also where an archive is damaged or hostile."""
    with ExitStack() as stack:
        try:
            one = stack.enter_context(handed(which, results))
        except RunError as error:
            raise InputError(error.message, hint=error.hint) from None
        yield one


def note(results: Results, found: Replay) -> None:
    """Note a replay in the ledger of its run, where it is no trial. Raises OSError where that can't be written."""
    results.ledger.append(
        "replayed", found.run_id, verdict=found.verdict, code=found.code, environment=found.environment
    )


@contextmanager
def again(
    found: Recorded, bars: Data, root: Path, *, here: bool, python: environment.Python | None = None
) -> Iterator[tuple[End, Sealed | None]]:
    """Make a run again, and yield how that ended, and the run: None where there is none.

    It is gone afterwards. Raises InputError where it can't be made.
    """
    folder = tempfile.TemporaryDirectory(prefix="peak-replay-", ignore_cleanup_errors=True)
    with termination_raised(), folder as name:
        order = lay_out(found, bars, Path(name), root, here=here)
        limit = found.config.run.timeout_s
        if python is None:
            end = apart.forked(lambda: order.make(bars.loaded), limit)
        else:
            end = python.make(order, Path(name), limit)
        if end.refused:
            raise InputError(end.message, hint=end.hint)
        runs = Results(order.results).runs()
        yield end, difference.read(runs[0], "the replay") if len(runs) == 1 else None


def _rules(found: Recorded) -> list[str]:
    """Return what the engine did otherwise by the rules of a run's day; InputError where it can't do that any more."""
    rules = found.sealed.manifest.predicate.rules
    version = found.sealed.made.internal_parameters.environment.get("peak_trade")
    if rules > RULES:
        raise InputError(
            f"run {found.name} was made by edition {rules} of the engine's rules, this version knows up to {RULES}",
            hint=f"replay it with version {version} of peak_trade",
        )
    refused, said = edition.changes(found.config, rules)
    if refused:
        raise InputError(
            f"run {found.name} was made by edition {rules} of the engine's rules (today's is {RULES}), in which "
            + " and ".join(refused),
            hint=f"replay it with version {version} of peak_trade",
        )
    return [f"made by edition {rules} of the engine's rules (today's is {RULES}): then {was}" for was in said]


def _held(found: Recorded, bars: Data, end: End, made: Sealed | None) -> dict[str, Any]:
    """Return verdict, what differs, and why, as fields of a Replay."""
    if not found.sealed.completed:
        return _failed(found.sealed, end, made)
    if made is None:
        return {"verdict": DIVERGED, "error": end.message or "it left no evidence", "causes": [], "said": []}
    if not made.completed and _absent(error := made.manifest.predicate.error or {}):
        own = any(repr(name) in str(error.get("message")) for name in found.modules)
        away = found.code() and (own or error["type"] == "InputError")  # what is sealed lies in the run
        raise InputError(
            f"the strategy can't be loaded here: {made.error}",
            hint="without --code here its sealed code is taken" if away else "--environment recorded has its packages",
        )
    a, b = found.sealed.manifest, made.manifest
    others = sorted(name for name in _OUTCOME if a.files.get(name) != b.files.get(name))
    said = [f"every value is the same; other bytes: {', '.join(others)}"] if others else []
    if made.completed and not bars.changed and _same_digests(a, b):
        return {"verdict": IDENTICAL, "causes": [], "said": [*said, *_other_code(found.sealed, made)]}
    exact = difference.between(found.sealed, made)
    if not made.completed:
        return {
            "verdict": DIVERGED,
            "error": made.error,
            "told": exact.told,
            "causes": _worth(exact.causes),
            "said": [],
        }
    if _same(exact, found.sealed, made, 0.0):
        said += _other_code(found.sealed, made)
        return {"verdict": IDENTICAL, "causes": _worth(exact.causes) if bars.changed else [], "said": said}
    loose = difference.between(found.sealed, made, TOLERANCE)
    verdict = WITHIN_TOLERANCE if _same(loose, found.sealed, made, TOLERANCE) else DIVERGED
    shown, causes, how = (exact if verdict == WITHIN_TOLERANCE else loose), exact.causes, exact.told
    if verdict == DIVERGED and exact.how == "rounding":  # of equity and trades: what is more than that is elsewhere
        causes = rank([cause.input for cause in causes], "figures", None)
        how = f"{how}, but for statistics"
    causes, said = _worth(causes), []
    if verdict == WITHIN_TOLERANCE:
        versions = [_input(cause.input) for cause in causes if cause.input.kind == "environment"]
        said.append(
            f"no value moved by more than {TOLERANCE:g}; changed since: {'; '.join(versions) or 'nothing named'}"
        )
    return {
        "verdict": verdict, "bar": shown.bar, "trade": shown.trade, "told": how, "causes": causes, "said": said,
        "figures": _confirmable(shown, found.sealed, made),
    }  # fmt: skip


def _failed(then: Sealed, end: End, made: Sealed | None) -> dict[str, Any]:
    """Return the same of a run that failed: does it fail again, and as it did?"""
    error = then.manifest.predicate.error or {}
    again = (made.manifest.predicate.error if made else None) or {}
    gone = {"Exited": end.gone, "Killed": end.gone, "TimeOut": end.late}.get(str(error.get("type")), False)
    if gone or (again and all(error.get(key) == again.get(key) for key in ("type", "message"))):
        return {"verdict": IDENTICAL, "causes": [], "said": [f"it fails as it did: {then.error}"]}
    causes = _worth(difference.between(then, made).causes) if made else []
    now = "" if made and made.completed else again.get("message") or end.message or "it left no evidence"
    return {"verdict": DIVERGED, "error": now, "causes": causes, "said": [f"it failed then: {then.error}"]}


_OUTCOME = ("stats.json", "equity.csv", "benchmark.csv", "trades.csv", "trades.parquet")


def _absent(error: dict[str, Any]) -> bool:
    """Tell whether a run failed because its code, or a package, is not here."""
    if error.get("type") in ("ImportError", "ModuleNotFoundError"):
        return True
    return error.get("type") == "InputError" and bool(_NOT_THERE.fullmatch(str(error.get("message"))))


_NOT_THERE = re.compile(r"strategy (file|module) .* does not exist|unknown strategy .*", re.DOTALL)  # of `strategies`


def _same_digests(a: Manifest, b: Manifest) -> bool:
    """Tell whether what came out is the same by the digests of its values, whatever the files are written as."""
    results = a.predicate.results, b.predicate.results
    values = [[one.get(key) for key in ("equity_digest", "trades_digest")] for one in results]
    files = [[one.files.get(name) for name in ("stats.json", "benchmark.csv")] for one in (a, b)]
    return None not in values[0] and values[0] == values[1] and files[0] == files[1]


def _other_code(a: Sealed, b: Sealed) -> list[str]:
    """Return what to say of code that is not what was sealed, where the same comes of both."""
    old, new = a.code_files, b.code_files
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)) if old and new else []
    shown = ", ".join(names[:_NAMED]) + (f" … and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return [f"other code, which changes no value: {shown}"] if names else []


def _same(of: Difference, a: Sealed, b: Sealed, tolerance: float) -> bool:
    """Tell whether no bar, trade and statistic differs, and no trade went another way (older versions don't tell)."""
    if not (of.series and of.series.same and of.trades and of.trades.same) or _confirmable(of, a, b):
        return False
    ways = [(getattr(a.trades, name), getattr(b.trades, name)) for name in ("mae", "mfe")]
    return not any(moved(*both, tolerance, 1.0).any() for both in ways if both[0] is not None and both[1] is not None)


def _confirmable(of: Difference, a: Sealed, b: Sealed) -> list[difference.Figure]:
    """Return the statistics that differ, but for those that this version defines otherwise."""
    editions = [run.manifest.predicate.results.get("statistics", {}) for run in (a, b)]
    return [one for one in of.figures if editions[0].get(one.key, 1) == editions[1].get(one.key, 1)]


def _worth(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes that a reader is told: no labels, nor packages that only one of the processes had imported."""
    told = [cause for cause in causes if cause.input.kind != "label"]
    return [cause for cause in told if cause.input.kind != "environment" or None not in (cause.input.a, cause.input.b)]


def _repeated(
    found: Recorded, bars: Data, root: Path, made: Sealed, *, here: bool, python: environment.Python | None
) -> list[Cause]:
    """Make the run once more: what gives another answer each time needs no other cause."""
    with again(found, bars, root, here=here, python=python) as (_, once_more):
        if once_more is None or not (made.completed and once_more.completed):
            return []
        between = difference.between(made, once_more)
        if between.same:
            return []
        at = between.bar
        where = [f"replayed twice: {at.time} {at.column}: {at.a!r}, then {at.b!r}"] if at else []
        return [Cause(Input("repeatability", "the strategy", "one answer", "another", where), "likely")]


def _pair(a: Any, b: Any) -> str:
    return f"{_value(a)} sealed, {_value(b)} now"


def _value(value: Any) -> str:
    return "none" if value is None else repr(value) if isinstance(value, float) else str(value)


def _input(one: Input) -> str:
    values = "" if one.kind in ("code", "data") and one.details else f": {_value(one.a)} → {_value(one.b)}"
    return f"{one.kind} {one.name}{values}"


def _trade_lines(trade: difference.Trade) -> Iterator[str]:
    number = trade.number_a or trade.number_b
    head = f"  first trade  #{number} {trade.side} of {trade.entry_time}"
    if trade.a is None or trade.b is None:
        values = trade.a or trade.b or {}
        which = "sealed" if trade.a else "now"
        yield f"{head}, only {which}: {', '.join(f'{name} {_value(value)}' for name, value in values.items())}"
        return
    yield head
    for name in trade.columns:
        yield f"    {name}: {_pair(trade.a[name], trade.b[name])}"

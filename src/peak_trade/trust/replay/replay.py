"""Make a run again, and say whether the same came of it."""

from __future__ import annotations

import re
import sys
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
from peak_trade.evidence import manifest
from peak_trade.evidence.results import Results
from peak_trade.runner import edition
from peak_trade.runner.failure import UNWRITTEN
from peak_trade.runner.limits import termination_raised
from peak_trade.trust import difference
from peak_trade.trust.difference import Cause, Input, Sealed
from peak_trade.trust.handed import Handed, handed
from peak_trade.trust.replay import apart, commanded, data, environment, imported, swept, trials
from peak_trade.trust.replay.apart import End
from peak_trade.trust.replay.commanded import UNKNOWN
from peak_trade.trust.replay.data import Data
from peak_trade.trust.replay.held import DIVERGED, IDENTICAL, TOLERANCE, WITHIN_TOLERANCE, described, held, valued
from peak_trade.trust.replay.order import lay_out
from peak_trade.trust.replay.recorded import Recorded, Whole
from peak_trade.trust.replay.trials import Again

__all__ = [
    "DIVERGED",
    "IDENTICAL",
    "TOLERANCE",
    "UNKNOWN",
    "WITHIN_TOLERANCE",
    "Replay",
    "again",
    "note",
    "opened",
    "replay",
]

_NAMED = 5  # causes, statistics, trials that are identical
_TRIALS = 20  # that are not
_LONG_S = 2.0
_AWAY = re.compile(r"/[^'\"\s]*/peak-replay-[^/]+/code/")
_ROOM = "check the disk, and $TMPDIR"


class Replay(Struct, frozen=True):
    """What came of a run that was made again.

    `code` is `sealed`, or `here` for that of the checkout; `environment` is `this`, or `recorded` for that of the
    recorded versions. `seconds` is what making it took, `took` what it took then, by its own clock. `bar` and `trade`
    are the first that differ, `figures` the statistics, `causes` what differs of what it was made from, the likeliest
    first. `said` are sentences that a reader has to know, `error` is why it failed this time. `what` is what was made
    again, where that was no run of a config: it has no bars. `trials` are those of a sweep that were made again.
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
    what: str = ""
    trials: list[Again] = []

    @property
    def exit_code(self) -> int:
        """1 where it diverged, or where nobody can tell whether it did; else 0."""
        return int(self.verdict in (DIVERGED, UNKNOWN))

    def to_json_object(self) -> dict[str, Any]:
        """Return the replay as `--json` prints it."""
        tree: dict[str, Any] = msgspec.to_builtins(self)
        return tree

    def as_text(self) -> str:
        """Return the replay as a person reads it: the verdict, and what it rests on."""
        code = "sealed code" if self.code == "sealed" else "code of here"
        what = self.what or f"{self.bars:,} bars"
        made = f"{code}, {self.environment} environment, {what} in {self.seconds:.2f} s"
        lines = [f"{self.verdict}  {self.run_id}", f"  {made}", *(f"  {one}" for one in self.said)]
        if self.error:
            lines.append(f"  it failed this time: {self.error}")
        if self.verdict != IDENTICAL and self.told:
            lines.append(f"  {self.told}")
        if self.bar:
            lines.append(f"  first bar    {self.bar.time} {self.bar.column}: {_pair(self.bar.a, self.bar.b)}")
        if self.trade:
            lines += _trade_lines(self.trade)
        lines += [f"  {one.as_text()}" for one in self._told()]
        lines += [f"  {one.key}: {_pair(*one.values)}" for one in self.figures[:_NAMED]]
        if len(self.figures) > _NAMED:
            lines.append(f"  … and {len(self.figures) - _NAMED} more statistics")
        if self.causes:
            lines.append("  what differs, the likeliest cause first:")
        for at, cause in enumerate(self.causes[:_NAMED], 1):
            why = f" ({cause.why})" if cause.why else ""
            lines.append(f"    {at}. {cause.verdict}: {described(cause.input)}{why}")
            lines += [f"         {line}" for line in cause.input.details]
        if len(self.causes) > _NAMED:
            lines.append(f"    … and {len(self.causes) - _NAMED} more")
        return "\n".join(lines)

    def _told(self) -> list[Again]:
        """Return the trials that a reader is told of: those that differ first; where there are few, all."""
        order = (DIVERGED, WITHIN_TOLERANCE, IDENTICAL)
        found = sorted(self.trials, key=lambda one: order.index(one.verdict))
        differ = [one for one in found if one.verdict != IDENTICAL]
        return found if len(found) <= _NAMED else differ[:_TRIALS]


def replay(
    run: Path, results: Results | None, root: Path, *, here: bool = False, recorded: bool = False,
    paths: Sequence[str] = (), beside: Sequence[str] = (), along: Path | None = None,
    which: Sequence[str] | None = None, tell: Callable[[str], None] = lambda _: None,
) -> Replay:  # fmt: skip
    """Make a run again and hold what comes of it against what was sealed.

    With its sealed code, or that of `here`, the checkout at `root`, in this environment or in one of the `recorded`
    versions; on the bars of `paths`, else of where its config says, else of those that came `along`, and so with its
    benchmark and `beside`. `tell` is told what takes long. Strategies run with the rights of this process.
    Of a sweep trials are made again: `which` of them (`3`, `5-9`, `all`), else the chosen one and a sample.
    Raises InputError where it can't be made: it is broken, its bars are gone, or it was made by rules of another day.
    """
    kind = _kind(run)
    if beside and kind not in (manifest.RUN, manifest.SWEPT):
        raise InputError(f"run {run.name[:8]} is {kind}, and has no benchmark", hint="leave --benchmark out")
    if which is not None and kind != manifest.SWEPT:
        raise _no_trials(run, kind, which)
    if kind == manifest.RECORDED:
        return _command(run, results, here=here, recorded=recorded, paths=paths, tell=tell)
    if kind == manifest.SWEPT and difference.read(run).manifest.predicate.of_command:
        return _commands(run, results, which or (), here=here, recorded=recorded, paths=paths, tell=tell)
    if kind == manifest.IMPORTED:
        whole = Whole(run, results)
        told, seconds = imported.again(whole)
        said = ["there is nothing to run: its files were read again", *told.pop("said")]
        return Replay(
            run_id=whole.sealed.run_id, code="here", environment="this", bars=0, seconds=round(seconds, 3),
            took=round(whole.seconds, 3), what="an import", said=said, **told,
        )  # fmt: skip
    found = Recorded(run, results)
    of_old, said = _rules(found), list[str]()
    asked = trials.Asked.of(found, which or ()) if kind == manifest.SWEPT else None
    if not here and not found.code() and not found.left_out:
        here = True
        why = "as all runs of its version" if found.sealed.completed else "for it failed before any was seen"
        said.append(f"it holds no code, {why}: that of the checkout is taken")
    bars = data.find(found, root, paths, along, beside=beside)
    if not here and (results is None or results.reading().of(found.sealed.run_id).received):
        tell(f"running the code that came with run {found.name}: {', '.join(sorted({*found.code(), *found.left_out}))}")
    if recorded:
        tell("making an environment of the recorded versions …")
    with ExitStack() as stack:
        python = stack.enter_context(environment.of(found)) if recorded else None
        said += python.said if python else []
        if asked is not None:
            began = time.perf_counter()
            again_made = trials.remade(asked, found, bars, root, here=here, python=python, tell=tell)
            return Replay(
                run_id=found.sealed.run_id, code="here" if here else "sealed",
                environment="recorded" if recorded else "this", bars=len(bars.loaded.bars),
                seconds=round(time.perf_counter() - began, 3), took=round(found.seconds, 3),
                verdict=trials.verdict_of(again_made), what=asked.what(len(bars.loaded.bars)),
                said=[*said, *bars.said, *asked.said(), *trials.why(again_made, found, of_old)], trials=again_made,
            )  # fmt: skip
        if found.seconds > _LONG_S:
            tell(f"making run {found.name} again, which took {found.seconds:,.0f} s …")
        began = time.perf_counter()
        end, made = stack.enter_context(again(found, bars, root, here=here, python=python))
        seconds = time.perf_counter() - began
        told = held(found, bars, end, made)
        if told["verdict"] == DIVERGED and (masked := found.masked):
            raise InputError(
                f"it can't be made as it was: its config had secrets, which no run keeps: {', '.join(masked)}",
                hint=f"run it anew, then just compare {found.name} last",
            )
        causes, told["error"] = told.pop("causes"), _AWAY.sub("code/", told.get("error", ""))
        if not here:  # what was sealed is there: it had no use for it before it failed
            causes = [cause for cause in causes if cause.input.kind != "code" or cause.input.b is not None]
        if told["verdict"] != IDENTICAL and made is not None and not end.message:
            if seconds > _LONG_S:
                tell("making it once more, to see whether it repeats itself …")
            certain = any(cause.verdict == "likely" for cause in causes)
            causes = [*_repeated(found, bars, root, made, here=here, python=python, certain=certain), *causes]
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


def _kind(run: Path) -> str:
    try:
        return difference.read(run).manifest.predicate.kind
    except RunError as error:
        raise InputError(error.message, hint=error.hint) from None


def _no_trials(run: Path, kind: str, which: Sequence[str]) -> InputError:
    """Return the error for trials of what is no sweep."""
    name = run.name[:8]
    if kind == manifest.RECORDED:
        return InputError(
            f"run {name} is a recorded command: its trials were made in one go, and none can be made alone",
            hint=f"just replay {name} runs the command again, with all of them",
        )
    what = "an import: there is nothing to run" if kind == manifest.IMPORTED else "no sweep, and has no trials"
    shown = " ".join(which) or "0"
    return InputError(f"run {name} has no trial {shown}: it is {what}", hint=f"just replay {name}")


def _command(
    run: Path, results: Results | None, *, here: bool, recorded: bool, paths: Sequence[str],
    tell: Callable[[str], None],
) -> Replay:  # fmt: skip
    """Run a recorded command again (`commanded`)."""
    if recorded:
        raise _no_environment()
    found = Whole(run, results)
    if not here and (results is None or results.reading().of(found.sealed.run_id).received):
        tell(f"running the code that came with run {found.name}: {', '.join(sorted({*found.code(), *found.left_out}))}")
    if found.seconds > _LONG_S:
        tell(f"making run {found.name} again, which took {found.seconds:,.0f} s …")
    told, made = commanded.again(found, paths, here=here, tell=tell)
    return Replay(
        run_id=found.sealed.run_id, code="here" if here else "sealed", environment="this", bars=0,
        seconds=round(made.seconds, 3), took=round(found.seconds, 3), what="a command", **told,
    )  # fmt: skip


def _commands(
    run: Path, results: Results | None, which: Sequence[str], *, here: bool, recorded: bool, paths: Sequence[str],
    tell: Callable[[str], None],
) -> Replay:  # fmt: skip
    """Make trials of a sweep over a command again (`swept`)."""
    if recorded:
        raise _no_environment()
    found = Whole(run, results)
    made = swept.again(found, which, paths, here=here, tell=tell)
    return Replay(
        run_id=found.sealed.run_id, code="here" if here else "sealed", environment="this", bars=0,
        seconds=round(made.seconds, 3), took=round(found.seconds, 3), verdict=made.verdict, what=made.what,
        said=made.said, trials=made.trials,
    )  # fmt: skip


def _no_environment() -> InputError:
    return InputError(
        "a recorded command runs in the environment that it is started in",
        hint="leave --environment out; just show names the versions of then",
    )


@contextmanager
def opened(which: str, results: Results) -> Iterator[Handed]:
    """Yield what `which` names, as `trust.handed` does; InputError also where an archive is damaged or hostile.

    However the process is told to end within the block, what was unpacked or laid out for it is gone then.
    """
    with ExitStack() as stack:
        stack.enter_context(termination_raised(hangup=True))
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
        try:
            order = lay_out(found, bars, Path(name), root, here=here)
        except OSError as error:
            raise InputError(f"it can't be made again: {error.strerror}", hint=_ROOM) from None
        limit = found.config.run.timeout_s
        if python is None:
            end = apart.forked(lambda: order.make(bars.loaded), limit)
        else:
            end = python.make(order, Path(name), limit)
        if end.refused:
            raise InputError(end.message, hint=end.hint)
        if end.message.startswith((UNWRITTEN, f"cannot write to {order.results}")):  # which says nothing of the run
            raise InputError(f"it can't be made again: {end.message}", hint=_ROOM)
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


def _repeated(
    found: Recorded, bars: Data, root: Path, made: Sealed, *, here: bool, python: environment.Python | None,
    certain: bool,
) -> list[Cause]:  # fmt: skip
    """Make the run once more: what gives another answer each time needs no other cause.

    Where no cause is `certain`, in a Python of its own too, in which sets have another order and objects another id.
    """
    ways = [(python, "replayed twice")]
    if python is None and not certain:
        ways.append((environment.Python(Path(sys.executable)), "replayed by another process of Python"))
    for by, how in ways:
        with again(found, bars, root, here=here, python=by) as (_, once_more):
            if once_more is None or not (made.completed and once_more.completed):
                return []
            between = difference.between(made, once_more)
            if not between.same:
                at = between.bar
                where = [f"{how}: {at.time} {at.column}: {at.a!r}, then {at.b!r}"] if at else [how]
                return [Cause(Input("repeatability", "the strategy", "one answer", "another", where), "likely")]
    return []


def _pair(a: Any, b: Any) -> str:
    return f"{valued(a)} sealed, {valued(b)} now"


def _trade_lines(trade: difference.Trade) -> Iterator[str]:
    number = trade.number_a or trade.number_b
    head = f"  first trade  #{number} {trade.side} of {trade.entry_time}"
    if trade.a is None or trade.b is None:
        values = trade.a or trade.b or {}
        which = "sealed" if trade.a else "now"
        yield f"{head}, only {which}: {', '.join(f'{name} {valued(value)}' for name, value in values.items())}"
        return
    yield head
    for name in trade.columns:
        yield f"    {name}: {_pair(trade.a[name], trade.b[name])}"

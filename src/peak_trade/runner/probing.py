"""Does the strategy of a run look ahead? It is asked again right after it was asked, and the run's figures stand."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market.bars import Bars, Floats
from peak_trade.probe import BUDGET_S, FAIL, NOT_ASSESSED, PASS, Asking, Probe, Search
from peak_trade.probe.asking import quiet
from peak_trade.runner.attempt import Attempt
from peak_trade.runner.limits import TimeOut, within

__all__ = ["probed", "refuse_doubtful"]

_LEAST_S = 0.05  # what is left of a time limit below this is left alone


def probed(attempt: Attempt, bars: Bars, asking: Asking, target: Floats, limit_s: float | None) -> Probe:
    """Return the verdict on a strategy that has just decided `target`, within what is left of its time limit.

    Nothing that it does when it is asked again changes what it decided; it warns of a verdict that is not a pass.
    """
    config, watch = attempt.source.config, asking.watch
    if config.run.probe == "off":
        return Probe(NOT_ASSESSED, "run.probe is off")
    if attempt.directory.robbed:
        found = Probe(NOT_ASSESSED, "the strategy closes what it finds open, so it was asked once")
    elif config.run.probe == "auto" and watch.does:
        found = Probe(
            NOT_ASSESSED, f'the strategy {watch.does}, so it was asked once; run.probe = "full" asks it again'
        )
    else:
        before = set(sys.modules)
        search = Search(asking, bars, target, sizing=config.sizing, seed=config.run.seed)
        found = _asked(attempt, search, limit_s)
        attempt.before |= sys.modules.keys() - before  # what only other bars made it load is no part of the run
        if search.late and found.verdict == PASS:
            raise RunError(
                "each decision of the strategy hangs on the bars before its own alone, as of a column shifted by "
                "one bar; as a target it would be a bar late a second time",
                hint='strategy.signals = "positions" where it was shifted, "target" where it decides so late',
            )
    if found.verdict == FAIL:
        attempt.warn("look-ahead", "found", found.reason.removeprefix("look-ahead: "))
    elif found.verdict == NOT_ASSESSED and len(bars) > 1:  # a single bar's decision is traded nowhere
        attempt.warn("look-ahead", "not assessed", found.reason)
    return found


def _asked(attempt: Attempt, search: Search, limit_s: float | None) -> Probe:
    took_s = search.asking.took_s
    spent_s = attempt.stages.milliseconds["strategy"] / 1e3  # with what it took to load it
    end = math.inf if limit_s is None else time.perf_counter() + limit_s - spent_s
    if end - time.perf_counter() < _LEAST_S:
        return Probe(NOT_ASSESSED, "the strategy took all of run.timeout_s")
    stretches: list[tuple[Callable[[], object], float | None]]
    if attempt.source.config.run.probe == "full":
        stretches = [(lambda: deque(search.fully(), 0), None), (search.settle, None)]
    else:
        stretches = [
            (lambda: search.briefly(took_s), max(took_s, BUDGET_S)),
            (search.settle, 5 * took_s + BUDGET_S),  # a suspicion is worth more time than none
        ]
    if not search.asking.manner.signals:
        stretches.append((search.look_for_delay, max(took_s, BUDGET_S)))
    with quiet():
        for stretch, budget_s in stretches:
            left_s = min(end - time.perf_counter(), budget_s or math.inf)
            if left_s >= _LEAST_S:  # else what comes before it has taken all of it
                _within(left_s if math.isfinite(left_s) else None, stretch, search)
    return search.probe()


def _within(limit_s: float | None, stretch: Callable[[], object], search: Search) -> None:
    """Let a stretch of asking go on for `limit_s` at most."""
    alone = threading.current_thread() is not threading.main_thread()  # where nothing rings
    try:
        within(None if alone else limit_s, stretch)
    except TimeOut:
        search.stopped = f"asking again takes more than {limit_s:,.1f} s"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a strategy raises when it is asked again, the run stands
        search.silent.append(f"it raised {type.__dict__['__name__'].__get__(type(error))}")


def refuse_doubtful(run_dir: Path) -> None:
    """Raise RunError of a sealed run whose strategy looks ahead, where PEAK_STRICT=1."""
    if os.environ.get("PEAK_STRICT") == "1" and read_manifest(run_dir).predicate.lookahead:
        raise RunError(
            "the strategy looks ahead, and PEAK_STRICT=1 makes that a failure", hint=f"just probe {run_dir.name[:8]}"
        )

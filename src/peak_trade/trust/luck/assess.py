"""How likely is a run's result luck: its own track record, held against all the trials that it was chosen from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import documents, manifest, run_dir, tables
from peak_trade.evidence.ledger import Reading
from peak_trade.stats.luck import haircut, overfit, resample, track, trials
from peak_trade.stats.sample import rate_per_period
from peak_trade.stats.values import Floats, NoValueError, Times, need
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import blocks, unsealing
from peak_trade.trust.luck.family import Family, Series, family_of_run, is_of_others, read_ledger, series_of
from peak_trade.trust.luck.figures import FEWEST, FIGURES, LEVEL
from peak_trade.trust.luck.result import Luck
from peak_trade.trust.luck.series import Gathered, gather, read_equity, read_manifest, read_sealed, returns_of
from peak_trade.trust.luck.words import closing, sentences
from peak_trade.trust.stress.costs import break_even

__all__ = ["NOT_ASKED", "assess", "deflated_of", "superior_ability"]

NOT_ASKED = "not asked for"
"""The reason of a figure that needs the other trials' returns, where they were not read."""

NO_LEDGER = "no ledger tells how many trials there were"


class _Work(Struct, dict=True):  # for what is worked out once
    """What figures are worked out from."""

    path: Path
    sealed: manifest.Manifest
    stats: dict[str, Any]
    rate: float
    per_year: float | None
    times: Times
    returns: Floats
    record: track.Track
    family: Family | None
    gathered: Gathered | None
    reading: Reading | None = None

    @property
    def known(self) -> Family:
        """The family; raises NoValueError without a ledger."""
        if self.family is None:
            raise NoValueError(NO_LEDGER)
        return self.family

    @property
    def yearly(self) -> float:
        """The bars of a year; raises NoValueError where nothing tells."""
        if not self.per_year:
            raise NoValueError("no calendar, and less than a twelfth of a year of bars")
        return self.per_year

    @property
    def variance(self) -> float:
        """The variance of the trials' Sharpe ratios per bar.

        Where fewer than two are known it is that of trials without skill: the error of an estimate of nothing.
        """
        known = self.known.variance
        return 1.0 / (self.record.count - 1) if known is None else known / self.yearly

    @cached_property
    def independent(self) -> trials.Effective:
        """How many independent trials those are worth whose returns are there."""
        return trials.effective_number(self.side_by_side)

    @property
    def side_by_side(self) -> Floats:
        """The returns of all trials that are there."""
        if self.gathered is None:
            raise NoValueError(NOT_ASKED)
        known = self.known
        if (known.recorded or known.swept) and self.gathered.returns.shape[1] < known.results:
            of = "other engines'" if known.recorded else "a sweep's"
            raise NoValueError(f"the returns of {of} trials are not kept")
        return self.gathered.returns


def assess(handed: Handed, *, thorough: bool = True, banded: bool | None = None, seed: int = 0) -> Luck:
    """Work out the luck of a run; RunError where it can't be read.

    `thorough` reads the returns of the other trials too; without it, the ledger is all that is asked. The bands are
    drawn where it is `banded`, as it is where it is thorough. The same evidence and `seed` give the same figures.
    """
    path = handed.run
    reading = read_ledger(handed.results) if handed.results else None
    history = reading.of(path.name) if reading else None
    if history and not history.state:  # a copy that lies among the runs: its trials were counted elsewhere
        reading = history = None
    sealed = read_manifest(path, history.manifest) if history else run_dir.read_manifest(path)
    series = _series(sealed)
    others = bool(history and is_of_others(history))
    if history and others:
        series = series_of(history)  # as its trials are counted
    family = family_of_run(reading, path.name, series) if reading and (series.data or others) else None
    luck = Luck(sealed.run_id, series, family)
    if reading:
        luck.holdout = unsealing.said(unsealing.known_of(reading, series))
    if not sealed.predicate.completed:
        luck.said += ["the run has no result", *closing(luck)]
        return luck
    luck.probed = sealed.predicate.probe or {}
    try:
        work = _work(path, sealed, family)
    except NoValueError as missing:
        luck.verdict = "UNKNOWN"
        luck.said += [f"no Sharpe ratio: {missing.reason}", *closing(luck)]
        return luck
    if thorough and handed.results and reading and family:
        work.reading = reading
        work.gathered = luck.gathered = gather(handed.results.path, reading, family.run_ids, work.times)
    luck.years, luck.returns = _number(work.stats.get("years")), work.record.count
    for key in FIGURES:
        _work_out(luck, key, work)
    if thorough if banded is None else banded:
        try:
            luck.drawn = resample.times_of(len(work.returns))
            luck.bands = dict(resample.bands(work.returns, work.yearly, work.rate, seed=seed))
        except NoValueError as missing:
            luck.reasons["bands"] = missing.reason
    _judge(luck)
    return luck


def _series(sealed: manifest.Manifest) -> Series:
    """Return what a run was made on, by its own manifest."""
    try:
        parts = sealed.predicate.build_definition.get("resolvedDependencies", [])
        bars: dict[str, Any] = next((part for part in parts if part.get("name") == "bars"), {})
        told, digest = bars.get("annotations", {}), bars.get("digest", {}).get("sha256")
        return Series(
            str(told.get("symbol") or "")[:200], str(told.get("timeframe") or "")[:200], str(digest or "")[:64]
        )
    except (AttributeError, TypeError):
        raise RunError(f"{manifest.NAME} does not tell what bars the run had", hint="just verify") from None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and type(value) is not bool and math.isfinite(value) else None


def _work(path: Path, sealed: manifest.Manifest, family: Family | None) -> _Work:
    if not {"stats.json", "equity.csv"} <= sealed.files.keys():
        raise NoValueError("nobody said what the account had at each moment")
    stats, config = (
        documents.decode(read_sealed(path, sealed, name), name) for name in ("stats.json", "config_snapshot.json")
    )
    times, equity = read_equity(path, sealed)
    returns = returns_of(equity)
    per_year = _number(stats.get("periods_per_year"))
    given = config.get("stats")
    asked = _number(given.get("risk_free_rate")) if isinstance(given, dict) else None
    rate = rate_per_period(asked or 0.0, per_year) if per_year and per_year > 0 and (asked or 0.0) > -1 else 0.0
    record = track.track_of(returns, rate)
    return _Work(path, sealed, stats, rate, per_year, times, returns, record, family, None)


def deflated_of(family: Family, stats: dict[str, Any]) -> float | None:
    """Return the deflated Sharpe ratio of a result by its statistics and its family, without a look at its returns."""
    told = [_number(stats.get(key)) for key in ("sharpe", "skew", "kurtosis", "periods_per_year", "bars")]
    if None in told:
        return None
    sharpe, skew, excess, per_year, bars = (value or 0.0 for value in told)
    if per_year <= 0 or bars < 3:
        return None
    record = track.Track(sharpe / math.sqrt(per_year), int(bars) - 1, skew, excess + 3.0)
    variance = 1.0 / (record.count - 1) if family.variance is None else family.variance / per_year
    found = trials.deflated(record, variance, family.trials)
    return found if isinstance(found, float) else None


# --- the figures ----------------------------------------------------------------------------------------------------


def _work_out(luck: Luck, key: str, work: _Work) -> None:
    try:
        with np.errstate(all="ignore"):
            value = float(_HOW[key](work, luck))
        if not math.isfinite(value):
            raise NoValueError("not a finite number")
        luck.figures[key] = value
    except NoValueError as missing:
        luck.figures[key], luck.reasons[key] = None, missing.reason
    except (ArithmeticError, ValueError):
        luck.figures[key], luck.reasons[key] = None, "not a finite number"


def _figure(luck: Luck, key: str) -> float:
    """Return a figure that was worked out before; raises NoValueError with its reason."""
    value = luck.figures[key]
    if value is None:
        raise NoValueError(luck.reasons[key])
    return value


def _sharpe(work: _Work, luck: Luck) -> float:
    value = _number(work.stats.get("sharpe"))
    if value is None:
        reasons = work.stats.get("reasons")
        told = reasons.get("sharpe") if isinstance(reasons, dict) else None
        raise NoValueError(told if isinstance(told, str) else "it has none")
    return value


def _holm(work: _Work, luck: Luck) -> float:
    own = _figure(luck, "p_value")
    mine, others = luck.figures["sharpe"], list(work.known.ratios)
    if mine is not None and mine in others:
        others.remove(mine)
    count = work.record.count
    records = [track.Track(ratio / math.sqrt(work.yearly), count) for ratio in others]
    given = [own, *map(track.chance, records)]
    return float(haircut.holm(given, work.known.trials)[0])


def _overfitting(work: _Work) -> float:
    """Of a sweep's parent it is that of its own trials, among which it has chosen; else of all on the same bars."""
    returns = len(work.returns)
    if work.sealed.predicate.kind == manifest.SWEPT:
        return blocks.overfitting(blocks.of_parent(work.path, work.sealed, returns), returns).probability
    family = work.known
    if not family.swept:
        return overfit.backtest_overfitting(work.side_by_side).probability
    if work.gathered is None or work.reading is None:
        raise NoValueError(NOT_ASKED)
    if family.recorded:
        raise NoValueError("the returns of other engines' trials are not kept")
    sums = blocks.of_family(work.path.parent, work.reading, family.parents, work.gathered, returns)
    return blocks.overfitting(sums, returns).probability


def _superior(work: _Work, luck: Luck) -> float:
    side_by_side = work.side_by_side
    if not side_by_side.shape[1]:
        raise NoValueError("no trial with returns")
    if len(side_by_side) < FEWEST:
        raise NoValueError("too few returns to draw from")
    return superior_ability(side_by_side, resample.block_length(work.returns))


def superior_ability(returns: Floats, block: float) -> float:
    """Return the p-value, by arch, that none of the columns of `returns`, shape (T, M), earns more than nothing.

    Raises NoValueError where arch is not installed, or does not work.
    """
    try:
        from arch.bootstrap import SPA
    except ImportError:
        raise NoValueError("arch is not installed: just setup luck") from None
    except Exception as error:  # noqa: BLE001 - a broken installation of an optional part may raise anything
        raise NoValueError(f"arch can't be used: {type(error).__name__}") from None
    test = SPA(np.zeros(len(returns)), -returns, block_size=max(round(block), 1), reps=500, seed=1)  # it takes losses
    test.compute()
    return float(test.pvalues["consistent"])


def _costs(work: _Work) -> tuple[float, float]:
    """Return what the run earned, and what it paid."""
    told = [_number(work.stats.get(key)) for key in ("net_profit", "fees_paid", "slippage_paid", "borrow_paid")]
    if told[1] is None and work.sealed.predicate.gaps:
        raise NoValueError("not every trade says what it cost")
    earned, *paid = (value or 0.0 for value in told)
    return earned, math.fsum(paid)


def _cost_multiple(work: _Work, luck: Luck) -> float:
    multiple = break_even(*_costs(work))
    if multiple is None:
        raise NoValueError("the run paid no costs")
    return max(multiple, 0.0)


def _cost_left(work: _Work, luck: Luck) -> float:
    name = next((name for name in ("trades.csv", "trades.parquet") if name in work.sealed.files), "")
    try:
        gaps = work.sealed.predicate.gaps
        trades = tables.read_trades(Path(name), read_sealed(work.path, work.sealed, name), gaps=gaps)
    except (ImportError, PeakError):
        raise NoValueError("its trades can't be read here") from None
    notional = float((trades.quantity * (trades.entry_price + trades.exit_price)).sum())
    if math.isnan(notional):
        raise NoValueError("not every trade says its quantity and prices")
    if trades.currencies is not None and len(set(trades.currencies.tolist())) > 1:
        raise NoValueError("trades of several currencies")
    if notional <= 0.0:
        raise NoValueError("no trades")
    return _costs(work)[0] / notional * 1e4


def _deflated(number: Callable[[_Work, Luck], float]) -> Callable[[_Work, Luck], float]:
    return lambda work, luck: need(trials.deflated(work.record, work.variance, number(work, luck)))


_HOW: dict[str, Callable[[_Work, Luck], float]] = {
    "deflated_sharpe": _deflated(lambda work, luck: work.known.trials),
    "deflated_sharpe_independent": _deflated(lambda work, luck: work.independent.by_spectrum),
    "deflated_sharpe_any_bars": _deflated(lambda work, luck: work.known.wider),
    "probabilistic_sharpe_2012": lambda work, luck: need(track.probabilistic(work.record)),
    "probabilistic_sharpe_2025": lambda work, luck: need(
        track.probabilistic_2025(work.record, 0.0, need(track.autocorrelation(work.returns)))
    ),
    "sharpe": _sharpe,
    "sharpe_autocorrelated": lambda work, luck: (
        work.record.ratio * need(track.annual_factor(work.yearly, need(track.autocorrelation(work.returns))))
    ),
    "autocorrelation": lambda work, luck: need(track.autocorrelation(work.returns)),
    "hurdle": lambda work, luck: trials.hurdle(work.variance * work.yearly, work.known.trials),
    "dispersion": lambda work, luck: math.sqrt(work.variance * work.yearly),
    "independent_by_correlation": lambda work, luck: work.independent.by_correlation,
    "independent_by_spectrum": lambda work, luck: work.independent.by_spectrum,
    "minimum_track_record": lambda work, luck: need(track.minimum_length(work.record)) / work.yearly,
    "minimum_backtest": lambda work, luck: trials.shortest_backtest(work.known.trials),
    "trials_allowed": lambda work, luck: trials.most_trials(_years(luck)),
    "p_value": lambda work, luck: track.chance(work.record),
    "p_value_sidak": lambda work, luck: haircut.sidak(_figure(luck, "p_value"), work.known.trials),
    "p_value_holm": _holm,
    "sharpe_after_haircut": lambda work, luck: (
        haircut.haircut(_figure(luck, "p_value_sidak"), track.standard_error(work.record)) * math.sqrt(work.yearly)
    ),
    "overfitting": lambda work, luck: _overfitting(work),
    "superior_ability": _superior,
    "cost_multiple": _cost_multiple,
    "cost_left": _cost_left,
}


def _years(luck: Luck) -> float:
    if luck.years is None:
        raise NoValueError("fewer than two bars")
    return luck.years


# --- the verdict ----------------------------------------------------------------------------------------------------


def _judge(luck: Luck) -> None:
    deflated = luck.figures["deflated_sharpe"]
    luck.verdict = "UNKNOWN" if deflated is None else "PASS" if deflated >= LEVEL else "FAIL"
    unsure = luck.family and (luck.family.broken or luck.family.alone)
    if luck.verdict == "PASS" and (unsure or luck.returns < FEWEST):
        luck.verdict = "UNKNOWN"
    if luck.probed.get("verdict") == "FAIL":
        luck.verdict = "FAIL"
    luck.said = sentences(luck)

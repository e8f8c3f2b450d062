"""What a reader remembers: how the run ended, whether its seal holds, and the key statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peak_trade.errors import RunError
from peak_trade.evidence import settings
from peak_trade.evidence.manifest import COMPLETED, IMPORTED, RECORDED, RUINED, SWEPT
from peak_trade.market.trades import EXIT_REASONS
from peak_trade.report.beside import link
from peak_trade.report.decision import decision
from peak_trade.report.markup import counted, figure_of, in_toml, text
from peak_trade.report.portfolio import KINDS
from peak_trade.report.run import RunFiles
from peak_trade.shown import apart
from peak_trade.stats import STATS
from peak_trade.text import cut

__all__ = ["GROUPS", "head", "statistics"]

_DIFFERS = 400  # characters
_TILE = 16  # characters of a benchmark's name
_WHAT, _SERIES = ("symbol", "timeframe"), 60  # of the data, and its characters
_UNITS = {stat.key: stat.unit for stat in STATS}
_LABELS = {
    "cagr": "CAGR",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
    "omega": "Omega ratio",
    "probabilistic_sharpe": "Probabilistic Sharpe, 2012",
    "benchmark_cagr": "Benchmark CAGR",
    "benchmark_sharpe": "Benchmark Sharpe",
    "value_at_risk_95": "Value at risk 95 %",
    "expected_shortfall_95": "Expected shortfall 95 %",
    "average_mae": "Average MAE",
    "average_mfe": "Average MFE",
    "common_sense_ratio": "Common-sense ratio",
    **{f"exits_{reason}": f"Exits by {reason.replace('_', ' ')}" for reason in EXIT_REASONS},
    **{f"pnl_{reason}": f"Pnl of those by {reason.replace('_', ' ')}" for reason in EXIT_REASONS},
}
GROUPS = (
    ("Growth", "initial_equity final_equity net_profit total_return cagr"),
    ("Risk", "volatility max_drawdown max_drawdown_days time_under_water ulcer_index value_at_risk_95"
     " expected_shortfall_95 skew kurtosis"),
    ("Return for risk", "sharpe sortino calmar ulcer_performance_index omega tail_ratio common_sense_ratio"
     " probabilistic_sharpe"),
    ("Best and worst", "best_bar worst_bar best_day worst_day best_month worst_month"),
    ("Against the benchmark", "benchmark_total_return benchmark_cagr benchmark_sharpe benchmark_max_drawdown"
     " excess_return alpha beta information_ratio"),
    ("Trades", "trades win_rate profit_factor payoff_ratio expectancy average_win average_loss best_trade worst_trade"
     " longest_winning_streak longest_losing_streak average_mae average_mfe"),
    ("Exits", " ".join(f"exits_{reason} pnl_{reason}" for reason in EXIT_REASONS)),
    ("Market and costs", "exposure turnover average_bars_held fees_paid slippage_paid borrow_paid"),
    ("Sample", "bars years periods_per_year"),
)  # fmt: skip
"""How the table groups the keys of stats.json; a key that stands in none comes last, under `More`."""


def head(run: RunFiles, checked: str) -> str:
    """Return the head of the page: what ran, how it ended, whether the seal holds, and the few figures to remember."""
    seal = run.seal.state
    facts: list[str] = []
    figures: Mapping[str, Any] = {}
    try:
        data, bars = run.config.get("data", {}), run.bars
        given = run.chosen if run.kind == SWEPT else run.config.get("strategy", {}).get("params", {})
        params = ", ".join(f"{key} = {in_toml(value)}" for key, value in given.items())
        facts.append(text(f"{run.strategy} ({params})".strip() if params else run.strategy))
        facts.append(text(" ".join(cut(str(data.get(key)), _SERIES) for key in _WHAT if data.get(key))))
        facts += _engine(run)
        if bars and run.ours:
            facts.append(text(f"{counted(bars.rows, 'bar')}, {bars.start[:10]} to {bars.end[:10]}"))
        if told := settings.fills(run.config):
            facts.append(f"<strong>fills {text(told)}</strong>")
        figures = run.stats if run.status in COMPLETED and run.has("stats.json") else {}
        if rate := figures.get("periods_per_year"):
            facts.append(text(f"{rate:,.6g} bars a year, {_whence(run.config)}"))
    except Exception as error:  # what a corrupt file holds may be anything; of an intact one it is an error of ours
        if run.seal.holds and not isinstance(error, RunError):
            raise
        facts.append(text(f"not readable: {error}"))
    return (
        f'<header class="verdict" data-run="{text(run.run_id)}" data-status="{text(run.status)}" data-seal="{seal}">'
        f"{'' if run.seal.holds else _alarm(run)}"
        f'<h1>{text(run.title)}</h1><p class="facts">{" · ".join(filter(None, facts))}</p>{_kind(run)}'
        f'<p class="facts"><code>{text(run.run_id)}</code></p>{_differs(run)}'
        f'<p class="badges">{_status(run)}</p>'
        f"{_findings(run)}{decision(run, checked)}{_tiles(run) if figures else ''}</header>"
    )


def _kind(run: RunFiles) -> str:
    """Say of a run that was not made here, or not alone, what it is."""
    if run.kind == SWEPT:
        count = run.manifest.predicate.results.get("trials") if run.manifest else None
        many = counted(count, "trial") if type(count) is int else "many trials"
        told = f"The best of {many}: what was chosen looks better than it is."
        if run.has("folds.csv", "paths.csv"):
            told = f"Chosen among {many} on train bars and traded on others: out of sample."
        return f'<p class="facts"><strong>{told}</strong></p>'
    if run.parent:
        run_id, trial = run.parent
        return f'<p class="facts">Trial {trial:,} of the sweep {link(run, run_id)}.</p>'
    return f'<p class="facts"><strong>{text(KINDS[run.kind])}</strong></p>' if KINDS[run.kind] else ""


def _engine(run: RunFiles) -> list[str]:
    """Return by which engine, over which time and symbols."""
    results = run.manifest.predicate.results if run.manifest and not run.ours else {}
    engine, named = results.get("engine"), results.get("symbols")
    facts = []
    if isinstance(engine, dict):
        facts.append(text(" ".join(str(engine.get(key) or "") for key in ("name", "version")).strip()))
    if isinstance(named, list) and len(named) > 1:
        facts.append(counted(len(named), "symbol"))
    if not run.ours and run.has("equity.csv") and len(stamps := run.equity["timestamp"]):
        facts.append(text(f"{counted(len(stamps), 'mark')}, {str(stamps[0])[:10]} to {str(stamps[-1])[:10]}"))
    return facts


def _differs(run: RunFiles) -> str:
    """Return what tells the run from the others of its strategy."""
    others, differs = run.differs if run.kind != SWEPT else (0, {})
    if not others:
        return ""
    words = f"differs in {text(cut(apart.said(differs), _DIFFERS))}" if differs else "was asked for the same as most"
    return f'<p class="facts">Beside {counted(others, "other run")} of this strategy, it {words}.</p>'


def _findings(run: RunFiles) -> str:
    """Return what a reader must be told of the bars before the figures."""
    said = "".join(f"<li>{text(finding)}</li>" for finding in run.findings)
    return f'<div class="said" role="note"><strong>Of the bars</strong><ul>{said}</ul></div>' if said else ""


def _whence(config: Mapping[str, Any]) -> str:
    """Say where the bars of a year come from."""
    if config.get("stats", {}).get("periods_per_year"):
        return "as set"
    calendar = config.get("data", {}).get("calendar")
    return f"of {calendar}" if calendar else "as observed"


def _alarm(run: RunFiles) -> str:
    findings = "".join(f"<li>{text(finding)}</li>" for finding in run.seal.findings[:10])
    more = len(run.seal.findings) - 10
    return (
        f'<div class="alarm" role="alert"><strong>The seal is {run.seal.state}.</strong> '
        f"This directory is not what was sealed; no number below can be trusted."
        f"<ul>{findings}{f'<li>and {more} more</li>' if more > 0 else ''}</ul></div>"
    )


def _status(run: RunFiles) -> str:
    mark = {
        "sealed": "✓ Run completed",
        RUINED: f"✗ Account ruined on {text(run.ruined[:10])}",
        "failed": "✗ Run failed",
        IMPORTED: "Imported, not run",
    }.get(run.status, "? Run unreadable")
    if run.status == "sealed" and run.kind == RECORDED and not run.has("stats.json"):
        return '<span class="badge bad">? No engine seen</span>'
    if run.status == IMPORTED:
        ruined = f' <span class="badge bad">✗ Account ruined on {text(run.ruined[:10])}</span>' if run.ruined else ""
        return f'<span class="badge open">{mark}</span>{ruined}'
    if run.status == "sealed" and run.manifest and run.manifest.predicate.doubts:
        return ""  # a green badge beside a red one is what a reader remembers
    return f'<span class="badge {"good" if run.status == "sealed" else "bad"}">{mark}</span>'


def _tiles(run: RunFiles) -> str:
    try:
        stats, market = run.stats, text(cut(run.benchmark_inside, _TILE))
        tiles = [
            _tile(stats, "total_return", "benchmark_total_return", market),
            _tile(stats, "cagr", "volatility", "volatility"),
            _tile(stats, "sharpe", "benchmark_sharpe", market),
            _tile(stats, "max_drawdown", "benchmark_max_drawdown", market),
            _tile(stats, "trades", "win_rate", "won"),
            _tile(stats, "final_equity", "initial_equity", "from"),
        ]
    except Exception as error:  # as in `head`
        if run.seal.holds:
            raise
        return f'<p class="note">not shown: {text(error)}</p>'
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _tile(stats: Mapping[str, Any], key: str, second: str, words: str) -> str:
    beside = "" if stats.get(second) is None else f"<dd>{words} {figure_of(stats[second], _UNITS[second])}</dd>"
    value = figure_of(stats[key], _UNITS[key])
    return f'<div><dt>{label_of(key)}</dt><dd class="value">{value}</dd>{beside}</div>'


def label_of(key: str) -> str:
    """Return a key of stats.json as words.

    >>> label_of("max_drawdown"), label_of("cagr")
    ('Max drawdown', 'CAGR')
    """
    return _LABELS.get(key, key.replace("_", " ").capitalize())


# --- statistics ---------------------------------------------------------------------------------------------------


def statistics(run: RunFiles) -> str:
    """Every key of stats.json, grouped, each with its definition."""
    known = [(title, keys.split()) for title, keys in GROUPS]
    grouped = {key for _, keys in known for key in keys}
    known.append(("More", [stat.key for stat in STATS if stat.key not in grouped]))
    definition = {stat.key: stat.definition for stat in STATS}
    groups = []
    for title, keys in known:
        rows = "".join(_statistic(run, key, definition[key]) for key in keys if key in run.stats)
        if rows:
            groups.append(f"<table><caption>{title}</caption><tbody>{rows}</tbody></table>")
    listed = "".join(
        f"<dt>{label_of(stat.key)} <code>{stat.key}</code></dt><dd>{text(stat.definition)}</dd>"
        for stat in STATS
        if stat.key in run.stats
    )
    return (
        f'<div class="statistics">{"".join(groups)}</div>'
        f'<details class="printed"><summary>Definitions</summary><p>Fractions are shown in percent, amounts in quote '
        f"currency. Where there is no value, the reason stands in its place.</p>"
        f'<dl class="definitions">{listed}</dl></details>'
    )


def _statistic(run: RunFiles, key: str, definition: str) -> str:
    value = run.stats[key]
    shown = figure_of(value, _UNITS[key]) if value is not None else f"– <small>{text(run.reasons.get(key, ''))}</small>"
    return (
        f'<tr><th scope="row" title="{text(definition)}">{label_of(key)}</th>'
        f'<td data-key="{key}" data-value="{text(in_toml(value))}">{shown}</td></tr>'
    )

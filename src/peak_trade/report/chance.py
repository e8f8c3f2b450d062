"""How likely a result is luck: the run's Sharpe ratio against all the trials on its bars, by the ledger beside it.

The one section that more than the run's own directory has a part in: it says up to which line of the ledger it counts.
"""

from __future__ import annotations

import re
from functools import lru_cache

from peak_trade.evidence.results import Results
from peak_trade.report.markup import counted, number, percent, table, text
from peak_trade.report.run import RunFiles
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess, words
from peak_trade.trust.luck.figures import FIGURES
from peak_trade.trust.luck.result import Luck

__all__ = ["assessed", "badge", "luck", "sentence"]

_VERDICTS = {
    "PASS": ("good", "✓ More than luck explains"),
    "FAIL": ("bad", "✗ Not to be told from luck"),
    "UNKNOWN": ("bad", "? Not known"),
}
_BANDS = {"sharpe": "Sharpe ratio", "cagr": "CAGR", "max_drawdown": "Max drawdown"}


def luck(run: RunFiles) -> str:
    """The verdict, what the figures mean, the figures themselves, and the bands of a bootstrap."""
    found = assessed(run)
    sentences = "".join(f"<li>{sentence(said)}</li>" for said in found.said)
    return f'<p class="badges">{badge(found)} {_counted(found)}</p><ul>{sentences}</ul>{_figures(found)}{_bands(found)}'


@lru_cache(maxsize=1)
def assessed(run: RunFiles) -> Luck:
    """Return the luck of a run, worked out once for its page."""
    return assess.assess(_handed(run), thorough=False, banded=True)


def sentence(said: str) -> str:
    """Return what luck says as HTML, its numbers below zero with a minus."""
    return text(re.sub(r"(?<![\w-])-(?=\d)", "−", said))


def badge(found: Luck) -> str:
    """Return the verdict as a badge."""
    kind, said = _VERDICTS.get(found.verdict, ("bad", text(found.verdict)))
    return f'<span class="badge {kind}">{said}</span>'


def _handed(run: RunFiles) -> Handed:
    """Return the run with the results folder that it lies in, where the ledger there knows of it."""
    results = Results(run.path.parent)
    try:
        known = results.reading().of(run.run_id).state
    except OSError:
        known = ""
    return Handed(run.path, results if known else None)


def _counted(found: Luck) -> str:
    if found.family is None:
        return ""
    by = f"by the ledger up to its line {found.family.line:,}, as this page was made"
    return f'<span class="note">{text(words.trials_of(found.family))}, {by}</span>'


def _figures(found: Luck) -> str:
    short = found.run_id[:8]
    rows = []
    for key, value in found.figures.items():
        figure = FIGURES[key]
        if value is not None:
            shown = (
                percent(value) if figure.unit == "probability" else number(value, 0 if figure.unit == "count" else 2)
            )
        elif found.reasons.get(key) == assess.NOT_ASKED:
            shown = f"– <small>just luck {text(short)}</small>"
        else:
            shown = f"– <small>{text(found.reasons.get(key, ''))}</small>"
        rows.append([f'<th scope="row" title="{text(figure.definition)}">{text(figure.label)}</th>', shown])
    listed = "".join(f"<dt>{text(one.label)}</dt><dd>{text(one.definition)}</dd>" for one in FIGURES.values())
    if not rows:
        return ""
    return table(["Figure", "Value"], rows, label="How likely is it luck") + (
        f'<details class="printed"><summary>Definitions</summary><dl class="definitions">{listed}</dl></details>'
    )


def _bands(found: Luck) -> str:
    if not found.bands:
        return ""
    rows = [
        [_BANDS[name], *(number(value) if name == "sharpe" else percent(value) for value in band)]
        for name, band in found.bands.items()
    ]
    drawn = f"A stationary bootstrap of the returns, {counted(found.drawn, 'time')}, blocks as long as they remember."
    return table(["", "5 %", "Median", "95 %"], rows, label="Bands", name="bands") + f'<p class="note">{drawn}</p>'

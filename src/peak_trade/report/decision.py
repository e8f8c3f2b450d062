"""What a reader decides by, before any figure: what was tested of a run, what came of it, and what was not tested.

A row has a name that leads to its section, a word for how it stands, and a sentence. The words are no more than what
was done: a check that found nothing says where it looked, and one that was not made says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from peak_trade.errors import RunError
from peak_trade.evidence.manifest import COMPLETED, IMPORTED, RECORDED, SWEPT
from peak_trade.report.chance import assessed
from peak_trade.report.markup import counted, number, percent, text
from peak_trade.report.run import RunFiles
from peak_trade.report.stress import UNSEALED, costs_of, untraded
from peak_trade.stats.values import NoValueError
from peak_trade.trust.luck.figures import FEWEST, LEVEL
from peak_trade.trust.stress import verb
from peak_trade.trust.stress.again import Result

__all__ = ["decision"]

_TWICE = 2.0  # the costs that a result is asked to bear
_HALF = 0.5  # of the Sharpe ratio that is asked to be left one bar later
_LEAST = 0.1  # of a Sharpe ratio that a share is told of
_FEW = 30  # trades: the mean of fewer says little
_REASON = 300  # characters
GOOD, BAD, OPEN = "good", "bad", "open"


class Row(NamedTuple):
    """A row: `stands` is good, bad or open (not tested, or not to be told); `word` is text, `said` is HTML."""

    name: str
    section: str
    stands: str
    word: str
    said: str


def decision(run: RunFiles, checked: str) -> str:
    """Return the box; `checked` is when the seal was."""
    rows = "".join(
        f'<div><dt><a href="#{row.section}">{row.name}</a></dt>'
        f'<dd><span class="badge {row.stands}">{_MARKS[row.stands]} {text(row.word)}</span></dd>'
        f"<dd>{row.said}</dd></div>"
        for row in _rows(run, checked)
    )
    return f'<h2 class="before">What was tested, and what was not</h2><dl class="decision">{rows}</dl>'


_MARKS = {GOOD: "✓", BAD: "✗", OPEN: "–"}


def _rows(run: RunFiles, checked: str) -> Iterator[Row]:
    yield _seal(run, checked)
    if run.status not in COMPLETED:
        return
    parts: list[tuple[str, str, Callable[[RunFiles], Row | None]]] = [
        ("Look-ahead", "provenance", _look_ahead),
        ("Luck", "luck", _luck),
        ("Costs", "costs", _costs),
        ("Delay", "costs", _delay),
        ("Sample", "statistics", _sample),
    ]
    for name, section, make in parts:
        try:
            row = make(run)
        except Exception as error:  # what a corrupt file holds may be anything; of an intact one it is an error of ours
            if run.seal.holds and not isinstance(error, RunError | NoValueError):
                raise
            row = Row(name, section, OPEN, "Not readable", f"{text(str(error)[:_REASON])}.")
        if row:
            yield row


def _seal(run: RunFiles, checked: str) -> Row:
    if not run.seal.holds:
        return Row("Evidence", "provenance", BAD, f"Seal {run.seal.state}", f"Checked {_moment(checked)}.")
    words, held = "Seal intact", "the ledger"
    if run.seal.foreign:
        words, held = "Seal intact, of a ledger that is not here", "the two lines of it that the run carries"
    files = len(run.manifest.files) if run.manifest else 0
    vouched = ["signed"] if run.signed else []
    vouched += ["its ledger anchored"] if run.anchored else []
    said = f" {' and '.join(vouched).capitalize()}." if vouched else ""
    left = " What could not be checked stands under Provenance." if run.seal.unchecked else ""
    return Row(
        "Evidence", "provenance", GOOD, words,
        f"{counted(files, 'file')}, the manifest and {held} agree; checked while this page was made, "
        f"{_moment(checked)}.{said}{left}",
    )  # fmt: skip


def _moment(checked: str) -> str:
    return f'<span class="moment">{text(checked)}</span>'


def _look_ahead(run: RunFiles) -> Row:
    """Return what came of asking the strategy again."""
    reason = str(run.probe.get("reason") or "")[:_REASON]
    said = f"{text(reason[:1].upper() + reason[1:])}."
    if not run.probe or not run.manifest:
        why = {
            RECORDED: "another engine asked the strategy, and it was not asked again",
            IMPORTED: "a file says no strategy",
        }.get(run.kind, "the strategy was not asked again when it was run")
        return Row("Look-ahead", "provenance", OPEN, "Not assessed", f"{why[:1].upper() + why[1:]}.")
    if run.manifest.predicate.lookahead:
        return Row("Look-ahead", "provenance", BAD, "Look-ahead", f"{said} Such a result could not have been earned.")
    if run.manifest.predicate.repeatable is False:
        return Row("Look-ahead", "provenance", BAD, "Not repeatable", said)
    if run.probe.get("verdict") != "PASS":
        return Row("Look-ahead", "provenance", OPEN, "Not assessed", said)
    more = f" <code>just probe {text(run.run_id[:8])}</code> tries more." if run.kind != SWEPT else ""
    return Row(
        "Look-ahead", "provenance", GOOD, "No sign found",
        f"{said} The strategy was asked again without the bars that follow; places that were not tried are not "
        f"covered.{more}",
    )  # fmt: skip


def _luck(run: RunFiles) -> Row | None:
    """Return what is left of the Sharpe ratio with all trials so far in mind."""
    found = assessed(run)
    stands, word = {"PASS": (GOOD, "More than luck explains"), "FAIL": (BAD, "Not to be told from luck")}.get(
        found.verdict, (OPEN, "Not known")
    )
    family, deflated = found.family, found.figures.get("deflated_sharpe")
    if family is None:
        said = "The run is not of a ledger here: from how many tries it was picked nobody can tell."
        return Row("Luck", "luck", OPEN, "Not known", said)
    if family.alone:
        counted_ones = "this one is" if family.trials == 1 else f"its own {family.trials:,} are"
        tries = f"Which other tries were made on its bars nobody can tell: {counted_ones} counted"
    elif family.trials == 1:
        tries = f"The only try on its bars so far that the ledger knows (up to line {family.line:,})"
    else:
        tries = f"Picked from {family.trials:,} tries on its bars so far (by the ledger, up to line {family.line:,})"
    if found.probed.get("verdict") == "FAIL":
        return Row("Luck", "luck", BAD, "Not to be told", f"{tries}; with look-ahead, no figure tells its luck.")
    if deflated is None:
        why = found.reasons.get("deflated_sharpe") or next(iter(found.said), "there is no Sharpe ratio")
        return Row("Luck", "luck", stands, word, f"{tries}; the chance is not known: {text(why)}.")
    few = f" {counted(found.returns, 'return')} are too few to tell." if found.returns < FEWEST else ""
    broken = " The ledger is not whole: there may have been more." if family.broken else ""
    return Row(
        "Luck", "luck", stands, word,
        f"{tries}. {'With them in mind, the' if family.trials > 1 else 'The'} chance that its true Sharpe ratio is "
        f"above zero is {percent(deflated, 1)}; {percent(LEVEL, 0)} is asked for.{few}{broken} Tries made elsewhere "
        "are not counted.",
    )  # fmt: skip


def _costs(run: RunFiles) -> Row | None:
    """Return how many times the costs the result bears."""
    if not run.has("stats.json"):
        return None
    known = costs_of(run)
    if known is None:
        return Row("Costs", "costs", OPEN, "Not known", "Nobody says what was charged.")
    multiple = known.break_even
    if multiple is None:
        said = "No fee, slippage or borrowing was charged: what they would leave was not tested."
        return Row("Costs", "costs", OPEN, "None charged", said)
    if multiple <= 0.0:
        return Row("Costs", "costs", BAD, "Lost before costs", "It would have earned nothing without costs either.")
    if multiple < 1.0:
        said = f"From {number(multiple)} times the costs that were charged on nothing is left."
        return Row("Costs", "costs", BAD, "Lost to costs", said)
    twice = known.at(_TWICE).total_return
    at_twice = "" if twice is None else f" At twice the costs the total return is {percent(twice)}."
    left = f"Nothing is left at {number(multiple, 1)} times what was charged, by the same trades at the same sizes."
    said = left + at_twice
    return Row(
        "Costs",
        "costs",
        *((GOOD, "Bears twice the costs") if multiple > _TWICE else (BAD, "Gone at twice the costs")),
        said,
    )


def _delay(run: RunFiles) -> Row | None:
    """Return what is left when each decision is filled one bar later."""
    if not run.has("stats.json"):
        return None
    again = verb.kept(run.path)
    if again is None:
        said = f"What is left when every decision is filled one bar later was not worked out: {untraded(run)}."
        return Row("Delay", "costs", OPEN, "Not tested", said)
    own, late = again.own, again.delayed
    if late.why:
        return Row("Delay", "costs", OPEN, "Not to be told", f"One bar later it can't be traded: {text(late.why)}.")
    said = (
        f"With every decision filled one bar later the Sharpe ratio is {number(late.sharpe)} in place of "
        f"{number(own.sharpe)}, and the total return {percent(late.total_return)} in place of "
        f"{percent(own.total_return)}: {UNSEALED}."
    )
    share = _share(own, late)
    if share is None:
        return Row("Delay", "costs", OPEN, "No edge to lose", said)
    left = f"{percent(max(share, 0.0), 0)} of Sharpe left"
    return Row("Delay", "costs", GOOD if share >= _HALF else BAD, left, said)


def _share(own: Result, late: Result) -> float | None:
    if own.sharpe is None or late.sharpe is None or own.sharpe < _LEAST:
        return None
    return late.sharpe / own.sharpe


def _sample(run: RunFiles) -> Row | None:
    """Return how much there is to judge by: years, trades, and the years that such returns would need."""
    if not run.has("stats.json"):
        return None
    found = assessed(run)
    trades, bars = run.stats.get("trades"), run.stats.get("bars")
    told = [
        *([_span(found.years)] if found.years is not None else []),
        *([counted(bars, "bar" if run.ours else "mark")] if type(bars) is int else []),
        *([counted(trades, "trade")] if type(trades) is int else []),
    ]
    said = ", ".join(told) + "."
    needed = found.figures.get("minimum_track_record")
    if needed is not None:
        said += f" Returns like these need {_span(needed)} to tell their Sharpe ratio from zero, at 95 %."
    elif why := found.reasons.get("minimum_track_record"):
        said += f" How long it would have to be is not known: {text(why)}."
    few = type(trades) is int and trades < _FEW
    if few:
        said += f" Fewer than {_FEW} trades say little of the next one."
    if needed is not None and found.years is not None and found.years < needed:
        return Row("Sample", "statistics", BAD, "Too short", said)
    if few:
        return Row("Sample", "statistics", BAD, "Few trades", said)
    if needed is None or found.years is None:
        return Row("Sample", "statistics", OPEN, "Not known", said)
    return Row("Sample", "statistics", GOOD, "Long enough", said)


def _span(years: float) -> str:
    """Return a length of time as words.

    >>> _span(2.5), _span(0.25), _span(0.003)
    ('2.5 years', '91 days', '1 day')
    """
    return f"{number(years, 1)} years" if years >= 1.0 else counted(round(years * 365.25), "day")

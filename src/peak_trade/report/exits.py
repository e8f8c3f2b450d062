"""How trades ended, and how far they went before: exits by reason, and excursions."""

from __future__ import annotations

import numpy as np

from peak_trade.market.trades import EXIT_REASONS
from peak_trade.report import svg
from peak_trade.report.figures import figure, fractions_across, percent_label
from peak_trade.report.grouped import HEAD, nothing, of_group
from peak_trade.report.markup import counted, percent, table
from peak_trade.report.run import RunFiles
from peak_trade.stats.values import Floats

__all__ = ["excursions", "exits"]

_FURTHEST = 50
_MANY = 400  # trades: from here on marks are smaller


def exits(run: RunFiles) -> str:
    """What ended the trades, with what they came to."""
    trades = run.trades
    if why := nothing(trades):
        return why
    parts = [(reason.replace("_", " "), trades.exit_reason == code) for code, reason in enumerate(EXIT_REASONS)]
    parts.append(("not said", trades.exit_reason < 0))
    parts.append(("all", np.ones(len(trades), bool)))
    rows = [[name.capitalize(), *of_group(trades, chosen)] for name, chosen in parts if chosen.any()]
    return table(["Ended by", *HEAD], rows, label="Exits by reason", name="exits") + (
        '<p class="note">Pnl is net, in quote currency; the return of a trade is on its entry notional; the profit '
        "factor is what winners earned over what losers lost.</p>"
    )


def excursions(run: RunFiles) -> str:
    """How far each trade was down at its worst and up at its best, beside what came of it."""
    trades = run.trades
    if not len(trades):
        return "<p>The run closed no trade.</p>"
    if trades.mae is None or trades.mfe is None:
        return "<p>The trades of this run were kept without excursions, as by versions before 0.3.</p>"
    across, up = svg.Scale.around(trades.mae, trades.mfe, zero=True), svg.Scale.around(trades.return_, zero=True)
    size = " many" if len(trades) > _MANY else ""
    heights = up.place(trades.return_)
    marks = [
        svg.dots(across.place(values), heights, f"{name}{size}")
        for name, values in (("mae", trades.mae), ("mfe", trades.mfe))
    ]
    about = (
        f"{counted(len(trades), 'trade')}: at the worst {percent(float(trades.mae.mean()))} on average, "
        f"at the best {percent(float(trades.mfe.mean()))}."
    )
    told = [about, *_told(trades.pnl, trades.mae, trades.mfe)]
    panel = svg.Panel(240, up.ticks(percent_label), marks, float(up.place(0.0)))
    return f"<p>{' '.join(told)}</p>" + figure(
        "Excursions of the trades", about, [panel], fractions_across(across),
        [("mae", "Worst (MAE)"), ("mfe", "Best (MFE)")],
        "Each trade twice: across, how far the price was against it and for it, on its entry price and before costs; "
        "up, its net return.",
        _numbers(trades.return_, trades.mae, trades.mfe),
    )  # fmt: skip


def _numbers(returns: Floats, mae: Floats, mfe: Floats) -> str:
    """Return the trades that went furthest, or ended furthest, as a table; all of them where they are few."""
    furthest = [np.argsort(column, kind="stable") for column in (returns, mae, -mfe)]
    some = sorted({int(at) for order in furthest for at in (*order[:_FURTHEST], *furthest[0][-_FURTHEST:])})
    rows = [[f"{at + 1:,}", *(percent(float(column[at])) for column in (mae, mfe, returns))] for at in some]
    left = f'<p class="note">The {len(rows):,} of {len(returns):,} that went furthest.</p>'
    made = table(["Trade", "Worst (MAE)", "Best (MFE)", "Return"], rows, label="Excursions of trades")
    return made + (left if len(rows) < len(returns) else "")


def _told(pnl: Floats, mae: Floats, mfe: Floats) -> list[str]:
    """Return what winners had to bear, and what losers had in hand."""
    won, lost = pnl > 0.0, pnl < 0.0
    told = []
    if won.any():
        told.append(
            f"Of those that won, the average was {percent(float(mae[won].mean()))} at its worst, and one in twenty "
            f"{percent(float(np.quantile(mae[won], 0.05)))} or lower."
        )
    if lost.any():
        told.append(f"Of those that lost, the average had been {percent(float(mfe[lost].mean()))} at its best.")
    return told

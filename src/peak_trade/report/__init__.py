"""The report of a run: from a run directory to one HTML file that needs nothing else.

May import trust, shown, evidence and what is below them; takes run directories, never live objects.

In reading order:

- `numbers`: what the page works out beyond stats.json, such as returns by month;
- `svg` and `markup`: figures and tables as text;
- `run`: a run directory's files, typed;
- `head`, `performance`, `months`, `trading`, `origin` and `timing`: what the report says, on `figures` that are framed
  alike and have their `values` below them, which `pointer.js` reads; `chance` how likely it is luck, `stress` what
  other costs and a bar's delay leave, and `decision` all that was tested, for who reads no further;
- `trades` (with `trades.js`) is the table of all, `exits` and `grouped` are what groups of them came to; `levels` has
  stops and targets and `candles` the run's bars, which `price.js` draws, by numbers that are `carried`;
- `trials`: the table of a sweep as axes and places on them; `heat` (with `heat.js`, which `inline` lets run) and
  `swept` are what the report says of it, `folds` what of a walk-forward or a cross-validation; `beside` links to
  other runs;
- `code` is the strategy's code in `highlight`ed lines, against that of the run which `earlier` finds before it;
- `sections` and `page`: the order of it, for `reports/quarto/backtest_report.qmd` to call;
- `renderer`, `builtin` and `quarto`: what executes the qmd, and how each says what went wrong;
- `render`: the qmd to one HTML file, by one of them, and `picture` of that;
- `sheet`: a page about more than one run; `comparison` (with `together`, what runs did over the same time) and
  `against` are such pages;
- `index`: one page over all runs, with `index.html` and its scripts `index.js` and `ticked.js`.
"""

from peak_trade.report.page import Page, open_page

__all__ = ["Page", "open_page"]

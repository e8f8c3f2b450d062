"""What `reports/quarto/backtest_report.qmd` calls: a run opened once, its sections one by one."""

from __future__ import annotations

from pathlib import Path

from peak_trade.errors import InputError, RunError, did_you_mean
from peak_trade.evidence.ledger import now
from peak_trade.evidence.results import Results
from peak_trade.report.candles import FROM_DATA
from peak_trade.report.head import head
from peak_trade.report.inline import script
from peak_trade.report.markup import Markdown, contents, raw, text
from peak_trade.report.portfolio import lacks
from peak_trade.report.run import RunFiles, find
from peak_trade.report.sections import SECTIONS, Section

__all__ = ["Page", "open_page"]

# The scripts, in the order in which they run, and what a section has that needs one.
_FOR = {"pointer": 'class="values"', "price": 'class="prices"', "trades": 'json" class="trades"'}


def open_page(which: object, *, results: Path) -> Page:
    """Return the page of a run: by a run_id, a unique start of one, `last`, or the path of its directory.

    Raises InputError where there is no such run, or more than one.
    """
    return Page(find(str(which), Results(results)))  # Quarto reads a value of digits as a number


class Page:
    """The report of one run directory; everything it shows is read from the files there."""

    def __init__(self, path: Path) -> None:
        self.run = RunFiles(path)
        self.scripts: set[str] = set()  # those that have something to work with
        self.sources = ""  # what it is made from, beside the files of the run
        self.checked = now()[:19].replace("T", " ") + " UTC"

    def head(self) -> Markdown:
        """Return the verdict, and links to the sections that follow."""
        there = [(name, text(section.title)) for name, section in SECTIONS.items() if self._has(section)]
        return raw(head(self.run, self.checked) + contents(there))

    def section(self, name: str) -> Markdown | None:
        """Return a section; None where the run has none.

        Of a run whose seal is broken, or that was sealed elsewhere, what can't be read is said in its place: a stranger
        can seal what no engine writes. Of any other, it is an error.
        """
        if name not in SECTIONS:
            raise InputError(f"the report has no section {name!r}", hint=did_you_mean(name, SECTIONS))
        section = SECTIONS[name]
        if not self._has(section):
            return None
        try:
            why = lacks(self.run, section.needs)
            body = f'<p class="note">Not shown: {text(why)}.</p>' if why else section.body(self.run)
        except Exception as error:
            if self.run.seal.state == "intact" and not isinstance(error, RunError):
                raise
            body = f'<p class="error">Not shown: {text(error)}</p>'
        if FROM_DATA in body:
            self.sources = ", and for candles from the data that it read"
        self.scripts |= {script for script, mark in _FOR.items() if mark in body}
        return raw(f'<section id="{name}"><h2>{text(section.title)}</h2>{body}</section>')

    def foot(self) -> Markdown:
        """Return the end of the page: how to check it."""
        short = text(self.run.run_id[:8])
        scripts = "".join(script(name) for name in _FOR if name in self.scripts)
        return raw(
            f"<footer><p>Made from the files of <code>{text(self.run.path.name)}</code>{self.sources}; "
            "what is told of other runs, from the ledger and the runs beside it. "
            f"Check them yourself: <code>just verify {short}</code>. Make this page again: "
            f"<code>just report {short}</code>.</p></footer>{scripts}"
        )

    def _has(self, section: Section) -> bool:
        return self.run.status in section.of and section.there(self.run)

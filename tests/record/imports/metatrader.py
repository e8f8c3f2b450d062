"""MetaTrader 5's report of a test, as HTML in UTF-16 and as a workbook: deals that go in and out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

HEAD = ("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price", "Order", "Commission", "Swap", "Profit",
        "Balance", "Comment")  # fmt: skip
ORDERS = ("Open Time", "Order", "Symbol", "Type", "Volume", "Price", "S / L", "T / P", "Time", "State", "Comment")
DEPOSIT = ("2024.01.01 00:00:00", "1", "", "balance", "", "", "", "", "0.00", "0.00", "10 000.00", "10 000.00", "")


def deal(when: str, number: int, kind: str, way: str, lots: float, price: float, fee: float, swap: float, profit: float,
         balance: str, comment: str = "") -> tuple[str, ...]:  # fmt: skip
    """Return the cells of a deal in EURUSD."""
    return (f"2024.01.{when}", str(number), "EURUSD", kind, way, f"{lots:.2f}", f"{price:.5f}", str(number),
            f"{fee:.2f}", f"{swap:.2f}", f"{profit:.2f}", balance, comment)  # fmt: skip


NETTING = (
    DEPOSIT,
    deal("02 10:00:00", 2, "buy", "in", 1.0, 1.1, -3.5, 0, 0, "9 996.50"),
    deal("03 10:00:00", 3, "sell", "out", 0.4, 1.105, -1.4, -1.2, 200, "10 193.90", "tp 1.10500"),
    deal("04 10:00:00", 4, "sell", "in/out", 1.6, 1.102, -5.6, -2, 120, "10 306.30"),
    deal("05 10:00:00", 5, "buy", "out", 1.0, 1.104, -3.5, 0, -200, "10 102.80", "sl 1.10400"),
)
"""Buy 1 lot; sell 0.4 of it; sell 1.6, which closes 0.6 and opens a short of 1; buy 1."""
HEDGING = (
    DEPOSIT,
    deal("02 10:00:00", 2, "buy", "in", 1.0, 1.1, 0, 0, 0, "10 000.00"),
    deal("02 11:00:00", 3, "sell", "in", 0.5, 1.101, 0, 0, 0, "10 000.00"),
    deal("03 10:00:00", 4, "buy", "in", 0.5, 1.102, 0, 0, 0, "10 000.00"),
    deal("03 11:00:00", 5, "sell", "out", 0.5, 1.104, 0, 0, 100, "10 100.00"),
    deal("04 10:00:00", 6, "buy", "out", 0.5, 1.1, 0, 0, 50, "10 150.00"),
    deal("04 11:00:00", 7, "sell", "out", 1.0, 1.106, 0, 0, 600, "10 750.00"),
)
"""Two long positions and a short one at once: each is closed by a deal of its own size."""
ABOVE = (
    ("Strategy Tester Report",),
    ("Expert:", "Moving Average"), ("Symbol:", "EURUSD"), ("Period:", "H1 (2024.01.01 - 2024.01.31)"),
    ("Initial Deposit:", "10 000.00"), ("Total Net Profit:", "102.80", "Balance Drawdown Absolute:", "3.50"),
    ("Profit Factor:", "1.52", "Sharpe Ratio:", "2.10", "Margin Level:", "812.33%"), ("Orders",), ORDERS,
    ("2024.01.02 10:00:00", "2", "EURUSD", "buy", "1.00 / 1.00", "", "", "", "2024.01.02 10:00:00", "filled", ""),
    ("Deals",),
)  # fmt: skip


def page(deals: Sequence[Sequence[str]]) -> bytes:
    """Return a report as HTML in UTF-16, with its sums below the deals, and the open positions of an account."""
    rows = [*ABOVE, HEAD, *deals, ("", "-14.00", "-3.20", "120.00", "10 102.80", ""), ("Open Positions",),
            ("Balance:", "10 102.80")]  # fmt: skip
    cells = "".join("<tr>" + "".join(f"<td nowrap>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<!DOCTYPE HTML><html><body><table>{cells}</table></body></html>".encode("utf-16")


def workbook(sheets: dict[str, Sequence[Sequence[str | float]]], *, within: str = "") -> bytes:
    """Return a workbook: texts are shared, numbers are numbers; `within` goes into the first sheet's cells as it is."""
    shared: list[str] = []
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        listed = "".join(f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>'
                         for at, name in enumerate(sheets, 1))  # fmt: skip
        packed.writestr("xl/workbook.xml", f'<workbook xmlns:r="r"><sheets>{listed}</sheets></workbook>')
        places = "".join(f'<Relationship Id="rId{at}" Target="worksheets/sheet{at}.xml"/>'
                         for at in range(1, len(sheets) + 1))  # fmt: skip
        packed.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{places}</Relationships>")
        for at, rows in enumerate(sheets.values(), 1):
            body = ""
            for number, row in enumerate(rows, 1):
                cells = ""
                for column, cell in enumerate(row):
                    place = f"{chr(65 + column)}{number}"
                    if isinstance(cell, str):
                        if cell:
                            shared.append(cell)
                            cells += f'<c r="{place}" t="s"><v>{len(shared) - 1}</v></c>'
                    else:
                        cells += f'<c r="{place}"><v>{cell}</v></c>'
                body += f'<row r="{number}">{cells}{within if number == 2 else ""}</row>'
            packed.writestr(f"xl/worksheets/sheet{at}.xml", f"<worksheet><sheetData>{body}</sheetData></worksheet>")
        texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        packed.writestr("xl/sharedStrings.xml", f"<sst>{texts}</sst>")
    return stream.getvalue()

"""The dialects of files of bars, declared: how each source names, orders and writes what it exports.

A dialect is a row of `DIALECTS`; nothing else knows of any source. A file of the usual spellings needs none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from peak_trade.config import Reading
from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.bars import COLUMNS
from peak_trade.market.hints import under_data
from peak_trade.text import escaped

__all__ = [
    "DIALECTS",
    "PLAIN",
    "SPELLINGS",
    "Dialect",
    "Layout",
    "as_markdown",
    "check_reading",
    "is_number",
    "layout",
    "show",
]

# How files spell our columns, once case and everything but letters is gone ("1. Open", "open_time", "<CLOSE>").
SPELLINGS = {
    "timestamp": ("timestamp", "time", "date", "datetime", "opentime", "ts", "t", "unix"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v"),
}
# Parts of names in other words and languages: what a hint guesses by, and nothing is read by.
_WORDS = {
    "open": ("open", "eröffn", "erst", "anfang", "ouv", "apert", "abert", "otwar", "откр", "始", "开", "開"),
    "high": ("high", "hoch", "höchst", "haut", "max", "máx", "mass", "alto", "hoog", "najwy", "макс", "高"),
    "low": ("low", "tief", "bas", "min", "mín", "bajo", "baixo", "laag", "najni", "мин", "低", "安"),
    "close": ("clos", "last", "settl", "price", "schlu", "letzt", "cierre", "chius", "clôt", "clot", "dernier",
              "fech", "ultim", "últim", "zamkn", "закр", "收", "終", "终"),
    "volume": ("vol", "qty", "quant", "stück", "stuec", "umsatz", "wolum", "объ", "成交", "出来高"),
}  # fmt: skip
_ORDERS = ("open high low close", "open close high low", "close open high low", "low high open close",
           "high low open close", "close high low open", "open close low high", "open low high close")  # fmt: skip
KEYS = (*COLUMNS, "date", "time")  # what `columns` may name
_SYMBOL = frozenset({"symbol", "ticker", "pair", "tic"})
_CELL = 60  # characters of a cell or a name in a sentence

_FORMS = {  # of a cell in a file without a header
    "epoch": re.compile(r"\d{9,19}(\.0*)?"),
    "whole": re.compile(r"\d+"),
    "number": re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|None|null|nan|", re.IGNORECASE),
    "dotted": re.compile(r"\d{4}\.\d\d\.\d\d"),
    "clock": re.compile(r"\d\d:\d\d(:\d\d)?"),
    "packed": re.compile(r"\d{8} \d{6}"),
}
_LOOSE = re.compile(r"[-+]?[$€£¥₹]? ?\d[\d.,'  ]*([eE][-+]?\d+)?[KMBTkmbt%]?")


class Dialect(Struct, frozen=True, kw_only=True):
    """How one source writes its files.

    `header` are names that tell it, all of which stand in the file as written here; `cells` are the forms of the first
    row of a file that has no header. `columns` says where ours stand by name or by position from 1, as `columns` of the
    config does; the rest is found by the usual spellings. `{base}` in a name stands for the currency that the symbol
    begins with. `dates` are the forms that dates have (the first counts where several fit), `zone` is that of times
    without one, and `newest_first` files are put in order.
    """

    name: str
    title: str
    header: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    columns: Mapping[str, str | int] = {}
    dates: tuple[str, ...] = ()
    zone: str = ""
    newest_first: bool = False


def _at(*names: str) -> dict[str, int]:
    return {name: at for at, name in enumerate(names, 1)}


_OHLCV = ("open", "high", "low", "close", "volume")
_INVESTING = {
    "de": ("Datum", "Zuletzt", "Eröffn.", "Hoch", "Tief", "Vol."),
    "fr": ("Date", "Dernier", "Ouv.", "Plus Haut", "Plus Bas", "Vol."),
    "es": ("Fecha", "Último", "Apertura", "Máximo", "Mínimo", "Vol."),
    "it": ("Data", "Ultimo", "Apertura", "Massimo", "Minimo", "Vol."),
    "pt": ("Data", "Último", "Abertura", "Máxima", "Mínima", "Vol."),
    "nl": ("Datum", "Laatste", "Open", "Hoog", "Laag", "Vol."),
}

PLAIN = Dialect(name="plain", title="a table with the usual names")
DIALECTS = (
    Dialect(
        name="yahoo",
        title="Yahoo Finance's CSV",
        header=("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"),
    ),
    Dialect(
        name="yfinance",
        title="yfinance's table",
        header=("Open", "High", "Low", "Close", "Volume", "Dividends", "Stock Splits"),
    ),
    Dialect(
        name="stooq",
        title="Stooq's bulk CSV",
        header=("<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"),
        columns={"date": "<DATE>", "time": "<TIME>", "volume": "<VOL>"},
        dates=("%Y%m%d %H%M%S",),
    ),
    Dialect(
        name="stooq",
        title="Stooq's Polish CSV",
        header=("Data", "Otwarcie", "Najwyzszy", "Najnizszy", "Zamkniecie"),
        columns={
            "timestamp": "Data",
            "open": "Otwarcie",
            "high": "Najwyzszy",
            "low": "Najnizszy",
            "close": "Zamkniecie",
            "volume": "Wolumen",
        },
    ),
    Dialect(
        name="binance",
        title="Binance's klines",
        cells=("epoch", *["number"] * 5, "epoch", "number", "whole", "number", "number", "number"),
        columns=_at("timestamp", *_OHLCV),
    ),
    Dialect(
        name="binance",
        title="Binance's klines",
        header=("open_time", "open", "high", "low", "close", "volume", "close_time"),
        columns={"timestamp": "open_time"},
    ),
    Dialect(
        name="kraken",
        title="Kraken's OHLC",
        cells=("epoch", *["number"] * 6, "whole"),
        columns=dict(zip(("timestamp", *_OHLCV), (1, 2, 3, 4, 5, 7), strict=True)),  # the sixth is the mean price
    ),
    Dialect(
        name="kraken",
        title="Kraken's OHLCVT",
        cells=("epoch", *["number"] * 5, "whole"),
        columns=_at("timestamp", *_OHLCV),
    ),
    Dialect(name="ccxt", title="ccxt's lists", cells=("epoch", *["number"] * 5), columns=_at("timestamp", *_OHLCV)),
    Dialect(
        name="freqtrade",
        title="freqtrade's lists",
        cells=("epoch", *["number"] * 5),
        columns=_at("timestamp", *_OHLCV),
    ),
    Dialect(
        name="coinbase",
        title="Coinbase's candles",
        cells=("epoch", *["number"] * 5),
        columns=_at("timestamp", "low", "high", "open", "close", "volume"),
        newest_first=True,
    ),
    Dialect(
        name="bitfinex",
        title="Bitfinex's candles",
        cells=("epoch", *["number"] * 5),
        columns=_at("timestamp", "open", "close", "high", "low", "volume"),
        newest_first=True,
    ),
    Dialect(
        name="coinbase",
        title="Coinbase's candles",
        header=("time", "low", "high", "open", "close", "volume"),
        newest_first=True,
    ),
    *(
        Dialect(
            name="cryptodatadownload",
            title="CryptoDataDownload's CSV",
            header=header,
            columns={"timestamp": header[0], "volume": volume},
            newest_first=True,
        )
        for header, volume in (
            (("unix", "date", "symbol", "open", "high", "low", "close"), "Volume {base}"),
            (("Unix", "Date", "Symbol", "Open", "High", "Low", "Close"), "Volume {base}"),
            (("Unix Timestamp", "Date", "Symbol", "Open", "High", "Low", "Close", "Volume"), "Volume"),
            (("Date", "Symbol", "Open", "High", "Low", "Close", "Volume USD"), "Volume {base}"),
            (("Date", "Symbol", "Open", "High", "Low", "Close", "Volume USDT"), "Volume {base}"),
        )
    ),
    Dialect(
        name="mt5",
        title="MetaTrader 5's export",
        header=("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>"),
        columns={"date": "<DATE>", "time": "<TIME>", "volume": "<TICKVOL>"},
        dates=("%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M"),
    ),
    Dialect(
        name="mt5",
        title="MetaTrader 5's export",
        header=("<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>"),
        columns={"timestamp": "<DATE>", "volume": "<TICKVOL>"},
        dates=("%Y.%m.%d",),
    ),
    *(
        Dialect(
            name="mt4",
            title="MetaTrader 4's export",
            cells=("dotted", "clock", *["number"] * (5 + extra)),
            columns=_at("date", "time", *_OHLCV),
            dates=("%Y.%m.%d %H:%M", "%Y.%m.%d %H:%M:%S"),
        )
        for extra in (0, 1, 2)
    ),
    Dialect(
        name="histdata",
        title="HistData's minutes",
        cells=("packed", *["number"] * 5),
        columns=_at("timestamp", *_OHLCV),
        dates=("%Y%m%d %H%M%S",),
        zone="Etc/GMT+5",  # the source says: Eastern Standard Time, without daylight saving
    ),
    *(
        Dialect(
            name="dukascopy",
            title="Dukascopy's CSV",
            header=(name, "Open", "High", "Low", "Close", "Volume"),
            columns={"timestamp": name},
            dates=dates,
            zone=zone,
        )
        for name, zone, dates in (
            ("Gmt time", "UTC", ("%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S")),
            ("Local time", "", ("%d.%m.%Y %H:%M:%S.%f GMT%z",)),
            ("Time (UTC)", "UTC", ("%Y.%m.%d %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f")),
            ("Time (EET)", "EET", ("%Y.%m.%d %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f")),
            ("EET", "EET", ("%Y.%m.%d %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f")),
        )
    ),
    Dialect(
        name="investing",
        title="Investing.com's CSV",
        header=("Date", "Price", "Open", "High", "Low"),
        columns={"timestamp": "Date", "close": "Price", "volume": "Vol."},
        dates=("%m/%d/%Y", "%d/%m/%Y", "%b %d, %Y"),
        newest_first=True,
    ),
    *(
        Dialect(
            name="investing",
            title="Investing.com's CSV",
            header=names[:5],
            columns=dict(zip(("timestamp", "close", "open", "high", "low", "volume"), names, strict=True)),
            dates=("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"),
            newest_first=True,
        )
        for names in _INVESTING.values()
    ),
    Dialect(
        name="nasdaq",
        title="Nasdaq.com's CSV",
        header=("Date", "Close/Last", "Volume", "Open", "High", "Low"),
        columns={"close": "Close/Last"},
        dates=("%m/%d/%Y",),
        newest_first=True,
    ),
    Dialect(
        name="nasdaq",
        title="Nasdaq.com's CSV",
        header=("Date", "Close/Last", "Open", "High", "Low"),
        columns={"close": "Close/Last"},
        dates=("%m/%d/%Y",),
        newest_first=True,
    ),
    Dialect(
        name="alphavantage",
        title="Alpha Vantage's CSV",
        header=("timestamp", "open", "high", "low", "close", "adjusted_close", "volume"),
        newest_first=True,
    ),
    Dialect(
        name="polygon",
        title="Polygon's flat file",
        header=("ticker", "volume", "open", "close", "high", "low", "window_start", "transactions"),
        columns={"timestamp": "window_start"},
    ),
    Dialect(name="polygon", title="Polygon's aggregates", header=("t", "o", "h", "l", "c", "v", "vw", "n")),
    Dialect(name="tiingo", title="Tiingo's CSV", header=("date", "close", "high", "low", "open", "volume", "adjClose")),
    Dialect(
        name="tradingview", title="TradingView's export", header=("time", "open", "high", "low", "close", "Volume")
    ),
)
# Sources whose files are plain tables, or one of the above under another name: `format` takes their names too.
_ALSO_PLAIN = ("yahoo", "yfinance", "stooq", "alphavantage", "tradingview", "freqtrade", "pandas", "tiingo", "polygon")
NAMES = tuple(dict.fromkeys([*(dialect.name for dialect in DIALECTS), *_ALSO_PLAIN, PLAIN.name]))


class Layout(Struct):
    """Where in a file our columns stand, counted from 0 (also `date`, `time`, `adjust` and `symbol`), and by what."""

    where: dict[str, int]
    dialect: Dialect
    assumptions: list[str]
    rivals: tuple[Dialect, ...] = ()  # that have the same cells in another order: the numbers decide


def show(text: str) -> str:
    """Return a cell or the name of a column as part of a sentence."""
    return escaped(text, _CELL)


def is_number(text: str) -> bool:
    """Tell whether a cell looks like a number, however its digits are grouped."""
    return _LOOSE.fullmatch(text.strip()) is not None


def check_reading(reading: Reading) -> None:
    """Refuse keys that can't be meant: unknown names, marks that are none, and what contradicts another."""
    if reading.format is not None and reading.format not in NAMES:
        hint = did_you_mean(reading.format, NAMES)
        if hint.startswith("did"):
            hint = under_data({"format": hint.split("`")[1]}, lead=hint)
        else:
            hint = f"leave format out, or say one of {', '.join(NAMES)}"
        raise InputError(f"unknown format `{show(reading.format)}`", hint=hint)
    for name, value in reading.columns.items():
        if name not in KEYS:
            raise InputError(f"unknown column `{show(name)}` in columns", hint=did_you_mean(name, KEYS))
        if isinstance(value, int) and (isinstance(value, bool) or value < 1):
            raise InputError(
                f"columns.{name} is {value}, and positions count from 1", hint="leave columns out, or count from 1"
            )
    if "timestamp" in reading.columns and {"date", "time"} & reading.columns.keys():
        raise InputError(
            "columns has a timestamp, and a date or time beside it", hint="leave columns out, or take one of them"
        )
    if "time" in reading.columns and "date" not in reading.columns:
        raise InputError("columns has a time and no date", hint="leave columns out, or name the date too")
    if reading.date_format is not None:
        from peak_trade.market import dates

        dates.check_format(reading.date_format)
    if reading.timezone is not None:
        from peak_trade.market import zones

        zones.find_zone(reading.timezone)
    if reading.start or reading.end:
        from peak_trade.market import ranges

        ranges.check_bounds(reading.start, reading.end, reading.timezone)
    if reading.delimiter is not None and reading.delimiter != "tab" and len(reading.delimiter) != 1:
        raise InputError(
            f"delimiter is {show(reading.delimiter)!r}, and separates by one character",
            hint="leave delimiter out, or say such as ; or tab",
        )
    decimal, thousands = reading.decimal, reading.thousands
    if thousands is not None and thousands not in (",", ".", "'", " ", "’", "\u00a0", "\u202f"):
        hint = "leave thousands out, or say one of , . ' or a space"
        raise InputError(f"thousands is {show(thousands)!r}, which groups no digits", hint=hint)
    if thousands is not None and thousands == decimal:
        raise InputError(f"decimal and thousands are both `{decimal}`", hint="leave thousands out")
    if reading.adjust is not None and "close" in reading.columns and reading.columns["close"] == reading.adjust:
        raise InputError(
            f"`{show(reading.adjust)}` is both the close and what it is adjusted by", hint="leave adjust out"
        )


def layout(names: Sequence[str] | None, first: Sequence[str], reading: Reading, path: str, levels: str = "") -> Layout:
    """Return where our columns stand in a file.

    `names` are those of its header, None where it has none; `first` are the cells of its first row, as text; `levels`
    names the dialect that a header of several lines has told. Errors: `InputError`, with the keys that settle it.
    """
    if len(first if names is None else names) == 1 and (first if names is None else names)[0].strip():
        _refuse_one_column((first if names is None else names)[0], reading, path)
    if names is None:
        return _without_header(first, reading, path)
    names = [name.strip() for name in names]
    dialect = _told_by(names, reading, path, levels)
    where = _places(names, first, dialect, reading, path)
    _refuse_missing(names, first, where, reading, path)
    assumptions = []
    plain = [_letters(name) for name in names]
    if "volume" not in where:
        if alike := [name for name, letters in zip(names, plain, strict=True) if "vol" in letters]:
            which = ", ".join(f"`{show(name)}`" for name in alike)
            hint = under_data({"columns": {**reading.columns, "volume": alike[0]}}, lead="say which")
            raise InputError(f"{path} has no column for volume, but {which}", hint=hint)
        assumptions.append("no volume column: filled with 0")
    used = [
        f"{ours} from `{show(names[at]) or 'the first column'}`"
        for ours, at in where.items()
        if names[at] != ours and ours in KEYS
    ]
    if used:
        assumptions.insert(0, f"columns read: {', '.join(used)}")
    adjusted = [name for name, letters in zip(names, plain, strict=True) if letters.startswith("adj")]
    if adjusted and "close" not in reading.columns and reading.adjust is None:
        assumptions.append(f"`{show(adjusted[0])}` is not used: prices are as traded")
    if dialect is not PLAIN:
        assumptions.insert(0, f"read as {dialect.title}{f' ({levels})' if levels else ''}")
    return Layout(where, dialect, assumptions)


def _refuse_one_column(line: str, reading: Reading, path: str) -> None:
    """Refuse a table of one column: its fields are separated by something else."""
    marks = [mark for mark in dict.fromkeys(line) if not mark.isalnum() and mark not in "_-<>.\"'"]
    if reading.delimiter is not None:
        hint = "leave delimiter out, or say what separates the fields"
    elif marks:
        likely = max(marks, key=lambda mark: (mark != ":", line.count(mark)))  # times have colons
        hint = under_data({"delimiter": "tab" if likely == "\t" else likely}, lead="say what separates the fields")
    else:
        hint = "save the table as CSV, with commas between its fields"
    raise InputError(f"{path} has one column, `{show(line)}`", hint=hint)


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.lower()))


def _told_by(names: Sequence[str], reading: Reading, path: str, levels: str) -> Dialect:
    """Return the dialect that a header tells, or the one that was asked for."""
    there = set(names)
    if levels and reading.format in (None, "yfinance"):
        return next(dialect for dialect in DIALECTS if dialect.name == "yfinance")
    fitting = [dialect for dialect in DIALECTS if dialect.header and there.issuperset(dialect.header)]
    if reading.format is None:
        return fitting[0] if fitting else PLAIN
    for dialect in fitting:
        if dialect.name == reading.format:
            return dialect
    if reading.format == PLAIN.name or reading.format in _ALSO_PLAIN:
        return PLAIN
    lacking = min(
        (set(dialect.header) - there for dialect in DIALECTS if dialect.name == reading.format and dialect.header),
        key=len,
        default=set(),
    )
    what = f"it has no column {', '.join(f'`{name}`' for name in sorted(lacking))}" if lacking else "it has a header"
    raise InputError(
        f"{path} is not as {reading.format} writes it: {what}",
        hint=under_data({"format": fitting[0].name if fitting else PLAIN.name}, lead="leave the format out, or say"),
    )


def _places(
    names: Sequence[str], first: Sequence[str], dialect: Dialect, reading: Reading, path: str
) -> dict[str, int]:
    plain = [_letters(name) for name in names]
    where: dict[str, int] = {}
    asked: dict[str, str | int] = {**reading.columns}
    timed = bool({"timestamp", "date", "time"} & asked.keys())
    for ours, theirs in dialect.columns.items():
        if not (timed and ours in ("timestamp", "date", "time")):
            asked.setdefault(ours, theirs)
    if "timestamp" in reading.columns:
        _refuse_half(names, first, reading, path)
    for ours in KEYS:
        if ours in ("date", "time") and ours not in asked:
            continue
        if ours == "timestamp" and "date" in asked:
            continue
        if ours in asked:
            at = _asked(names, first, ours, asked[ours], path, required=ours in reading.columns)
        else:
            at = [i for i, name in enumerate(plain) if name in SPELLINGS[ours]]
        if ours == "timestamp" and len(at) == 2 and (pair := _date_and_time(names, first, at)):
            where |= pair
            continue
        if len(at) > 1:
            which = ", ".join(f"`{show(names[i])}`" for i in at)
            best = next((i for i in at if i < len(first) and _reads(ours, first[i])), at[0])
            same = sum(name.lower() == names[best].lower() for name in names) > 1
            value = best + 1 if same else names[best]
            hint = under_data({"columns": {**reading.columns, ours: value}}, lead="say which")
            raise InputError(f"{path} has several columns for {ours}: {which}", hint=hint)
        if at:
            where[ours] = at[0]
    if not {"timestamp", "date"} & where.keys() and (index := _index(names, first)) is not None:
        where = {"timestamp": index, **where}
    if reading.adjust is not None:
        adjusted = _asked(names, first, "adjust", reading.adjust, path, required=True)[0]
        if taken := [ours for ours, place in where.items() if place == adjusted and ours != "close"]:
            hint = "leave adjust out, or name the column of adjusted closes"
            raise InputError(f"`{show(reading.adjust)}` is the {taken[0]}, and no adjusted close", hint=hint)
        where["adjust"] = adjusted
    if symbols := [i for i, letters in enumerate(plain) if letters in _SYMBOL]:
        where["symbol"] = symbols[0]
    return where


def _asked(
    names: Sequence[str], first: Sequence[str], ours: str, theirs: str | int, path: str, *, required: bool
) -> list[int]:
    """Return the places that a column was asked for by name or position; InputError where there is none."""
    if isinstance(theirs, int):
        if theirs > len(names):
            raise InputError(
                f"{path} has {len(names)} columns, and columns.{ours} is {theirs}",
                hint=f"leave columns out, or say a position from 1 to {len(names)}",
            )
        return [theirs - 1]
    if "{base}" in theirs:
        return _base(names, first, theirs)
    at = [i for i, name in enumerate(names) if name == theirs]
    at = at or [i for i, name in enumerate(names) if name.lower() == theirs.lower()]
    if not at and required:
        shown = [show(name) for name in names if name][:20]
        there = ", ".join(f"`{name}`" for name in shown) or "nothing"
        hint = did_you_mean(theirs, shown)
        if not hint.startswith("did"):
            hint = f"leave {'adjust' if ours == 'adjust' else 'columns'} out, or name a column that is there"
        raise InputError(f"{path} has no column `{show(theirs)}` for {ours}; it has {there}", hint=hint)
    return at


def _base(names: Sequence[str], first: Sequence[str], pattern: str) -> list[int]:
    """Return the place of the volume in the currency that the symbol begins with, else all that might be it."""
    lead = pattern.partition("{")[0].lower()
    at = [i for i, name in enumerate(names) if name.lower().startswith(lead)]
    symbol = next((first[i] for i, name in enumerate(names) if _letters(name) == "symbol" and i < len(first)), "")
    symbol = "".join(filter(str.isalnum, symbol)).lower()
    return [i for i in at if symbol.startswith(names[i][len(lead) :].strip().lower())] or at


def _date_and_time(names: Sequence[str], first: Sequence[str], at: Sequence[int]) -> dict[str, int]:
    """Return the places of a day and of a time of day where two columns are just that."""
    by_name = {_letters(names[i]): i for i in at}
    if set(by_name) != {"date", "time"} or max(at) >= len(first):
        return {}
    day, clock = first[by_name["date"]].strip(), first[by_name["time"]].strip()
    is_clock = re.fullmatch(r"\d\d?:\d\d(:\d\d(\.\d+)?)?( [AaPp][Mm])?|\d{6}|\d{4}", clock)
    is_day = len(day) <= 12 and ":" not in day and not _FORMS["epoch"].fullmatch(day)
    return {"date": by_name["date"], "time": by_name["time"]} if is_clock and is_day else {}


def _refuse_half(names: Sequence[str], first: Sequence[str], reading: Reading, path: str) -> None:
    """Refuse a timestamp that is only the day, or only the time, of two columns that belong together."""
    times = [i for i, name in enumerate(names) if _letters(name) in ("date", "time")]
    halves = _date_and_time(names, first, times) if len(times) == 2 else {}
    if (
        not halves
        or _asked(names, first, "timestamp", reading.columns["timestamp"], path, required=True)[0] not in times
    ):
        return
    day, clock = names[halves["date"]], names[halves["time"]]
    columns = {name: value for name, value in reading.columns.items() if name != "timestamp"}
    raise InputError(
        f"{path} has the day in `{show(day)}` and the time in `{show(clock)}`, and columns names one of them",
        hint=under_data({"columns": {"date": day, "time": clock, **columns}}),
    )


def _index(names: Sequence[str], first: Sequence[str]) -> int | None:
    """Return the place of an index without a name of ours whose cells are dates, as pandas writes it."""
    for at, name in enumerate(names[: len(first)]):
        unnamed = (name.lower() in ("", "index", "unnamed: 0") and at == 0) or name == "__index_level_0__"
        if unnamed and not is_number(first[at]) and _reads("timestamp", first[at]):
            return at
        if unnamed and (_FORMS["epoch"].fullmatch(first[at]) or re.fullmatch(r"(19|20)\d{6}", first[at])):
            return at
    return None


def _reads(ours: str, cell: str) -> bool:
    """Tell whether a cell could be one of a column of ours."""
    cell = cell.strip()
    if ours != "timestamp":
        return is_number(cell)
    if _FORMS["epoch"].fullmatch(cell) or re.match(r"\d{4}-\d\d-\d\d", cell):
        return True
    from peak_trade.market import dates

    return bool(dates.candidates(cell) or dates.further(cell))


def _refuse_missing(
    names: Sequence[str], first: Sequence[str], where: Mapping[str, int], reading: Reading, path: str
) -> None:
    missing = [ours for ours in COLUMNS[:5] if ours not in where]
    if "date" in where:
        missing.remove("timestamp")
    if not missing:
        return
    shown = [show(name) for name in names if name][:20]
    there = ", ".join(f"`{name}`" for name in shown) or "nothing"
    keys = {
        ours: names[at] if names.count(names[at]) == 1 and names[at] else at + 1
        for ours, at in _guessed(names, first, where, missing).items()
    }
    did = did_you_mean(missing[0], shown) if shown else ""
    lead = did if did.startswith("did") or len(keys) < 2 else "check what is what"
    hint = under_data({"columns": {**reading.columns, **keys}}, lead=lead) if keys else did
    raise InputError(f"{path} has no column for {', '.join(missing)}; it has {there}", hint=hint)


def _guessed(
    names: Sequence[str], first: Sequence[str], where: Mapping[str, int], missing: Sequence[str]
) -> dict[str, int]:
    """Return where the missing columns may stand, nothing where that can't be told.

    Each has a column of its own: by its name, else by an order of prices in which the first row is none that breaks the
    contract. Where there are fewer numbers than prices, one column is all of them.
    """
    free = [at for at in range(min(len(names), len(first))) if at not in where.values()]
    found: dict[str, int] = {}
    if "timestamp" in missing:
        times = [at for at in free if _reads("timestamp", first[at])]
        if not times:
            return {}
        found["timestamp"] = times[0]
        free.remove(times[0])
    free = [at for at in free if is_number(first[at])]
    prices = [ours for ours in missing if ours != "timestamp"]
    if len(free) < len(prices):
        one = where.get("close", next(iter(free), None))
        return {} if one is None else found | dict.fromkeys(prices, one)
    for ours in (*prices, *({"volume"} - where.keys())):
        close = did_you_mean(ours, [names[at] for at in free if names[at]])
        near = [at for at in free if f"`{names[at]}`" in close and close.startswith("did")]
        near += [at for at in free if any(word in names[at].lower() for word in _WORDS[ours])]
        if near:
            found[ours] = near[0]
            free.remove(near[0])
    left = [ours for ours in prices if ours not in found]
    for order in _ORDERS:
        chosen = found | dict(zip([ours for ours in order.split() if ours in left], free, strict=False))
        if _is_bar(first, {**where, **chosen}):
            spare = free[len(left) :]
            return chosen | ({"volume": spare[0]} if spare and not {"volume"} & {*where, *chosen} else {})
    return {}


def _is_bar(first: Sequence[str], where: Mapping[str, int]) -> bool:
    """Tell whether the first row has all four prices, the highest of them as its high and the lowest as its low."""
    from peak_trade.market.numbers import Ambiguous, Styled, style_of, styled_floats

    if not where.keys() >= {"open", "high", "low", "close"}:
        return False
    cells = [first[where[name]] for name in ("open", "high", "low", "close")]
    try:
        opened, high, low, close = styled_floats(cells, style_of(cells), suffixes=False)
    except (Ambiguous, Styled):
        return True
    return bool(low <= min(opened, close) and max(opened, close) <= high)


def _without_header(first: Sequence[str], reading: Reading, path: str) -> Layout:
    """Return where our columns stand in a file that begins with a row of values."""
    if reading.columns:
        names = [""] * len(first)
        if text := [value for value in reading.columns.values() if isinstance(value, str)]:
            raise InputError(
                f"{path} has no header, and columns names `{show(text[0])}`",
                hint=under_data({"columns": _positions(first)}, lead="name columns by position"),
            )
        where = {
            ours: _asked(names, first, ours, theirs, path, required=True)[0] for ours, theirs in reading.columns.items()
        }
        missing = [ours for ours in COLUMNS[1:5] if ours not in where]
        missing = [*([] if {"timestamp", "date"} & where.keys() else ["timestamp"]), *missing]
        if missing:
            hint = under_data({"columns": {**_positions(first), **reading.columns}}, lead="name them all")
            raise InputError(f"{path} has no header, and columns lacks {', '.join(missing)}", hint=hint)
        assumptions = [] if "volume" in where else ["no volume column: filled with 0"]
        return Layout(where, PLAIN, assumptions)
    fitting = [
        dialect
        for dialect in DIALECTS
        if len(dialect.cells) == len(first)
        and all(_FORMS[form].fullmatch(cell.strip()) for form, cell in zip(dialect.cells, first, strict=True))
        and reading.format in (None, dialect.name)
    ]
    if not fitting:
        line = show(", ".join(first))
        if reading.format:
            raise InputError(
                f"{path} has no header, and is not as {reading.format} writes it: its first line is `{line}`",
                hint="leave format out, or say what stands where by columns",
            )
        raise InputError(
            f"{path} has no header: its first line is `{line}`",
            hint=under_data({"columns": _positions(first)}, lead="say what stands where"),
        )
    dialect = fitting[0]
    if dialect.zone and not (reading.format or reading.timezone):  # others write the same in another zone
        raise InputError(
            f"{path} has no header, and times as {dialect.title} have them, in a zone that they do not say",
            hint=under_data({"format": dialect.name}, {"timezone": "UTC"}, lead="say which it is"),
        )
    where = {ours: int(at) - 1 for ours, at in dialect.columns.items()}
    orders = {tuple(other.columns) for other in fitting}
    return Layout(where, dialect, [f"read as {dialect.title}"], tuple(fitting) if len(orders) > 1 else ())


def _positions(first: Sequence[str]) -> dict[str, str | int]:
    """Return columns by position for a file whose first cells are these: from the first time on, in an order of prices
    in which the row is none that breaks the contract.
    """
    start = next((at for at, cell in enumerate(first) if _reads("timestamp", cell)), 0)
    clock = first[start + 1].strip() if start + 1 < len(first) else ""
    timed = not is_number(clock) and re.match(r"\d\d?:", clock)
    names = ("date", "time") if timed else ("timestamp",)
    after = start + len(names)
    for order in _ORDERS:
        where = dict(zip(order.split(), range(after, len(first)), strict=False))
        if _is_bar(first, where):
            break
    else:
        where = dict(zip(_OHLCV[:4], range(after, len(first)), strict=False))
    if after + 4 < len(first):
        where["volume"] = after + 4
    times = {name: start + at for at, name in enumerate(names)}
    return {name: at + 1 for name, at in {**times, **{name: where[name] for name in _OHLCV if name in where}}.items()}


def as_markdown() -> str:
    """Return what is read as a table in Markdown, a line a source."""
    lines = ["| `format` | written as | told by | besides |", "|---|---|---|---|"]
    told: dict[str, list[Dialect]] = {}
    for dialect in DIALECTS:
        told.setdefault(dialect.name, []).append(dialect)
    for name, kinds in told.items():
        titles = ", ".join(dict.fromkeys(kind.title for kind in kinds))
        marks = []
        for kind in kinds:
            if kind.header:
                marks.append(f"`{','.join(kind.header)}`")
            else:
                marks.append(f"no header, {len(kind.cells)} fields")
        besides = []
        if any(kind.newest_first for kind in kinds):
            besides.append("newest first")
        if forms := list(dict.fromkeys(form for kind in kinds for form in kind.dates)):
            besides.append("dates as " + ", ".join(f"`{form}`" for form in forms))
        if zones := sorted({kind.zone for kind in kinds if kind.zone}):
            besides.append(f"in {', '.join(zones)}")
        lines.append(f"| `{name}` | {titles} | {'; '.join(dict.fromkeys(marks))} | {'; '.join(besides)} |")
    return "\n".join(lines)

"""What the files in `scripts/` share: arguments, errors and output in the house voice.

A script is a module docstring (its help), a `main() -> int`, and `script.run(main)`:
stdout carries the result alone, everything said to a person goes to stderr,
and the exit code is 0 (done), 1 (the thing run or checked failed) or 2 (wrong usage, config or input).
Imports only the standard library and leaves (`errors`, `text`, `terminal`, `places`), so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Never, NoReturn, TextIO

from peak_trade import places
from peak_trade.errors import InputError, PeakError, did_you_mean
from peak_trade.terminal import coloured, progress, say, show
from peak_trade.text import json_escaped, one_line
from peak_trade.threads import ONE

__all__ = [
    "Parser",
    "as_here",
    "claim_stdout",
    "coloured",
    "command_options",
    "count",
    "end_with",
    "given_run_id",
    "is_open",
    "list_keys",
    "list_options",
    "loading",
    "name_run",
    "note",
    "one_thread",
    "parser",
    "print_json",
    "progress",
    "reading_keys",
    "reading_options",
    "repo_root",
    "results_dir",
    "run",
    "seconds",
    "seed",
    "show",
    "show_warnings",
    "size",
    "sweep_options",
    "under_telemetry",
    "warn",
]

command: str | None = None  # what the script was started as, where that is not its file's name


class Parser(argparse.ArgumentParser):
    """An argument parser whose usage errors are `InputError`s: one sentence, a hint, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print with its usage block.

        Raises:
            InputError: always.
        """
        raise InputError(message, hint=f"`{_help_of(self.prog)}` shows the usage")

    def _print_message(self, message: str, file: Any = None) -> None:
        show(message, file, end="")  # argparse's own way writes as it is: a program's name, say

    def parse_args(  # type: ignore[override] # argparse overloads it for namespaces of one's own; scripts have none
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """Parse like argparse, but answer an unknown option with the nearest known one.

        Raises:
            InputError: for any usage error.
        """
        words = _joined(sys.argv[1:] if args is None else args)
        parsed, unknown = self.parse_known_args(words)
        if unknown and not any(word.startswith("-") for word in unknown):  # as in `compare A --exit-code B`
            parsed, unknown = self.parse_known_intermixed_args(words)
        if not unknown:
            return parsed
        stray = next((word for word in unknown if word.startswith("-")), None)
        if stray is None:
            self.error(f"unexpected argument `{unknown[0]}`")
        name = stray.split("=", 1)[0]
        raise InputError(f"unknown option `{name}`", hint=did_you_mean(name, self._option_string_actions))


def _help_of(prog: str) -> str:
    """Return the command that shows a program's usage: of a script that a recipe wraps, the recipe's."""
    from peak_trade.commands import COMMANDS  # only on the way out

    recipe = next((name for name, one in COMMANDS.items() if one.script == prog), None) or _recipe_of(prog)
    return f"just help {recipe}" if recipe else f"{prog} --help"


def _recipe_of(prog: str) -> str | None:
    """Return the recipe of a checkout that starts a script: those for developers are in its justfile alone."""
    recipe, checkout = None, places.checkout()
    if checkout is None:
        return None
    with suppress(OSError):
        for line in (checkout / "justfile").read_text(encoding="utf-8").splitlines():
            if head := re.match(r"([a-z][a-z-]*)\b[^:=]*:(?!=)", line):
                recipe = head[1]
            elif re.search(rf"python scripts/(?:\w+/)*{re.escape(prog)}(?: |$)", line):
                return recipe
    return None


def _joined(args: Sequence[str]) -> list[str]:
    """Join an option to a value such as `-5y`, which argparse takes for an option of its own.

    >>> _joined(["bars.csv", "--start", "-5y"])
    ['bars.csv', '--start=-5y']
    """
    words: list[str] = []
    for word in args:
        if words and re.fullmatch(r"-\d+[A-Za-z]", word) and re.fullmatch(r"--[a-z-]+", words[-1]):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def count(text: str) -> int:
    """Read an argument that counts something: a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def size(text: str) -> int:
    """Read an argument that is a size in bytes, as 500M or 2G: powers of 1024.

    >>> size("2G")
    2147483648
    """
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]?)i?B?", text.strip(), re.IGNORECASE)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: say 500M or 2G")
    if (found_bytes := int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is nothing")
    return found_bytes


def seconds(text: str) -> float:
    """Read an argument that is a time in seconds, above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time above 0")
    return number


def one_thread() -> None:
    """Hold what this process loads, and starts, to one thread each for BLAS and OpenMP: call it before NumPy is loaded.

    Many workers side by side would else start as many threads each as there are cores.
    """
    os.environ.update(ONE)


def seed(text: str) -> int:
    """Read an argument that seeds random numbers: a whole number from 0 on."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def parser(doc: str | None, *, results: bool = False, lake: bool = False, **options: Any) -> Parser:
    """Return a parser whose help is the module docstring `doc` and that knows `--debug`.

    A script of runs asks for `--results-dir` by `results`, one of the lake for `--lake-dir` by `lake`.

    >>> parser("Add two numbers.\\n\\nBoth are integers.", prog="add").description
    'Add two numbers.\\n\\nBoth are integers.'
    """
    made = Parser(
        description=(doc or "").strip(),
        formatter_class=_formatter,
        allow_abbrev=False,  # an abbreviation that works today is ambiguous after the next option
        **{"prog": command} | options,
    )
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    if results:
        made.add_argument(
            "--results-dir", metavar="DIR", help="where the runs are (default: $PEAK_RESULTS_DIR, else results/)"
        )
    if lake:
        made.add_argument(
            "--lake-dir", metavar="DIR", help="where the lake is (default: $PEAK_LAKE_DIR, else data/lake/)"
        )
    return made


def reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how files of bars are read: the keys of `[data]` that `config.Reading` has."""
    group = parser.add_argument_group("how the files are read (detected by default)")
    for name, metavar, text in (
        ("format", "NAME", "the dialect of the files"),
        ("date-format", "FORMAT", "how dates are written, as %%d.%%m.%%Y"),
        ("timezone", "ZONE", "the zone of times without one, as America/New_York (default: UTC)"),
        ("delimiter", "MARK", "what separates the fields"),
        ("decimal", "MARK", "the decimal mark, `.` or `,`"),
        ("thousands", "MARK", "what groups the digits"),
        ("start", "TIME", "leave out the bars before it"),
        ("end", "TIME", "leave out the bars from it on"),
        ("adjust", "COLUMN", "scale the prices by this column of adjusted closes"),
    ):
        group.add_argument(f"--{name}", metavar=metavar, help=text)
    group.add_argument("--columns", metavar="OURS=THEIRS", action="append", help="a column by its name or position")
    group.add_argument("--sort", action="store_true", default=None, help="sort the rows by time")


def reading_keys(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keys of `[data]` that `reading_options` were given for."""
    names = ("format", "date_format", "timezone", "delimiter", "decimal", "thousands", "start", "end", "adjust", "sort")
    keys = {name: value for name in names if (value := getattr(args, name)) is not None}
    columns = _columns(args.columns, "--columns timestamp=Date")
    return keys | {"columns": columns} if columns else keys


def sweep_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a sweep asks for and who works: the fields of `sweep.Wish` and `sweep.Work`."""
    parser.add_argument("--grid", action="append", metavar="KEY=…", help="vary a key: a:b:step or a,b,c")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key for all trials")
    best = parser.add_mutually_exclusive_group()
    for name, kind, metavar, text in (
        ("random", count, "N", "so many of the combinations, drawn by --seed"),
        ("optuna", count, "N", "search: so many trials, each batch by what those before it came to"),
        ("sampler", str, "NAME", "of the search: tpe (default), random, cmaes or nsgaii"),
        ("batch", count, "N", "trials of the search that are asked for at once (default: 8)"),
        ("seed", seed, "S", "of what is drawn (default: 0)"),
        ("maximize", str, "STAT", "what the best has most of (default: sharpe)"),
        ("minimize", str, "STAT", "what the best has least of"),
        ("keep", _keep, "N", "so many of the best as full runs of their own, or `all` (default: 20)"),
    ):
        place = best if name in ("maximize", "minimize") else parser
        place.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    folds = parser.add_argument_group("choose on some bars, trade others")
    folds.add_argument("--walk-forward", nargs=2, metavar=("train=730d", "test=180d"), help="choose, then trade")
    folds.add_argument("--anchored", action="store_true", default=None, help="train from the first bar on")
    folds.add_argument("--carry", action="store_true", default=None, help="keep positions over the folds' edges")
    folds.add_argument("--cpcv", metavar="N,K", help="cross-validation: N groups of bars, K of them tested")
    folds.add_argument("--embargo", metavar="LENGTH", help="bars between train and test that are left out")
    folds.add_argument("--choose", metavar="STAT", help="what is chosen on train bars (default: of --maximize)")
    group = parser.add_argument_group("who works (it changes no byte)")
    works: tuple[tuple[str, Callable[[str], Any], str, str], ...] = (
        ("jobs", count, "N", "workers (default: as many as cores that this process may use)"),
        ("timeout", seconds, "S", "stop a trial that takes longer (default: run.timeout_s)"),
        ("memory-limit", size, "SIZE", "what a worker may take beside what all share, as 2G"),
        ("executor", str, "NAME", "`dask`: by the workers of --scheduler (default: local)"),
        ("scheduler", str, "URL", "a scheduler of Dask's, as tcp://host:8786, whose workers share the results folder"),
        ("join", str, "PARENT", "in place of CONFIG: work along on a sweep that has begun in the same results folder"),
    )
    for name, read, metavar, text in works:
        group.add_argument(f"--{name}", type=read, metavar=metavar, help=text)


def command_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is noted of each trial of a command: those of `just record`."""
    group = parser.add_argument_group("of a command, which stands after `--`; CONFIG is left out")
    group.add_argument("--name", default="", metavar="TEXT", help="what lists call the sweep")
    group.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a tag of the sweep")
    group.add_argument("--input", nargs="+", action="extend", default=[], metavar="FILE", help="what it reads")
    roles = "keep what it leaves elsewhere: equity=, trades=, returns= or output= and a pattern"
    group.add_argument("--collect", nargs="+", action="extend", default=[], metavar="ROLE=GLOB", help=roles)
    group.add_argument("--engine", default="auto", metavar="NAME", help="auto, off, or the one to watch for")
    group.add_argument("--pick", default="last", metavar="TRIAL", help="of those that it makes: last, best:STAT, 0…")


def _keep(text: str) -> int:
    """Read how many runs are kept: a number, or all of as many as a sweep can have."""
    if text != "all" and not text.lstrip("-").isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor `all`")
    return 1_000_000 if text == "all" else seed(text)


def list_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a list of trades is read, and held against a run."""
    group = parser.add_argument_group("against trades that were made")
    group.add_argument("--live", metavar="FILE", help="a list of trades or of fills: CSV, JSON, or tradesv3.sqlite")
    for name, metavar, text in (
        ("form", "NAME", "whose list it is (default: told by its columns)"),
        ("symbol", "NAME", "what the list calls the run's symbol"),
        ("timezone", "ZONE", "the zone of times without one (default: UTC)"),
        ("within", "TIME", "how far apart entries of one trade may be, as 90s or 2h (default: a bar)"),
        ("scale", "X", "multiply the run's sizes by X, or `auto` (default: 1)"),
        ("start", "TIME", "leave out trades entered before it"),
        ("end", "TIME", "leave out trades entered from it on"),
    ):
        group.add_argument(f"--{name}", metavar=metavar, help=text)
    group.add_argument("--columns", metavar="OURS=THEIRS", action="append", help="a column by its name or position")


def list_keys(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `list_options` were given, but for the file; InputError where they were, and no file."""
    names = ("form", "symbol", "timezone", "within", "scale", "start", "end")
    keys = {name: value for name in names if (value := getattr(args, name)) is not None}
    if columns := _columns(args.columns, "--columns entry_time=Opened"):
        keys["columns"] = columns
    if keys and not args.live:
        raise InputError(f"--{next(iter(keys))} goes with --live", hint="--live FILE")
    return keys


def _columns(given: Sequence[str] | None, example: str) -> dict[str, str | int]:
    columns: dict[str, str | int] = {}
    for pair in (pair for text in given or () for pair in text.split(",")):
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise InputError(f"--columns takes OURS=THEIRS, not `{pair}`", hint=example)
        columns[ours.strip()] = int(theirs) if theirs.strip().isdigit() else theirs.strip()
    return columns


def _formatter(prog: str) -> argparse.HelpFormatter:
    # argparse makes one per argument, and asks shutil, which brings every compressor, how wide the terminal is
    columns = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    return argparse.RawDescriptionHelpFormatter(prog, width=min(columns or 100, 100))


@contextmanager
def loading() -> Iterator[None]:
    """Import what a command needs, within the block: a tenth of a short command's time less.

    What imports make is there for good: no garbage is looked for in it, here or at the exit.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def run(main: Callable[[], int]) -> Never:
    """Run `main` and leave the process with its exit code; errors become a sentence, a hint and a code.

    `PeakError` gives its own exit code, an interrupt and anything unexpected give 1;
    a reader that closed stdout early (`… | head`) is no error.
    """
    debug = "--debug" in sys.argv[1:]
    if os.name != "nt":
        _open_what_was_closed()
    try:
        # A path that is no text goes out as it is; a sign that a locale lacks is shown by its number, not died of.
        utf8 = sys.stdout.encoding.lower() == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")  # type: ignore[union-attr]
        if os.name == "nt":  # a run relies on locks, renames and flushes of POSIX
            raise InputError("windows is supported through WSL 2 only", hint="wsl --install, then work in there")
        code = main()
        sys.stdout.flush()
    except PeakError as error:
        code = error.exit_code
        _fail(error.message, error.hint, debug=debug)
    except KeyboardInterrupt:
        code = 1
        _fail("interrupted", debug=debug)
    except Exception as error:  # noqa: BLE001 - the outermost guard: an operator reads a sentence, not a traceback
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            sys.exit(0)
        code = 1
        _fail(*_unforeseen(error), debug=debug)
    if text := os.environ.pop("PEAK_SKIPPED", ""):  # no run has taken it over: there was none
        part, _, reason = text.partition(": ")
        reason, _, hint = reason.partition("; hint: ")
        warn(f"{part} skipped: {reason}", hint=hint)
    sys.exit(code)


def _unforeseen(error: Exception) -> tuple[str, str]:
    """Return a sentence and a hint for an error that nobody had a word for; one of the system's is no fault of ours."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.errno and error.strerror:
        where = f"{one_line(error.filename)}: " if error.filename else ""
        return f"{where}{one_line(error.strerror).lower()}", "check the disk and your rights; `--debug` shows where"
    if isinstance(error, OverflowError) and _clock_is_beyond():
        return "this machine's clock is beyond what Python can tell, the year 2262", "set the clock, then repeat"
    return f"internal: {type(error).__name__}: {one_line(error)}".rstrip(": "), "`--debug` shows where"


def _clock_is_beyond() -> bool:
    try:
        time.time()
    except OverflowError:
        return True
    return False


def _open_what_was_closed() -> None:
    """Give the process the standard streams that it was started without (`2>&-`), leading nowhere.

    Else the next file that is opened takes the number, and gets what is meant for a person. A shell that was started
    so leaves its own script there, which can't be written.
    """
    import fcntl  # not where Windows is refused

    for number in range(3):
        try:
            usable = number == 0 or fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        except OSError:
            usable = False
        if not usable and (nowhere := os.open(os.devnull, os.O_RDWR)) != number:  # it takes the lowest that is free
            os.dup2(nowhere, number)
            os.close(nowhere)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 - for good


def note(message: str) -> None:
    """Tell the person at the terminal something: one line on stderr."""
    _say(message)


def warn(message: str, *, hint: str = "") -> None:
    """Tell the person at the terminal that something was skipped or looks wrong."""
    _say(_masked(message), label="warn")
    if hint:
        _say(_masked(hint), label="hint")


def end_with(faults: Iterable[PeakError], skipped: tuple[type[PeakError], ...] = ()) -> None:
    """Warn of each fault once, but raise the last that is not of a kind that may be `skipped`.

    >>> end_with([])
    """
    told = list({fault.message: fault for fault in faults}.values())
    last = next((fault for fault in reversed(told) if not isinstance(fault, skipped)), None)
    for fault in told:
        if fault is not last:
            warn(fault.message, hint=fault.hint)
    if last:
        raise last


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Print `value` on stdout as JSON; a NaN or an infinity is an error, not invalid JSON.

    A terminal gets what it would obey as JSON's own escapes: the same value.
    """
    import json  # not every script prints JSON

    text, stream = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False), stream or sys.stdout
    if stream.isatty():
        text = json_escaped(text)
    show(text, stream, exact=True)


def claim_stdout() -> TextIO:
    """Return a stream to the real stdout, and turn all else that is written to stdout to stderr.

    By descriptor, so that a library or a child process that prints does not get in between either.
    """
    sys.stdout.flush()
    claimed = os.fdopen(_high(1), "w", buffering=1, encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)
    _CLAIMED.append(claimed)
    _MARKS[claimed.fileno()] = os.fstat(claimed.fileno())
    return claimed


def is_open(claimed: TextIO) -> bool:
    """Tell whether a claimed stream still leads where it did: a strategy may close what it finds open."""
    try:
        return os.path.samestat(os.fstat(claimed.fileno()), _MARKS[claimed.fileno()])
    except OSError:
        return False


def _high(number: int) -> int:
    """Duplicate a descriptor to a number above those that programs close to be on the safe side (`closerange`)."""
    import fcntl  # not where Windows is refused

    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 512)
    except OSError:  # more than this process may have
        return os.dup(number)


_CLAIMED: list[TextIO] = []
_MARKS: dict[int, os.stat_result] = {}


def show_warnings() -> None:
    """Show what the package logs as a warning in the house voice, on stderr."""
    import logging  # not every script logs

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if hasattr(record, "traceback"):  # an error that ends the process: it is told at the end, once
                return
            try:
                said = record.getMessage()
                message, _, hint = (one_line(said) if record.name == "py.warnings" else said).partition("; hint: ")
            except Exception:  # noqa: BLE001 - a strategy's log call with the wrong arguments is no reason to die
                message, hint = f"{record.msg} {record.args}", ""
            warn(message, hint=hint)

    handler = Handler(logging.WARNING)
    logging.getLogger().addHandler(handler)


def under_telemetry() -> None:
    """Start this program anew through OpenTelemetry's command where `PEAK_OTEL_ENABLED=1` asks for it; else return.

    Once: the program that is started so returns from here, and so does one that is to run plainly, with the reason in
    `PEAK_SKIPPED`. Call it after the arguments are read and before anything heavy is imported.
    """
    if os.environ.get("PEAK_OTEL_ENABLED") != "1" or "peak_trade.obs" in sys.modules or "PEAK_SKIPPED" in os.environ:
        return
    if os.environ.pop("PEAK_OTEL_BEFORE", None):  # that command ran, and did not load what it was told to
        reason = "opentelemetry-instrument did not start it"
    else:
        launch = str(Path(__file__).with_name("obs") / "launch.py")
        try:
            os.execv(sys.executable, [sys.executable, "-P", launch, sys.executable, *sys.orig_argv[1:]])
        except OSError as error:
            reason = f"{launch}: {error.strerror}"
    os.environ["PEAK_SKIPPED"] = f"telemetry: {reason}; hint: just setup observability"


def given_run_id() -> str | None:
    """Return the run_id that the environment gives, and take it out: it is of one run alone, which may start others.

    That of a command that is being recorded is the recorder's, not that of a run which the command makes.
    """
    found = os.environ.pop("PEAK_RUN_ID", None)
    recorded = os.path.basename(os.path.dirname(os.environ.get("PEAK_RUN_DIR", "")))
    return None if not found or found == recorded else found


def repo_root() -> Path:
    """Return the checkout that holds this package; of one that was installed without, the current folder."""
    return places.root()


def results_dir(given: str | os.PathLike[str] | None = None, *, there: bool = False) -> Path:
    """Return where runs are kept: `given`, else `$PEAK_RESULTS_DIR`, else `results/` below `repo_root()`.

    Raises:
        InputError: if one that was `given` should be `there` and is not.
    """
    if there and given and not Path(given).is_dir():
        raise InputError(f"there is no folder {Path(given).absolute()}", hint="check --results-dir")
    return places.results(given)


def name_run(error: PeakError, given: str | None) -> None:
    """Have an error's hint name the evidence that the run left, where it does not yet."""
    import shlex  # only on the way out

    run_id = error.run_id
    if run_id and run_id[:8] not in error.hint and (results_dir(given) / run_id).is_dir():
        where = f" --results-dir {shlex.quote(given)}" if given else ""
        error.hint = "; ".join(filter(None, (error.hint, f"just show {run_id[:8]}{where}")))


def _fail(message: str, hint: str = "", *, debug: bool) -> None:
    if debug:
        from peak_trade.traces import formatted  # only on the way out

        if (error := sys.exception()) is not None:
            show(_masked(formatted(error)), sys.stderr, end="")
    _say(_masked(message), label="error")
    if hint:
        _say(_masked(hint), label="hint")


def _masked(text: str) -> str:
    from peak_trade.redact import Redactor  # only where something is wrong

    return Redactor().text(text)


def _say(message: str, *, label: str = "") -> None:
    say(as_here(message), label=label)


def as_here(text: str) -> str:
    """Return a text as it is in a checkout; away from one, with its recipes named as an installed package has them."""
    return text if places.checkout() else _without_just(text)


def _without_just(text: str) -> str:
    """Name recipes as an installed package has them.

    >>> _without_just("just setup lake adds it; then just lake-build, or just run config/my_strategy.toml")
    "pip install 'peak-trade[lake]' adds it; then peak-trade lake-build, or peak-trade run CONFIG"
    """
    from peak_trade.commands import COMMANDS  # only away from a checkout

    text = re.sub(r"\bjust setup (\w+)", r"pip install 'peak-trade[\1]'", text)
    text = re.sub(rf"\bjust (?=(?:{'|'.join(COMMANDS)})\b)", "peak-trade ", text)
    return text.replace("run config/my_strategy.toml", "run CONFIG")


def _reader_is_gone() -> bool:
    """Tell whether stdout's reader has closed its end; if so, keep the interpreter from flushing to it at exit."""
    import select  # only on the way out

    stdout = (_CLAIMED or [sys.stdout])[-1].fileno()
    poll = select.poll()
    poll.register(stdout, 0)
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return True

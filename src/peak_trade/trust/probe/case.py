"""What is to be probed: the bars that a config or a run names, and its strategy, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from peak_trade import config, strategies
from peak_trade.config import Config, Source
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence.results import Results
from peak_trade.market.bars import Bars, Floats
from peak_trade.market.ohlcv import Loaded
from peak_trade.probe import Asking
from peak_trade.probe.asking import kept_alive
from peak_trade.probe.watch import Watch
from peak_trade.runner.holdout import withhold
from peak_trade.runner.limits import TimeOut, within
from peak_trade.runner.order import seed_generators
from peak_trade.strategies import entrypoint
from peak_trade.trust.handed import Handed
from peak_trade.trust.replay import data
from peak_trade.trust.replay.order import lay_out
from peak_trade.trust.replay.recorded import Recorded

__all__ = ["Case", "of_config", "of_run"]


class Case(Struct, frozen=True, eq=False):
    """A strategy that has decided `target` over `bars`; `said` is what a reader has to know of how it was found."""

    name: str
    config: Config
    bars: Bars
    asking: Asking
    target: Floats
    said: list[str] = []


@contextmanager
def of_config(path: Path, overrides: Sequence[str], root: Path, results: Results) -> Iterator[Case]:
    """Yield the case of a config, without the bars that are held out from its runs.

    Raises InputError as a run does, RunError where the strategy fails.
    """
    asked, held = withhold(config.load(path, overrides), root, results.path)
    loaded = data.load(asked.config, [config.locate(asked.config.data.path, asked.bases(root))])
    yield _case(path.name, asked, loaded, root, [": ".join(held)] if held else [])


@contextmanager
def of_run(one: Handed, root: Path, *, here: bool = False) -> Iterator[Case]:
    """Yield the case of a run: its sealed config and code (or those `here`), on its data or what came along of it.

    Raises InputError where it can't be made again.
    """
    recorded = Recorded(one.run, one.results)
    found = data.find(recorded, root, along=one.data, compared=False)
    with TemporaryDirectory(prefix="peak_trade-") as folder:
        place = Path(folder)
        order = lay_out(recorded, found, place, root, here=here)
        asked = order.asked
        files = {name: Path(file) for name, file in order.modules.items()}
        with entrypoint.sealed(files, Path(order.entry) if order.entry else None):
            yield _case(recorded.name, asked, found.loaded, Path(order.root), found.said)


def _case(name: str, asked: Source, loaded: Loaded, root: Path, said: Sequence[str] = ()) -> Case:
    strategy, watch = asked.config.strategy, Watch(file.path for file in loaded.files)
    loaded.bars.freeze()

    def load() -> Callable[..., Any]:
        seed_generators(asked.config.run.seed)
        with watch.looking(effects=False):
            return strategies.load_entrypoint(strategy.entrypoint or "", asked.bases(root))

    def begin() -> tuple[Asking, Floats]:
        function = load() if strategy.name is None else strategies.resolve(strategy.name)
        params = strategies.check_params(function, strategy.params)
        manner = strategies.Manner.of(strategy, lenient=asked.lenient)
        asking = Asking(function, params, watch, load if strategy.name is None else None, manner)
        return asking, asking.first(loaded.bars.apart())

    limit = asked.config.run.timeout_s
    try:
        with kept_alive():
            asking, target = within(limit, begin)
    except (PeakError, KeyboardInterrupt):
        raise
    except TimeOut:
        raise RunError(f"the strategy ran longer than run.timeout_s = {limit:g} s") from None
    except BaseException as error:  # whatever a strategy raises or ends by, a person reads a sentence, and no pass
        raise RunError(
            f"the strategy raised {_named(error)}", hint="just run keeps the traceback in the run's log"
        ) from error
    return Case(name, asked.config, loaded.bars, asking, target, list(said))


def _named(error: BaseException) -> str:
    name = type.__dict__["__name__"].__get__(type(error))
    try:
        return f"{name}: {error}".removesuffix(": ")
    except BaseException:  # noqa: BLE001 - the text of an exception is a user's code too
        return str(name)

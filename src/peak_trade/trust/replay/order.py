"""What is to be made again: config, code and bars, laid out in a folder that is thrown away."""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import nullcontext, suppress
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade import runner, strategies
from peak_trade.config import Source
from peak_trade.errors import InputError
from peak_trade.evidence import door, tables
from peak_trade.market.ohlcv import Loaded
from peak_trade.runner.order import seed_generators
from peak_trade.strategies import entrypoint
from peak_trade.sweep.bench import Bench, Came
from peak_trade.sweep.rows import BLOCKS, KEYS, Row, Rows
from peak_trade.sweep.stitching import Leg, stitched
from peak_trade.sweep.task import Task
from peak_trade.trust.replay import beside, data
from peak_trade.trust.replay.data import Data
from peak_trade.trust.replay.recorded import Recorded, source

__all__ = ["Order", "lay_out"]


class Order(Struct):
    """A run to be made, in a form that another process takes: paths are texts.

    `config` is where the config's file is taken to lie, `modules` are files of sealed code by their modules, `entry` is
    the file of an entrypoint; without sealed code there is neither.

    With `tasks` it is these trials of a sweep that are made, and their rows go to the file `rows`, one after the other;
    the equity of the one whose number `whole` is goes beside it, as equity.csv. With `legs` too, the last row is that
    of the account over these, one after the other, and so is equity.csv.
    """

    content: bytes
    resolved: bytes
    config: str
    root: str
    results: str
    paths: list[str]
    span: tuple[str, str] | None = None
    modules: dict[str, str] = {}
    entry: str | None = None
    benchmark: list[str] = []
    lenient: bool = False  # it is from before signals were declared
    tasks: list[Task] = []
    rows: str = ""
    whole: int | None = None
    legs: list[Leg] = []
    carry: bool = False

    def make(self, loaded: Loaded | None = None) -> None:
        """Make the run, in this process; of bars that are `loaded` already, else as the files have them."""
        asked = self.asked
        if loaded is None:
            loaded = data.load(asked.config, self.paths, whole=self.span is not None)
            loaded = data.between(loaded, self.span) if self.span else loaded
            loaded = data.with_benchmark(asked.config, loaded, self.benchmark)
        files = {name: Path(file) for name, file in self.modules.items()}
        of_sealed = entrypoint.sealed(files, Path(self.entry) if self.entry else None) if files else nullcontext()
        with of_sealed:
            if self.tasks or self.legs:
                self._trials(asked, loaded)
            else:
                runner.run(asked, root=self.root, results=self.results, bars=loaded)

    def _trials(self, asked: Source, loaded: Loaded) -> None:
        strategy = asked.config.strategy
        loaded.bars.freeze()
        seed_generators(asked.config.run.seed)
        if strategy.name is None:
            function = strategies.load_entrypoint(strategy.entrypoint or "", asked.bases(Path(self.root)))
        else:
            function = strategies.resolve(strategy.name)
        bench = Bench(asked, loaded.bars, function, loaded.benchmark)
        with open(self.rows, "wb", buffering=0) as file:  # a row is there once it is made, whatever comes
            for at, task in enumerate(self.tasks):
                row = Rows.of([bench.trial(task)]).encode()
                file.write(struct.pack("<I", len(row)) + row)
                if at == self.whole:
                    with suppress(Exception):  # its row says why there is none
                        self._leave(bench.make(task))
            if self.legs:
                came = stitched(bench, self.legs, carry=self.carry)
                values = np.array([np.nan if one is None else one for one in (came.figures[key] for key in KEYS)])
                row = Rows.of([Row({}, -1, "", "", values, came.digests, np.full((2, BLOCKS), np.nan), 0.0)]).encode()
                file.write(struct.pack("<I", len(row)) + row)
                self._leave(came)

    def _leave(self, came: Came) -> None:
        Path(self.rows).with_name("equity.csv").write_bytes(b"".join(tables.series_csv(came.equity)))

    @property
    def asked(self) -> Source:
        """What the run was asked for."""
        asked = source(self.content, self.resolved, Path(self.config))
        return msgspec.structs.replace(asked, lenient=self.lenient)

    def encode(self) -> bytes:
        """Return the order in bytes."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(content: bytes) -> Order:
        """Return the order that these bytes are."""
        return msgspec.msgpack.decode(content, type=Order)


def lay_out(recorded: Recorded, found: Data, place: Path, root: Path, *, here: bool) -> Order:
    """Return the order to make a run again in `place`; from the checkout at `root` where the code is that of `here`.

    Raises InputError where a file of the code is neither sealed nor the same here.
    """
    results = place / "results"
    results.mkdir()
    lenient = recorded.sealed.manifest.format == 1
    folder = PurePosixPath(recorded.folder)
    if here:
        return Order(
            recorded.content, recorded.resolved, str(root / folder / "config.toml"), str(root), str(results),
            found.paths, found.span, benchmark=found.benchmark, lenient=lenient,
        )  # fmt: skip
    top = place / "code"
    spec = (recorded.config.strategy.entrypoint or "").rpartition(":")[0]
    where = beside.origin(recorded.entry, spec, [root / folder, root])
    files = recorded.code() | _left_out(recorded, where)
    for name, content in (files | _run_beside(recorded, files, spec)).items():
        path = top / _safe(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    beside.link(top, files, where)
    home = top / folder if not folder.is_absolute() and ".." not in folder.parts else top
    home.mkdir(parents=True, exist_ok=True)
    modules = {name: str(top / file) for name, file in recorded.modules.items() if file in files}
    return Order(
        recorded.content, recorded.resolved, str(home / "config.toml"), str(top), str(results), found.paths,
        found.span, modules, str(top / _safe(recorded.entry)) if recorded.entry else None, found.benchmark, lenient,
    )  # fmt: skip


def _run_beside(recorded: Recorded, files: dict[str, bytes], spec: str) -> dict[str, bytes]:
    """Return files that were run without being modules, where the file of an entrypoint from elsewhere looks for them.

    Those lie in a run as they lay beside its config, that file by its name alone.
    """
    entry, found = recorded.entry or spec, dict[str, bytes]()
    for name in files.keys() - set(recorded.modules.values()) if entry != spec else ():
        place = os.path.normpath(PurePosixPath(entry).parent / os.path.relpath(name, PurePosixPath(spec).parent))
        if not place.startswith(("..", "/")) and place not in files:
            found[place] = files[name]
    return found


def _left_out(recorded: Recorded, where: beside.Origin) -> dict[str, bytes]:
    """Return the files that were not sealed, for a secret in them, say, from where they came.

    Raises InputError where they are not there any more as they were.
    """
    found: dict[str, bytes] = {}
    for name, reason in recorded.left_out.items():
        expected = recorded.sealed.code_files.get(name)
        path = PurePosixPath(_safe(name))
        try:
            content = door.read(where(path.parent), path.name)
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != expected:
            raise InputError(
                f"code/{name} is not in the run: {reason}", hint="--code here takes the code of this checkout"
            )
        found[name] = content
    return found


def _safe(name: str) -> str:
    """Return the name of a file below code/; InputError where it leads elsewhere."""
    if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise InputError(f"code/{name!r} is no name of a file in a run")
    return name

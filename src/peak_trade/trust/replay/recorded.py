"""A run as it lies sealed, as far as it can be made again: its config, its code, and the bars that it names.

It may come from a stranger. All that is taken of it is held against its manifest first, and the manifest against the
ledger, or against the two lines of it that the run carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from peak_trade import config
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import code, documents, door, manifest, seal
from peak_trade.evidence.results import Results
from peak_trade.redact import MASK
from peak_trade.trust import difference

__all__ = ["Recorded", "Whole", "source"]

_CONFIG, _RESOLVED = "config_snapshot.toml", "config_snapshot.json"


class Whole:
    """A run that is what was sealed, whatever it is of, also one that failed.

    Raises InputError where a file of it is not what was sealed.
    """

    def __init__(self, run: Path, results: Results | None) -> None:
        self.run = run
        try:
            self.sealed = difference.read(run)
            self._check(results)
        except RunError as error:
            raise InputError(error.message, hint=error.hint) from None

    @property
    def name(self) -> str:
        """What the run is called: the start of its run_id."""
        return self.sealed.run_id[:8]

    @property
    def _shown(self) -> str:
        return f"just show {self.run if self.run.name != self.sealed.run_id else self.name}"

    def _check(self, results: Results | None) -> None:
        try:
            sha256 = door.digest(self.run, manifest.NAME)
            if results is not None:
                end = results.reading().of(self.sealed.run_id).end
            else:
                end = seal.decode(door.read(self.run, seal.NAME)).end if door.exists(self.run, seal.NAME) else None
            if end is not None and end.fields.get("manifest") != sha256:
                raise self._refused(manifest.NAME, "is not what was sealed")
            for name, expected in self.sealed.manifest.files.items():
                if door.digest(self.run, name, self.sealed.manifest.predicate.promised) != expected:
                    raise self._refused(name, "is not what was sealed")
        except OSError as error:
            raise self._refused(str(error.filename or "a sealed file"), f"can't be read: {error.strerror}") from None

    def _refused(self, name: str, why: str) -> RunError:
        return RunError(f"{self.run.name}/{name} {why}", hint=f"just verify {self._shown.removeprefix('just show ')}")

    @property
    def seconds(self) -> float:
        """How long the run took, by its own clock, without the start of its process."""
        took = self.sealed.manifest.predicate.run_details.get("milliseconds")
        values = took.values() if isinstance(took, dict) else ()
        return sum(ms for ms in values if isinstance(ms, int | float)) / 1e3

    @property
    def modules(self) -> dict[str, str]:
        """Module → its file below code/, also of what was left out there."""
        found = self._code.get("modules")
        return {str(name): str(file) for name, file in found.items()} if isinstance(found, dict) else {}

    @property
    def left_out(self) -> dict[str, str]:
        """Files of the code that were not sealed, each with the reason."""
        found = self._code.get("leftOut")
        told = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return {str(one.get("file")): str(one.get("reason")) for one in told}

    def code(self) -> dict[str, bytes]:
        """Return the code that was sealed: name below code/ → content."""
        prefix = f"{code.FOLDER}/"
        return {name.removeprefix(prefix): self.sealed.content(name) for name in self._files if name.startswith(prefix)}

    @property
    def _files(self) -> Mapping[str, str]:
        return self.sealed.manifest.files

    @property
    def _code(self) -> dict[str, Any]:
        made = self.sealed.made.of(code.FOLDER)
        return made.about if made else {}


class Recorded(Whole):
    """A run of a config. Raises InputError where it can't be made again, also where it left no config."""

    def __init__(self, run: Path, results: Results | None) -> None:
        super().__init__(run, results)
        self.home = run if results is None else results.path  # what came with a run is no source of its bars
        try:
            self.content, self.resolved = self.sealed.content(_CONFIG), self.sealed.content(_RESOLVED)
            self.config = source(self.content, self.resolved, run / _CONFIG).config
        except RunError as error:
            raise InputError(error.message, hint=error.hint) from None

    @property
    def folder(self) -> str:
        """The folder that the config lay in: relative to the repository, or of the machine where it lay outside."""
        return str(self.sealed.manifest.predicate.run_details.get("folder") or ".")

    @property
    def masked(self) -> list[str]:
        """The keys of the config that held a secret, in whose place a run has a mask."""
        return [key for key, value in difference.flat(self.sealed.config).items() if value == MASK]

    @property
    def entry(self) -> str | None:
        """The file, below code/, that an entrypoint of the form `path/file.py:function` stands for."""
        spec = self.config.strategy.entrypoint or ""
        file, made = PurePosixPath(spec.rpartition(":")[0]), self.sealed.made.of("strategy")
        if file.suffix != ".py":
            return None
        if made is None:  # of a run that failed
            return self.modules.get(file.stem)
        same = [name for name, sha256 in self.sealed.code_files.items() if sha256 == made.digest.get("sha256")]
        named = PurePosixPath(str(made.about.get("file"))).as_posix()
        return named if named in same else next(iter(sorted(same)), None)


def source(content: bytes, resolved: bytes, path: Path) -> config.Source:
    """Return the config of a run as it was: the file as given, its overrides, and the defaults of the version that ran.

    A strategy's own defaults are those of its code. Raises RunError where it is none.
    """
    snapshot = documents.decode(resolved, _RESOLVED)
    overrides = snapshot.pop("overrides", {})
    try:
        found = config.parse(content, overrides)
        tree = msgspec.to_builtins(found)
        for section, values in tree.items():
            kept = snapshot.get(section)
            values |= {key: value for key, value in kept.items() if key in values} if isinstance(kept, dict) else {}
        tree["strategy"]["params"] = {}
        then = msgspec.convert(tree, config.Config)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:  # msgspec's errors are ValueErrors
        raise RunError(f"{_RESOLVED} is no config: {error}") from None
    params = found.strategy.params  # with TOML's own types
    strategy = msgspec.structs.replace(then.strategy, params=params)
    return config.Source(path, content, overrides, msgspec.structs.replace(then, strategy=strategy))

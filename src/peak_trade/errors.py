"""The one error family: what an operator may read, with the command that helps and the exit code.

`InputError` is the operator's to mend (usage, config, data) and exits 2;
`RunError` says that the thing run or checked has failed and exits 1.
Messages are one sentence in lower case without a full stop; `hint` names what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["InputError", "PeakError", "RunError", "did_you_mean"]


class PeakError(Exception):
    """An error to be shown as one sentence and a hint, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        if "://" in f"{message}{hint}":
            from peak_trade.redact import Redactor  # only on the way to an error: an address may hold a password

            mask = Redactor().text
            message, hint = mask(message), mask(hint)
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.run_id: str | None = None  # the run whose evidence tells more


class RunError(PeakError):
    """What was run or checked has failed: exit code 1."""


class InputError(PeakError):
    """Wrong usage, config or input: exit code 2."""

    exit_code = 2


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of `known`, or all of them where none is near.

    >>> did_you_mean("sma_crosover", ["sma_crossover", "macd"])
    'did you mean `sma_crossover`?'
    >>> did_you_mean("x", ["macd", "momentum"])
    'known: macd, momentum'
    """
    import difflib  # only needed on the way to an error

    options = sorted(known)
    near = difflib.get_close_matches(name, options, n=1)
    return f"did you mean `{near[0]}`?" if near else "known: " + ", ".join(options)

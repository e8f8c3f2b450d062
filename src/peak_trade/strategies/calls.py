"""A class with `generate_signals` as a strategy: made anew each time that it is asked, with its parameters in sight.

What `__init__` and `generate_signals` take beside the bars are the strategy's parameters, and so are numbers, texts and
truth values that the class has as attributes: their defaults are sealed with a run as those of a function are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from peak_trade.errors import InputError

__all__ = ["METHOD", "of_class"]

METHOD = "generate_signals"
_BARS = ("bars", "data", "df", "dataframe", "prices", "ohlcv")
_PLAIN = (bool, int, float, str)
_ENGINES = (
    "backtesting",
    "backtrader",
    "freqtrade",
    "bt",
    "zipline",
    "nautilus_trader",
    "vectorbt",
    "AlgorithmImports",
)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def of_class(kind: type, where: str) -> Callable[..., Any]:
    """Return a class with `generate_signals` as a function `(bars, **params)`.

    The bars go to the first parameter of `generate_signals`; where it takes none, or `__init__` has one that is called
    as they are (`bars`, `data`, `df`, …), to that.

    Raises InputError where it has no such method, or nothing takes the bars.
    """
    if not callable(getattr(kind, METHOD, None)):
        raise _no_strategy(kind, where)
    made, asked = _parameters(kind), _parameters(getattr(kind, METHOD))
    if not isinstance(inspect.getattr_static(kind, METHOD), staticmethod | classmethod):
        asked.pop(next(iter(asked), ""), None)
    first = next((name for name, one in asked.items() if one.kind in _POSITIONAL), None)
    home = next((name for name in made if name in _BARS), None)
    if first is None and home is None:
        raise InputError(
            f"neither {kind.__name__}.__init__ nor {METHOD} in {where} takes bars",
            hint=f"def {METHOD}(self, bars), or a parameter of __init__ that is called {', '.join(_BARS)}",
        )
    own = {name: one for name, one in made.items() if name != home}
    told = {name: one for name, one in asked.items() if name != first}
    attributes = {name: value for name, value in _attributes(kind).items() if name not in own and name not in told}

    def strategy(bars: Any, /, **params: Any) -> Any:
        given = {name: params[name] for name, usual in attributes.items() if params.get(name, usual) != usual}
        with _having(kind, given):
            object_ = kind(**({home: bars} if home else {}), **_some(own, params, told.keys() | attributes.keys()))
            for name, value in given.items():
                with suppress(AttributeError):  # of one with slots
                    setattr(object_, name, value)  # where it is sent to another process
            return getattr(object_, METHOD)(*([bars] if first else []), **_some(told, params))

    strategy.__name__, strategy.__qualname__, strategy.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    strategy.__wrapped__ = getattr(kind, METHOD)  # type: ignore[attr-defined] # by which its source is found
    strategy.__signature__ = _signature(own | told, attributes)  # type: ignore[attr-defined]
    return strategy


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def _attributes(kind: type) -> dict[str, Any]:
    """Return the plain values that a class, or one that it is made from, has as attributes.

    Not those that an `__init__` puts others in place of: they come to nothing.
    """
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        found |= {name: value for name, value in vars(each).items() if type(value) in _PLAIN and name[0] != "_"}
    set_ = {name for each in kind.__mro__ for name in _set_by(vars(each).get("__init__"))} if found else set()
    return {name: value for name, value in found.items() if name not in set_}


def _set_by(function: Any) -> set[str]:
    """Return the names of attributes that a function's code sets, of whatever object."""
    import dis  # few strategies are classes

    code = getattr(function, "__code__", None)
    return {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_ATTR"} if code else set()


@contextmanager
def _having(kind: type, values: Mapping[str, Any]) -> Iterator[None]:
    """Have a class have other attributes within the block: `__init__` and methods of the class read them there."""
    before = {name: vars(kind)[name] for name in values if name in vars(kind)}
    for name, value in values.items():
        setattr(kind, name, value)
    try:
        yield
    finally:
        for name in values:
            if name in before:
                setattr(kind, name, before[name])
            else:
                delattr(kind, name)


def _some(known: Mapping[str, inspect.Parameter], params: Mapping[str, Any], others: Any = ()) -> dict[str, Any]:
    """Return the parameters that a function takes; one with `**kwargs` takes all that is not for `others`."""
    if any(one.kind == one.VAR_KEYWORD for one in known.values()):
        return {name: value for name, value in params.items() if name in known or name not in others}
    return {name: value for name, value in params.items() if name in known}


def _signature(known: Mapping[str, inspect.Parameter], attributes: Mapping[str, Any]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    rows = [one.replace(kind=keyword) for one in known.values() if one.kind in _NAMED]
    rows += [inspect.Parameter(name, keyword, default=value) for name, value in attributes.items()]
    rest = next(([one] for one in known.values() if one.kind == one.VAR_KEYWORD), [])
    return inspect.Signature([inspect.Parameter("bars", inspect.Parameter.POSITIONAL_ONLY), *rows, *rest])


def _no_strategy(kind: type, where: str) -> InputError:
    """Return the error of a class that is no strategy here, which may be one of another engine."""
    engine = next((top for each in kind.__mro__ if (top := each.__module__.partition(".")[0]) in _ENGINES), None)
    if engine:
        return InputError(
            f"`{kind.__name__}` in {where} is a strategy of {engine}, which alone can run it",
            hint="just record -- python your_script.py makes evidence of it in its own engine",
        )
    return InputError(
        f"`{kind.__name__}` in {where} is a class without {METHOD}, not a function",
        hint=f"name a function of bars, or a class with {METHOD}(bars)",
    )

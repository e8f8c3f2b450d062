"""What goes into a strategy and what comes out of it, checked where an operator can still be told."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError, RunError, did_you_mean
from peak_trade.market.bars import unmasked

__all__ = ["as_array", "as_decisions", "check_params", "check_target", "holds_bools"]


def check_params(function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter that `function(bars, **params)` will use: those given, checked, and the defaults.

    The first positional parameter takes the bars. A value is held against the parameter's annotation, range included
    (`Annotated[int, msgspec.Meta(ge=1)]`); an int is taken for a float, nothing else is converted. A parameter without
    an annotation, or with one that msgspec cannot check, takes any value; a function with `**kwargs` takes any name.

    Raises:
        InputError: an unknown or missing parameter, a wrong type, a value out of range; or a function without bars.
    """
    declared, annotations = _declaration(function)
    if not declared or declared[0].kind in (declared[0].KEYWORD_ONLY, declared[0].VAR_KEYWORD):
        raise InputError(f"{_name(function)} takes no bars", hint="a strategy is a function (bars, **params) -> target")
    bars = declared[0].name
    known = {
        parameter.name: parameter
        for parameter in declared[1:]
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    any_name = declared[-1].kind == declared[-1].VAR_KEYWORD
    for name in params:
        if name not in known and (name == bars or not any_name):
            hint = did_you_mean(name, known) if known else f"{_name(function)} takes no parameters"
            raise InputError(f"unknown parameter strategy.params.{name}", hint=hint)
    checked: dict[str, Any] = {}
    for name, parameter in known.items():
        if name in params:
            checked[name] = _checked(parameter, params[name], annotations[name])
        elif parameter.default is parameter.empty:
            raise InputError(f"strategy.params.{name} is missing", hint=f"{_name(function)} has no default for it")
        else:
            checked[name] = parameter.default
    return checked | {name: value for name, value in params.items() if name not in known}


def check_target(target: object, n: int) -> npt.NDArray[np.float64]:
    """Return a strategy's target as a new float64 array of shape (n,), without -0.0.

    Any array-like of real numbers or bools is taken, a pandas Series too (by position, whatever its index). What a
    masked array masks is missing, as NaN is.

    Raises:
        RunError: it is not one finite number in [-1, 1] for each of the `n` bars.
    """
    values = as_decisions(target, n)
    allowed = np.abs(values) <= 1.0  # False for NaN
    if not allowed.all():
        row = int(np.argmin(allowed))
        raise RunError(
            f"the strategy returned {values[row]} at row {row}, in all {n - np.count_nonzero(allowed)} such values; "
            f"{_needed(n)}",
            hint="an undefined indicator means a target of 0; clip what exceeds the range",
        )
    return values


def as_decisions(target: object, n: int) -> npt.NDArray[np.float64]:
    """Return a strategy's target as `check_target` does, whatever numbers it holds; RunError where it holds none."""
    values: npt.NDArray[np.float64] = np.add(as_array(target, n), 0.0)  # a copy, in which -0.0 has become 0.0
    return values


def as_array(target: object, n: int) -> npt.NDArray[np.float64]:
    """Return anything array-like of numbers or bools as float64, shape (n,); RunError where it is nothing of the kind.

    What is missing is NaN.
    """
    try:
        array = np.asarray(unmasked(np.asanyarray(unmasked(target))))
        if array.dtype == np.object_ and array.ndim:
            array = _without_none(array).astype(np.float64)
    except (TypeError, ValueError):
        array = np.empty((), dtype=np.object_)
    if array.dtype.kind not in "biuf":
        what = "None" if target is None else f"a {type(target).__name__} that is no array of numbers"
        raise RunError(f"the strategy returned {what}; {_needed(n)}")
    if array.shape != (n,):
        what = f"{len(array)} values" if array.ndim == 1 else f"an array of shape {array.shape}"
        raise RunError(f"the strategy returned {what}; {_needed(n)}")
    numbers: npt.NDArray[np.float64] = array.astype(np.float64, copy=False)
    return numbers


def holds_bools(target: object) -> bool:
    """Tell whether an answer is of true and false, of which a few may be missing."""
    try:
        array = np.asanyarray(unmasked(target))
    except (TypeError, ValueError):
        return False
    if array.dtype != np.object_:
        return bool(array.dtype == np.bool_)
    kinds = {type(value).__name__ for value in array.ravel().tolist()}
    return "bool" in kinds and kinds <= {"bool", "float", "NoneType", "NAType"}


def _without_none(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return objects in which what is missing is NaN, also pandas' own sign for that."""
    return np.array([np.nan if type(value).__name__ == "NAType" else value for value in array.tolist()], dtype=object)


def _needed(n: int) -> str:
    return f"needed: one number in [-1, 1] for each of the {n} bars"


def _declaration(function: Callable[..., Any]) -> _Declaration:
    """Return what a function takes, and the annotations as types; of one that is asked about again, as it was."""
    try:
        return _declared(function)
    except TypeError:  # an object that can be called and not be hashed
        return _declared.__wrapped__(function)


_Declaration = tuple[tuple[inspect.Parameter, ...], dict[str, Any]]


@lru_cache(8)  # a search asks a thousand times a second
def _declared(function: Callable[..., Any]) -> _Declaration:
    try:
        declared = tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return (), {}
    return declared, {parameter.name: _annotation(function, parameter) for parameter in declared[1:]}


def _checked(parameter: inspect.Parameter, value: Any, annotation: Any) -> Any:
    try:
        return msgspec.convert(value, annotation, dec_hook=_foreign)
    except msgspec.ValidationError:
        shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:59] + "…"
        message = f"strategy.params.{parameter.name} is {shown}, allowed: {_allowed(annotation)}"
        hint = "" if parameter.default is parameter.empty else f"its default is {parameter.default!r}"
        raise InputError(message, hint=hint) from None
    except (TypeError, NotImplementedError):
        return value  # an annotation that means something to its author, not to msgspec


def _foreign(kind: type, value: Any) -> Any:
    raise NotImplementedError


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return the annotation as a type, `Any` where there is none or where its text names nothing known at run time."""
    if parameter.annotation is parameter.empty:
        return Any
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        one = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        return typing.get_type_hints(one, globalns=scope, include_extras=True)[parameter.name]
    except Exception:  # noqa: BLE001 - evaluating someone else's text can raise anything, and only costs the check
        return Any


def _allowed(annotation: Any) -> str:
    """Describe a type in the words of Python: `int in 1..10000`, `float above 0, at most 1`, `'a' or 'b'`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        meta = next((extra for extra in arguments[1:] if isinstance(extra, msgspec.Meta)), msgspec.Meta())
        return _allowed(arguments[0]) + _range(meta)
    if origin is typing.Literal:
        return " or ".join(repr(choice) for choice in arguments)
    return annotation.__name__ if isinstance(annotation, type) and not arguments else str(annotation)


def _range(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f" in {meta.ge}..{meta.le}"
    bounds = {"at least": meta.ge, "above": meta.gt, "at most": meta.le, "below": meta.lt}
    told = ", ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
    return f" {told}" if told else ""


def _name(function: Callable[..., Any]) -> str:
    return f"strategy `{getattr(function, '__name__', type(function).__name__)}`"

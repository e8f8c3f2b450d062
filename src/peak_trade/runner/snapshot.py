"""The config as a run keeps it: the file as given, and what it came to."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from peak_trade.config import Source
from peak_trade.evidence import files, settings
from peak_trade.redact import Redactor
from peak_trade.runner.attempt import Attempt

__all__ = ["kept", "parameters", "plain", "told", "write_config"]


def told(source: Source, redactor: Redactor) -> dict[str, Any]:
    """Return what the ledger's START tells of a config, secrets masked: see `settings.named`."""
    given = settings.keys(source.content, source.overrides)
    return settings.named(redactor.tree(plain(msgspec.to_builtins(source.config))), given)


def write_config(attempt: Attempt, params: dict[str, Any] | None = None) -> None:
    """Write the config as given, secrets masked, and as resolved: defaults filled in, overrides applied and listed.

    `params` are those that the strategy had, as `kept` returns them.
    """
    given = attempt.source.content
    masked = attempt.known.masked(given, attempt.redactor)
    if masked != given:
        attempt.receipts.append({"part": "config_snapshot.toml", "outcome": "redacted", "reason": "it holds secrets"})
    resolved = msgspec.to_builtins(attempt.source.config)
    if params is not None:
        resolved["strategy"]["params"] = params
    resolved["overrides"] = attempt.source.overrides
    attempt.directory.write("config_snapshot.toml", [masked])
    attempt.directory.write("config_snapshot.json", [files.encode_json(attempt.redactor.tree(plain(resolved)))])


def parameters(attempt: Attempt, params: dict[str, Any]) -> dict[str, Any]:
    """Return what the ledger's line that seals a run tells of the parameters that the strategy had."""
    used = settings.short(attempt.redactor.tree(plain(params)))
    return {"params": used} if used else {}


def kept(params: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy's parameters as a run keeps them: by their text, where a default is nothing for JSON."""
    return {name: msgspec.to_builtins(value, enc_hook=_named, order="deterministic") for name, value in params.items()}


def _named(value: object) -> str:
    """Return the repr of a default that TOML has no form for, without its address: the same in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def plain(tree: Any) -> Any:
    """Return a config's tree as JSON can hold it: TOML's dates as text, infinities as words."""
    return msgspec.json.decode(msgspec.json.encode(tree, enc_hook=_named))

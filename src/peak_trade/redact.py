"""Secrets stay out of artifacts: values whose key looks like a secret, and the passwords in URLs.

What looks like a secret is masked beside its key, and its value wherever else it occurs; the keys are those of a config
and the names of environment variables.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import msgspec

from peak_trade.text import as_utf8

__all__ = ["MASK", "Redactor", "is_secret_key", "names_secret"]

MASK = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?:passwords?|passwd|passphrase"  # also of PGPASSWORD and db2passwd
    r"|(?:^|[^a-z0-9])(?:pwd|secrets?|token|cookies?|credentials?|auth|authorization|bearer|dsn|sshpass"
    r"|(?:access|api|auth|bearer|refresh)[_-]?tokens?"
    r"|(?:access|account|api|encryption|private|secret|signing)[_-]?keys?"
    r"|(?:gh|github|gitlab|devops[_-]ext)[_-]pat"
    r"|(?<!low[_-])(?<!high[_-])(?<!band[_-])pass(?=\d*$)"  # but not a low_pass filter
    r"))\d*(?:$|[^a-z0-9])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Whatever stands there, to the last @ before the next slash, or in the word; there is none in host:80/path@x.
_URL_PASSWORD = re.compile(
    r"(?P<head>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://[^\s/:@\"']*+:)(?!\d+[/\s])"
    r"(?:(?:(?!://)[^/\n]){1,400}(?=@)|[^\s\"']{1,400}(?=@))",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"""(?P<head>\bauthorization["']?\s*[:=]\s*["']?(?=\w+ )"""
    r"""|\bbearer\s+(?=[\w.~+/=-]{16})(?=\S{0,400}\d))[^"'\n,;}]+""",
    re.IGNORECASE,
)
# What is a secret by its own form, whatever it is called: keys and tokens as those who give them out mark them, a
# private key, and a name in a URL that is no name of a person.
# Each begins with the text that it is looked for by, so that what has none of them costs next to nothing.
_FORMS = {
    mark: re.compile(re.escape(mark) + rest)
    for marks, rest in {
        ("ghp_", "gho_", "ghr_", "ghs_", "ghu_"): r"[A-Za-z0-9]{30,255}",
        ("github_pat_", "glpat-"): r"[\w-]{20,255}",
        ("AKIA", "ASIA"): r"(?<![A-Za-z0-9]....)[A-Z0-9]{16}(?![A-Za-z0-9])",
        ("AIza",): r"(?<![A-Za-z0-9]....)[\w-]{35}",
        ("xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-"): r"(?=[\w-]{0,60}\d)[\w-]{20,255}",
        ("sk-",): r"(?<![A-Za-z0-9_]...)(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[A-Z])[\w-]{20,255}",
        ("sk_live_", "rk_live_"): r"(?<![A-Za-z0-9]........)[A-Za-z0-9]{16,255}",
        ("eyJ",): r"(?<![A-Za-z0-9_-]...)[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,2000}",
        ("-----BEGIN ",): r"(?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----"
        r"(?:(?!-----)[\s\S]){0,16000}+(?:-----END [A-Z0-9 ]{0,60}-----)?",
        ("://",): r"(?=[^\s/:@\"']{0,60}\d)[^\s/:@\"']{20,255}(?=@)",
    }.items()
    for mark in marks
}  # fmt: skip
# every length has a limit, for text without an end must not cost its square
_TEXT = (
    r'"""[\s\S]{0,4000}?"""|'
    + r"'''[\s\S]{0,4000}?'''|"
    + r'"(?:[^"\\\n]|\\.){0,4000}"|'
    + r"'(?:[^'\\\n]|\\.){0,4000}'"
)
_ASSIGNMENT = re.compile(
    r"""(?P<head>(?<![\w.-])(?P<key>[\w.-]++)["']?\s*[=:]\s*)(?=(?P<value>"""
    + _TEXT
    + r"""|\[[^\]]{0,4000}\]|\{[^}]{0,4000}\}|[^\s,;#}\]"']{1,4000}))"""
)
_SHORTEST = 6  # a shorter value may stand anywhere by chance: it is masked beside its key, not wherever it occurs
# Of the environment, which nobody wrote for a run, only what cannot well stand anywhere by chance.
_SHORTEST_VARIABLE, _SHORTEST_PLAIN = 8, 12  # characters; of letters alone, or of none
_PLACE = re.compile(r"^PWD$|_(?:sock|file|path|dir|home|url|uri|host|port|user|type|method|enabled|timeout|ttl)$", re.I)
_NOTHING = ("true", "false", "none", "null")


@lru_cache(4096)  # the names of the environment are asked for again and again
def is_secret_key(key: str) -> bool:
    """Say whether a key's name, or one of the names in a dotted key, looks like that of a secret.

    >>> [is_secret_key(key) for key in ("MLFLOW_TRACKING_TOKEN", "apiKey", "params.auth.user", "db_pass")]
    [True, True, True, True]
    >>> [is_secret_key(key) for key in ("PGPASSWORD", "SSHPASS", "GITHUB_PAT")]
    [True, True, True]
    >>> [is_secret_key(key) for key in ("max_tokens", "keyboard", "author", "low_pass", "chart_pat", "passwordless")]
    [False, False, False, False, False, False]
    """
    return bool(_SECRET_KEY.search(_CAMEL.sub("_", key)))


_STEMS = ("pass", "pwd", "secret", "token", "cookie", "credential", "auth", "bearer", "dsn", "key", "pat")
_WORD = re.compile(r"[\w.-]+")


def names_secret(text: str) -> bool:
    """Tell whether any word of a text looks like the name of a secret; most texts are told by their letters alone.

    >>> names_secret("api_key = load()"), names_secret("keyboard = author")
    (True, False)
    """
    low = text.lower()
    stems = [stem for stem in _STEMS if stem in low]
    words = set(_WORD.findall(text)) if stems else ()
    return any(is_secret_key(word) for word in words if any(stem in word.lower() for stem in stems))


class Redactor:
    """Masks what looks like a secret in trees and texts, and remembers the values so that they are masked anywhere."""

    def __init__(self, *trees: Any, environment: Mapping[str, str] = os.environ) -> None:
        self._found: set[str] = set()
        self._values: list[str] = []
        self._environment = environment
        self._learn({value for tree in trees for value in _secrets(tree)} | set(_variables(environment)))

    @property
    def secrets(self) -> frozenset[str]:
        """What it masks beside what it knows by form: two that know the same mask the same."""
        return frozenset(self._found)

    def look(self) -> None:
        """Look at the environment again: a program may have loaded secrets into it since."""
        self._learn(set(_variables(self._environment)))

    def _learn(self, values: set[str]) -> None:
        if values <= self._found:
            return
        self._found |= values
        # as a program may print them: as they are, quoted, or line by line
        forms = {form for value in self._found for form in (*_spellings(value), *value.splitlines())}
        self._values = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)

    def tree(self, tree: Any, *, secret: bool = False) -> Any:
        """Return a copy of a tree of dicts and lists in which every secret value is masked.

        >>> Redactor().tree({"tags": {"api_key": "k-123", "desk": "rates"}})
        {'tags': {'api_key': '[redacted]', 'desk': 'rates'}}
        """
        if isinstance(tree, Mapping):
            return {key: self.tree(value, secret=secret or is_secret_key(str(key))) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.tree(value, secret=secret) for value in tree]
        if secret and not isinstance(tree, bool) and tree is not None:
            return MASK
        return self.text(tree) if isinstance(tree, str) else tree

    def text(self, text: str) -> str:
        """Return `text` with known secret values, `secret_key = value` pairs and URL passwords masked.

        >>> Redactor().text('url = "postgresql://me:pw1@host/db"  api_token = "t-9"')
        'url = "postgresql://me:[redacted]@host/db"  api_token = "[redacted]"'
        """
        for value in self._values:
            text = text.replace(value, MASK)
        if "://" in text:  # what has no sign of it, as most, is not searched: that costs twenty times as much
            text = _URL_PASSWORD.sub(lambda match: match["head"] + MASK, text)
        told = "=" in text or ":" in text
        if told or "bearer" in text.lower():
            text = _HEADER.sub(lambda match: match["head"] + MASK, text)
        for mark, form in _FORMS.items():
            text = form.sub("://" * (mark == "://") + MASK, text) if mark in text else text
        if not told:
            return text
        pieces, end = [], 0
        for match in _ASSIGNMENT.finditer(text):  # of keys alone: in the value of one there may be another
            if match.start() >= end and is_secret_key(match["key"]):
                pieces += [text[end : match.end()], _mask_value(match)]
                end = match.end("value")
        return "".join(pieces) + text[end:]

    def holds(self, text: str) -> bool:
        """Tell whether a text has a known secret, or the password of a URL, in it: code, whose names are no keys.

        >>> Redactor().holds("https://me:hunter22@host/"), Redactor().holds("token = next(stream)")
        (True, False)
        """
        if any(value in text for value in self._values):
            return True
        if any(mark in text and form.search(text) for mark, form in _FORMS.items()):
            return True
        return "://" in text and _URL_PASSWORD.search(text) is not None

    def toml(self, content: bytes) -> bytes:
        """Return a TOML file with its secrets masked, and everything else as it stands there, byte for byte.

        Where that would make it another config, or none, it is written anew from its values.
        """
        text = content.decode("utf-8")
        tree = tomllib.loads(text.removeprefix("\ufeff"))
        masked, wanted = self.text(text), self.tree(tree)
        try:
            if tomllib.loads(masked.removeprefix("\ufeff")) == wanted:
                return masked.encode("utf-8")
        except tomllib.TOMLDecodeError:
            pass
        lines = (f"{_as_toml(key)} = {_as_toml(value)}\n" for key, value in wanted.items())
        return "".join(["# written anew, for its secrets could not be masked in place\n", *lines]).encode()

    def argv(self, argv: Iterable[str]) -> list[str]:
        """Return the words of a command line, masked.

        >>> Redactor().argv(["--set", "strategy.params.password=a b", "--set=run.tags.desk=fx"])
        ['--set', 'strategy.params.password=[redacted]', '--set=run.tags.desk=fx']
        """
        return [_ARGUMENT.sub(_mask_argument, self.text(word), count=1) for word in argv]


def _spellings(value: str) -> Iterator[str]:
    """Yield a secret as programs print it: quoted, escaped, and as a URL has it, or stands for."""
    for form in dict.fromkeys((value, unquote(value))):
        yield from (form, repr(form)[1:-1], _quoted(form)[1:-1], json.dumps(form)[1:-1])
        yield from (quote(form, safe=""), quote(form, safe="/"), quote_plus(form))


def _secrets(tree: Any, *, secret: bool = False) -> Iterator[str]:
    """Yield the secret values of a tree as text, and the passwords in its URLs."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _secrets(value, secret=secret or is_secret_key(str(key)))
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _secrets(value, secret=secret)
    elif secret and not isinstance(tree, bool) and tree is not None:
        yield str(tree)
    elif isinstance(tree, str):
        yield from (match[0].removeprefix(match["head"]) for match in _URL_PASSWORD.finditer(tree))


def _variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of variables whose names look like secrets, and the passwords in the URLs of all of them.

    Not what may stand in a run by chance: short values, plain words and numbers, places of this machine.
    """
    for name, value in environment.items():
        named = is_secret_key(name) and not _PLACE.search(name) and not os.path.exists(value[:4096])
        found = [value] if named else []
        if "://" in value:
            found += [match[0].removeprefix(match["head"]) for match in _URL_PASSWORD.finditer(value)]
        for secret in found:
            plain = secret.isalpha() or not any(map(str.isalpha, secret))
            if len(secret) >= (_SHORTEST_PLAIN if plain else _SHORTEST_VARIABLE):
                yield as_utf8(secret)


def _mask_value(match: re.Match[str]) -> str:
    value = match["value"]
    if value.lower() in _NOTHING:
        return value
    for mark in ('"""', "'''", '"', "'"):
        if value.startswith(mark):
            return mark + MASK + mark
    before = match.string[: match.start()].rpartition("\n")[2].strip()
    bare = match["head"].rstrip().endswith("=") and before[-1:] in ("", "{", ",") and "\n" in match.string
    return f'"{MASK}"' if bare else MASK  # in TOML, a bare value becomes text


_ARGUMENT = re.compile(r"^(?P<key>(?:--[\w-]+=)?[\w.-]+)=[\s\S]*")


def _mask_argument(match: re.Match[str]) -> str:
    return f"{match['key']}={MASK}" if is_secret_key(match["key"]) else match[0]


def _as_toml(value: Any) -> str:
    """Write a value of a TOML file, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_as_toml(key)} = {_as_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_toml, value)) + "]"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return _quoted(value).replace("\x7f", r"\u007f")  # JSON's escapes are TOML's but for this one


def _quoted(value: Any) -> str:
    return msgspec.json.encode(value).decode()

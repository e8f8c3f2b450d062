"""No secret in any artifact: keys, texts, TOML and command lines, then whole runs whose every byte is searched."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import tomllib
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_trade import config, runner
from peak_trade.errors import InputError, RunError
from peak_trade.obs.session import Session
from peak_trade.obs.settings import Settings
from peak_trade.redact import MASK, Redactor, is_secret_key
from peak_trade.shown import listing
from peak_trade.tracking import store
from peak_trade.trust import verify

# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    """
    password passwd passphrase pwd db_password PASSWORD Password2 userPassword passwords pass db_pass SMTP_PASS pass1
    secret client_secret clientSecret SECRET_KEY aws_secret_access_key AWS_ACCESS_KEY_ID secrets
    token api_token MLFLOW_TRACKING_TOKEN refreshToken access_tokens bearer auth authorization Authorization basic_auth
    api_key apikey apiKey API-KEY api_keys private_key privateKey signing_key encryption-key account_key
    credential credentials dsn SENTRY_DSN cookie PGPASSWORD dbpasswd SSHPASS GITHUB_PAT GH_PAT
    strategy.params.token params.auth.user run.tags.api_key
    """.split(),
)
def test_the_name_of_a_secret_is_known(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    """
    max_tokens tokens tokenizer keyboard key keys monkey author authors authority passenger bypass compass secretary
    low_pass lowpass band-pass high_pass pass_filter pass_through passes fast slow symbol name description
    strategy.params.fast data.columns.close run.tags.desk path pathway seed address dsns chart_pat pat passwordless
    """.split(),
)
def test_the_name_of_something_else_is_left_alone(key: str) -> None:
    assert not is_secret_key(key)


# --- what stands around a value -----------------------------------------------------------------------------------


def test_a_remembered_value_of_six_characters_is_masked_anywhere_and_one_of_five_is_not() -> None:
    redactor = Redactor({"token": "abcdef", "secret": "vwxyz"})
    assert redactor.text("got abcdef and vwxyz") == f"got {MASK} and vwxyz"


@pytest.mark.parametrize("quote", ['"""', "'''", '"', "'"])
def test_a_masked_text_keeps_its_own_quotes(quote: str) -> None:
    assert Redactor().text(f"password = {quote}a b{quote}\n") == f"password = {quote}{MASK}{quote}\n"


def test_a_bare_value_first_in_an_inline_table_becomes_text() -> None:
    masked = Redactor().text("login = {token = 12345, tries = 3}\nfast = 5\n")
    assert tomllib.loads(masked) == {"login": {"token": MASK, "tries": 3}, "fast": 5}


# --- trees --------------------------------------------------------------------------------------------------------


def test_values_below_a_secret_key_are_masked_at_any_depth() -> None:
    tree = {"tags": {"token": "abc", "desk": "fx"}, "auth": {"user": "bob", "codes": [1, 2.5, {"x": "y"}]}, "n": 3}
    assert Redactor().tree(tree) == {
        "tags": {"token": MASK, "desk": "fx"},
        "auth": {"user": MASK, "codes": [MASK, MASK, {"x": MASK}]},
        "n": 3,
    }


def test_that_there_is_no_secret_is_no_secret() -> None:
    assert Redactor().tree({"token": None, "auth": True, "secret": False}) == {
        "token": None,
        "auth": True,
        "secret": False,
    }


def test_a_secret_value_is_masked_wherever_else_it_occurs() -> None:
    redactor = Redactor({"params": {"api_key": "k-12345678"}})
    assert redactor.tree({"name": "run of k-12345678", "list": ["k-12345678"]}) == {
        "name": f"run of {MASK}",
        "list": [MASK],
    }


def test_a_short_value_is_masked_beside_its_key_only() -> None:
    redactor = Redactor({"pwd": "ab"})
    assert redactor.text("pwd=ab, about a cab") == f"pwd={MASK}, about a cab"


def test_a_password_in_a_url_is_masked_wherever_else_it_occurs() -> None:
    assert Redactor({"source": "postgres://me:letmein@host/db"}).text("tried letmein") == f"tried {MASK}"


def test_the_tree_given_is_left_as_it_is() -> None:
    tree = {"token": "abc", "list": [{"token": "abc"}]}
    Redactor(tree).tree(tree)
    assert tree == {"token": "abc", "list": [{"token": "abc"}]}


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("api_key=abc", "api_key=[redacted]"),
        ("api_key: abc", "api_key: [redacted]"),
        ('{"api_key": "a b", "n": 1}', '{"api_key": "[redacted]", "n": 1}'),
        ("{'api_key': 'a b'}", "{'api_key': '[redacted]'}"),
        (r'password="a\"b c"', 'password="[redacted]"'),
        ("token=''", "token='[redacted]'"),
        ("connect(host, password='x', port=1)", "connect(host, password='[redacted]', port=1)"),
        ("auth={'user': 'bob', 'pin': 1}, n=2", "auth=[redacted], n=2"),
        ("secrets=['ab', 'cd'] and more", "secrets=[redacted] and more"),
        ('url = "https://h/?token=abc"', 'url = "https://h/?token=[redacted]"'),
        ("postgres://me:pw@host:5432/db", "postgres://me:[redacted]@host:5432/db"),
        ("postgres://me:p@ss@host/db", "postgres://me:[redacted]@host/db"),
        ("postgres://me:p/s:s@host/db", "postgres://me:[redacted]@host/db"),
        ("redis://:pw@host", "redis://:[redacted]@host"),
        ('https://u:abc"def@h', "https://u:[redacted]@h"),
        ("postgres://u:p@ss w0rd@h/d", "postgres://u:[redacted]@h/d"),
        ("https://u:it's <odd>@h/x@y", "https://u:[redacted]@h/x@y"),
        ("S3://key:pw@bucket", "S3://key:[redacted]@bucket"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("{'Authorization': 'token ghp_a', 'n': 1}", "{'Authorization': '[redacted]', 'n': 1}"),
        ("sent Bearer eyJhbGciOiJIUzI1NiJ9 to it", "sent Bearer [redacted]"),
        ("# db_password = hunter2", "# db_password = [redacted]"),
        ("X-Api-Key: abc", "X-Api-Key: [redacted]"),
        ("password=[redacted]", "password=[redacted]"),
    ],
)
def test_a_secret_in_a_text_is_masked(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "a basic crossover with bearer instruments",
        "max_tokens=500 keyboard=qwerty author: me",
        "http://localhost:8080/path?mail=a@b",
        "https://example.org/a:b",
        "low_pass = 3",
        "token = true, auth: None, secret=null",
        "at 12:30:05 the price was 3",
        "",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert Redactor({"fast": 3, "tags": {"desk": "fx"}}).text(text) == text


@pytest.mark.parametrize("show", [str, repr, json.dumps])
@pytest.mark.parametrize("secret", ['qu"ote\\back', "it's 'quoted'", "line one\nline two", "t\tab-separated"])
def test_a_secret_is_known_in_the_forms_that_programs_print(secret: str, show: Any) -> None:
    text = Redactor({"password": secret}).text(f"cannot log in with {show(secret)} today")
    assert text.replace('"', "").replace("'", "") == f"cannot log in with {MASK} today"


@pytest.mark.parametrize("text", ["p@ss wörd/1", "p%40ss%20w%C3%B6rd%2F1", "p%40ss+w%C3%B6rd%2F1", r"p@ss w\u00f6rd/1"])
def test_a_password_of_a_url_is_known_in_the_spellings_of_urls_and_json(text: str) -> None:
    assert Redactor({"source": "db://me:p%40ss%20w%C3%B6rd%2F1@host"}, environment={}).text(text) == MASK
    assert Redactor({"source": "db://me:other@host"}, environment={}).text(text) == text


@pytest.mark.parametrize(
    "text",
    ["p@ss wörd/1", "p%40ss%20w%C3%B6rd%2F1", "p%40ss%20w%C3%B6rd/1", "p%40ss+w%C3%B6rd%2F1", r"p@ss w\u00f6rd/1"],
)
def test_a_secret_that_is_given_plain_is_known_in_the_spellings_of_urls_and_json(text: str) -> None:
    assert Redactor({"password": "p@ss wörd/1"}, environment={}).text(f"<{text}>") == f"<{MASK}>"
    assert Redactor({"password": "another"}, environment={}).text(f"<{text}>") == f"<{text}>", "the control"


@pytest.mark.parametrize("text", ['schlüs"sel', r"schlüs\"sel", r"schl\u00fcs\"sel"])
def test_a_secret_is_known_in_json_that_escapes_quotes_alone_too(text: str) -> None:
    assert Redactor({"password": 'schlüs"sel'}, environment={}).text(f"<{text}>") == f"<{MASK}>"


def test_each_line_of_a_secret_of_many_lines_is_known() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----"
    text = Redactor({"private_key": key}).text("bad line MIIEvQIBADANBg, then kqhkiG9w0BAQEF")
    assert text == f"bad line {MASK}, then {MASK}"


def test_a_number_can_be_a_secret() -> None:
    assert Redactor({"token": 987654321}).text("got 987654321") == f"got {MASK}"


# --- TOML ---------------------------------------------------------------------------------------------------------


def test_a_file_without_secrets_stays_as_it_is_byte_for_byte() -> None:
    content = '\ufeff# a remark\r\n[run]\r\nname = "näme"   # more\r\ntags = { desk = "fx" }\r\n\r\n\r\n'.encode()
    assert Redactor(tomllib.loads(content.decode("utf-8-sig"))).toml(content) == content


def test_the_shipped_config_stays_as_it_is_byte_for_byte() -> None:
    content = (Path(__file__).parents[1] / "config" / "my_strategy.toml").read_bytes()
    assert Redactor(tomllib.loads(content.decode())).toml(content) == content


def test_only_the_secrets_of_a_file_change() -> None:
    content = b"""
# the desk's config; the old password = hunter1
[run]
tags = { desk = "fx", api_key = "k-1234567", pin_token = 42 }   # k-1234567 is in the safe
[data]
source = "postgres://me:letmein@host/db?x=1"
[strategy.params]
token = 2024-01-01
password.main = 'it is "this"'
fast = 3
"""
    masked = b"""
# the desk's config; the old password = [redacted]
[run]
tags = { desk = "fx", api_key = "[redacted]", pin_token = "[redacted]" }   # [redacted] is in the safe
[data]
source = "postgres://me:[redacted]@host/db?x=1"
[strategy.params]
token = "[redacted]"
password.main = '[redacted]'
fast = 3
"""
    assert Redactor(tomllib.loads(content.decode())).toml(content) == masked


HARD = [
    'auth = { user = "bob", pin = 1 }',
    'token = ["one", "two"]',
    'token = [\n  "one",  # of two\n  "two",\n]',
    "[auth]\nuser = 'bob'\npin = 1234\n[auth.deeper]\nlast = 1.5",
    '[[secret]]\nname = "a"\n[[secret]]\nname = "b"',
    'password = """two\nlines"""',
    "password = '''two\n'quoted' lines'''",
    'password = """a "quoted" text"""',
    r'password = "with \"quotes\" and \\ and \u00e9"',
    'password = "data"\n[data]\npath = "data/bars.csv"\n[database]\nx = 1',
    'password = "strategy"\n[strategy]\nname = "strategy_one"',
    'note = "the secret = sauce, the token: none"',
    'note = """\ntoken = 5\n"""',
    "'api key' = 5\n\"pass\" = 6\n\"my.token\" = 7",
    "token = 100000\ncash = 100000\nmore = 100000.5",
    "token = 0x1F\nfast = 31",
    "token = inf",
    "token=1",
    "token = 12:30:00\ndsn = 2024-01-01T00:00:00Z\nday = 2024-01-01",
    'password = ""',
    'secret = true\nother = "\\u007f\u00e9\U0001f600 \\u0001"',
    'password = "same-secret"\nname = "it is same-secret, too"',
]  # fmt: skip


@pytest.mark.parametrize("text", HARD)
def test_a_masked_file_is_the_same_config_but_for_the_secrets(text: str) -> None:
    tree = tomllib.loads(text)
    redactor = Redactor(tree)
    assert tomllib.loads(redactor.toml(text.encode()).decode()) == redactor.tree(tree)


def test_a_file_that_cannot_be_masked_in_place_is_written_anew() -> None:
    text = """
run = { name = "n", seed = 1 }
[auth]
user = "bob"
since = 2024-01-01
[x]
day = 2024-01-01
list = [1.5, true]
"""
    assert Redactor().toml(text.encode()).decode() == (
        "# written anew, for its secrets could not be masked in place\n"
        '"run" = { "name" = "n", "seed" = 1 }\n'
        '"auth" = { "user" = "[redacted]", "since" = "[redacted]" }\n'
        '"x" = { "day" = 2024-01-01, "list" = [1.5, true] }\n'
    )


def test_what_is_written_anew_says_delete_as_toml_must() -> None:
    """JSON lets the character stand as it is, TOML does not."""
    written = Redactor().toml(b'[auth]\nuser = "bob"\n[x]\nname = "a\\u007fb"\n').decode()
    assert written.startswith("# written anew") and "\x7f" not in written
    assert tomllib.loads(written) == {"auth": {"user": MASK}, "x": {"name": "a\x7fb"}}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
    | st.dates(min_value=date(1000, 1, 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
keys = st.sampled_from(["fast", "token", "api_key", "auth", "name", "password", "note"])


@settings(deadline=None)
@given(tree=st.dictionaries(keys, values, max_size=4))
def test_what_is_written_anew_reads_back_as_it_was(tree: dict[str, Any]) -> None:
    from peak_trade.redact import _as_toml

    text = "".join(f"{_as_toml(key)} = {_as_toml(value)}\n" for key, value in tree.items())
    assert tomllib.loads(text) == tree
    redactor = Redactor(tree)
    assert tomllib.loads(redactor.toml(text.encode()).decode()) == redactor.tree(tree)


# --- command lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "masked"),
    [
        (["--set", "strategy.params.api_key=a b,c"], ["--set", "strategy.params.api_key=[redacted]"]),
        (["--set=run.tags.token='a;b'"], ["--set=run.tags.token=[redacted]"]),
        (['--set=strategy.params.password="a\\"b"'], ["--set=strategy.params.password=[redacted]"]),
        (["--set", "strategy.params.auth={user='bob'}"], ["--set", "strategy.params.auth=[redacted]"]),
        (["--set", "strategy.params.auth.user=bob"], ["--set", "strategy.params.auth.user=[redacted]"]),
        (["--set", "data.source=db://me:pw@host"], ["--set", "data.source=db://me:[redacted]@host"]),
        (["--set", "strategy.params={fast=3, token='x y'}"], ["--set", "strategy.params={fast=3, token='[redacted]'}"]),
        (["--set", "strategy.params.fast=3", "--config", "secret/a=b.toml"],) * 2,
        ([],) * 2,
    ],
)
def test_secrets_on_a_command_line_are_masked(words: list[str], masked: list[str]) -> None:
    assert Redactor().argv(words) == masked


# --- whole runs ---------------------------------------------------------------------------------------------------

SECRETS = {
    "tag": "TAG-7f3a9c1e",
    "param": "PARAM-d41d8cd9",
    "quoted": 'QUOTED-"5b2\\c',
    "nested": "NESTED-0cc175b9",
    "listed": "LISTED-92eb5ffe",
    "url": "URLPW-4a8a08f0",
    "query": "QUERY-8277e091",
    "override": "OVERRIDE-e1671797",
    "override_url": "OVERURL-8fa14cdd",
    "number": "987123654",
    "comment": "COMMENT-0cc17",
    "printed": "PRINTED-b9ece18c",
}
CONFIG = """
# password = COMMENT-0cc17
[run]
name = "see https://me:URLPW-4a8a08f0@host/"
tags = { desk = "equities", api_key = "TAG-7f3a9c1e" }
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
source = "https://me:URLPW-4a8a08f0@host/bars?token=QUERY-8277e091"
[strategy]
entrypoint = "own.py:FUNCTION"
[strategy.params]
length = 5
password = "PARAM-d41d8cd9"
quoted_secret = 'QUOTED-"5b2\\c'
pin_token = 987123654
auth = { user = "NESTED-0cc175b9", level = 3 }
secrets = ["LISTED-92eb5ffe"]
"""
OVERRIDES = ["run.tags.override_token=OVERRIDE-e1671797", "run.tags.link=https://me:OVERURL-8fa14cdd@host/"]
STRATEGY = """
import logging, sys, warnings
import numpy as np

def talkative(bars, *, length, password, quoted_secret, pin_token, auth, secrets, default_token="PRINTED-b9ece18c"):
    everything = f"{password} {quoted_secret!r} {pin_token} {auth} {secrets} https://x:{password}@y/"
    logging.getLogger("own").warning("everything: %s, default_token=%s", everything, default_token)
    warnings.warn(f"token {password}", stacklevel=1)
    return np.ones(len(bars))

def raising(bars, *, length, password, quoted_secret, pin_token, auth, secrets, default_token="PRINTED-b9ece18c"):
    try:
        raise KeyError(quoted_secret)
    except KeyError as error:
        raise ValueError(f"no login for {password} {pin_token} {auth} {secrets} {default_token=}") from error
"""


def results_of(folder: Path, function: str) -> tuple[Path, Path]:
    """Run a config full of secrets, and return its results folder and its run directory."""
    from math import sin

    closes = [round(100 + 5 * sin(hour / 3), 2) for hour in range(30)]
    rows = [f"{1704067200 + 3600 * hour},{c},{c + 1},{c - 1},{c},1\n" for hour, c in enumerate(closes)]
    (folder / "bars.csv").write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    (folder / "own.py").write_text(STRATEGY)
    (folder / "config.toml").write_text(CONFIG.replace("FUNCTION", function))
    source = config.load(folder / "config.toml", OVERRIDES)
    argv = ["--config", "config.toml", *(word for text in OVERRIDES for word in ("--set", text))]
    results = folder / "results"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            run_dir = runner.run(source, root=folder, results=results, argv=argv)
    except RunError as error:
        run_dir = results / str(error.run_id)
    return results, run_dir


@pytest.mark.parametrize(("function", "status"), [("talkative", "sealed"), ("raising", "failed")])
def test_no_byte_of_a_run_holds_a_secret(tmp_path: Path, function: str, status: str) -> None:
    results, run_dir = results_of(tmp_path, function)
    assert listing.describe(run_dir)["status"] == status
    files = [path for path in results.rglob("*") if path.is_file()]
    assert {"ledger.jsonl", "manifest.json", "config_snapshot.toml", "run.log"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes().decode("utf-8", "replace")
        found = [name for name, secret in SECRETS.items() if secret in content or json.dumps(secret)[1:-1] in content]
        assert not found, path.name


@pytest.mark.parametrize("function", ["talkative", "raising"])
def test_what_is_masked_is_still_evidence(tmp_path: Path, function: str) -> None:
    _, run_dir = results_of(tmp_path, function)
    snapshot = tomllib.loads((run_dir / "config_snapshot.toml").read_text())
    assert snapshot["run"]["tags"] == {"desk": "equities", "api_key": MASK}
    assert snapshot["strategy"]["params"]["length"] == 5
    resolved = json.loads((run_dir / "config_snapshot.json").read_bytes())
    assert resolved["run"]["tags"] == {
        "desk": "equities",
        "api_key": MASK,
        "override_token": MASK,
        "link": f"https://me:{MASK}@host/",
    }
    assert resolved["overrides"] == {"run.tags.override_token": MASK, "run.tags.link": f"https://me:{MASK}@host/"}
    receipts = json.loads((run_dir / "manifest.json").read_bytes())["predicate"]["receipts"]
    assert {"part": "config_snapshot.toml", "outcome": "redacted", "reason": "it holds secrets"} in receipts
    assert verify.verify(run_dir, root=tmp_path).state == "intact"


def test_the_test_would_see_a_secret(tmp_path: Path) -> None:
    # a negative control: what is no secret by its key is found where it is expected
    _, run_dir = results_of(tmp_path, "talkative")
    holding = {path.name for path in run_dir.iterdir() if b"equities" in path.read_bytes()}
    assert holding == {"config_snapshot.toml", "config_snapshot.json", "seal.json"}  # whose lines tell the settings


def test_the_log_keeps_what_is_no_secret(tmp_path: Path) -> None:
    _, run_dir = results_of(tmp_path, "talkative")
    messages = [json.loads(line)["message"] for line in (run_dir / "run.log").read_text().splitlines()]
    (message,) = [message for message in messages if message.startswith("everything: ")]
    assert message.endswith(f"https://x:{MASK}@y/, default_token={MASK}")
    assert logging.getLogger("own").handlers == []


# --- the environment ----------------------------------------------------------------------------------------------

VARIABLES = {
    "BROKER_API_KEY": "bk-5e884898da28",
    "DB_PASSWORD": "hunter2 hunter2",
    "GITHUB_TOKEN": "ghp_0123456789abcdef",
    "PRIVATE_KEY": "line-one-6b86b273\nline-two-d4735e3a",
    "DATABASE": "postgres://me:envurlpw-4e074085@host/db",
}
LATE = "late-4b227777d4dd"
PLAIN = {"BROKER_DESK": "desk-ef2d127de37b"}  # no secret by its name: what shows that a value gets so far
READING = """
import logging, os, warnings
import numpy as np

NAMES = ("BROKER_API_KEY", "DB_PASSWORD", "GITHUB_TOKEN", "PRIVATE_KEY", "DATABASE", "BROKER_DESK")

def talkative(bars):
    os.environ["LOADED_SECRET"] = "late-4b227777d4dd"
    for name in (*NAMES, "LOADED_SECRET"):
        logging.getLogger("own").warning("read %s", os.environ[name])
        warnings.warn(f"with {os.environ[name]!r}", stacklevel=1)
    return np.ones(len(bars))

def raising(bars):
    os.environ["LOADED_SECRET"] = "late-4b227777d4dd"
    try:
        raise KeyError([os.environ[name] for name in NAMES])
    except KeyError as error:
        names = reversed([*NAMES, "LOADED_SECRET"])
        raise ValueError("no login with " + " ".join(map(os.environ.get, names))) from error
"""


def secrets_in(text: str) -> list[str]:
    parts = [part for value in (*VARIABLES.values(), LATE) for part in value.splitlines()]
    parts[parts.index(VARIABLES["DATABASE"])] = "envurlpw-4e074085"
    return [part for part in parts if part in text or json.dumps(part)[1:-1] in text]


@pytest.mark.parametrize("function", ["talkative", "raising"])
def test_no_byte_of_a_run_holds_a_secret_of_the_environment(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (VARIABLES | PLAIN).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOADED_SECRET", "")  # so that it is gone afterwards
    rows = "".join(f"2024-01-{day:02},{100 + day},{101 + day},{99 + day},{100 + day},1\n" for day in range(1, 29))
    (tmp_path / "bars.csv").write_text("timestamp,open,high,low,close,volume\n" + rows)
    (tmp_path / "own.py").write_text(READING)
    tags = {"given": VARIABLES["GITHUB_TOKEN"], "desk": PLAIN["BROKER_DESK"]}
    tree = {
        "run": {"name": f"by {VARIABLES['BROKER_API_KEY']}", "tags": tags},
        "data": {"path": "bars.csv", "symbol": "A", "timeframe": "1d", "calendar": "24/7"},
        "strategy": {"entrypoint": f"own.py:{function}"},
    }
    source = config.compose(tree, {"run.tags.more": VARIABLES["DB_PASSWORD"]}, folder=tmp_path)
    results, said = tmp_path / "results", ""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            run_dir = runner.run(source, root=tmp_path, results=results, argv=["--x", *VARIABLES.values()])
        except RunError as error:
            said, run_dir = f"{error} {error.hint}", results / str(error.run_id)
    assert listing.describe(run_dir)["status"] == ("failed" if function == "raising" else "sealed")
    files = [path for path in results.rglob("*") if path.is_file()]
    held = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in files}
    assert {name: found for name, text in held.items() if (found := secrets_in(text))} == {}
    assert secrets_in(said) == []
    plain = {name for name, text in held.items() if PLAIN["BROKER_DESK"] in text}  # the control
    assert {"run.log", "config_snapshot.toml", "config_snapshot.json"} <= plain
    assert verify.verify(run_dir, root=tmp_path).state == "intact"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "/srv/peak/gone"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-12345678/agent.1"),
        ("AWS_CREDENTIALS_FILE", "/srv/peak/gone/credentials"),
        ("VAULT_TOKEN", str(Path(__file__))),
        ("AUTH_TYPE", "kerberos-5"),
        ("TOKEN", "abc-1"),
        ("SECRET_KEY", "strategy"),
        ("PASSWORD", "2024010112"),
        ("DESK", "desk-ef2d127de37b"),
    ],
)
def test_what_may_stand_in_a_run_by_chance_is_left_alone(name: str, value: str) -> None:
    redactor = Redactor(environment={name: value})
    assert redactor.text(f"from {value} on") == f"from {value} on"
    assert redactor.tree({"path": value, "list": [value]}) == {"path": value, "list": [value]}


@pytest.mark.parametrize("value", ["abc-1234", "onlyletters-not", "abcdefghijkl", "123456789012"])
def test_a_longer_value_of_a_variable_named_like_a_secret_is_not(value: str) -> None:
    assert Redactor(environment={"SOME_TOKEN": value}).text(f"from {value} on") == f"from {MASK} on"


def test_the_password_in_the_url_of_a_variable_is_masked_wherever_it_occurs() -> None:
    redactor = Redactor(environment={"DATABASE": VARIABLES["DATABASE"]})
    assert redactor.text("no login as me with envurlpw-4e074085") == f"no login as me with {MASK}"


def test_a_variable_named_like_a_secret_is_one_as_a_whole_and_so_is_the_password_of_its_url() -> None:
    redactor = Redactor(environment={"DB_SECRET": VARIABLES["DATABASE"]})
    assert redactor.text(f"at {VARIABLES['DATABASE']} with envurlpw-4e074085") == f"at {MASK} with {MASK}"


def test_an_environment_that_does_not_occur_changes_no_byte(tmp_path: Path) -> None:
    content = (Path(__file__).parents[1] / "config" / "my_strategy.toml").read_bytes()
    assert Redactor(environment=VARIABLES | {"PWD": str(tmp_path)}).toml(content) == content


def test_tracking_and_telemetry_know_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.redactor(VARIABLES).text(f"no login with {VARIABLES['BROKER_API_KEY']}") == f"no login with {MASK}"
    session, text = Session(Settings.read({"PEAK_RESULTS_DIR": str(tmp_path)}, [])), f"no login with {LATE}"
    assert session.redactor.text(text) == text  # the control
    monkeypatch.setenv("LOADED_SECRET", LATE)
    assert session.redactor.text(text) == f"no login with {MASK}"


def test_a_secret_that_is_loaded_later_is_known_once_it_was_looked_for() -> None:
    environment: dict[str, str] = {}
    redactor = Redactor(environment=environment)
    environment["API_TOKEN"] = LATE
    assert redactor.text(LATE) == LATE
    redactor.look()
    environment.clear()
    redactor.look()
    assert redactor.text(LATE) == MASK
    environment["API_TOKEN"] = VARIABLES["GITHUB_TOKEN"]
    redactor.look()
    assert redactor.text(f"{LATE}, {VARIABLES['GITHUB_TOKEN']}") == f"{MASK}, {MASK}", "the one before as well"


# --- errors -------------------------------------------------------------------------------------------------------


def test_an_error_does_not_say_the_password_in_an_address(tmp_path: Path) -> None:
    address = "https://me:letmein-4@host/bars.csv"
    tree = {"data": {"path": address, "symbol": "A", "timeframe": "1d"}, "strategy": {"name": "macd"}}
    with pytest.raises(InputError, match="there is no file https://me:") as caught:
        runner.run(config.compose(tree, folder=tmp_path), root=tmp_path, results=tmp_path / "results")
    said = f"{caught.value} {caught.value.message} {caught.value.hint}"
    assert "letmein-4" not in said
    assert f"https://me:{MASK}@host/bars.csv" in said
    assert str(InputError("no a:letmein-4@host here")) == "no a:letmein-4@host here"  # the control: no address


@pytest.mark.parametrize("kind", ["RunError", "ValueError", "warn"])
@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_what_a_script_says_is_masked(kind: str, flags: list[str]) -> None:
    text = "f'at https://me:letmein-4@host with {os.environ[chr(65) + name]} of desk-ef2d127de37b'"
    does = f"script.warn({text}, hint={text})" if kind == "warn" else f"raise {kind}({text})"
    program = (
        "import os\nfrom peak_trade import script\nfrom peak_trade.errors import RunError\nname = 'PI_TOKEN'\n"
        f"def main():\n    {does}\n    return 0\nscript.run(main)"
    )
    settings = os.environ | {"API_TOKEN": VARIABLES["GITHUB_TOKEN"]}
    done = subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, env=settings)
    assert "desk-ef2d127de37b" in done.stderr
    assert secrets_in(done.stderr) == []
    assert "letmein-4" not in done.stderr


FORMED = {
    "github": "ghp_" + "a1B2" * 9,
    "github, of one repository": "github_pat_" + "a1B2" * 8, "gitlab": "glpat-" + "a1B2" * 5,
    "aws": "AKIA" + "A1B2" * 4, "google": "AIza" + "a1B2c" * 7, "slack": "xoxb-" + "1234567890-" * 3 + "aB",
    "openai": "sk-proj-" + "a1B2" * 8, "stripe": "sk_live_" + "a1B2" * 6,
    "a web token": "eyJ" + "a1B2" * 5 + ".eyJ" + "a1B2" * 5 + "." + "a1B2" * 5,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\nAQAB\n-----END RSA " + "PRIVATE KEY-----",
}  # fmt: skip


@pytest.mark.parametrize("what", FORMED)
def test_what_is_a_secret_by_its_form_is_masked_under_any_name(what: str) -> None:
    secret = FORMED[what]
    assert Redactor().text(f'x = """{secret}"""  # mine') == f'x = """{MASK}"""  # mine'
    assert Redactor().holds(f'x = """{secret}"""') and not Redactor().holds(f'x = """{secret[:12]}"""')


def test_a_token_before_the_host_of_a_url_is_masked_and_the_name_of_a_person_is_not() -> None:
    token = "0123456789abcdef" * 2
    assert Redactor().text(f"https://{token}@host.example/bars.csv") == f"https://{MASK}@host.example/bars.csv"
    for honest in ("https://git@host.example/", "ssh://deploy-42@host/", "https://host.example/a/very/long/path/0@x"):
        assert Redactor().text(honest) == honest and not Redactor().holds(honest)


@pytest.mark.parametrize(
    "honest",
    ["risk-free-rate-of-the-last-252-days-Adjusted", "task_live_" + "a1" * 20, "sk-learn", "SAKIA" + "A1B2" * 4],
)
def test_what_only_looks_like_such_a_form_is_left_alone(honest: str) -> None:
    assert Redactor().text(honest) == honest


def test_text_that_begins_such_forms_without_end_costs_no_square() -> None:
    for begin in ("sk-", "eyJ", "-----BEGIN PRIVATE KEY-----", "://", "://a1", "-----BEGIN A "):
        started = time.process_time()
        assert Redactor().holds(begin * (300_000 // len(begin))) == ("KEY" in begin)
        assert time.process_time() - started < 5, begin

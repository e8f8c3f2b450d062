"""Secrets in code: given to what has the name of one, in whatever form; code is none."""

from __future__ import annotations

import pytest

from peak_trade.runner.secrets import secrets

GIVEN = [
    'api_key = "abcdef123456"',
    'SECRET_KEY = b"abcdef123456"',
    'api_key = f"abcdef{version}123456"',
    'api_key = "abcdef" + "123456"',
    'api_key = os.getenv("KEY_OF_ALL") or "abcdef123456"',
    'password = "abcdef123456" if live else ""',
    'user, password = "me", "abcdef123456"',
    'connect(password="abcdef123456")',
    'os.environ.get("API_KEY", "abcdef123456")',
    'setattr(client, "api_key", "abcdef123456")',
    'client["api_key"] = "abcdef123456"',
    'headers = {"Authorization": "Bearer abcdef123456"}',
    'headers = [("Authorization", "Bearer abcdef123456")]',
    "def ask(token='abcdef123456'): pass",
    "if (token := 'abcdef123456'): pass",
    "x = 1  # api_key = 'abcdef123456'",
    "# password: abcdef123456",
    "api_key = 'abcdef123456'\nx = (",
]
NONE = [
    "token = next(stream)",
    'api_key = os.environ["API_KEY"]',
    'headers = {"Authorization": "Bearer " + token}',
    'headers = {"Authorization": f"Bearer {token}"}',
    'fields = [("password", "Password")]',
    'key = "close_price_1"',
    'tokens = ["abc1", "def2"]',
    "# token: the next one of the stream",
    "x = 1  # a password would stand here",
    "password = getpass()",
]


@pytest.mark.parametrize("text", GIVEN)
def test_what_is_given_to_the_name_of_a_secret_is_one(text: str) -> None:
    assert "".join(secrets(text)).removeprefix("Bearer ").replace("Bearer ", "").startswith("abcdef123456")


@pytest.mark.parametrize("text", NONE)
def test_code_is_none(text: str) -> None:
    assert list(secrets(text)) == []


def test_a_thousand_texts_put_together_stop_no_run() -> None:
    assert list(secrets("api_key = " + " + ".join(["'a1'"] * 900))) in ([], ["a1" * 900])

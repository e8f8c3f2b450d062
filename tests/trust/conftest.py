from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="session")
def authority() -> Any:
    """The module beside this one: a timestamp authority on this machine, and keys of OpenSSH."""
    spec = spec_from_file_location("authority", Path(__file__).with_name("authority.py"))
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def ssh_keys(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The keys of alice and bob; `alone` is a file of allowed signers that has alice's alone."""

    folder = tmp_path_factory.mktemp("keys")
    alice, bob = (authority.ssh_key(folder, name) for name in ("alice", "bob"))
    public = alice.with_suffix(".pub").read_text("utf-8")
    (folder / "allowed").write_text(f'alice@desk namespaces="peak-trade" {public}', "utf-8")
    return SimpleNamespace(folder=folder, alice=alice, bob=bob, alone=folder / "allowed")

"""OpenSSH's keys: `ssh-keygen -Y` signs with the operator's own, and tells whose key has signed.

https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig describes the signature: the key that made it,
the namespace that it is good for, and the bytes. In an envelope it lies as those, without the lines around them.
Private keys are never read here.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.text import escaped

if TYPE_CHECKING:
    from subprocess import CompletedProcess

__all__ = ["ALLOWED", "KEY", "NAMESPACE", "Absent", "Signer", "allowed_file", "key_file", "sign", "signer_of", "whose"]

NAMESPACE = "peak-trade"
"""Signatures for git, files or anything else are none of ours, and ours are good for nothing else."""
KEY = "PEAK_SIGNING_KEY"
ALLOWED = "PEAK_ALLOWED_SIGNERS"
_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")  # ssh's own names; those in ~/.ssh sign where nobody names one
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"
_MAGIC = b"SSHSIG"
_WAIT_S = 300  # for a passphrase, or a touch of the key


class Absent(RunError):
    """OpenSSH, or a key, is not there: what takes it is skipped."""


class Signer(Struct, frozen=True):
    """Who made a signature: the key's fingerprint, and the name that the allowed signers have for it, if any."""

    key: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.key})" if self.name else f"the key {self.key}"


def key_file(given: str | None = None) -> Path:
    """Return the key to sign with: the one given, `$PEAK_SIGNING_KEY`, git's, or ssh's usual one in ~/.ssh.

    Raises InputError where one that is named is not there, Absent where none is.
    """
    named = given or os.environ.get(KEY) or _of_git("user.signingkey")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"there is no key {named}", hint="ssh-keygen -t ed25519 makes one")
        return path
    for name in _USUAL:
        path = Path("~/.ssh").expanduser() / name
        if path.is_file():
            return path
    raise Absent("no key to sign with", hint=f"ssh-keygen -t ed25519 makes one; --key or ${KEY} names it")


def allowed_file(given: str | None = None) -> Path | None:
    """Return the file of allowed signers: the one given, `$PEAK_ALLOWED_SIGNERS`, or git's; None where none is named.

    Raises InputError where one that is named is not there.
    """
    named = given or os.environ.get(ALLOWED)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"there is no file of allowed signers {named}", hint="docs/ops/sign.md says what it holds")
        return path
    of_git = _of_git("gpg.ssh.allowedSignersFile")
    return Path(of_git) if of_git and os.path.isfile(of_git) else None


def _of_git(setting: str) -> str | None:
    """Return what the person's own git is set to, if it signs by ssh: never what a checkout says of itself."""
    try:
        if setting == "user.signingkey" and _run("git", "config", "--global", "gpg.format").stdout.strip() != b"ssh":
            return None
        found = os.fsdecode(_run("git", "config", "--global", "--type=path", setting).stdout.strip())
    except Absent:
        return None
    return None if found.startswith(("key::", "ssh-")) else found or None  # a key's text, not its file


def sign(message: bytes, key: Path) -> bytes:
    """Return a signature of a message, as an envelope has it.

    Raises Absent without OpenSSH, RunError where it does not sign.
    """
    done = _run("ssh-keygen", "-Y", "sign", "-f", os.fspath(key.absolute()), "-n", NAMESPACE, given=message)
    armour = done.stdout.strip() + b"\n"
    if done.returncode or not (armour.startswith(_BEGIN) and armour.endswith(_END)):
        raise RunError(
            f"ssh-keygen does not sign with {key.name}: {_said(done)}", hint="ssh-add -l lists an agent's keys"
        )
    return b64decode(b"".join(armour[len(_BEGIN) : -len(_END)].split()))


def whose(signature: bytes, message: bytes, allowed: Path | None) -> Signer:
    """Return who signed a message: with the name that `allowed` has for that key, as it is good now.

    Raises RunError where it is no signature of this message for our namespace, Absent without OpenSSH.
    """
    signer = Signer(signer_of(signature))
    with _lying(signature) as path:
        for name in _names(path, allowed):
            asked = ("-I", name, "-f", os.fspath(allowed or ""), "-n", NAMESPACE, "-s", path)
            if _run("ssh-keygen", "-Y", "verify", *asked, given=message).returncode == 0:
                return Signer(signer.key, escaped(name, 100))
        done = _run("ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", path, given=message)
    if done.returncode:
        raise RunError(f"ssh-keygen says: {_said(done)}")
    return signer


def _names(signature: str, allowed: Path | None) -> list[str]:
    """Return the names that the allowed signers have for the key of a signature."""
    if allowed is None:
        return []
    found = _run("ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", os.fspath(allowed))
    return found.stdout.decode("utf-8", "replace").splitlines() if found.returncode == 0 else []


def signer_of(signature: bytes) -> str:
    """Return the fingerprint of the key that a signature says it is of, as `ssh-keygen -l` has it.

    Raises RunError where it is none.
    """
    if signature[:6] != _MAGIC or signature[6:10] != b"\0\0\0\1":
        raise RunError("no signature by OpenSSH")
    size = int.from_bytes(signature[10:14], "big")
    if not 0 < size <= len(signature) - 14:
        raise RunError("a signature by OpenSSH that is cut off")
    return "SHA256:" + b64encode(sha256(signature[14 : 14 + size]).digest()).decode().rstrip("=")


@contextmanager
def _lying(signature: bytes) -> Iterator[str]:
    """Yield a file with a signature, as ssh-keygen takes it."""
    import tempfile  # only where there is a signature

    text = b64encode(signature)
    lines = b"".join(text[at : at + 70] + b"\n" for at in range(0, len(text), 70))
    with tempfile.NamedTemporaryFile(prefix="peak_trade-", suffix=".sig") as file:
        file.write(_BEGIN + lines + _END)
        file.flush()
        yield file.name


def _run(*command: str, given: bytes = b"") -> CompletedProcess[bytes]:
    """Run a program that may ask for a passphrase on the terminal. Raises Absent where there is none of that name."""
    import subprocess  # only where there is a signature

    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=_WAIT_S, check=False)
    except FileNotFoundError:
        raise Absent(f"{command[0]} is missing", hint="install OpenSSH") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{command[0]} does not end: {error}") from None


def _said(done: CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return escaped(lines[0], 200) if lines else f"exit code {done.returncode}"

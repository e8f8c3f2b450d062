"""The ledger's head with a time that an authority vouches for: RFC 3161, by the extra `timestamp`.

The authority gets the sha256 of a line, which names the lines before it, and nothing of what they say. Its answer is
checked here, offline, against the root certificates that whoever checks believes in.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.text import escaped, one_line
from peak_trade.trust.proofs.keys import Absent

__all__ = ["AUTHORITY", "ROOTS", "Stamp", "ask", "read", "roots_file"]

AUTHORITY, ROOTS = "PEAK_TSA", "PEAK_TSA_ROOTS"
_WAIT_S = 30
_MOST = 1 << 20  # bytes of an answer, which has some 6 kB
_KIND = {"Content-Type": "application/timestamp-query", "User-Agent": "peak-trade"}
_SHA256 = "2.16.840.1.101.3.4.2.1"


class Stamp(Struct, frozen=True):
    """What an authority says: the sha256 that it was given, when, and who it says it is.

    `trusted` is whether its signature and its certificate lead to a root that was named; None where none was.
    """

    sha256: str
    time: str
    by: str
    trusted: bool | None
    reason: str = ""


def roots_file(given: str | None = None) -> Path | None:
    """Return the file of root certificates: the one given, or `$PEAK_TSA_ROOTS`; InputError where it is not there."""
    named = given or os.environ.get(ROOTS)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file of root certificates {named}", hint="your authority publishes it, as PEM")
    return path


def ask(content: bytes, address: str, roots: Path | None) -> bytes:
    """Have an authority vouch for the sha256 of a line now, and return its answer, as it is kept.

    Raises Absent without the extra, InputError for an address that is none, RunError where no good answer comes.
    """
    client = _client()
    url, who = _address(address)
    builder = client.TimestampRequestBuilder().data(content).hash_algorithm(client.HashAlgorithm.SHA256)
    asked = builder.cert_request(cert_request=True).build()
    token = _within(_WAIT_S, lambda: _answer(url, who, asked.as_bytes()))
    if not isinstance(token, bytes):
        reason = getattr(token, "reason", None) or token  # of urllib's own error, what it wraps
        why = (reason.strerror if isinstance(reason, OSError) else None) or one_line(reason, 200)
        raise RunError(f"{url} gives no timestamp: {why}", hint="try again, or another one")
    stamp, nonce = _decoded(token, roots)
    if (stamp.sha256, nonce) != (bytes(asked.message_imprint.message).hex(), asked.nonce):
        raise RunError(f"{url} answers what it was not asked")
    if stamp.trusted is False:
        raise RunError(f"{url} gives no timestamp that the roots vouch for: {stamp.reason}")
    return token


def _address(text: str) -> tuple[str, str]:
    """Return the address of an authority, and the name and password in it; InputError where it is none."""
    from urllib.parse import unquote, urlsplit

    with suppress(ValueError):
        split = urlsplit(text)
        who, _, place = split.netloc.rpartition("@")
        if split.scheme in ("http", "https") and split.hostname and re.fullmatch("[!-~]+", text):
            return split._replace(netloc=place).geturl(), unquote(who)
    raise InputError(f"{text!r} is no address of a timestamp authority", hint="it begins with https://")


def _answer(url: str, who: str, question: bytes) -> bytes:
    """Return what an authority answers; a name and a password are sent as HTTP has it, and to nobody else."""
    import urllib.request  # takes as long to import as all that checks
    from base64 import b64encode

    request = urllib.request.Request(url, data=question, headers=_KIND)
    if who:
        request.add_unredirected_header("Authorization", f"Basic {b64encode(who.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:
        content: bytes = answer.read(_MOST + 1)
        return content


def _within(seconds: float, ask: Callable[[], bytes]) -> bytes | Exception:
    """Return what comes within a time, or why nothing does: a server that sends a byte now and then never ends."""
    found: list[bytes | Exception] = []

    def wait() -> None:
        try:
            found.append(ask())
        except Exception as error:  # noqa: BLE001 # http.client has errors of its own, and it is told by whoever asked
            getattr(error, "close", bool)()  # an answer that says no has a connection yet
            found.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else TimeoutError(f"no answer within {seconds:g} s")


def read(token: bytes, roots: Path | None) -> Stamp:
    """Return what an answer says, held against the roots.

    Raises Absent without the extra, RunError where it is no timestamp.
    """
    return _decoded(token, roots)[0]


def _decoded(token: bytes, roots: Path | None) -> tuple[Stamp, int | None]:
    client = _client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its decoder thinks of a stranger's certificates
        return _of(client, token, roots)


def _of(client: Any, token: bytes, roots: Path | None) -> tuple[Stamp, int | None]:
    try:
        if len(token) > _MOST:
            raise ValueError("it is too long")
        answer = client.decode_timestamp_response(token)
        if answer.status != client.PKIStatus.GRANTED:
            said = escaped(" ".join(answer.status_string), 200)
            raise RunError(f"no timestamp was granted: {said or f'status {answer.status}'}")
        info = answer.tst_info
        if info.message_imprint.hash_algorithm.dotted_string != _SHA256:
            raise ValueError("it is of no sha256")
        time = info.gen_time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sha256, nonce = bytes(info.message_imprint.message).hex(), info.nonce
        by, reason = _by(answer), "" if roots is None else _wrong(client, answer, roots)
    except (RunError, InputError):
        raise
    except Exception as error:  # noqa: BLE001 - what its decoder makes of a stranger's bytes
        raise RunError(f"no timestamp of RFC 3161: {one_line(error, 200)}") from None
    return Stamp(sha256, time, by, None if roots is None else not reason, reason), nonce


def _by(answer: Any) -> str:
    """Return the name of the certificate that signed, as the answer has it."""
    from cryptography import x509

    signers = {(one.issuer.rfc4514_string(), one.serial_number) for one in answer.signed_data.signer_infos}
    for der in answer.signed_data.certificates:
        found = x509.load_der_x509_certificate(bytes(der))
        if (found.issuer.rfc4514_string(), found.serial_number) in signers:
            return escaped(found.subject.rfc4514_string(), 200)
    return "a certificate that it does not hold"


def _wrong(client: Any, answer: Any, roots: Path) -> str:
    """Return why the roots don't vouch for an answer; empty where they do."""
    from cryptography import x509

    try:
        known = x509.load_pem_x509_certificates(roots.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{roots} holds no root certificates: {one_line(error, 200)}", hint="as PEM") from None
    try:
        builder = client.VerifierBuilder()
        for one in dict.fromkeys(known):
            builder = builder.add_root_certificate(one)
        builder.build().verify(answer, bytes(answer.tst_info.message_imprint.message))
    except (ValueError, client.VerificationError) as error:
        told = re.findall(r'reason: "([^"]+)"', str(error))  # of OpenSSL's own
        return one_line(told[0] if told else error, 200) or type(error).__name__
    return ""


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        raise Absent(f"timestamps need the extra timestamp: {error}", hint="just setup timestamp") from None
    return rfc3161_client

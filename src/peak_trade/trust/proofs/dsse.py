"""DSSE: the envelope in which a signed payload and its signatures travel together.

https://github.com/secure-systems-lab/dsse (protocol and envelope, 1.0.2) describes it. What is signed is the payload
with its type before it, each with its length, so that no payload can be taken for one of another type.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

import msgspec
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import files

__all__ = ["LINE", "STATEMENT", "Envelope", "Signature", "decode", "encode", "encoding", "raw"]

STATEMENT = "application/vnd.in-toto+json"
"""The payload is a run's manifest, byte for byte."""
LINE = "application/vnd.peak-trade.ledger-line+json"
"""The payload is a line of a ledger, byte for byte and without its end: its sha256 is what the next line names."""
MOST = 32  # signatures in one envelope: each takes a process to check


class Signature(Struct, frozen=True):
    """One signature: base64 of the bytes, and a hint at the key, which is for people."""

    sig: str
    keyid: str = ""


class Envelope(Struct, frozen=True, rename="camel"):
    """A payload in base64, what it is, and who has signed it."""

    payload: str
    payload_type: str
    signatures: list[Signature]

    @classmethod
    def of(cls, payload: bytes, payload_type: str, signatures: list[Signature]) -> Envelope:
        """Put a payload into an envelope."""
        return cls(b64encode(payload).decode(), payload_type, signatures)


def encoding(payload: bytes, payload_type: str) -> bytes:
    """Return the bytes that are signed, DSSE's PAE.

    >>> encoding(b"hello world", "http://example.com/HelloWorld")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def encode(envelope: Envelope) -> bytes:
    """Return an envelope's file."""
    return files.encode_json(envelope)


def decode(content: bytes, name: str) -> Envelope:
    """Return what a file holds; RunError where that is no envelope, or one with more signatures than are looked at."""
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{name} is no DSSE envelope: {error}") from None
    if not 0 < len(envelope.signatures) <= MOST:
        raise RunError(f"{name} has {len(envelope.signatures):,} signatures, not 1 to {MOST}")
    return envelope


def raw(text: str, name: str) -> bytes:
    """Return the bytes of a text in base64, in either of its two alphabets; RunError where it is none."""
    try:
        return b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise RunError(f"{name} holds a text that is no base64") from None

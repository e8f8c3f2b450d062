"""A timestamp authority of RFC 3161 on this machine, with certificates of its own, and keys of OpenSSH.

Its answers are real: RFC 3161's structures in DER, signed by ECDSA under a chain of two certificates.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA = "1.2.840.10045.4.3.2"
SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, DIGEST, CERTIFICATE = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"
POLICY = "1.3.6.1.4.1.99999.1"


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    found = b""
    for number in (40 * first + second, *rest):
        digits = [number & 127]
        while number := number >> 7:
            digits.insert(0, number & 127 | 128)
        found += bytes(digits)
    return der(0x06, found)


def octets(value: bytes) -> bytes:
    return der(0x04, value)


SHA = sequence(oid(SHA256))


class Authority:
    """Its root certificate lies in `roots`, as PEM; `now` is its clock.

    `heard` is what it makes of the digest that it is asked about, `changed` what becomes of its answers on the way.
    """

    def __init__(self, folder: Path, name: str = "Time of the tests") -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        def called(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        self.now = datetime.now(UTC).replace(microsecond=0)
        self.changed: Callable[[bytes], bytes] = lambda answer: answer
        self.heard: Callable[[bytes], bytes] = lambda imprint: imprint
        self.asked: list[bytes] = []
        self.granted = 0
        root, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        made = []
        for subject, public, own in ((f"{name}, root", root.public_key(), True), (name, self.key.public_key(), False)):
            builder = x509.CertificateBuilder().subject_name(called(subject)).issuer_name(called(f"{name}, root"))
            builder = builder.public_key(public).serial_number(1 if own else 2)
            builder = builder.not_valid_before(self.now - timedelta(days=3))
            builder = builder.not_valid_after(self.now + timedelta(days=3))
            builder = builder.add_extension(x509.BasicConstraints(own, None), critical=True)
            if not own:
                usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
                builder = builder.add_extension(usage, critical=True)
            made.append(builder.sign(root, hashes.SHA256()))
        self.name, self.root, self.certificate = called(name), *made
        self.roots = folder / f"{name}.pem"
        self.roots.write_bytes(self.root.public_bytes(Encoding.PEM))

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request, as RFC 3161 has both."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding

        self.asked.append(request)
        if self.granted:
            return sequence(sequence(integer(self.granted), sequence(der(0x0C, b"not today"))))
        imprint, nonce = self.heard(parts(request)[1]), next((one for one in parts(request)[2:] if one[0] == 0x02), b"")
        time = der(0x18, self.now.strftime("%Y%m%d%H%M%SZ").encode())
        info = sequence(integer(1), oid(POLICY), imprint, integer(7), time, nonce)
        leaf = self.certificate.public_bytes(Encoding.DER)
        attributes = b"".join(sorted((
            sequence(oid(CONTENT_TYPE), der(0x31, oid(TST_INFO))),
            sequence(oid(DIGEST), der(0x31, octets(hashlib.sha256(info).digest()))),
            sequence(oid(CERTIFICATE), der(0x31, sequence(sequence(sequence(octets(hashlib.sha256(leaf).digest())))))),
        )))  # fmt: skip
        signature = self.key.sign(der(0x31, attributes), ec.ECDSA(hashes.SHA256()))
        issuer = sequence(self.root.subject.public_bytes(), integer(2))
        signer = sequence(
            integer(1), issuer, SHA, der(0xA0, attributes), sequence(oid(ECDSA)), octets(signature)
        )  # fmt: skip
        content = sequence(oid(TST_INFO), der(0xA0, octets(info)))
        data = sequence(integer(3), der(0x31, SHA), content, der(0xA0, leaf), der(0x31, signer))
        return sequence(sequence(integer(0)), sequence(oid(SIGNED_DATA), der(0xA0, data)))


def parts(sequence_: bytes) -> list[bytes]:
    """Return the parts of a sequence in DER, each whole."""

    def head(at: int) -> tuple[int, int]:
        size = sequence_[at + 1]
        if size < 128:
            return at + 2, size
        more = size & 127
        return at + 2 + more, int.from_bytes(sequence_[at + 2 : at + 2 + more], "big")

    at, size = head(0)
    end, found = at + size, []
    while at < end:
        start, size = head(at)
        found.append(sequence_[at : start + size])
        at = start + size
    return found


@contextmanager
def serving(authority: Authority) -> Iterator[str]:
    """Yield the address at which an authority answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(authority.changed(content))

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ssh_key(folder: Path, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key of OpenSSH, as `ssh-keygen` does."""
    folder.mkdir(exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{name}@test", "-f", str(folder / name)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return folder / name

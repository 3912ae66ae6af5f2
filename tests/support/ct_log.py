"""A small Certificate Transparency log (RFC 6962): add-pre-chain over HTTP, signed with ECDSA P-256.

It is written with ``cryptography`` and a few lines of DER, and takes nothing from the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID


class CtLog:
    """A log; ``answer`` changes what it says, ``delay`` makes it wait."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.log_id = hashlib.sha256(self.spki).digest()
        self.entries: list[x509.Certificate] = []
        self.change: Callable[[dict[str, Any]], Any] = lambda document: document
        self.status = 200
        self._now = now
        log = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert self.path == "/ct/v1/add-pre-chain"
                answer = json.dumps(log.change(log.add(body["chain"]))).encode()
                self.send_response(log.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def add(self, chain: list[str]) -> dict[str, Any]:
        """Check a chain and sign a timestamp for it."""
        found = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in chain]
        for below, above in pairwise(found):
            below.verify_directly_issued_by(above)
        found[-1].verify_directly_issued_by(found[-1])
        poison = found[0].extensions.get_extension_for_oid(ExtensionOID.PRECERT_POISON)
        assert poison.critical
        self.entries.append(found[0])
        milliseconds = int(self._now().timestamp() * 1000)
        issuer = found[1].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        tbs = without_poison(base64.b64decode(chain[0]))
        data = (
            b"\x00\x00"
            + milliseconds.to_bytes(8, "big")
            + b"\x00\x01"
            + hashlib.sha256(issuer).digest()
            + len(tbs).to_bytes(3, "big")
            + tbs
            + b"\x00\x00"
        )
        signature = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        signed = b"\x04\x03" + len(signature).to_bytes(2, "big") + signature
        return {
            "sct_version": 0,
            "id": base64.b64encode(self.log_id).decode(),
            "timestamp": milliseconds,
            "extensions": "",
            "signature": base64.b64encode(signed).decode(),
        }


_POISON = bytes.fromhex("060a2b06010401d679020403")


def _elements(content: bytes) -> list[bytes]:
    """Cut a constructed value's content into its elements."""
    found, at = [], 0
    while at < len(content):
        start, length = at + 2, content[at + 1]
        if length > 0x80:
            octets = length & 0x7F
            start, length = start + octets, int.from_bytes(content[start : start + octets], "big")
        found.append(content[at : start + length])
        at = start + length
    return found


def _content(element: bytes) -> bytes:
    return element[2 + (element[1] & 0x7F if element[1] > 0x80 else 0) :]


def _wrap(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def without_poison(precertificate: bytes) -> bytes:
    """Return the TBSCertificate that is signed (section 3.2)."""
    *rest, last = _elements(_content(_elements(_content(precertificate))[0]))
    assert last[0] == 0xA3
    extensions = _elements(_content(_content(last)))
    kept = [one for one in extensions if not _content(one).startswith(_POISON)]
    assert len(kept) == len(extensions) - 1
    return _wrap(0x30, b"".join(rest) + _wrap(0xA3, _wrap(0x30, b"".join(kept))))

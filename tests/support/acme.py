"""An ACME client that can also do everything wrong, and the world that validators reach out to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pycryptoutil_protocols.acme import caa, validation
from pycryptoutil_protocols.acme.messages import Identifier
from pycryptoutil_protocols.acme.problems import ProblemType, refused

from pycryptoutil.authority.acme.dns import NoAnswerFault
from pycryptoutil.authority.acme.fetch import Deadline
from pycryptoutil.clock import SystemClock

CLOCK = SystemClock()
PREFIX = "urn:ietf:params:acme:error:"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class AccountKey:
    """A private key and how it signs."""

    key: Any = field(repr=False)
    algorithm: str = "ES256"

    @classmethod
    def new(cls, algorithm: str = "ES256") -> AccountKey:
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        if algorithm in curves:
            return cls(ec.generate_private_key(curves[algorithm]), algorithm)
        if algorithm == "EdDSA":
            return cls(ed25519.Ed25519PrivateKey.generate(), algorithm)
        return cls(rsa.generate_private_key(65537, 2048), algorithm)

    @property
    def jwk(self) -> dict[str, str]:
        public = self.key.public_key()
        match public:
            case ec.EllipticCurvePublicKey():
                size = (public.key_size + 7) // 8
                numbers = public.public_numbers()
                names = {256: "P-256", 384: "P-384", 521: "P-521"}
                return {
                    "kty": "EC", "crv": names[public.key_size],
                    "x": _number(numbers.x, size), "y": _number(numbers.y, size),
                }  # fmt: skip
            case rsa.RSAPublicKey():
                return {"kty": "RSA", "n": _number(public.public_numbers().n), "e": _number(public.public_numbers().e)}
            case _:
                raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
                return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}

    @property
    def thumbprint(self) -> str:
        return b64(hashlib.sha256(json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode()).digest())

    def sign(self, data: bytes) -> bytes:
        match self.key:
            case ec.EllipticCurvePrivateKey():
                size = (self.key.key_size + 7) // 8
                chosen = {32: hashes.SHA256(), 48: hashes.SHA384(), 66: hashes.SHA512()}[size]
                r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(chosen)))
                return r.to_bytes(size, "big") + s.to_bytes(size, "big")
            case rsa.RSAPrivateKey():
                chosen = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[self.algorithm[2:]]
                pss = padding.PSS(padding.MGF1(chosen), chosen.digest_size)
                return self.key.sign(data, pss if self.algorithm[:2] == "PS" else padding.PKCS1v15(), chosen)
            case _:
                return self.key.sign(data)


def jws(header: Mapping[str, Any], payload: Any, sign: Callable[[bytes], bytes]) -> dict[str, str]:
    """A flattened JWS; ``payload`` None is POST-as-GET, bytes are taken as they are."""
    raw = b"" if payload is None else payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    protected, body = b64(json.dumps(header).encode()), b64(raw)
    return {"protected": protected, "payload": body, "signature": b64(sign(f"{protected}.{body}".encode()))}


def external_binding(key: AccountKey, kid: str, secret: str | bytes, url: str, **header: Any) -> dict[str, str]:
    """An externalAccountBinding by HS256."""
    octets = secret.encode() if isinstance(secret, str) else secret
    head = {"alg": "HS256", "kid": kid, "url": url, **header}
    return jws(head, key.jwk, lambda data: hmac.new(octets, data, "sha256").digest())


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last part of the problem's type."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        document = self.json
        assert document["status"] == self.status
        assert document["type"].startswith(PREFIX)
        assert None not in document.values()
        return str(document["type"].removeprefix(PREFIX))


Send = Callable[[str, str, bytes, Mapping[str, str]], Reply]
"""``(method, url, body, headers)``"""


class AcmeClient:
    """One account of one directory."""

    def __init__(self, send: Send, directory_url: str, key: AccountKey | None = None) -> None:
        self.send = send
        self.key = key or AccountKey.new()
        self.directory_url = directory_url
        self.directory: dict[str, Any] = self.get(directory_url).json
        self.kid = ""

    def get(self, url: str, method: str = "GET") -> Reply:
        return self.send(method, url, b"", {})

    def nonce(self) -> str:
        return self.get(self.directory["newNonce"], "HEAD").headers["replay-nonce"]

    def post(
        self, url: str, payload: Any = None, *, key: AccountKey | None = None, use_jwk: bool = False, **header: Any
    ) -> Reply:
        """Sign and send; ``header`` overrides members of the protected header (None leaves one out)."""
        signer = key or self.key
        head: dict[str, Any] = {"alg": signer.algorithm, "nonce": None, "url": url}
        if use_jwk:
            head["jwk"] = signer.jwk
        else:
            head["kid"] = self.kid
        head |= header
        if "nonce" not in header:
            head["nonce"] = self.nonce()
        head = {name: value for name, value in head.items() if value is not None}
        return self.raw(url, json.dumps(jws(head, payload, signer.sign)).encode())

    def raw(self, url: str, body: bytes, kind: str = "application/jose+json") -> Reply:
        return self.send("POST", url, body, {"Content-Type": kind})

    # the usual way

    def register(self, **payload: Any) -> Reply:
        reply = self.post(self.directory["newAccount"], payload, use_jwk=True)
        if reply.status in {200, 201}:
            self.kid = reply.headers["location"]
        return reply

    def bind(self, kid: str, secret: str | bytes, **payload: Any) -> Reply:
        """Register with an external binding."""
        binding = external_binding(self.key, kid, secret, self.directory["newAccount"])
        return self.register(externalAccountBinding=binding, **payload)

    def order(self, *names: str, **more: Any) -> Reply:
        """Order DNS names; ``ip:…`` and ``permanent-identifier:…`` are of that type."""
        return self.post(self.directory["newOrder"], {"identifiers": [identifier(one) for one in names], **more})

    def authorizations(self, order: Reply) -> list[Reply]:
        return [self.post(url) for url in order.json["authorizations"]]

    def challenge(self, authorization: Reply, kind: str) -> dict[str, Any]:
        return next(one for one in authorization.json["challenges"] if one["type"] == kind)

    def key_authorization(self, challenge: Mapping[str, Any]) -> str:
        return f"{challenge['token']}.{self.key.thumbprint}"

    def finalize(self, order: Reply, csr: bytes) -> Reply:
        return self.post(order.json["finalize"], {"csr": b64(csr)})


def identifier(text: str) -> dict[str, str]:
    kind, colon, value = text.partition(":")
    known = colon and kind in {"dns", "ip", "permanent-identifier", "email"}
    return {"type": kind, "value": value} if known else {"type": "dns", "value": text}


# --- what validators meet


@dataclass
class Internet:
    """Everybody's web servers, TLS servers and name servers."""

    http: dict[tuple[str, str], bytes] = field(default_factory=dict)  # (host, token) → body
    txt: dict[str, list[bytes]] = field(default_factory=dict)
    caa_records: dict[str, list[caa.Record]] = field(default_factory=dict)
    tls: dict[str, tuple[bytes, str | None]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)  # names whose DNS fails
    asked: list[str] = field(default_factory=list)

    def put_http(self, client: AcmeClient, name: str, challenge: Mapping[str, Any]) -> None:
        self.http[name, challenge["token"]] = client.key_authorization(challenge).encode()

    def put_txt(self, client: AcmeClient, name: str, challenge: Mapping[str, Any]) -> None:
        value = validation.dns_value(client.key_authorization(challenge)).encode()
        self.txt.setdefault(f"_acme-challenge.{name}", []).append(value)


@dataclass
class FakeFetcher:
    """Stands for :class:`pycryptoutil.authority.acme.fetch.Fetcher` and for its resolver."""

    internet: Internet

    @property
    def resolver(self) -> FakeFetcher:
        return self

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(CLOCK, CLOCK.monotonic() + seconds)

    def http(self, one: Identifier, token: str, _deadline: object) -> bytes:
        self.internet.asked.append(f"http {one.value}")
        if (one.value, token) not in self.internet.http:
            raise refused(ProblemType.CONNECTION, f"cannot connect to {one.value}")
        return self.internet.http[one.value, token]

    def tls(self, one: Identifier, _deadline: object) -> tuple[bytes, str | None]:
        self.internet.asked.append(f"tls {one.value}")
        if one.value not in self.internet.tls:
            raise refused(ProblemType.TLS, f"no TLS with {one.value}")
        return self.internet.tls[one.value]

    def addresses(self, name: str) -> list[str]:
        raise AssertionError(name)

    def texts(self, name: str) -> list[bytes]:
        self._ask("TXT", name)
        return self.internet.txt.get(name, [])

    def caa(self, name: str) -> list[caa.Record]:
        self._ask("CAA", name)
        return self.internet.caa_records.get(name, [])

    def _ask(self, kind: str, name: str) -> None:
        self.internet.asked.append(f"{kind} {name}")
        if name in self.internet.down:
            raise NoAnswerFault(f"looking up {kind} of {name}: SERVFAIL")


@contextmanager
def web_server(answers: Mapping[str, bytes]) -> Iterator[int]:
    """Run everybody's web server on loopback, for http-01: by token, what it answers. Gives the port."""

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path.rpartition("/")[2], b"")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()

"""JSON Web Keys (RFC 7517) as typed handles: a public half, a private key and a secret are three different types.

A secret has no public half, so nothing here can publish one by mistake. Private and secret keys live in the core; their
members come out only through :meth:`JwkPrivate.export` and :meth:`JwkSecret.export`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import jose as core
from pycryptoutil.crypto import keys
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose import convert
from pycryptoutil.jose.convert import PrivateHandle
from pycryptoutil.jose.text import b64e, dumps, invalid, loads, malformed, octets, string

MAX_JWK: Final = 64 * 1024
MAX_KEYS: Final = 1000
MAX_KID: Final = 256
_USES: Final = ("", "sig", "enc")
_OPERATIONS: Final = {
    "sig": frozenset({"sign", "verify"}),
    "enc": frozenset({"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"}),
}
_PRIVATE_OPERATIONS: Final = frozenset({"sign", "decrypt", "unwrapKey", "deriveKey", "deriveBits"})
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


@dataclass(frozen=True, slots=True)
class Usage:
    """What a JWK says of its key beside the key itself."""

    alg: str = ""
    kid: str = ""
    use: str = ""
    key_ops: tuple[str, ...] = ()

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Usage:
        """Read the common members (RFC 7517 section 4); others are ignored. Fault(MALFORMED, INVALID)."""
        alg, kid, use = (string(members, name, "") for name in ("alg", "kid", "use"))
        usage = cls(alg, kid, use, _operations(members))
        usage.check()
        return usage

    def check(self) -> None:
        """Refuse what contradicts itself."""
        if len(self.kid) > MAX_KID or self.use not in _USES:
            raise invalid("kid is too long, or use is neither sig nor enc")
        known = _OPERATIONS["sig"] | _OPERATIONS["enc"]
        if len(set(self.key_ops)) != len(self.key_ops) or set(self.key_ops) - known:
            raise invalid("key_ops has an operation twice, or an unknown one")
        if self.use and set(self.key_ops) - _OPERATIONS[self.use]:
            raise invalid("key_ops does not go with use")

    def permits(self, operation: str) -> bool:
        """Tell whether use and key_ops allow an operation."""
        use = "sig" if operation in _OPERATIONS["sig"] else "enc"
        return self.use in ("", use) and (not self.key_ops or operation in self.key_ops)

    def members(self) -> dict[str, Any]:
        """Return the members that are set."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("alg", "kid", "use") if getattr(self, name)}
        if self.key_ops:
            found["key_ops"] = list(self.key_ops)
        return found


def _operations(members: Mapping[str, Any]) -> tuple[str, ...]:
    value = members.get("key_ops", [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise malformed("key_ops is not a list of strings")
    return tuple(value)


def _check_alg(algorithm: str, alg: str) -> None:
    """Refuse an alg that a key of this algorithm does not have."""
    fitting = {*core.signature_algorithms(algorithm), *core.encryption_algorithms(algorithm)}
    if alg and alg not in fitting:
        raise Fault(FaultKind.BAD_ALGORITHM, f"JWK: {alg[:40]!r} with {algorithm}", "alg does not go with the key")


@dataclass(frozen=True, slots=True)
class JwkPublic:
    """A public key."""

    algorithm: str
    spki: bytes = field(repr=False)
    usage: Usage = Usage()

    @classmethod
    def from_spki(cls, spki: bytes, usage: Usage | None = None) -> JwkPublic:
        """Take a DER SubjectPublicKeyInfo; Fault(MALFORMED, WEAK_KEY, BAD_ALGORITHM)."""
        algorithm = convert.check_public(spki)
        convert.public_members(spki)
        usage = usage or Usage()
        usage.check()
        _check_alg(algorithm, usage.alg)
        return cls(algorithm, spki, usage)

    @property
    def kid(self) -> str:
        """The key's name in a ring."""
        return self.usage.kid

    @property
    def kty(self) -> str:
        """The family."""
        return convert.kty_of(self.algorithm)

    @property
    def public(self) -> JwkPublic:
        """Itself, as every asymmetric key has it."""
        return self

    def members(self) -> dict[str, Any]:
        """Return the JWK."""
        return convert.public_members(self.spki, self.usage.alg) | self.usage.members()

    def thumbprint(self) -> str:
        """RFC 7638 with SHA-256."""
        required = convert.public_members(self.spki, self.usage.alg)
        return b64e(hashlib.sha256(dumps(dict(sorted(required.items())))).digest())

    def pem(self) -> str:
        """SubjectPublicKeyInfo in PEM."""
        return _pem("PUBLIC KEY", self.spki)


@dataclass(frozen=True, slots=True)
class JwkPrivate:
    """A private key; repr shows the public half."""

    handle: PrivateHandle = field(repr=False, compare=False)
    public: JwkPublic

    @classmethod
    def of(cls, handle: PrivateHandle, usage: Usage | None = None) -> JwkPrivate:
        """Take a handle."""
        usage = usage or Usage()
        public = replace(usage, key_ops=_public_operations(usage.key_ops))
        return cls(handle, JwkPublic.from_spki(handle.public_spki, public))

    @property
    def algorithm(self) -> str:
        """The core's name."""
        return self.public.algorithm

    @property
    def usage(self) -> Usage:
        """What the JWK says of its use."""
        return self.public.usage

    @property
    def kid(self) -> str:
        """The key's name in a ring."""
        return self.public.usage.kid

    @property
    def kty(self) -> str:
        """The family."""
        return self.public.kty

    def thumbprint(self) -> str:
        """The public half's."""
        return self.public.thumbprint()

    def export(self) -> dict[str, Any]:
        """Return the private JWK: the secret in the open."""
        usage = replace(self.usage, key_ops=_private_operations(self.usage.key_ops))
        members = convert.public_members(self.public.spki, self.usage.alg) | convert.private_members(self.handle)
        return members | usage.members()

    def export_pem(self) -> str:
        """PKCS#8 in PEM: the secret in the open."""
        return _pem("PRIVATE KEY", self.handle.export_pkcs8())


_COUNTERPARTS: Final = {"sign": "verify", "decrypt": "encrypt", "unwrapKey": "wrapKey"}


def _public_operations(operations: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_COUNTERPARTS.get(one, one) for one in operations))


def _private_operations(operations: tuple[str, ...]) -> tuple[str, ...]:
    back = {public: private for private, public in _COUNTERPARTS.items()}
    return tuple(back.get(one, one) for one in operations)


@dataclass(frozen=True, slots=True)
class JwkSecret:
    """A symmetric key. It has no public half and no members to publish."""

    handle: core.SecretKey = field(repr=False, compare=False)
    usage: Usage = Usage()

    @classmethod
    def of(cls, handle: core.SecretKey, usage: Usage | None = None) -> JwkSecret:
        """Take a handle; Fault(WEAK_KEY, INVALID) if its length is not alg's."""
        usage = usage or Usage()
        usage.check()
        if usage.alg in core.JWS_NAMES:
            least = core.HMAC_BYTES.get(usage.alg)
            if least is None:
                raise Fault(FaultKind.BAD_ALGORITHM, f"oct with {usage.alg}", "alg does not go with the key")
            if len(handle) < least:
                raise Fault(FaultKind.WEAK_KEY, f"{usage.alg}: {len(handle)} octets", "the key is too short for alg")
        elif usage.alg in core.KEY_BYTES:
            if len(handle) != core.KEY_BYTES[usage.alg]:
                raise invalid(f"{usage.alg} with {len(handle)} octets", "the key has another length than alg needs")
        elif usage.alg not in ("", "dir"):
            raise Fault(FaultKind.BAD_ALGORITHM, f"oct with {usage.alg[:40]!r}", "alg does not go with the key")
        return cls(handle, usage)

    @property
    def algorithm(self) -> str:
        """Always oct."""
        return "oct"

    @property
    def kid(self) -> str:
        """The key's name in a ring."""
        return self.usage.kid

    @property
    def kty(self) -> str:
        """The family."""
        return "oct"

    def thumbprint(self) -> str:
        """RFC 7638 with SHA-256; over a secret of low entropy it gives the secret away."""
        return b64e(self.handle.thumbprint())

    def export(self) -> dict[str, Any]:
        """Return the JWK: the secret in the open."""
        return {"kty": "oct", "k": b64e(self.handle.export())} | self.usage.members()


Jwk = JwkPublic | JwkPrivate | JwkSecret
Asymmetric = JwkPublic | JwkPrivate


def parse(source: str | bytes | Mapping[str, Any]) -> Jwk:
    """Read and validate one JWK of any type; Fault(MALFORMED, INVALID, BAD_ALGORITHM, WEAK_KEY)."""
    members = source if isinstance(source, Mapping) else loads(source, "JWK", MAX_JWK)
    kty, usage = string(members, "kty"), Usage.read(members)
    if kty == "oct":
        return JwkSecret.of(core.SecretKey.from_bytes(octets(members, "k")), usage)
    private = {"d", "priv"} & set(members)
    if not private:
        if _SECRET_MEMBERS & set(members):
            raise malformed("the JWK has some private members, and not the private key")
        if set(usage.key_ops) & _PRIVATE_OPERATIONS - {"deriveKey", "deriveBits"}:
            raise invalid("key_ops of a private key on a public one")
        return JwkPublic.from_spki(convert.public_der(members), usage)
    return JwkPrivate.of(convert.private_handle(members), usage)


def parse_public(source: str | bytes | Mapping[str, Any]) -> JwkPublic:
    """Read a JWK that must be public: a private or secret one is refused, not reduced."""
    found = parse(source)
    if not isinstance(found, JwkPublic):
        raise invalid("a public key is needed, and this is a secret")
    return found


@dataclass(frozen=True, slots=True)
class JwkSet:
    """Keys of one kind (RFC 7517 section 5), no kid twice."""

    keys: tuple[Jwk, ...]

    @classmethod
    def parse(cls, source: str | bytes | Mapping[str, Any]) -> JwkSet:
        """Read a JWK Set. One that mixes public keys with secrets is refused: somebody published what he should not."""
        members = source if isinstance(source, Mapping) else loads(source, "JWK Set", MAX_JWK * 16)
        listed = members.get("keys")
        if not isinstance(listed, list) or not 0 < len(listed) <= MAX_KEYS:
            raise malformed(f"keys is not a list of 1 to {MAX_KEYS}")
        if not all(isinstance(one, dict) for one in listed):
            raise malformed("a key is not an object")
        return cls.of(parse(one) for one in listed)

    @classmethod
    def of(cls, keys_: Iterable[Jwk]) -> JwkSet:
        """Take keys; Fault(INVALID) for kinds that do not go together, or a kid that occurs twice."""
        found = tuple(keys_)
        if len({type(one) for one in found}) > 1:
            raise invalid("the set mixes public, private and secret keys")
        named = [one.kid for one in found if one.kid]
        if len(set(named)) != len(named):
            raise invalid("a kid occurs twice")
        return cls(found)

    def __iter__(self) -> Iterator[Jwk]:
        return iter(self.keys)

    def public(self) -> dict[str, Any]:
        """Return what may be published: the public halves. Secrets have none and are left out."""
        return {"keys": [one.public.members() for one in self.keys if not isinstance(one, JwkSecret)]}


def generate(algorithm: str, *, alg: str = "", kid: str | None = None, use: str = "") -> JwkPrivate | JwkSecret:
    """Make a key. ``algorithm`` is the core's name (EC-P256, RSA-3072, Ed448 …), or the alg of a symmetric key.

    kid is the thumbprint unless given; of a secret, whose thumbprint is better not shown, a random name.
    """
    size = core.HMAC_BYTES.get(algorithm) or core.KEY_BYTES.get(algorithm)
    if size is not None:
        usage = Usage(alg or algorithm, secrets.token_urlsafe(16) if kid is None else kid, use)
        return JwkSecret.of(core.SecretKey.generate(size), usage)
    handle: PrivateHandle = Ed448Key.generate() if algorithm == "Ed448" else keys.generate(algorithm)
    made = JwkPrivate.of(handle, Usage(alg, "" if kid is None else kid, use))
    if kid is not None:
        return made
    return JwkPrivate.of(handle, Usage(alg, made.thumbprint(), use))


def from_pem(text: str | bytes, usage: Usage | None = None) -> Asymmetric:
    """Read a public or an unencrypted private key in PEM; Fault(MALFORMED, BAD_ALGORITHM, WEAK_KEY)."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_JWK:
        raise malformed("PEM: too long")
    try:
        for label in (b"PUBLIC KEY", b"PRIVATE KEY"):
            body = _pem_body(data, label)
            if body is not None:
                return from_der(body, usage)
        # the older labels of one family each: RSA PRIVATE KEY, EC PRIVATE KEY
        private = load_pem_private_key(data, None)
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise malformed(f"PEM: {error}"[:200], "the PEM file cannot be read") from None
    return from_der(der, usage)


def _pem_body(data: bytes, label: bytes) -> bytes | None:
    """Return what stands between the lines of a label: kinds that cryptography does not know pass too."""
    begin, end = b"-----BEGIN " + label + b"-----", b"-----END " + label + b"-----"
    start, stop = data.find(begin), data.find(end)
    if start < 0 or stop < start:
        return None
    return base64.b64decode(b"".join(data[start + len(begin) : stop].split()), validate=True)


def from_der(data: bytes, usage: Usage | None = None) -> Asymmetric:
    """Read a SubjectPublicKeyInfo or an unencrypted PKCS#8 document."""
    try:
        return JwkPublic.from_spki(data, usage)
    except Fault as fault:
        if fault.kind is FaultKind.WEAK_KEY:
            raise
    try:
        return JwkPrivate.of(keys.load_pkcs8(data), usage)
    except Fault as fault:
        if fault.kind is not FaultKind.BAD_ALGORITHM:
            raise
    return JwkPrivate.of(Ed448Key.from_pkcs8(data), usage)


def _pem(label: str, der: bytes) -> str:
    body = base64.b64encode(der).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])

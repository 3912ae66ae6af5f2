"""What operations take and give. A request is one item, or ``{"operations": [item, …]}``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.sm_kms.common import Base64Url, Jwk, Version

Aad = Annotated[Base64Url | None, Field(description="asserted on both sides: never stored for the reader")]
Enc = Literal["A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"]
Token = Annotated[str, Field(description="JOSE text, or base64url of the raw form")]
Sealed = Literal["jwe", "raw"]


class EncryptItem(JsonModel):
    """``raw``: 01, the version in four octets, nonce, ciphertext and tag; of keys for AES-GCM only.

    Keys for AES-SIV give the raw form alone, with the synthetic IV in place of nonce and tag: under one version, equal
    plaintexts with equal additional data give equal ciphertexts, so whoever sees two knows whether they are the same.
    """

    plaintext: Base64Url
    aad: Aad = None
    enc: Enc | None = None
    format: Sealed = "jwe"
    version: Version | None = None


class Ciphertext(JsonModel):
    """A compact JWE; with additional data a flattened one in JSON; or base64url of the raw form."""

    ciphertext: Token
    version: int
    kid: str


class DecryptItem(JsonModel):
    """The version is found in the ciphertext."""

    ciphertext: Token
    aad: Aad = None


class Plaintext(JsonModel):
    """What was encrypted."""

    plaintext: Base64Url
    version: int
    kid: str


Prehashed = Annotated[
    bool, Field(description="the payload is the digest, by the algorithm's hash; RSA and ECDSA, raw signatures")
]


class SignItem(JsonModel):
    """``raw``: the signature alone, DER for ECDSA; of a JWS the payload may be left out."""

    payload: Base64Url
    format: Literal["jws", "raw"] = "jws"
    prehashed: Prehashed = False
    detached: bool = False
    typ: Annotated[str | None, Field(max_length=100)] = None
    version: Version | None = None


class Signature(JsonModel):
    """A compact JWS, or base64url of the raw signature."""

    signature: Token
    version: int
    kid: str


class VerifyItem(JsonModel):
    """A raw signature and a detached JWS come with their payload; a raw one with the version if not the active."""

    signature: Token
    payload: Base64Url | None = None
    prehashed: Prehashed = False
    version: Version | None = None


class Verified(JsonModel):
    """The signature is good: one that is not is an error."""

    valid: Literal[True] = True
    payload: Base64Url
    version: int
    kid: str


class MacItem(JsonModel):
    """HMAC of the key's hash, whole."""

    data: Base64Url
    version: Version | None = None


class Mac(JsonModel):
    """A MAC and the version that verifies it."""

    mac: Base64Url
    version: int
    kid: str


class VerifyMacItem(MacItem):
    """Without a version, the active one."""

    mac: Base64Url


class VerifiedMac(JsonModel):
    """The MAC is good: one that is not is an error."""

    valid: Literal[True] = True
    version: int
    kid: str


class WrapItem(JsonModel):
    """Octets of a key. ``raw`` is AES Key Wrap (RFC 3394), whose version the caller keeps."""

    key: Base64Url
    aad: Aad = None
    format: Sealed = "jwe"
    version: Version | None = None


class Wrapped(JsonModel):
    """A JWE, or base64url of the raw form."""

    wrapped: Token
    version: int
    kid: str


class UnwrapItem(JsonModel):
    """A raw form comes with its version."""

    wrapped: Token
    aad: Aad = None
    version: Version | None = None


class Unwrapped(JsonModel):
    """The key's octets."""

    key: Base64Url
    version: int
    kid: str


class DeriveItem(JsonModel):
    """HKDF of the key, or of an ECDH with ``peer``. The result of one version is the same every time."""

    length: Annotated[int, Field(ge=16, le=1024)] = 32
    info: Base64Url = ""
    salt: Base64Url = ""
    hash: Annotated[Literal["sha256", "sha384", "sha512"] | None, Field(description="of ECDH; sha256")] = None
    peer: Annotated[Jwk | None, Field(description="the other side's public key; for ECDH only")] = None
    version: Version | None = None


class EncapsulateItem(JsonModel):
    """Make a secret for the key (ML-KEM)."""

    version: Version | None = None


class Encapsulated(JsonModel):
    """A secret, and the ciphertext that gives it back."""

    ciphertext: Base64Url
    secret: Base64Url
    version: int
    kid: str


class DecapsulateItem(JsonModel):
    """Without a version, the active one; one made for another key gives another secret, not an error."""

    ciphertext: Base64Url
    version: Version | None = None


class Secret(JsonModel):
    """A shared or derived secret."""

    secret: Base64Url
    version: int
    kid: str


class DataKeyItem(JsonModel):
    """A fresh key of so many bits, wrapped; in the open too, if wanted."""

    bits: Literal[128, 192, 256, 384, 512] = 256
    plaintext: Annotated[bool, Field(description="false: wrapped only, for whoever encrypts later")] = True
    aad: Aad = None
    version: Version | None = None


class DataKey(JsonModel):
    """``wrapped`` opens by decrypt or unwrap."""

    wrapped: Token
    plaintext: Base64Url | None = None
    version: int
    kid: str


class RewrapItem(JsonModel):
    """A ciphertext or wrapped key of any version that still reads, to be put under the active one."""

    ciphertext: Token
    aad: Aad = None
    new_aad: Annotated[Base64Url | None, Field(description="other additional data from now on; absent: the same")] = (
        None
    )


class Rewrapped(Ciphertext):
    """``from_version`` is what it hung on before."""

    from_version: int
    changed: bool


class RandomItem(JsonModel):
    """Random octets."""

    length: Annotated[int, Field(ge=1, le=65536)] = 32


class Random(JsonModel):
    """Octets of the system's generator."""

    random: Base64Url


class GenerateItem(JsonModel):
    """A key that is not kept here, by its kind (EC-P256, RSA-3072, ML-KEM-768 …) or a secret's alg (A256GCM, HS256)."""

    algorithm: Annotated[str, Field(max_length=40)]
    alg: Annotated[str, Field(max_length=40, description="alg of the JWK")] = ""
    recipient: Jwk


class Generated(JsonModel):
    """The private JWK in a JWE to the recipient; the public one in the open, where there is one."""

    jwe: str
    public_jwk: Jwk | None
    kid: str

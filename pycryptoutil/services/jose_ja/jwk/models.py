"""Bodies and results of the JWK tools."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.jose_ja.engine.bodies import Members

_Algorithm = Field(max_length=40, description="EC-P256, RSA-3072, Ed25519, X25519, ML-DSA-65 …, or a secret's alg")


class GenerateBody(JsonModel):
    """A key to be made and handed over: it is not kept here."""

    algorithm: str = _Algorithm
    alg: str = Field(default="", max_length=40)
    kid: str | None = Field(default=None, max_length=256, description="the thumbprint, unless given")
    use: Literal["", "sig", "enc"] = ""


class GeneratedView(BaseModel):
    """A new key: the secret in the open, shown this once. A secret has no public half."""

    jwk: dict[str, Any]
    public_jwk: dict[str, Any] | None


class JwkBody(JsonModel):
    """A JWK of any kind."""

    jwk: Members


class ThumbprintView(BaseModel):
    """RFC 7638 by SHA-256, and as a URI (RFC 9278)."""

    thumbprint: str
    uri: str


class ConvertBody(JsonModel):
    """One of ``jwk``, ``pem`` and ``der`` (base64url): SubjectPublicKeyInfo or PKCS#8. The rest is what a JWK adds."""

    jwk: Members | None = None
    pem: str | None = Field(default=None, max_length=64 * 1024)
    der: str | None = Field(default=None, max_length=64 * 1024, pattern=r"^[A-Za-z0-9_-]*$")
    alg: str = Field(default="", max_length=40)
    kid: str = Field(default="", max_length=256)
    use: Literal["", "sig", "enc"] = ""


class ConvertedView(BaseModel):
    """The same key in all three forms."""

    jwk: dict[str, Any]
    pem: str
    der: str
    private: bool


class ValidateBody(JsonModel):
    """A JWK, or a JWK Set."""

    jwk: Members | None = None
    jwks: Members | None = None


class KeyView(BaseModel):
    """A key that is good."""

    kty: str
    algorithm: str
    kind: Literal["public", "private", "secret"]
    kid: str
    alg: str
    use: str
    thumbprint: str | None  # of a secret it is not shown


class ValidatedView(BaseModel):
    """Every key of what was given; what is not good is refused as a whole."""

    keys: list[KeyView]

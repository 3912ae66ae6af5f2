"""Bodies and results of JWE operations."""

from __future__ import annotations

from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.jose_ja.engine.bodies import Algs, Base64url, Content, Members, Ring, Serialization


class Recipient(JsonModel):
    """A ring, or somebody's public key; ``alg`` where the key leaves it open."""

    key: Ring | None = None
    jwk: Members | None = None
    alg: str | None = Field(default=None, max_length=40)

    def check_one(self) -> None:
        """Fault(INVALID) unless exactly one of key and jwk is given."""
        if (self.key is None) == (self.jwk is None):
            said = "give either key or jwk"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/key")


class EncryptBody(Content):
    """For one recipient by ``key`` or ``jwk``, or for several by ``recipients``."""

    key: Ring | None = None
    jwk: Members | None = None
    alg: str | None = Field(default=None, max_length=40)
    recipients: list[Recipient] = Field(default_factory=list, max_length=100)
    enc: str | None = Field(default=None, max_length=40, description="A256GCM, unless the key or this says otherwise")
    header: Members = Field(default_factory=dict, description="protected: typ, cty, apu, apv …")
    unprotected: Members = Field(default_factory=dict, description="JSON serialisations only")
    aad: Base64url | None = Field(default=None, description="additional data; JSON serialisations only")
    serialization: Serialization = "compact"

    def everyone(self) -> list[Recipient]:
        """Return the recipients; Fault(INVALID) unless they are said in one way."""
        direct = self.key is not None or self.jwk is not None
        if direct == bool(self.recipients) or (self.recipients and self.alg is not None):
            said = "give either key or jwk, or recipients"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/key")
        return self.recipients or [Recipient(key=self.key, jwk=self.jwk, alg=self.alg)]


class EncryptedView(BaseModel):
    """The JWE: a text, or an object."""

    jwe: str | dict[str, Any]


class DecryptBody(JsonModel):
    """A JWE in any serialisation, for a ring. ``aad`` must be what the object has, if it has any."""

    jwe: str | dict[str, Any]
    key: Ring
    aad: Base64url | None = None
    algs: Algs | None = None
    encs: Algs | None = Field(default=None, description="narrows what is accepted")


class DecryptedView(BaseModel):
    """The plaintext, in base64url, and by which key it was opened."""

    payload: str
    header: dict[str, Any]
    kid: str

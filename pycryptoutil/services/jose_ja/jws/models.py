"""Bodies and results of JWS operations."""

from __future__ import annotations

from typing import Any, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.jose_ja.engine.bodies import Algs, Base64url, Content, Keys, Members, Ring, Serialization


class Signer(JsonModel):
    """A ring that signs, with what its headers say beside alg and kid."""

    key: Ring
    header: Members = Field(default_factory=dict, description="protected: typ, cty …")
    unprotected: Members = Field(default_factory=dict, description="JSON serialisations only")


class SignBody(Content):
    """One signature by ``key``, or several by ``signers``."""

    key: Ring | None = None
    header: Members = Field(default_factory=dict, description="protected: typ, cty …")
    unprotected: Members = Field(default_factory=dict, description="JSON serialisations only")
    signers: list[Signer] = Field(default_factory=list, max_length=16)
    serialization: Serialization = "compact"
    detached: bool = False
    encoded: bool = Field(default=True, description='false: the payload as it is, "b64": false (RFC 7797)')

    def everyone(self) -> list[Signer]:
        """Return the signers; Fault(INVALID) unless they are said in one way."""
        if (self.key is None) == (not self.signers) or (self.signers and (self.header or self.unprotected)):
            said = "give either key, with its headers, or signers"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/key")
        return self.signers or [Signer(key=self.key or "", header=self.header, unprotected=self.unprotected)]


class SignedView(BaseModel):
    """The JWS: a text, or an object."""

    jws: str | dict[str, Any]


class VerifyBody(Keys):
    """A JWS in any serialisation. ``payload`` is given if it is detached."""

    jws: str | dict[str, Any]
    payload: Base64url | None = None
    algs: Algs | None = Field(default=None, description="narrows what is accepted; needed for keys that name no alg")
    require: Literal["all", "any"] = "all"


class SignatureView(BaseModel):
    """A good signature."""

    header: dict[str, Any]
    kid: str


class VerifiedView(BaseModel):
    """What was signed, in base64url, and by which key; ``header`` is the first signature's."""

    payload: str
    header: dict[str, Any]
    kid: str
    signatures: list[SignatureView] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)

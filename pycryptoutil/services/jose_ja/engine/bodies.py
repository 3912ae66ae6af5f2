"""What the bodies of several operations have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.jose import text

Ring = Annotated[str, Field(min_length=1, max_length=128, description="id or name of a ring of this tenant")]
Members = Annotated[dict[str, Any], Field(max_length=200)]
Base64url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$", description="base64url without padding")]
Algs = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=40)]
Name = Annotated[str, Field(max_length=500)]
Serialization = Literal["compact", "flattened", "general"]


def _refused(said: str, pointer: str) -> Fault:
    return Fault(FaultKind.INVALID, said, said, pointer=pointer)


class Content(JsonModel):
    """What is protected: octets in base64url, or text, which is UTF-8."""

    payload: Base64url | None = None
    text: str | None = None

    def octets(self) -> bytes:
        """Return it; Fault(INVALID) unless exactly one form is given."""
        if (self.payload is None) == (self.text is None):
            raise _refused("give either payload or text", "#/payload")
        if self.payload is not None:
            return text.b64d(self.payload)
        try:
            return (self.text or "").encode()
        except UnicodeEncodeError:
            raise _refused("text is not Unicode", "#/text") from None


class Keys(JsonModel):
    """Which keys: a ring's, or given here (public ones; nothing inside of a token is ever taken for a key)."""

    key: Ring | None = None
    jwk: Members | None = None
    jwks: Members | None = None

    def check_one(self) -> None:
        """Fault(INVALID) unless exactly one is given."""
        if [self.key, self.jwk, self.jwks].count(None) != 2:
            raise _refused("give one of key, jwk and jwks", "#/key")


class Validation(JsonModel):
    """What a token must say. Where it is left out, the ring's own policy stands."""

    issuers: list[Name] | None = Field(default=None, max_length=100)
    audiences: list[Name] = Field(default_factory=list, max_length=100)
    typ: Name = ""
    required: list[Name] = Field(default_factory=lambda: ["exp"], max_length=50)
    skew: int | None = Field(default=None, ge=0, le=600, description="seconds")
    max_age: int = Field(default=0, ge=0, le=10 * 365 * 86400, description="seconds since iat; 0: any")
    subject: Name = ""

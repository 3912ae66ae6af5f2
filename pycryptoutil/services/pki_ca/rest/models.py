"""What the REST API takes and gives. Times are RFC 3339, certificates PEM, serials lower-case hex."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.authority.settings import CaAlgorithm
from pycryptoutil.http.paging import JsonModel

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Pattern = Annotated[str, Field(min_length=1, max_length=253)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=200)]


class AuthorityBody(JsonModel):
    """A CA to create: a root without ``parent``, else a subordinate."""

    name: Name
    subject: Annotated[
        str, Field(min_length=3, max_length=1000, description="RFC 4514, such as CN=Issuing CA 2,O=Example")
    ]
    parent: Name | None = None
    key_algorithm: CaAlgorithm = "EC-P256"
    validity_days: Annotated[int, Field(ge=1, le=10958)] | None = None
    path_length: Annotated[int, Field(ge=0, le=10)] | None = None
    profile: Annotated[Name | None, Field(description="empty: root-ca or intermediate-ca")] = None
    permitted_names: Patterns = ()
    excluded_names: Patterns = ()


class AuthorityView(JsonModel):
    """A CA. ``chain`` begins with its own certificate and ends with the root's."""

    id: str
    name: str
    kind: str
    parent: str | None
    status: str
    subject: str
    key_algorithm: str
    signature_algorithm: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    ocsp_url: str
    crl_url: str
    issuer_url: str
    certificate: str
    chain: tuple[str, ...]


class AuthorityList(JsonModel):
    """Every CA of the tenant."""

    items: tuple[AuthorityView, ...]


class ProfileSummary(JsonModel):
    """One profile in a list."""

    name: str
    title: str
    kind: str
    source: Literal["built-in", "own"]


class ProfileList(JsonModel):
    """Every profile of the tenant."""

    items: tuple[ProfileSummary, ...]


class ProfileView(JsonModel):
    """A profile: the document as written, and everything it says, defaults included."""

    name: str
    source: Literal["built-in", "own"]
    document: str
    settings: dict[str, Any]


class CrlView(JsonModel):
    """The current CRL of a CA."""

    authority: str
    number: int
    this_update: AwareDatetime
    next_update: AwareDatetime
    entries: int
    sha256: str
    url: str
    crl: str | None = None


class CrlList(JsonModel):
    """The current CRL of every CA of the tenant."""

    items: tuple[CrlView, ...]


class NamesBody(JsonModel):
    """Which names a credential may have certified; none at all: what the profile allows."""

    dns: Patterns = ()
    ip: Patterns = ()
    email: Patterns = ()
    uri: Patterns = ()
    common_name: Patterns = ()
    wildcards: bool = False


class CredentialBody(JsonModel):
    """An enrolment credential to create."""

    profile: Name
    authority: Name | None = None
    names: NamesBody = NamesBody()
    protocols: tuple[Literal["est", "scep", "cmp", "cmc", "acme"], ...] = ()
    max_uses: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    expires_at: AwareDatetime | None = None
    description: Annotated[str, Field(max_length=300)] = ""


class CredentialView(JsonModel):
    """An enrolment credential. Its password is nowhere to be read again."""

    id: str
    username: str
    profile: str
    authority: str
    names: NamesBody
    protocols: tuple[str, ...]
    max_uses: int | None
    uses: int
    expires_at: AwareDatetime | None
    status: str
    description: str
    created_at: AwareDatetime
    created_by: str


class NewCredentialView(CredentialView):
    """A credential just made, with its password: the only time it is shown."""

    password: str


class CredentialList(JsonModel):
    """A page of credentials, newest first."""

    items: tuple[CredentialView, ...]
    next: str | None

"""What the API of certificates takes and gives. Times are RFC 3339, certificates PEM, serials lower-case hex."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.authority.certificates.bulk import MAX_AT_ONCE
from pycryptoutil.authority.settings import GeneratedAlgorithm
from pycryptoutil.http.paging import MAX_CURSOR, JsonModel, PageQuery

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
San = Annotated[
    str, Field(min_length=1, max_length=2100, description="dns:a.example.com, ip:192.0.2.1, email:…, uri:…")
]
Reason = Literal[
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
]


class CertificateBody(JsonModel):
    """A certificate to issue: for the key of ``csr``, for one that ``generate_key`` makes, or for ``public_key``."""

    authority: Name | None = None
    profile: Name | None = None
    csr: Annotated[str, Field(max_length=128 * 1024, description="PKCS#10, PEM or base64 DER")] | None = None
    generate_key: bool = False
    key_algorithm: GeneratedAlgorithm | None = None
    public_key: (
        Annotated[
            str,
            Field(
                max_length=16 * 1024,
                description="SubjectPublicKeyInfo, PEM or base64 DER, of a key that cannot sign a CSR, as ML-KEM; "
                "the caller vouches for who holds it",
            ),
        ]
        | None
    ) = None
    subject: Annotated[str, Field(max_length=1000, description="RFC 4514; replaces the CSR's")] | None = None
    sans: Annotated[tuple[San, ...], Field(max_length=1000, description="replace the CSR's")] = ()
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    must_staple: bool = False


class IssuedView(JsonModel):
    """An issued certificate; ``private_key`` (PKCS#8) is shown this once."""

    serial: str
    authority: str
    profile: str
    subject: str
    sans: tuple[str, ...]
    not_before: AwareDatetime
    not_after: AwareDatetime
    certificate: str
    chain: tuple[str, ...]
    private_key: str | None = None


class CertificateView(JsonModel):
    """A certificate and what became of it.

    ``precertificate``: the certificate that was to follow never came, so this stands for it, revoked (RFC 6962).
    """

    serial: str
    authority: str
    profile: str
    subject: str
    sans: tuple[str, ...]
    spki_sha256: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    status: str
    revoked_at: AwareDatetime | None
    reason: str | None
    invalidity_date: AwareDatetime | None
    requester: str
    protocol: str
    created_at: AwareDatetime
    precertificate: bool
    certificate: str


class CertificateList(JsonModel):
    """A page of certificates; ``next`` is the cursor of the page after, null at the end.

    A page may have fewer items than asked for, even none, and a ``next``: a search looks at so many rows and no more.
    """

    items: tuple[CertificateView, ...]
    next: str | None


class CertificateQuery(PageQuery):
    """Which certificates; every given condition must hold."""

    status: Literal["valid", "expired", "revoked", "held"] | None = None
    authority: str = Field(default="", max_length=64)
    profile: str = Field(default="", max_length=64)
    protocol: str = Field(default="", max_length=16)
    requester: str = Field(default="", max_length=300)
    serial: str = Field(default="", max_length=80)
    contains: str = Field(
        default="", max_length=253, description="part of the subject or of a name; without an index (docs/search.md)"
    )
    spki_sha256: str = Field(default="", max_length=64)
    not_after_from: AwareDatetime | None = None
    not_after_to: AwareDatetime | None = None
    name: str = Field(default="", max_length=255, description="a whole name, any case; the fast way to one host")
    domain: str = Field(default="", max_length=253, description="names in this domain or below it")
    created_from: AwareDatetime | None = None
    created_to: AwareDatetime | None = None
    sort: Literal["created", "expiry"] = Field(default="created", description="newest first, or what ends soonest")


class AuthorityQuery(JsonModel):
    """Which CA's, where imported CAs share a serial."""

    authority: str = Field(default="", max_length=64)


class RevokeBody(JsonModel):
    """Why, and since when the key or the certificate is suspected (RFC 5280 section 5.3)."""

    reason: Reason = "unspecified"
    invalidity_date: AwareDatetime | None = None


class RevokeManyBody(RevokeBody):
    """Why, and how many in one call; ``cursor`` is the ``next`` of the call before."""

    limit: int = Field(default=1000, ge=1, le=MAX_AT_ONCE)
    cursor: str = Field(default="", max_length=MAX_CURSOR)


class RevokeKeyBody(RevokeManyBody):
    """The key, by exactly one of: a certificate's serial, the SHA-256 of its SubjectPublicKeyInfo, itself."""

    reason: Reason = "keyCompromise"
    serial: Annotated[str, Field(max_length=80)] | None = None
    authority: Name | None = None
    spki_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    public_key: (
        Annotated[str, Field(max_length=32 * 1024, description="SubjectPublicKeyInfo, PEM or base64 DER")] | None
    ) = None


class RevokeRequesterBody(RevokeManyBody):
    """Whose certificates: the ``requester`` that lists of certificates show."""

    requester: Annotated[str, Field(min_length=1, max_length=300)]


class RevokedView(JsonModel):
    """The serials that this call has changed; while there is a ``next``, there may be more."""

    serials: tuple[str, ...]
    next: str | None

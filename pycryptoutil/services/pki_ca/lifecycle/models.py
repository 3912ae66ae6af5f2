"""What the routes of a CA's life take and give."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from pycryptoutil.authority.settings import CaAlgorithm
from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.pki_ca.rest.models import Name, Patterns

MAX_CRL_TEXT: Final = 4 << 20
Pem = Annotated[str, Field(min_length=1, max_length=200_000)]


class RolloverBody(JsonModel):
    """A new key to prepare: by default of the old one's algorithm, for as long as the old one's certificate."""

    key_algorithm: CaAlgorithm | None = None
    validity_days: Annotated[int, Field(ge=1, le=10958)] | None = None


class GenerationView(JsonModel):
    """One key of a CA."""

    id: str
    name: str
    generation: int
    status: str
    key_algorithm: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    certificate: str


class RolloverView(JsonModel):
    """A change of keys. ``new_with_old`` and ``old_with_new`` are the links (RFC 9810 section 4.4)."""

    id: str
    state: str
    old: GenerationView
    new: GenerationView
    new_with_old: str
    old_with_new: str
    created_at: AwareDatetime
    activated_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class RolloverList(JsonModel):
    """Every change of keys of a CA, oldest first."""

    items: tuple[RolloverView, ...]


class RequestBody(JsonModel):
    """A CA to be certified elsewhere. With ``replaces`` it is the next key of that CA, and has its name and subject."""

    name: Name | None = None
    subject: Annotated[str, Field(min_length=3, max_length=1000)] | None = None
    key_algorithm: CaAlgorithm = "EC-P256"
    replaces: Name | None = None


class RequestView(JsonModel):
    """A CA that waits for its certificate. ``csr`` is PKCS#10 in PEM."""

    id: str
    name: str
    subject: str
    key_algorithm: str
    spki_sha256: str
    created_at: AwareDatetime
    created_by: str
    csr: str


class RequestList(JsonModel):
    """Every CA that waits for its certificate, oldest first."""

    items: tuple[RequestView, ...]


class InstallBody(JsonModel):
    """An offline root and what it has signed, in PEM. ``name`` is what the root is called here."""

    name: Name
    root: Pem
    certificates: Annotated[tuple[Pem, ...], Field(max_length=100)] = ()
    crl: Annotated[str, Field(max_length=MAX_CRL_TEXT)] | None = None


class InstalledView(JsonModel):
    """CAs that work from now on, serials of certificates for keys that are not here, and the number of a new CRL."""

    root: str
    authorities: tuple[str, ...]
    unknown: tuple[str, ...]
    crl_number: int | None


class CrossBody(JsonModel):
    """A foreign CA to certify, by its certificate or by a request, PEM. Without constraints, say ``unconstrained``."""

    certificate: Pem | None = None
    csr: Pem | None = None
    profile: Name = "intermediate-ca"
    validity_days: Annotated[int, Field(ge=1, le=10958)] | None = None
    path_length: Annotated[int, Field(ge=0, le=10)] | None = None
    permitted_names: Patterns = ()
    excluded_names: Patterns = ()
    unconstrained: bool = False


class CrossView(JsonModel):
    """A cross-certificate."""

    serial: str
    subject: str
    not_after: AwareDatetime
    created_at: AwareDatetime
    certificate: str


class CrossList(JsonModel):
    """Every cross-certificate that a CA has issued, oldest first."""

    items: tuple[CrossView, ...]

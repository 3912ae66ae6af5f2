"""The ``pki_ca.acme`` section."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pycryptoutil_protocols.acme.messages import ChallengeType
from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pycryptoutil.authority.acme import AcmeRules, AutoRenewalRules, Limits, Reach
from pycryptoutil.crypto.x509 import certificates_of
from pycryptoutil.errors import ConfigurationError

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_Port = Annotated[int, Field(ge=1, le=65535)]
_Rate = Annotated[int, Field(ge=0, le=1_000_000)]
_Url = Annotated[str, Field(pattern=r"^(https?://\S+)?$", max_length=1000)]
_Resolver = Annotated[str, Field(pattern=r"^[0-9a-fA-F:.]+(#[0-9]{1,5})?$")]
_Challenge = Literal["http-01", "dns-01", "tls-alpn-01", "device-attest-01"]


class AcmeLimits(BaseModel):
    """Rates per hour; 0: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts_per_address: _Rate = 60
    orders_per_account: _Rate = 600
    authorizations_per_account: _Rate = 600  # by newAuthz, and not used by an order
    failures_per_name: _Rate = 10
    validations_at_once: _Rate = 50  # of one account, and no rate


class AcmeAutoRenewal(BaseModel):
    """RFC 8739: short-lived certificates that follow one another for one order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    minimum_lifetime_hours: Annotated[int, Field(ge=1, le=24 * 365)] = 12
    maximum_days: Annotated[int, Field(ge=1, le=3650)] = 365
    certificate_get: bool = True  # whether an order may let anybody fetch its certificate


class AcmeSettings(BaseModel):
    """What the ACME directories offer, and how far their validators reach.

    What is None goes by the configuration profile. In production: an external account is required, no special-use
    address is connected to, and the ports are those of the RFCs. Under dev and test: it is optional, loopback may be
    connected to, and 5002 (HTTP) and 5001 (TLS) come before 80 and 443, so that clients need no root.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    external_account: Literal["required", "optional"] | None = None
    terms_of_service: _Url = ""
    website: _Url = ""
    caa_identities: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    challenges: tuple[_Challenge, ...] = ("http-01", "dns-01", "tls-alpn-01")
    attestation_roots: Path | None = None  # PEM: whose devices are believed
    resolver: Annotated[tuple[_Resolver, ...], Field(max_length=8)] = ()  # address#port; none: the machine's own
    resolvers_agree: Annotated[int, Field(ge=1, le=8)] = 1  # from how many of them a challenge must succeed
    allow_addresses: tuple[str, ...] | None = None
    http_ports: Annotated[tuple[_Port, ...] | None, Field(min_length=1, max_length=4)] = None
    https_port: _Port = 443  # of redirects
    tls_ports: Annotated[tuple[_Port, ...] | None, Field(min_length=1, max_length=4)] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    retry_seconds: Annotated[float, Field(gt=0, le=600)] = 5  # doubled with each attempt
    validators: Annotated[int, Field(ge=1, le=64)] = 8  # threads of a process
    order_days: Annotated[int, Field(ge=1, le=90)] = 7
    authorization_days: Annotated[int, Field(ge=1, le=398)] = 30
    kept_days: Annotated[int, Field(ge=1, le=3650)] = 90  # of orders that came to nothing
    renewal_poll_hours: Annotated[int, Field(ge=1, le=24 * 7)] = 6
    limits: AcmeLimits = Field(default_factory=AcmeLimits)
    auto_renewal: AcmeAutoRenewal = Field(default_factory=AcmeAutoRenewal)

    @field_validator("resolver", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("allow_addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            ipaddress.ip_network(one)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.resolvers_agree > max(1, len(self.resolver)):
            raise ValueError("resolvers_agree is more than there are resolvers")
        if "device-attest-01" in self.challenges and self.attestation_roots is None:
            raise ValueError("device-attest-01 needs attestation_roots")
        return self

    def rules(self, profile: str) -> AcmeRules:
        """Return what the directories go by under a configuration profile; ConfigurationError."""
        relaxed = profile in {"dev", "test"}
        allow = self.allow_addresses if self.allow_addresses is not None else (_LOOPBACK if relaxed else ())
        renewal = self.auto_renewal
        return AcmeRules(
            external_account_required=(self.external_account or ("optional" if relaxed else "required")) == "required",
            terms_of_service=self.terms_of_service,
            website=self.website,
            caa_identities=self.caa_identities,
            challenges=frozenset(map(ChallengeType, self.challenges)),
            reach=Reach(
                resolvers=self.resolver,
                agree=self.resolvers_agree,
                allow=tuple(map(ipaddress.ip_network, allow)),
                test_loopback=relaxed,
                http_ports=self.http_ports or ((5002, 80) if relaxed else (80,)),
                https_port=self.https_port,
                tls_ports=self.tls_ports or ((5001, 443) if relaxed else (443,)),
                timeout=self.timeout_seconds,
            ),
            limits=Limits(**self.limits.model_dump()),
            auto_renewal=AutoRenewalRules(
                timedelta(hours=renewal.minimum_lifetime_hours), timedelta(days=renewal.maximum_days),
                renewal.certificate_get,
            ) if renewal.enabled else None,
            order_lifetime=timedelta(days=self.order_days),
            authorization_lifetime=timedelta(days=self.authorization_days),
            attempts=self.attempts,
            retry_after=timedelta(seconds=self.retry_seconds),
            validators=self.validators,
            attestation_roots=_roots(self.attestation_roots),
            renewal_poll=timedelta(hours=self.renewal_poll_hours),
            kept=timedelta(days=self.kept_days),
        )  # fmt: skip


def _roots(path: Path | None) -> tuple[bytes, ...]:
    if path is None:
        return ()
    try:
        return certificates_of(path.read_bytes())
    except (OSError, Fault) as error:
        why = error.strerror if isinstance(error, OSError) else error.public
        raise ConfigurationError(f"{path}: {why}", "pki_ca.acme.attestation_roots") from None

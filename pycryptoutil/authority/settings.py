"""What of the CA can be configured: part of the ``pki_ca`` section."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.algorithms import key_info
from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from pycryptoutil.clock import Clock
from pycryptoutil.crypto.pkcs11 import Token, TokenConfig

CaAlgorithm = Literal[
    "RSA-2048",
    "RSA-3072",
    "RSA-4096",
    "EC-P256",
    "EC-P384",
    "EC-P521",
    "Ed25519",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
]
GeneratedAlgorithm = Literal[CaAlgorithm, "ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"]
Days = Annotated[int, Field(ge=1, le=36525)]


KeyUse = Literal["root", "issuing", "ocsp", "scep", "cmp", "cmc", "timestamp"]


class HsmSettings(BaseModel):
    """The PKCS#11 token that new keys are made in; without ``module``, there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: str = ""  # the library's absolute path
    token: str = Field(default="", max_length=32)  # its label
    pin: SecretStr = SecretStr("")
    keys: tuple[KeyUse, ...] = ("root", "issuing", "ocsp", "scep", "cmp", "cmc", "timestamp")
    sessions: Annotated[int, Field(ge=1, le=256)] = 8  # open at once, in each process

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.module:
            if self.token or self.pin.get_secret_value():
                raise ValueError("token and pin need module, the PKCS#11 library")
            return self
        if not self.module.startswith("/"):
            raise ValueError("module must be an absolute path")
        if not self.token or not self.pin.get_secret_value():
            raise ValueError("module needs token, a label, and pin")
        return self

    def open(self, clock: Clock) -> Token | None:
        """Return a handle to the token; nothing is loaded before it is used."""
        if not self.module:
            return None
        return Token(TokenConfig(self.module, self.token, self.pin.get_secret_value(), self.sessions), clock)


class CtLogSettings(BaseModel):
    """A log of RFC 6962. ``url`` is what ``/ct/v1/`` follows; ``public_key`` is its SubjectPublicKeyInfo."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://\S+$", max_length=1000)
    public_key: str = Field(max_length=4096)  # base64 DER, as lists of logs have it, or PEM

    @field_validator("public_key")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            key_info(_spki(value))
        except Fault:
            raise ValueError("is not a public key, in base64 or PEM") from None
        return value

    def spki(self) -> bytes:
        """Return the key, DER."""
        return _spki(self.public_key)


def _spki(text: str) -> bytes:
    return pem.decode_body(text.encode(), 4096, ("PUBLIC KEY",))


class CtSettings(BaseModel):
    """The Certificate Transparency logs that are asked, all at once, where a profile has ``ct: {logs: N}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    logs: Annotated[tuple[CtLogSettings, ...], Field(max_length=16)] = ()
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    ca_file: str = ""  # PEM of who vouches for the logs' TLS certificates; empty: the system's trust store


class AuthoritySettings(BaseModel):
    """Names and algorithms of the hierarchy made at first start, and the rhythm of what the CA publishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: str = Field(default="pycryptoutil", min_length=1, max_length=64)
    country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    root_name: str = Field(default="root", pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")
    root_common_name: str = Field(default="Root CA", min_length=1, max_length=64)
    root_algorithm: CaAlgorithm = "EC-P384"
    root_days: Days = 7305  # 20 years
    issuing_name: str = Field(default="issuing", pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")
    issuing_common_name: str = Field(default="Issuing CA", min_length=1, max_length=64)
    issuing_algorithm: CaAlgorithm = "EC-P256"
    issuing_days: Days = 3652
    default_profile: str = "tls-server"
    distribution_url: str = ""  # empty: the plain listener's own URL
    ocsp_signer_algorithm: CaAlgorithm | Literal[""] = ""  # empty: of the CA's kind (RSA-2048, EC-P256, else the same)
    ocsp_signer_days: Annotated[int, Field(ge=1, le=90)] = 14
    scep_signer_algorithm: Literal["RSA-2048", "RSA-3072", "RSA-4096"] = "RSA-2048"  # what devices of any age know
    signer_algorithm: CaAlgorithm = "EC-P256"  # of the CMP and CMC responders
    signer_days: Annotated[int, Field(ge=3, le=1095)] = 90  # of the SCEP, CMP and CMC ones
    timestamp_signer_algorithm: Literal["RSA-3072", "RSA-4096", "EC-P256", "EC-P384", "EC-P521"] = "EC-P256"
    timestamp_signer_days: Annotated[int, Field(ge=30, le=4123)] = 1095
    crl_days: Annotated[int, Field(ge=1, le=365)] = 7
    crl_refresh_hours: Annotated[int, Field(ge=1, le=24 * 365)] = 24
    crl_delta_minutes: Annotated[int, Field(ge=0, le=7 * 1440)] = 0  # 0: no delta CRLs
    crl_shards: Annotated[int, Field(ge=0, le=256)] = 0  # parts of the list that new certificates point to: 2, 4 … 256
    ocsp_validity_hours: Annotated[int, Field(ge=8, le=240)] = 24  # nextUpdate - thisUpdate
    ocsp_signing: Literal["delegated", "ca"] = "delegated"
    ocsp_never_issued: Literal["unknown", "revoked"] = "unknown"  # revoked: RFC 6960 section 4.4.8
    ocsp_max_age: Annotated[int, Field(ge=0, le=86400)] = 300  # seconds that HTTP caches may keep a response
    ocsp_presigned: Annotated[int, Field(ge=0, le=40_000)] = 20_000  # newest certificates answered ahead; 0: none
    ocsp_archive_days: Annotated[int, Field(ge=0, le=36525)] = 2557  # archiveCutoff: 7 years past expiry; 0: not stated
    est_channel_binding: Literal["verify", "require"] = "verify"  # verify: when the client claims it
    approval_days: Annotated[int, Field(ge=1, le=365)] = 14  # how long a request waits for its approvers
    approval_poll_seconds: Annotated[int, Field(ge=1, le=86400)] = 60  # how soon a client is asked to come again
    approval_kept_days: Annotated[int, Field(ge=1, le=3650)] = 90  # how long decided requests stay in lists
    max_waiting_requests: Annotated[int, Field(ge=1, le=10_000)] = 100  # for approval, of one requester
    max_open_transactions: Annotated[int, Field(ge=1, le=10_000)] = 100  # of one client in SCEP, CMP or CMC
    ct: CtSettings = Field(default_factory=CtSettings)
    idempotency_hours: Annotated[int, Field(ge=1, le=168)] = 24
    hsm: HsmSettings = Field(default_factory=HsmSettings)

    @model_validator(mode="after")
    def _in_software(self) -> Self:
        chosen = {
            "root": self.root_algorithm,
            "issuing": self.issuing_algorithm,
            "ocsp": self.ocsp_signer_algorithm,
            "cmp": self.signer_algorithm,
            "cmc": self.signer_algorithm,
        }
        for use in self.hsm.keys if self.hsm.module else ():
            if (algorithm := chosen.get(use, "")).startswith("ML-DSA"):
                raise ValueError(f"hsm.keys: {algorithm} keys ({use}) cannot be in a token; take {use} out of the list")
        return self

    @model_validator(mode="after")
    def _shards_or_deltas(self) -> Self:
        if self.crl_shards == 1 or self.crl_shards & (self.crl_shards - 1):
            raise ValueError("crl_shards is 0 or a power of two from 2 to 256")
        if self.crl_shards and self.crl_delta_minutes:
            raise ValueError("crl_shards and crl_delta_minutes exclude each other: a shard has no delta")
        return self

    @field_validator("distribution_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith("http://"):
            raise ValueError("must be an http:// URL: clients fetch CRLs and OCSP without TLS (RFC 5280 section 8)")
        return value.rstrip("/")

"""What can be configured, as pydantic models. Loading, precedence and origins are :mod:`pycryptoutil.service.config`.

Durations are seconds, sizes are bytes. Every model is frozen and refuses keys it does not know. Values that are secret
are ``SecretStr``; the loader has already replaced ``file:///run/secrets/NAME`` by the file's content in them, except in
TLS key material, which keeps its reference (:class:`Material`) so that a changed file can be noticed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

Profile = Literal["dev", "test", "prod"]
ClientPolicy = Literal["none", "request", "require-any", "verify-if-given", "require-and-verify"]
LOOPBACK = "127.0.0.1"


def _split(value: Any) -> Any:
    """Let an environment variable or a command line give a list as ``a,b,c``."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _path(value: Any) -> Any:
    """Accept ``file:///path`` wherever a path is asked for."""
    return unquote(urlsplit(value).path) if isinstance(value, str) and value.startswith("file://") else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_split)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86400)]
Bytes = Annotated[int, Field(ge=1, le=1 << 30)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Section(BaseModel):
    """A group of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)


@dataclass(frozen=True, slots=True)
class Material:
    """PEM or DER that configuration names: the text itself, a path, or ``file:///path``."""

    reference: str = field(repr=False)

    @property
    def path(self) -> Path | None:
        """The file to watch, or None for text given in place."""
        if self.reference.lstrip().startswith("-----BEGIN"):
            return None
        return Path(_path(self.reference))

    def read(self) -> bytes:
        """Return the bytes; OSError if the file cannot be read."""
        path = self.path
        return self.reference.encode() if path is None else path.read_bytes()


class TlsSettings(Section):
    """One listener's TLS: where its chain comes from, and what is asked of clients.

    ``certificate`` (leaf first, then intermediates) and ``private_key`` make it static; ``issuer_certificate`` and
    ``issuer_key`` make it mixed (a leaf is generated at start and renewed); none of them makes it auto.
    """

    mode: Literal["static", "mixed", "auto"] | None = None  # None: follows from what is given
    certificate: str | None = None
    private_key: SecretStr | None = None
    issuer_certificate: str | None = None
    issuer_key: SecretStr | None = None
    names: Strings = ()  # further DNS names and addresses of a generated leaf; localhost and loopback are always there
    leaf_lifetime: Seconds = 30 * 86400
    client_policy: ClientPolicy = "none"
    client_ca: str | None = None  # bundle; trust material only, it never changes the policy
    client_revocation: bool = True  # only where the policy verifies; fails closed
    revocation_timeout: Seconds = 5
    minimum_version: Literal["1.3", "1.2"] = "1.3"

    @field_validator("minimum_version", mode="before")
    @classmethod
    def _version_text(cls, value: object) -> object:
        return str(value) if isinstance(value, float) else value  # YAML reads an unquoted 1.3 as a number

    @property
    def provisioning(self) -> Literal["static", "mixed", "auto"]:
        """The mode that follows from what is given."""
        if self.certificate or self.private_key:
            return "static"
        return "mixed" if self.issuer_certificate or self.issuer_key else "auto"

    @property
    def verifies_clients(self) -> bool:
        """Tell whether client certificates are checked against the bundle."""
        return self.client_policy in {"verify-if-given", "require-and-verify"}

    @property
    def certificate_material(self) -> Material | None:
        """The static chain."""
        return Material(self.certificate) if self.certificate else None

    @property
    def private_key_material(self) -> Material | None:
        """The static key."""
        return Material(self.private_key.get_secret_value()) if self.private_key else None

    @property
    def issuer_certificate_material(self) -> Material | None:
        """The issuing CA's chain in mixed mode."""
        return Material(self.issuer_certificate) if self.issuer_certificate else None

    @property
    def issuer_key_material(self) -> Material | None:
        """The issuing CA's key in mixed mode."""
        return Material(self.issuer_key.get_secret_value()) if self.issuer_key else None

    @property
    def client_ca_material(self) -> Material | None:
        """What client certificates are verified against."""
        return Material(self.client_ca) if self.client_ca else None

    def contradiction(self) -> tuple[str, str] | None:
        """Return (key, why) for the first thing that cannot be meant, or None."""
        static, issuing = self.certificate or self.private_key, self.issuer_certificate or self.issuer_key
        rules: tuple[tuple[object, str, str], ...] = (
            (self.certificate and not self.private_key, "private_key", "is missing: certificate is given without it"),
            (self.private_key and not self.certificate, "certificate", "is missing: private_key is given without it"),
            (
                self.issuer_certificate and not self.issuer_key,
                "issuer_key",
                "is missing: issuer_certificate is given without it",
            ),
            (
                self.issuer_key and not self.issuer_certificate,
                "issuer_certificate",
                "is missing: issuer_key is given without it",
            ),
            (static and issuing, "issuer_certificate", "contradicts certificate: give a leaf or an issuer, not both"),
            (
                self.mode and self.mode != self.provisioning,
                "mode",
                f"is {self.mode}, but what is given makes it {self.provisioning}",
            ),
            (
                self.verifies_clients and not self.client_ca,
                "client_ca",
                f"is missing: client_policy {self.client_policy} verifies against it",
            ),
        )
        return next(((key, why) for broken, key, why in rules if broken), None)


class ListenerSettings(Section):
    """The public HTTPS listener. ``port`` None: the service's own default; 0: any free one."""

    bind_address: str = LOOPBACK
    port: Port | None = None
    url: str = ""  # advertised base URL; empty: made from the bound address
    tls: TlsSettings = TlsSettings()

    @field_validator("bind_address")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))


class AdminSettings(Section):
    """The admin HTTPS listener: 127.0.0.1, always."""

    bind_address: str = LOOPBACK
    port: Port | None = None
    prefix: str = Field(default="/admin/v1", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    tls: TlsSettings = TlsSettings()

    @field_validator("bind_address")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value != LOOPBACK:
            raise ValueError(f"the admin listener answers on {LOOPBACK} only")
        return value


class PlainSettings(Section):
    """The plain HTTP listener, for objects that are signed themselves."""

    enabled: bool = False
    bind_address: str = LOOPBACK
    port: Port | None = None
    url: str = ""

    @field_validator("bind_address")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))


class DatabaseSettings(Section):
    """Where rows live. An empty url means SQLite in the data directory."""

    url: SecretStr = SecretStr("")
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8

    def url_in(self, data_dir: Path) -> str:
        """Return the url that is meant (it may hold a password: never log it)."""
        return self.url.get_secret_value() or f"sqlite:///{data_dir / 'pycryptoutil.db'}"


class BarrierSettings(Section):
    """How the barrier is unsealed. ``secret_file`` is needed by mode file; shamir splits into ``shares``."""

    mode: Literal["shamir", "file", "dev"] = "shamir"
    shares: Annotated[int, Field(ge=1, le=255)] = 5
    threshold: Annotated[int, Field(ge=1, le=255)] = 3
    secret_file: FilePath | None = None
    root_lifetime: Seconds = 365 * 86400
    intermediate_lifetime: Seconds = 91 * 86400
    content_lifetime: Seconds = 7 * 86400
    content_uses: Annotated[int, Field(ge=1, le=1 << 31)] = 1 << 24  # far below AES-GCM's 2^32 with random nonces

    @model_validator(mode="after")
    def _threshold_reachable(self) -> Self:
        if self.threshold > self.shares:
            raise ValueError("threshold is greater than shares")
        return self


class LimitSettings(Section):
    """Every bound of the HTTP side."""

    max_body: Bytes = 1 << 20
    max_header: Bytes = 32 << 10  # all header fields of one request together
    max_headers: Annotated[int, Field(ge=8, le=1000)] = 100
    max_connections: Count = 2000
    max_connections_per_address: Count = 500
    idle_timeout: Seconds = 60
    request_timeout: Seconds = 30  # from the first byte of a request to its last: slow clients
    worker_threads: Annotated[int, Field(ge=1, le=256)] = 8
    queue_depth: Count = 256
    shutdown_timeout: Seconds = 30


class RateLimitSettings(Section):
    """Token buckets: requests per second, and how many at once."""

    enabled: bool = True
    per_address: Annotated[float, Field(gt=0)] = 200
    address_burst: Count = 400
    per_principal: Annotated[float, Field(gt=0)] = 200
    principal_burst: Count = 400
    failed_logins: Annotated[float, Field(gt=0)] = 0.2  # failed authentications per second and address
    failed_logins_burst: Count = 20


class SessionSettings(Section):
    """Browser sessions; always backed by a row."""

    format: Literal["opaque", "jws", "jwe"] = "opaque"
    idle_timeout: Seconds = 1800
    absolute_timeout: Seconds = 8 * 3600


class CorsSettings(Section):
    """Which other origins a browser may call /browser from."""

    origins: Strings = ()
    max_age: Seconds = 600

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path or parts.query:
                raise ValueError(f"{origin!r} is not an origin such as https://app.example.org")
        return value


class NetworkSettings(Section):
    """Which peers may speak to the public and plain listeners; empty: all."""

    allowed: Strings = ()

    @field_validator("allowed")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(entry, strict=True)) for entry in value)


class FileUser(Section):
    """A user of the file realm. ``password`` is the password or its stored hash; an empty tenant is the default one."""

    username: str = Field(min_length=1, max_length=128)
    password: SecretStr
    tenant: str = ""
    scopes: Strings = ()


class FileClient(Section):
    """A client of the file realm."""

    client_id: str = Field(min_length=1, max_length=128)
    client_secret: SecretStr
    tenant: str = ""
    scopes: Strings = ()


class FileRealmSettings(Section):
    """Principals that configuration itself carries; they beat the SQL realm's."""

    users: tuple[FileUser, ...] = ()
    clients: tuple[FileClient, ...] = ()


class SqlRealmSettings(Section):
    """Principals in the database."""

    enabled: bool = True


class RealmSettings(Section):
    """Where principals come from."""

    file: FileRealmSettings = FileRealmSettings()
    sql: SqlRealmSettings = SqlRealmSettings()


class LoggingSettings(Section):
    """Logs go to standard error. ``auto``: text on a terminal, JSON otherwise."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
    access: bool = True


class AuditSettings(Section):
    """``head_interval``: how often the chain's head is signed. Events are never deleted: there is nothing to set."""

    head_interval: Seconds = 300


class TelemetrySettings(Section):
    """OpenTelemetry over OTLP (extra ``otel``): off without ``endpoint``. Standard ``OTEL_*`` variables are defaults.

    ``headers`` are ``name=value,name=value`` (percent-encoded), ``attributes`` resource attributes as ``name=value``.
    """

    endpoint: str = ""  # base URL of the receiver: /v1/traces, /v1/metrics and /v1/logs are below it
    protocol: Literal["http/protobuf"] = "http/protobuf"
    headers: SecretStr = SecretStr("")
    certificate: FilePath | None = None  # trust for https; the system's without it
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None
    traces: bool = True
    metrics: bool = True
    logs: bool = True
    service_name: str = Field(default="", max_length=128)  # empty: each service's own
    attributes: Strings = ()
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0  # of the requests that bring no decision of their own
    trust_parent: bool = True  # take a request's traceparent, and its decision
    queue_size: Count = 4096  # items of each signal that may wait; what comes then is dropped, and counted
    batch_size: Count = 512
    batch_interval: Seconds = 5
    metric_interval: Seconds = 60
    timeout: Seconds = 10  # of one export, with its retries
    shutdown_timeout: Annotated[float, Field(ge=0, le=60)] = 3

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        wrong = parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment
        if value and (wrong or parts.username is not None):
            raise ValueError("is not a base URL such as http://127.0.0.1:4318 (secrets belong in telemetry.headers)")
        return value.rstrip("/")

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: SecretStr) -> SecretStr:
        if any(not _HEADER.fullmatch(part.strip()) for part in value.get_secret_value().split(",") if part.strip()):
            raise ValueError("is not name=value,name=value")
        return value

    @field_validator("attributes")
    @classmethod
    def _attributes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not entry.partition("=")[0].strip() or "=" not in entry:
                raise ValueError(f"{entry[:40]!r} is not name=value")
        return value

    @property
    def header_fields(self) -> dict[str, str]:
        """``headers``, parsed."""
        parts = (part.partition("=") for part in self.headers.get_secret_value().split(",") if part.strip())
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in parts}

    @property
    def resource_attributes(self) -> dict[str, str]:
        """``attributes``, parsed."""
        parts = (entry.partition("=") for entry in self.attributes)
        return {name.strip(): unquote(value.strip()) for name, _, value in parts}


class ServiceSettings(Section):
    """Everything one service of a process runs by: the shared sections with its own overrides applied."""

    profile: Profile = "prod"
    data_dir: FilePath = Path("data")
    public: ListenerSettings = ListenerSettings()
    admin: AdminSettings = AdminSettings()
    plain: PlainSettings = PlainSettings()
    database: DatabaseSettings = DatabaseSettings()
    barrier: BarrierSettings = BarrierSettings()
    limits: LimitSettings = LimitSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    session: SessionSettings = SessionSettings()
    cors: CorsSettings = CorsSettings()
    network: NetworkSettings = NetworkSettings()
    realms: RealmSettings = RealmSettings()
    logging: LoggingSettings = LoggingSettings()
    audit: AuditSettings = AuditSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @cached_property
    def allowed_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """``network.allowed``, parsed."""
        return tuple(ipaddress.ip_network(entry) for entry in self.network.allowed)


SERVICE_SECTIONS = ("public", "admin", "plain", "limits", "rate_limit", "session", "cors", "network")
"""What ``services.<name>.<section>`` may override; the rest is one for the whole process."""

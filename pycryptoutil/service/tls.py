"""TLS of one listener: FIPS suites, groups and signatures only, five client policies, and certificates that can change.

A connection keeps the context it began with; a reload changes what the next connection gets, so nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from OpenSSL import SSL, crypto
from OpenSSL._util import lib as openssl  # the group and signature lists have no public function
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.threads import blockingCallFromThread
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from pycryptoutil.clock import Clock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.http.message import TlsInfo
from pycryptoutil.service import tls_material
from pycryptoutil.service.settings import Material, TlsSettings
from pycryptoutil.service.tls_material import KeyPair

log = structlog.get_logger()

SUITES_13 = b"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
SUITES_12 = (
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
)
GROUPS = b"?SecP256r1MLKEM768:?X25519MLKEM768:?SecP384r1MLKEM1024:P-256:P-384:P-521"  # plain X25519 is not approved
SIGNATURES = (
    b"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:"
    b"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    b"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    b"rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512:?mldsa44:?mldsa65:?mldsa87"
)
ALPN = b"http/1.1"
CHANNEL_BINDING = (b"EXPORTER-Channel-Binding", 32)  # RFC 9266
MAX_CHAIN = 10
OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_NO_TICKET  # and no session cache: a resumed session would skip the client certificate
    | SSL.OP_CIPHER_SERVER_PREFERENCE
)


def build_context(pair: KeyPair, settings: TlsSettings, anchors: tuple[x509.Certificate, ...]) -> SSL.Context:
    """Make the OpenSSL context; ConfigurationError if OpenSSL takes something not."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    lowest = SSL.TLS1_3_VERSION if settings.minimum_version == "1.3" else SSL.TLS1_2_VERSION
    context.set_min_proto_version(lowest)
    context.set_options(OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(SUITES_12)
    context.set_tls13_ciphersuites(SUITES_13)
    for setter, value in ((openssl.SSL_CTX_set1_curves_list, GROUPS), (openssl.SSL_CTX_set1_sigalgs_list, SIGNATURES)):
        if setter(context._context, value) != 1:  # noqa: SLF001  see the import
            raise ConfigurationError("this OpenSSL does not know an algorithm that is needed", "tls")
    try:
        context.use_certificate(pair.chain[0])
        for certificate in pair.chain[1:]:
            context.add_extra_chain_cert(certificate)
        key: Any = pair.key  # of a kind that OpenSSL does not take, it says so itself
        context.use_privatekey(key)
        context.check_privatekey()
    except (SSL.Error, TypeError):
        raise ConfigurationError("OpenSSL does not take this certificate and key", "tls.certificate") from None
    context.set_alpn_select_callback(_choose_protocol)
    _set_client_policy(context, settings, anchors)
    return context


def _choose_protocol(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _accept_any(*_: object) -> bool:
    """Take any client certificate: the protocol behind decides what it is worth (possession of its key is proven)."""
    return True


def _set_client_policy(context: SSL.Context, settings: TlsSettings, anchors: tuple[x509.Certificate, ...]) -> None:
    """Only the policy decides; a bundle is what verifying policies verify against."""
    context.set_app_data(settings.verifies_clients)  # for tls_info
    context.set_verify_depth(MAX_CHAIN)
    match settings.client_policy:
        case "none":
            context.set_verify(SSL.VERIFY_NONE)
        case "request":
            context.set_verify(SSL.VERIFY_PEER, _accept_any)
        case "require-any":
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        case "verify-if-given" | "require-and-verify":
            if not anchors:
                raise ConfigurationError(f"client_policy {settings.client_policy} needs a bundle", "tls.client_ca")
            store = context.get_cert_store()
            if store is None:
                raise ConfigurationError("OpenSSL has no certificate store", "tls.client_ca")
            for anchor in anchors:
                store.add_cert(crypto.X509.from_cryptography(anchor))
            store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an issuing CA in the bundle is trust enough
            named = {anchor.subject.public_bytes(): anchor for anchor in anchors}
            for anchor in list(named.values())[:64]:
                context.add_client_ca(anchor)
            # OpenSSL checks validity, path, and that an extended key usage, if there is one, has clientAuth
            required = settings.client_policy == "require-and-verify"
            context.set_verify(SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0))


def tls_info(connection: SSL.Connection, *, reactor: Any) -> TlsInfo:
    """Describe an established connection. Reactor thread."""
    verifies = connection.get_context().get_app_data() is True  # its own policy, whatever was loaded since
    leaf = connection.get_peer_certificate()
    chain: tuple[bytes, ...] = ()
    if leaf is not None:
        first = crypto.dump_certificate(crypto.FILETYPE_ASN1, leaf)
        rest = (crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in connection.get_peer_cert_chain() or ())
        chain = (first, *(one for one in rest if one != first))[:MAX_CHAIN]
    # RFC 9266 section 4.2: before TLS 1.3 only the extended master secret makes a binding this connection's own
    unique = connection.get_protocol_version() >= SSL.TLS1_3_VERSION or (
        openssl.SSL_get_extms_support(connection._ssl) == 1  # noqa: SLF001
    )
    binding = connection.export_keying_material(*CHANNEL_BINDING)

    def export(label: bytes, length: int) -> bytes:
        if not unique:
            raise LookupError("no extended master secret")
        if (label, length) == CHANNEL_BINDING:
            return binding
        if isInIOThread():  # type: ignore[no-untyped-call]
            return connection.export_keying_material(label, length)
        # OpenSSL's connection belongs to the reactor's thread
        made: bytes = blockingCallFromThread(reactor, connection.export_keying_material, label, length)
        return made

    return TlsInfo(
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        chain,
        bool(chain) and verifies,
        export,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like."""

    path: Path
    mark: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that one loading made."""

    settings: TlsSettings
    pair: KeyPair
    anchor: x509.Certificate
    anchors: tuple[x509.Certificate, ...]
    context: SSL.Context
    seen: tuple[_Seen, ...]


def look(settings: TlsSettings) -> tuple[_Seen, ...]:
    """Tell how the files that are named look now."""
    materials: tuple[Material | None, ...] = (
        settings.certificate_material,
        settings.private_key_material,
        settings.issuer_certificate_material,
        settings.issuer_key_material,
        settings.client_ca_material,
    )
    seen = []
    for material in materials:
        path = material.path if material is not None else None
        if path is not None:
            try:
                found = path.stat()
                seen.append(_Seen(path, (found.st_mtime_ns, found.st_size, found.st_ino)))
            except OSError:
                seen.append(_Seen(path, (0, 0, 0)))
    return tuple(seen)


@implementer(IOpenSSLServerConnectionCreator)
class ListenerTls:
    """One listener's certificate and context, as they are now."""

    def __init__(
        self,
        settings: TlsSettings,
        *,
        prefix: str,
        clock: Clock,
        data_dir: Path,
        names: Callable[[TlsSettings], tuple[str, ...]],
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Provision; ConfigurationError naming the key (``prefix`` is such as ``public.tls``) if that cannot be."""
        self._prefix = prefix
        self._clock = clock
        self._data_dir = data_dir
        self._names = names
        self._count = count
        self._failed: tuple[_Seen, ...] | None = None
        self._loaded = self.prepare(settings)

    @property
    def settings(self) -> TlsSettings:
        """What it was made by."""
        return self._loaded.settings

    def serverConnectionForTLS(self, _protocol: Any) -> SSL.Connection:  # noqa: N802  Twisted's name
        """Give a new connection the context of now."""
        return SSL.Connection(self._loaded.context, None)

    @property
    def pair(self) -> KeyPair:
        """The certificate in use."""
        return self._loaded.pair

    @property
    def anchor(self) -> x509.Certificate:
        """What a client trusts to reach this listener: the end of the chain, or the private CA."""
        return self._loaded.anchor

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """What client certificates are verified against."""
        return self._loaded.anchors

    # --- loading

    def prepare(self, settings: TlsSettings) -> Loaded:
        """Load everything anew, changing nothing yet; ConfigurationError if it cannot be used. Does file I/O."""
        contradiction = settings.contradiction()
        if contradiction is not None:
            raise ConfigurationError(contradiction[1], f"{self._prefix}.{contradiction[0]}")
        seen = look(settings)
        pair, anchor = self._provision(settings, self._clock.now())
        bundle = settings.client_ca_material
        anchors: tuple[x509.Certificate, ...] = ()
        if bundle is not None and settings.verifies_clients:
            anchors = tls_material.read_certificates(bundle, f"{self._prefix}.client_ca")
        try:
            context = build_context(pair, settings, anchors)
        except ConfigurationError as error:
            raise ConfigurationError(error.message, f"{self._prefix}.{error.key.removeprefix('tls.')}") from None
        return Loaded(settings, pair, anchor, anchors, context, seen)

    def take(self, loaded: Loaded) -> None:
        """Use this from the next connection on."""
        self._loaded = loaded

    def _provision(self, settings: TlsSettings, now: datetime) -> tuple[KeyPair, x509.Certificate]:
        match settings.provisioning:
            case "static":
                pair = tls_material.static_pair(settings, self._prefix, now)
                return pair, pair.chain[-1]
            case "mixed":
                issuer = tls_material.given_issuer(settings, self._prefix, now)
            case "auto":
                issuer = tls_material.private_issuer(self._data_dir, self._clock)
        lifetime = timedelta(seconds=settings.leaf_lifetime)
        return tls_material.leaf(issuer, self._names(settings), lifetime, now), issuer.chain[-1]

    # --- changing

    def due(self) -> bool:
        """Tell whether a file has changed, or the leaf is to be renewed. Does file I/O."""
        renew_at = self.pair.renew_at
        if renew_at is not None and self._clock.now() >= renew_at:
            return True
        return look(self.settings) not in {self._loaded.seen, self._failed}

    def reload(self) -> bool:
        """Load anew; if that fails, what is in use stays (a certificate is often replaced before its key)."""
        seen = look(self.settings)
        try:
            self.take(self.prepare(self.settings))
        except Exception:
            self._failed = seen
            self._count("failed")
            log.exception("TLS reload failed; the certificate in use stays", listener=self._prefix)
            return False
        self._failed = None
        self._count("ok")
        log.info(
            "TLS certificate loaded",
            listener=self._prefix,
            serial=f"{self.pair.chain[0].serial_number:x}",
            not_after=self.pair.chain[0].not_valid_after_utc.isoformat(),
        )
        return True

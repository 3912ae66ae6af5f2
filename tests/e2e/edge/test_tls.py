"""TLS as peers meet it: provisioning, the five client policies, versions, reload."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL

from pycryptoutil.clock import FixedClock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.settings import TlsSettings
from pycryptoutil.service.tls import ListenerTls
from pycryptoutil.service.tls_material import trust_bundle
from tests.support import certificates
from tests.support.certificates import CLIENT, SERVER, Made
from tests.support.edge import CLOCK, PATIENCE, Client, Serve, Served, head, until

POLICIES = ("none", "request", "require-any", "verify-if-given", "require-and-verify")


def show(_context: object, request: Request) -> Response:
    tls = request.tls
    assert tls is not None
    binding = tls.export(b"EXPORTER-Channel-Binding", 32).hex()
    other = tls.export(b"EXPORTER-test", 16).hex()
    names = [x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in tls.client_chain]
    text = f"{tls.version}|{tls.cipher}|{names}|{tls.client_verified}|{binding}|{other}"
    return Response(200, text.encode(), "text/plain")


SHOW = Route("show", ("GET",), "/tls", show, gate=Gate.PROTOCOL)


def context(trusted: Path | Made, client: Made | None = None, folder: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.load_verify_locations(cadata=(trusted.read_bytes() if isinstance(trusted, Path) else trusted.pem).decode())
    if client is not None:
        assert folder is not None
        made.load_cert_chain(*client.write(folder, "client"))
    return made


def ask(served: Served, trust: ssl.SSLContext) -> list[str]:
    with Client(served.port, trust) as client:
        client.send(head("GET", "/tls"))
        return client.read().body.decode().split("|")


@pytest.fixture(scope="module")
def authority() -> Made:
    return certificates.root().issue("Clients CA", authority=True)


# --- provisioning


def test_auto_makes_a_ca_once_and_a_leaf_of_it(serve: Serve, tmp_path: Path) -> None:
    served = serve(SHOW, tls=TlsSettings(names=("dev.example.test",)))
    bundle = trust_bundle(tmp_path)
    assert (tmp_path / "tls" / "ca.key").stat().st_mode & 0o777 == 0o600
    first = bundle.read_bytes()
    version, cipher, *_ = ask(served, context(bundle))
    assert version == "TLSv1.3"
    assert cipher in {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"}
    again = serve(SHOW, tls=TlsSettings())
    assert bundle.read_bytes() == first
    ask(again, context(bundle))
    assert served.tls is not None
    leaf = served.tls.pair.chain[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]  # the harness names them
    assert leaf.not_valid_after_utc <= served.tls.anchor.not_valid_after_utc


def test_racing_processes_make_one_ca(tmp_path: Path) -> None:
    anchors: list[bytes] = []

    def make() -> None:
        made = tls_of(TlsSettings(), tmp_path)
        anchors.append(made.anchor.fingerprint(made.anchor.signature_hash_algorithm))  # type: ignore[arg-type]

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(anchors) == 8
    assert len(set(anchors)) == 1


def tls_of(settings: TlsSettings, folder: Path, clock: Any = CLOCK) -> ListenerTls:
    return ListenerTls(settings, prefix="public.tls", clock=clock, data_dir=folder, names=lambda _: ("localhost",))


def test_mixed_makes_a_leaf_of_the_given_ca(serve: Serve, tmp_path: Path) -> None:
    top = certificates.root()
    chain, key = top.issue("Issuing", authority=True).write(tmp_path, "issuer")
    served = serve(SHOW, tls=TlsSettings(issuer_certificate=str(chain), issuer_key=str(key)))
    ask(served, context(top))  # the chain is sent: the root alone is trusted


def test_static_serves_what_is_given(serve: Serve, tmp_path: Path) -> None:
    top = certificates.root()
    chain, key = top.issue("CA", authority=True).issue("leaf", usage=SERVER, sans=("localhost",)).write(tmp_path, "s")
    served = serve(SHOW, tls=TlsSettings(certificate=str(chain), private_key=f"file://{key}"))
    ask(served, context(top))


def static(made: Made, folder: Path) -> dict[str, str]:
    chain, key = made.write(folder, "static")
    return {"certificate": str(chain), "private_key": str(key)}


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("certificate without key", "private_key"),
        ("key without certificate", "certificate"),
        ("issuer without key", "issuer_key"),
        ("issuer key alone", "issuer_certificate"),
        ("both", "issuer_certificate"),
        ("mode", "mode"),
        ("verify without bundle", "client_ca"),
        ("missing file", "certificate"),
        ("not a certificate", "certificate"),
        ("not a key", "private_key"),
        ("another key", "private_key"),
        ("encrypted key", "private_key"),
        ("expired", "private_key"),
        ("issuer is no CA", "issuer_certificate"),
        ("empty bundle", "client_ca"),
    ],
)
def test_contradictions_are_refused_with_the_key_named(tmp_path: Path, case: str, key: str) -> None:
    top = certificates.root()
    leaf = top.issue("leaf", usage=SERVER, sans=("localhost",))
    good = static(leaf, tmp_path)
    issuer, issuer_key = (str(path) for path in top.write(tmp_path, "issuer"))
    bad = tmp_path / "bad"
    bad.write_bytes(b"hello")
    from cryptography.hazmat.primitives import serialization

    (tmp_path / "encrypted").write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    cases: dict[str, dict[str, Any]] = {
        "certificate without key": {"certificate": good["certificate"]},
        "key without certificate": {"private_key": good["private_key"]},
        "issuer without key": {"issuer_certificate": issuer},
        "issuer key alone": {"issuer_key": issuer_key},
        "both": {**good, "issuer_certificate": issuer, "issuer_key": issuer_key},
        "mode": {"mode": "static"},
        "verify without bundle": {"client_policy": "require-and-verify"},
        "missing file": {**good, "certificate": str(tmp_path / "nowhere")},
        "not a certificate": {**good, "certificate": str(bad)},
        "not a key": {**good, "private_key": str(bad)},
        "another key": {**good, "private_key": issuer_key},
        "encrypted key": {**good, "private_key": str(tmp_path / "encrypted")},
        "expired": static(
            top.issue("old", usage=SERVER, valid=(timedelta(days=-2), timedelta(days=-1))), tmp_path / "x"
        ),
        "issuer is no CA": {"issuer_certificate": good["certificate"], "issuer_key": good["private_key"]},
        "empty bundle": {"client_policy": "verify-if-given", "client_ca": str(bad)},
    }
    with pytest.raises(ConfigurationError) as caught:
        tls_of(TlsSettings(**cases[case]), tmp_path)
    assert caught.value.key == f"public.tls.{key}"
    assert "BEGIN" not in str(caught.value)


# --- versions and algorithms


def handshake(port: int, **limits: Any) -> ssl.SSLSocket:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in limits.items():
        if name == "ciphers":
            made.set_ciphers(value)
        elif name == "alpn":
            made.set_alpn_protocols(value)
        elif name == "curve":
            made.set_ecdh_curve(value)
        else:
            setattr(made, name, value)
    return made.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="localhost")


def test_tls_1_3_only_unless_configured(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings())
    with pytest.raises(ssl.SSLError):
        handshake(served.port, maximum_version=ssl.TLSVersion.TLSv1_2)
    older = serve(SHOW, tls=TlsSettings(minimum_version="1.2"))
    with handshake(older.port, maximum_version=ssl.TLSVersion.TLSv1_2) as old:
        assert old.version() == "TLSv1.2"
        assert old.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"  # type: ignore[index]
    with handshake(older.port) as new:
        assert new.version() == "TLSv1.3"
    for ciphers in ("ECDHE+CHACHA20", "ECDHE-ECDSA-AES128-SHA256", "kRSA", "DHE+AESGCM"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(older.port, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
        handshake(older.port, maximum_version=ssl.TLSVersion.TLSv1_1, minimum_version=ssl.TLSVersion.TLSv1)


def test_x25519_alone_is_not_offered(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(served.port, curve="X25519")
    for curve in ("prime256v1", "secp384r1"):
        handshake(served.port, curve=curve).close()


def test_alpn(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings())
    with handshake(served.port, alpn=["h2", "http/1.1"]) as both:
        assert both.selected_alpn_protocol() == "http/1.1"
    with handshake(served.port, alpn=["h2"]) as other:
        assert other.selected_alpn_protocol() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_not_resumed(serve: Serve, version: ssl.TLSVersion) -> None:
    served = serve(SHOW, tls=TlsSettings(minimum_version="1.2"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = version

    def visit(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        raw = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
        with made.wrap_socket(raw, session=session) as one:
            one.sendall(head("GET", "/tls").encode())
            one.recv(4096)
            return one.session, one.session_reused

    session, _ = visit(None)
    assert visit(session)[1] is False


def test_a_renegotiating_client_is_refused(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings(minimum_version="1.2"))
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.set_max_proto_version(SSL.TLS1_2_VERSION)
    raw = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
    raw.settimeout(None)
    connection = SSL.Connection(made, raw)
    connection.set_connect_state()
    connection.do_handshake()
    with pytest.raises(SSL.Error):
        connection.renegotiate()
        connection.do_handshake()
        connection.send(head("GET", "/tls").encode())
        connection.recv(100)
    raw.close()


def test_the_channel_binding_is_the_connection_s(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings())
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    raw = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
    raw.settimeout(None)
    connection = SSL.Connection(made, raw)
    connection.set_connect_state()
    connection.do_handshake()
    connection.send(head("GET", "/tls", "Connection: close").encode())
    data = b""
    try:
        while True:
            data += connection.recv(4096)
    except SSL.ZeroReturnError:
        pass
    *_, binding, other = data.decode().split("|")
    assert binding == connection.export_keying_material(b"EXPORTER-Channel-Binding", 32).hex()
    assert other == connection.export_keying_material(b"EXPORTER-test", 16).hex()
    raw.close()


# --- client policies

CLIENTS = ("nobody", "stranger", "ours", "expired", "server only", "by root")


def client_of(kind: str, authority: Made) -> Made | None:
    old = (timedelta(days=-2), timedelta(days=-1))
    return {
        "nobody": lambda: None,
        "stranger": lambda: certificates.root("Other").issue("stranger", usage=CLIENT),
        "ours": lambda: authority.issue("ours", usage=CLIENT),
        "expired": lambda: authority.issue("expired", usage=CLIENT, valid=old),
        "server only": lambda: authority.issue("server only", usage=SERVER),
        "by root": lambda: authority.issue("Deep", authority=True).issue("by root"),  # through a further CA, no EKU
    }[kind]()


VERIFIED = {"ours", "by root"}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", CLIENTS)
def test_client_policies(serve: Serve, tmp_path: Path, authority: Made, policy: str, kind: str) -> None:
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(authority.pem)  # an issuing CA is trust enough
    settings = TlsSettings(client_policy=policy, client_ca=str(bundle))  # type: ignore[arg-type]
    served = serve(SHOW, tls=settings)
    client = client_of(kind, authority)
    trust = context(trust_bundle(tmp_path), client, tmp_path / kind.replace(" ", "-"))
    verifies = policy in {"verify-if-given", "require-and-verify"}
    required = policy in {"require-any", "require-and-verify"}
    refused = required if client is None else verifies and kind not in VERIFIED
    if refused:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            ask(served, trust)
        until(
            lambda: b'tls_handshakes_total{listener="public",result="failed"' in served.edge.metrics.merged(), "counted"
        )
        return
    _, _, names, verified, *_ = ask(served, trust)
    asked = client is not None and policy != "none"
    assert (f"CN={kind}" in names) is asked
    assert verified == str(asked and verifies)


def bound(_context: object, request: Request) -> Response:
    assert request.tls is not None
    try:
        return Response(200, request.tls.export(b"EXPORTER-Channel-Binding", 32).hex().encode(), "text/plain")
    except LookupError:
        return Response(200, b"none", "text/plain")


@pytest.mark.parametrize("extended", [True, False])
def test_no_channel_binding_without_the_extended_master_secret(serve: Serve, tmp_path: Path, extended: bool) -> None:
    route = Route("bound", ("GET",), "/bound", bound, gate=Gate.PROTOCOL)
    served = serve(route, tls=TlsSettings(minimum_version="1.2"))
    made = context(trust_bundle(tmp_path))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    if not extended:
        made.options |= 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET
    with Client(served.port, made) as client:
        client.send(head("GET", "/bound"))
        assert (len(client.read().body) == 64) is extended


def test_a_bundle_never_switches_the_policy(serve: Serve, tmp_path: Path, authority: Made) -> None:
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(authority.pem)
    served = serve(SHOW, tls=TlsSettings(client_ca=str(bundle)))
    client = authority.issue("ours", usage=CLIENT)
    assert ask(served, context(trust_bundle(tmp_path), client, tmp_path))[2:4] == ["[]", "False"]


# --- change


def test_a_changed_file_is_noticed_and_old_connections_stay(serve: Serve, tmp_path: Path) -> None:
    first, second = certificates.root("First"), certificates.root("Second")
    chain, key = first.issue("a", usage=SERVER, sans=("localhost",)).write(tmp_path / "s", "s")
    served = serve(SHOW, tls=TlsSettings(certificate=str(chain), private_key=str(key)))
    assert served.tls is not None
    with Client(served.port, context(first)) as old:
        assert not served.tls.due()
        fresh = second.issue("b", usage=SERVER, sans=("localhost",))
        chain.write_bytes(fresh.chain_pem)  # and the key not yet: what is in use must stay
        assert served.tls.due()
        assert not served.tls.reload()
        assert not served.tls.due()  # tried; not again until something changes
        ask(served, context(first))
        key.write_bytes(fresh.key_pem)
        assert served.tls.due()
        assert served.tls.reload()
        ask(served, context(second))
        with pytest.raises(ssl.SSLError):
            ask(served, context(first))
        old.send(head("GET", "/tls"))
        assert old.read().status == 200


def test_a_changed_policy_says_who_was_verified(serve: Serve, tmp_path: Path, authority: Made) -> None:
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(authority.pem)
    strict = TlsSettings(client_policy="require-and-verify", client_ca=str(bundle))
    served = serve(SHOW, tls=strict)
    assert served.tls is not None
    ours = context(trust_bundle(tmp_path), authority.issue("ours", usage=CLIENT), tmp_path / "ours")
    stranger = certificates.root("Other").issue("stranger", usage=CLIENT)
    foreign = context(trust_bundle(tmp_path), stranger, tmp_path / "foreign")
    with Client(served.port, ours) as old:
        served.tls.take(served.tls.prepare(TlsSettings(client_policy="request")))
        assert ask(served, foreign)[2:4] == ["['CN=stranger']", "False"]
        old.send(head("GET", "/tls"))
        assert old.read().body.decode().split("|")[3] == "True"  # it was, when it connected
    served.tls.take(served.tls.prepare(strict))
    assert ask(served, ours)[3] == "True"


def test_a_generated_leaf_is_renewed_before_it_ends(tmp_path: Path) -> None:
    clock = FixedClock()
    tls = tls_of(TlsSettings(leaf_lifetime=86400 * 30), tmp_path, clock)
    before = tls.pair.chain[0]
    clock.advance(86400 * 19)
    assert not tls.due()
    clock.advance(86400 * 2)
    assert tls.due()
    assert tls.reload()
    after = tls.pair.chain[0]
    assert after.serial_number != before.serial_number
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.issuer == before.issuer


def test_reload_under_load_drops_nothing(serve: Serve, tmp_path: Path) -> None:
    top = certificates.root()
    chain, key = top.issue("a", usage=SERVER, sans=("localhost",)).write(tmp_path / "s", "s")
    served = serve(SHOW, tls=TlsSettings(certificate=str(chain), private_key=str(key)))
    assert served.tls is not None
    stop, failures, count = threading.Event(), [], [0]

    def load(keep: bool) -> None:
        trust = context(top)
        try:
            client = Client(served.port, trust)
            while not stop.is_set():
                client.send(head("GET", "/tls"))
                assert client.read().status == 200
                count[0] += 1
                if not keep:
                    client.socket.close()
                    client = Client(served.port, trust)
            client.socket.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=load, args=(keep,)) for keep in (True, True, False)]
    for thread in threads:
        thread.start()
    for number in range(10):
        fresh = top.issue(f"leaf {number}", usage=SERVER, sans=("localhost",))
        chain.write_bytes(fresh.chain_pem)
        key.write_bytes(fresh.key_pem)
        assert served.tls.reload()
        seen = count[0]
        until(lambda seen=seen: count[0] > seen + 3 or failures, "requests go on")  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []


def test_bytes_that_are_no_tls_are_refused(serve: Serve) -> None:
    served = serve(SHOW, tls=TlsSettings())
    with served.connect() as client:
        client.send(head("GET", "/tls"))
        with pytest.raises((EOFError, ConnectionResetError, UnicodeDecodeError, ValueError, AssertionError)):
            client.read()
    until(lambda: served.connections() == 0, "forgotten")


def test_a_handshake_that_does_not_come_is_cut(serve: Serve) -> None:
    clock = FixedClock(instant=certificates.now())
    served = serve(SHOW, tls=TlsSettings(), clock=clock)
    with served.connect() as client:
        until(lambda: served.connections() == 1, "connected")
        clock.advance(31)
        served.sweep()
        assert client.ended()
    assert Listener.PUBLIC in served.ports

"""Certificates for other people's ACME clients: certbot, and the acme library that it stands on."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import josepy
import pytest
from acme import challenges, client, crypto_util, errors, messages, standalone
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.pki import Ca
from tests.support.programs import Done, need
from tests.support.suite import make_suite

pytestmark = pytest.mark.interop


class NameServer:
    """Every name under .test is this machine; TXT and CAA are what the test says, a file that hooks may write to."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "txt"
        self.records.mkdir()
        self.caa: dict[str, str] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1#{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
        found: list[str] = []
        if not name.endswith("test."):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "A":
            found = ["127.0.0.1"]
        elif kind == "TXT" and (self.records / name.rstrip(".")).exists():
            found = [f'"{line}"' for line in (self.records / name.rstrip(".")).read_text().split()]
        elif kind == "CAA" and name in self.caa:
            found = [self.caa[name]]
        if found:
            reply.answer.append(dns.rrset.from_text(name, 1, "IN", kind, *found))
        return reply

    def put(self, name: str, value: str) -> None:
        with (self.records / name).open("a") as file:
            file.write(value + "\n")

    def close(self) -> None:
        self._socket.close()


@dataclass
class World:
    """A suite that sends its validators to this test."""

    ca: Ca
    names: NameServer
    http_port: int
    tls_port: int
    folder: Path

    def directory(self, label: str = "tls-server") -> str:
        return f"{self.ca.suite.url()}/acme/{label}/directory"

    def certbot(self, *arguments: str, code: int | None = 0) -> Done:
        """Run certbot with folders of its own."""
        home = self.folder / "certbot"
        line = [
            "certbot", *arguments, "-n", "--config-dir", str(home), "--work-dir", str(home), "--logs-dir", str(home),
        ]  # fmt: skip
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        env |= {"REQUESTS_CA_BUNDLE": str(self.ca.suite.trust_bundle)}
        env.pop("PYTHONPATH", None)
        ended = subprocess.run(line, capture_output=True, timeout=180, check=False, env=env)
        done = Done(line, ended.returncode, ended.stdout, ended.stderr)
        assert code is None or done.code == code, done.text
        return done

    def live(self, name: str) -> list[x509.Certificate]:
        path = self.folder / "certbot" / "live" / name / "fullchain.pem"
        return x509.load_pem_x509_certificates(path.read_bytes())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("acme")
    names = NameServer(folder)
    http_port, tls_port = free_port(), free_port()
    acme = {
        "resolver": names.address,
        "http_ports": [http_port],
        "tls_ports": [tls_port],
        "caa_identities": ["ca.test"],
        "attempts": 2,
        "retry_seconds": 0.5,
        "auto_renewal": {"enabled": True},
    }
    suite = make_suite(folder / "suite", "pki-ca", {"pki_ca": {"acme": acme}})
    try:
        yield World(Ca(suite.start()), names, http_port, tls_port, folder)
    finally:
        suite.close()
        names.close()


REGISTER = ("--agree-tos", "--register-unsafely-without-email")


def test_certbot_http_01_renewal_and_revocation(world: World) -> None:
    need("certbot")
    here = ("--server", world.directory(), *REGISTER, "--standalone", "--http-01-port", str(world.http_port))
    world.certbot("certonly", *here, "-d", "a.certbot.test", "-d", "b.certbot.test")
    leaf, *chain = world.live("a.certbot.test")
    leaf.verify_directly_issued_by(chain[0])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"a.certbot.test", "b.certbot.test"}
    world.certbot(
        "renew",
        "--force-renewal",
        "--no-random-sleep-on-renew",
        "--cert-name",
        "a.certbot.test",
        "--http-01-port",
        str(world.http_port),
    )
    renewed = world.live("a.certbot.test")[0]
    assert renewed.serial_number != leaf.serial_number
    world.certbot("revoke", "--server", world.directory(), "--cert-name", "a.certbot.test", "--reason", "superseded",
                  "--no-delete-after-revoke")  # fmt: skip
    record = world.ca.record(f"{renewed.serial_number:x}").json()
    assert (record["status"], record["reason"]) == ("revoked", "superseded")


def test_certbot_dns_01_for_a_wildcard(world: World) -> None:
    need("certbot")
    hook = f"sh -c 'echo $CERTBOT_VALIDATION >> {world.names.records}/_acme-challenge.$CERTBOT_DOMAIN'"
    world.certbot(
        "certonly", "--server", world.directory(), *REGISTER, "--manual", "--preferred-challenges", "dns",
        "--manual-auth-hook", hook, "-d", "*.wild.test", "-d", "wild.test",
    )  # fmt: skip
    names = world.live("wild.test")[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"*.wild.test", "wild.test"}


def test_certbot_with_an_external_binding(world: World) -> None:
    """The credential's user name and password are what certbot calls --eab-kid and --eab-hmac-key."""
    need("certbot")
    username, password = world.ca.credential("tls-server", "*.eab.test")
    key = base64.urlsafe_b64encode(password.encode()).rstrip(b"=").decode()
    server = world.directory("issuing:tls-server")
    here = (
        "--server", server, *REGISTER, "--standalone", "--http-01-port", str(world.http_port),
        "--eab-kid", username, "--eab-hmac-key", key,
    )  # fmt: skip
    world.certbot("certonly", *here, "-d", "a.eab.test")
    record = world.ca.record(f"{world.live('a.eab.test')[0].serial_number:x}").json()
    assert (record["requester"], record["protocol"]) == (f"credential:{username}", "acme")
    world.certbot("certonly", *here, "-d", "a.other.test", code=1)
    log = (world.folder / "certbot" / "letsencrypt.log").read_text()
    assert "the account's external binding does not allow this name" in log


def test_certbot_tells_why_it_failed(world: World) -> None:
    need("certbot")
    world.names.caa["forbidden.test."] = '0 issue "other.test"'
    said = world.certbot(
        "certonly", "--server", world.directory(), *REGISTER, "--standalone", "--http-01-port", str(world.http_port),
        "-d", "forbidden.test", code=1,
    ).text  # fmt: skip
    assert "CAA" in said


# --- the library


def library(world: World, key: Any = None) -> client.ClientV2:
    """A client with an account."""
    net = client.ClientNetwork(
        key or josepy.JWKRSA(key=josepy.ComparableRSAKey(rsa.generate_private_key(65537, 2048))),
        verify_ssl=str(world.ca.suite.trust_bundle),
    )
    net.session.trust_env = False
    made = client.ClientV2(client.ClientV2.get_directory(world.directory(), net), net=net)
    made.new_account(messages.NewRegistration.from_data(email="a@example.test", terms_of_service_agreed=True))
    return made


def request(*names: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, crypto_util.make_csr(pem, list(names))


def chosen(order: Any, kind: type) -> list[Any]:
    return [
        next(one for one in authorization.body.challenges if isinstance(one.chall, kind))
        for authorization in order.authorizations
    ]


@contextlib.contextmanager
def serving(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_library_http_01(world: World) -> None:
    acme = library(world)
    _, csr = request("a.library.test", "b.library.test")
    order = acme.new_order(csr)
    resources, found = set(), chosen(order, challenges.HTTP01)
    for one in found:
        response, validation = one.response_and_validation(acme.net.key)
        resources.add(standalone.HTTP01RequestHandler.HTTP01Resource(one.chall, response, validation))
    with serving(standalone.HTTP01Server(("127.0.0.1", world.http_port), resources)):
        for one in found:
            acme.answer_challenge(one, one.response(acme.net.key))
        done = acme.poll_and_finalize(order)
    leaf = x509.load_pem_x509_certificates(done.fullchain_pem.encode())[0]
    acme.revoke(leaf, 4)
    assert world.ca.record(f"{leaf.serial_number:x}").json()["status"] == "revoked"
    with pytest.raises(messages.Error) as caught:
        acme.revoke(leaf, 4)
    assert caught.value.code == "alreadyRevoked"


def test_library_dns_01(world: World) -> None:
    acme = library(world)
    _, csr = request("*.libdns.test")
    order = acme.new_order(csr)
    (one,) = chosen(order, challenges.DNS01)
    world.names.put(one.chall.validation_domain_name("libdns.test"), one.chall.validation(acme.net.key))
    acme.answer_challenge(one, one.response(acme.net.key))
    assert "BEGIN CERTIFICATE" in acme.poll_and_finalize(order).fullchain_pem


def test_library_renewal_information(world: World) -> None:
    acme = library(world)
    _, csr = request("ari.test")
    order = acme.new_order(csr)
    (one,) = chosen(order, challenges.DNS01)
    world.names.put(one.chall.validation_domain_name("ari.test"), one.chall.validation(acme.net.key))
    acme.answer_challenge(one, one.response(acme.net.key))
    pem = acme.poll_and_finalize(order).fullchain_pem
    if not hasattr(acme, "renewal_time"):
        pytest.skip("this release of the library has no renewal information")
    when, _ = acme.renewal_time(pem.encode())
    leaf = x509.load_pem_x509_certificates(pem.encode())[0]
    assert when is not None
    assert leaf.not_valid_before_utc < when.replace(tzinfo=leaf.not_valid_after_utc.tzinfo) < leaf.not_valid_after_utc


def test_library_errors(world: World) -> None:
    acme = library(world)
    _, csr = request("*.com")
    with pytest.raises(messages.Error) as caught:
        acme.new_order(csr)
    assert caught.value.code == "rejectedIdentifier"
    _, csr = request("nobody.test")
    order = acme.new_order(csr)
    (one,) = chosen(order, challenges.HTTP01)
    acme.answer_challenge(one, one.response(acme.net.key))
    with pytest.raises(errors.ValidationError):
        acme.poll_and_finalize(order)


def test_tls_alpn_01_by_openssl(world: World, tmp_path: Path) -> None:
    """openssl s_server shows the certificate; the account is the library's."""
    from pycryptoutil_protocols.acme.messages import Identifier

    from tests.support.tls_alpn import challenge_certificate, write

    acme = library(world)
    _, csr = request("alpn.test")
    order = acme.new_order(csr)
    body = order.authorizations[0].body
    found = next(one for one in body.challenges if one.chall.to_partial_json()["type"] == "tls-alpn-01")
    token = found.chall.to_partial_json()["token"]
    import hashlib

    thumbprint = josepy.b64encode(acme.net.key.thumbprint()).decode()
    digest = hashlib.sha256(f"{token}.{thumbprint}".encode()).digest()
    certificate, key = write(tmp_path, challenge_certificate(Identifier("dns", "alpn.test"), digest))
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{world.tls_port}", "-cert", str(certificate), "-key", str(key),
         "-alpn", "acme-tls/1", "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        from tests.support.suite import until

        until(lambda: _listens(world.tls_port), "openssl listens")
        acme._post(found.uri, challenges.HTTP01Response(key_authorization=""))  # whose JSON is {}
        assert "BEGIN CERTIFICATE" in acme.poll_and_finalize(order).fullchain_pem
    finally:
        server.terminate()
        server.wait(10)
    assert sys.version_info


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True

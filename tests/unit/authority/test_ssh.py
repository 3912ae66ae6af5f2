"""SSH certificates: read back by two other implementations, and refused by the same rules."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
    load_ssh_public_key,
)
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityStatus, IssueOrder
from pycryptoutil.authority.ssh import SshOrder, SshService
from tests.support.authority import OTHER_TENANT, TENANT, World, csr

WHO = "user:tester"


def line(key: Any = None) -> str:
    public = (key or ed25519.Ed25519PrivateKey.generate()).public_key()
    return str(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()) + " comment"


def service(world: World) -> SshService:
    return SshService(world.service.room)


@pytest.mark.parametrize(
    "make",
    [
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: rsa.generate_private_key(65537, 3072),
    ],
)
def test_a_user_certificate_is_read_by_others(world: World, tmp_path: Path, make: Callable[[], Any]) -> None:
    key = make()
    options = {"force-command": "/bin/true", "source-address": "192.0.2.0/24"}
    order = SshOrder("ssh-user", line(key), ("anna", "root"), key_id="anna's key", critical_options=options)
    issued = service(world).issue(TENANT, order, WHO)
    read = load_ssh_public_identity(issued.certificate.encode())
    assert isinstance(read, SSHCertificate)
    read.verify_cert_signature()
    assert read.type is SSHCertificateType.USER
    assert read.valid_principals == [b"anna", b"root"]
    assert read.key_id == b"anna's key"
    assert f"{read.serial:016x}" == issued.serial
    assert read.critical_options == {name.encode(): value.encode() for name, value in options.items()}
    assert set(read.extensions) == {
        b"permit-pty",
        b"permit-port-forwarding",
        b"permit-agent-forwarding",
        b"permit-X11-forwarding",
        b"permit-user-rc",
    }
    now = int(world.clock.now().timestamp())
    assert (read.valid_after, read.valid_before) == (now - 300, now + 16 * 3600)
    trusted = load_ssh_public_key(service(world).authority_key(TENANT, "issuing", "ssh-user").encode())
    assert read.signature_key() == trusted
    assert read.public_key() == key.public_key()
    if shutil.which("ssh-keygen"):
        path = tmp_path / "id-cert.pub"
        path.write_text(issued.certificate + "\n")
        done = subprocess.run(["ssh-keygen", "-L", "-f", str(path)], capture_output=True, text=True, check=True)
        assert "user certificate" in done.stdout
        assert "anna" in done.stdout


def test_hosts_and_users_have_keys_of_their_own(world: World) -> None:
    ssh = service(world)
    issued = ssh.issue(TENANT, SshOrder("ssh-host", line(), ("host.example.com", "192.0.2.1")), WHO)
    read = load_ssh_public_identity(issued.certificate.encode())
    assert isinstance(read, SSHCertificate)
    assert (read.type, read.valid_principals) == (SSHCertificateType.HOST, [b"host.example.com", b"192.0.2.1"])
    host, user = (ssh.authority_key(TENANT, "issuing", kind) for kind in ("ssh-host", "ssh-user"))
    assert host.split()[1] != user.split()[1]
    assert read.signature_key() == load_ssh_public_key(host.encode())
    assert ssh.authority_key(TENANT, "", "ssh-host") == host


REFUSALS: list[tuple[str, SshOrder, FaultKind]] = [
    ("an X.509 profile", SshOrder("tls-server", line(), ("a",)), FaultKind.POLICY),
    ("an unknown profile", SshOrder("nobody", line(), ("a",)), FaultKind.NOT_FOUND),
    ("nobody in particular", SshOrder("ssh-user", line(), ()), FaultKind.POLICY),
    ("too many", SshOrder("ssh-user", line(), tuple(f"u{n}" for n in range(17))), FaultKind.POLICY),
    ("no user name", SshOrder("ssh-user", line(), ("anna bell",)), FaultKind.POLICY),
    ("no host name", SshOrder("ssh-host", line(), ("bad_host.example.com",)), FaultKind.INVALID),
    ("any host", SshOrder("ssh-host", line(), ("*.example.com",)), FaultKind.POLICY),
    ("short RSA", SshOrder("ssh-user", line(rsa.generate_private_key(65537, 2048)), ("a",)), FaultKind.WEAK_KEY),
    ("DSA", SshOrder("ssh-user", "ssh-dss AAAAB3NzaC1kc3M=", ("a",)), FaultKind.BAD_ALGORITHM),
    ("junk", SshOrder("ssh-user", "ssh-ed25519 AAAA", ("a",)), FaultKind.MALFORMED),
    ("no key", SshOrder("ssh-user", "", ("a",)), FaultKind.MALFORMED),
    ("two keys", SshOrder("ssh-user", line() + "\n" + line(), ("a",)), FaultKind.MALFORMED),
    ("another type", SshOrder("ssh-user", line().replace("ssh-ed25519 ", "ssh-rsa "), ("a",)), FaultKind.MALFORMED),
    ("too long", SshOrder("ssh-user", line(), ("a",), validity=timedelta(days=31)), FaultKind.POLICY),
    ("too short", SshOrder("ssh-user", line(), ("a",), validity=timedelta(seconds=1)), FaultKind.POLICY),
    ("an option", SshOrder("ssh-user", line(), ("a",), critical_options={"verify-required": "x"}), FaultKind.POLICY),
    ("networks", SshOrder("ssh-user", line(), ("a",), critical_options={"source-address": "all"}), FaultKind.POLICY),
    ("a command", SshOrder("ssh-user", line(), ("a",), critical_options={"force-command": "a\nb"}), FaultKind.POLICY),
    ("options of a host", SshOrder("ssh-host", line(), ("a",), critical_options={"force-command": "a"}),
     FaultKind.POLICY),
]  # fmt: skip


@pytest.mark.parametrize(("order", "kind"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refusals(shared: World, order: SshOrder, kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        service(shared).issue(TENANT, order, WHO)
    assert caught.value.kind is kind, caught.value.detail
    assert service(shared).listing(TENANT, None, 10) == []


def test_listing_and_tenants(world: World) -> None:
    ssh = service(world)
    made = []
    for n in range(3):
        world.clock.advance(1)
        made.append(ssh.issue(TENANT, SshOrder("ssh-user", line(), (f"user{n}",)), WHO))
    assert ssh.listing(TENANT, None, 10) == made[::-1]
    assert ssh.listing(TENANT, (made[1].created_at, made[1].serial), 10) == [made[0]]
    assert ssh.listing(OTHER_TENANT, None, 10) == []
    with pytest.raises(Fault) as caught:
        ssh.authority_key(OTHER_TENANT, "issuing", "ssh-user")
    assert caught.value.kind is FaultKind.NOT_FOUND
    with pytest.raises(Fault) as caught:
        ssh.authority_key(TENANT, "issuing", "ocsp")
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_x509_and_ssh_do_not_mix(world: World) -> None:
    with pytest.raises(Fault) as caught:
        world.service.issue(TENANT, IssueOrder(profile="ssh-user", csr=csr("a.example.com")), WHO)
    assert "SSH certificates" in caught.value.public
    world.service.set_authority_status(TENANT, "issuing", AuthorityStatus.DISABLED, WHO)
    with pytest.raises(Fault) as caught:
        service(world).issue(TENANT, SshOrder("ssh-user", line(), ("a",)), WHO)
    assert caught.value.kind is FaultKind.CONFLICT

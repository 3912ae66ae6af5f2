"""GetCert, GetCRL, GetCACert, GetCACaps and GetNextCACert."""

from __future__ import annotations

import pytest
from cryptography import x509 as other
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import client, transport
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType, PkiStatus

from pycryptoutil.authority.lifecycle import rollover
from pycryptoutil.authority.model import AuthorityOrder, AuthorityStatus, RevocationReason
from tests.protocols import material
from tests.support.authority import TENANT
from tests.support.scep import ScepWorld, leaf


def refused(answer: client.Answer, info: FailInfo) -> None:
    assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, info), answer


def test_get_cert(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    made = leaf(device.enrol())
    anybody = shared.device("", number=2)
    assert leaf(anybody.send(anybody.client.get_certificate(made.serial_number))) == made
    for serial in (made.serial_number + 1, 0, -1, 1 << 300):
        refused(anybody.send(anybody.client.get_certificate(serial)), FailInfo.BAD_CERT_ID)


def test_get_cert_of_another_issuer(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    serial = leaf(device.enrol()).serial_number
    content = der.sequence(material.name("somebody else").public_bytes(), der.integer(serial))
    for kind in (MessageType.GET_CERT, MessageType.GET_CRL):
        refused(device.send(device.client.request(kind, content, "lookup")), FailInfo.BAD_CERT_ID)


def test_get_crl_on_both_databases(world: ScepWorld) -> None:
    device = world.device(world.credential().password)
    made = leaf(device.enrol())
    world.service.revoke(TENANT, f"{made.serial_number:x}", RevocationReason.KEY_COMPROMISE, None, "tests")
    anybody = world.device("", number=2)
    answer = anybody.send(anybody.client.get_crl(made.serial_number), 1)
    assert answer.certificates == ()
    (encoded,) = answer.crls
    crl = other.load_der_x509_crl(encoded)
    issuer = other.load_der_x509_certificate(world.server().issuer.der)
    assert crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    assert crl.get_revoked_certificate_by_serial_number(made.serial_number) is not None


def test_ca_certificates_and_capabilities(shared: ScepWorld) -> None:
    for label in ("", "tls-server", "issuing", "issuing:device", "root"):
        server = shared.server(label)
        name = "root" if label == "root" else "issuing"
        chain = shared.service.authority(TENANT, name).chain
        assert server.certificates[1:] == chain
        assert server.issuer.der == chain[0]
        found = transport.decode_capabilities(shared.scep.capabilities(label))
        assert found == {"aes", "postpkioperation", "renewal", "sha-256", "sha-512", "scepstandard"}
    with pytest.raises(Fault) as caught:
        shared.scep.ca_certificates("nobody")
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_next_ca_only_when_there_is_one(world: ScepWorld) -> None:
    with pytest.raises(Fault) as caught:
        world.scep.next_ca("")
    assert caught.value.kind is FaultKind.NOT_FOUND
    present = world.service.authority(TENANT, "issuing")
    world.clock.advance(30 * 86400)
    subject = present.subject
    order = AuthorityOrder("issuing-2", subject, parent="root", key_algorithm="EC-P384", validity=3652 * 86400)
    world.service.create_authority(TENANT, order, "tests")
    for replica in world.replicas:
        assert b"GetNextCACert" in replica.scep.capabilities("")
        found = client.decode_next_ca(replica.scep.next_ca(""), present.certificate)
        upcoming = world.service.authority(TENANT, "issuing-2")
        assert found[1:] == upcoming.chain
        ra = other.load_der_x509_certificate(found[0])
        ra.verify_directly_issued_by(other.load_der_x509_certificate(upcoming.certificate))
    assert b"GetNextCACert" not in world.scep.capabilities("issuing-2")  # it has no successor itself
    world.service.set_authority_status(TENANT, "issuing-2", AuthorityStatus.DISABLED, "tests")
    assert b"GetNextCACert" not in world.scep.capabilities("")


def test_a_change_of_keys(world: ScepWorld) -> None:
    """GetNextCACert while the next key is prepared; what was made for the old key is answered afterwards."""
    room, present = world.service.room, world.service.authority(TENANT, "issuing")
    device = world.device(world.credential().password)
    first = device.enrol()
    made = rollover.prepare(room, TENANT, "issuing", rollover.RolloverOrder(), "tests")
    for replica in world.replicas:
        assert b"GetNextCACert" in replica.scep.capabilities("")
        found = client.decode_next_ca(replica.scep.next_ca(""), present.certificate)
        assert found[1] == made.new.certificate
    world.clock.advance(120)  # no replica holds on to a signer for so long
    rollover.activate(room, TENANT, "issuing", "tests")
    assert b"GetNextCACert" not in world.scep.capabilities("")
    holder = device.with_certificate(first.certificates[0])  # it has the old RA and encrypts to it
    for replica in (0, 1):
        renewed = holder.send(holder.enrol_request(renewal=True), replica)
        issuer = other.load_der_x509_certificate(made.new.certificate)
        other.load_der_x509_certificate(renewed.certificates[0]).verify_directly_issued_by(issuer)

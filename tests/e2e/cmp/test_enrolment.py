"""Certificate requests of every kind, by every protection, with every way of confirming (RFC 9483 section 4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp import keys as packages
from pycryptoutil_protocols.cmp import pop as possession
from pycryptoutil_protocols.cmp.mac import MacParameters, Pbmac1Parameters, PbmParameters
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertRepMessage,
    CertStatus,
    Pkcs10,
    PKIMessage,
    PKIStatus,
    directory_name,
)
from pycryptoutil_protocols.cmp.protection import mac_parameters, signer_certificate, verify_mac, verify_signature
from pycryptoutil_protocols.cms import SoftDecryptor
from pycryptoutil_protocols.crmf.messages import (
    CertId,
    CertReqMsg,
    CertRequest,
    Controls,
    PrivateKeyPop,
    RaVerified,
    SubsequentMessage,
)
from pycryptoutil_protocols.x509 import decode_certificate

from tests.protocols.material import KeySigner, csr_der, private_key
from tests.protocols.material import spki as spki_of
from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    RA_PROFILE,
    Client,
    CmpWorld,
    accepts,
    certificate,
    certificates,
    failures,
    new_key,
    rejects,
    serial,
    signed_request,
    template,
)

NAMES = ("a.example.test", "a.example.test")


def enrolled(world: CmpWorld, client: Client, **more: object) -> tuple[Client, bytes]:
    """Enrol and confirm; return a client that signs with the certificate."""
    key = new_key()
    answer = client.hear(world.send(client.request(signed_request(key, *NAMES))))
    found = certificate(answer)
    assert client.hear(world.send(client.confirm(accepts(found)))).kind is BodyType.PKICONF
    return Client.by_certificate(key, found, world.clock.now()), found


@pytest.mark.parametrize("parameters", [PbmParameters.fresh(500), Pbmac1Parameters.fresh(2000)])
def test_by_a_secret(both: CmpWorld, parameters: MacParameters) -> None:
    """ir, ip, certConf and pkiConf, each answered by another replica, all protected by the same secret."""
    credential = both.credential()
    client = Client.by_secret(credential, NOW, parameters)
    secret = credential.password.encode()
    answer = client.hear(both.send(client.request(signed_request(new_key(), *NAMES)), replica=0))
    assert answer.kind is BodyType.IP
    assert type(verify_mac(answer, secret)) is type(parameters)
    assert mac_parameters(answer) != parameters  # its own salt
    assert answer.header.sender_kid == credential.username.encode()
    assert answer.header.recipient_kid == credential.username.encode()
    assert answer.header.info(general.IMPLICIT_CONFIRM) is None
    wait = answer.header.info(general.CONFIRM_WAIT_TIME)
    assert wait is not None
    assert general.read_confirm_wait_time(wait) == NOW + both.rules.policy.confirm_wait
    found = certificate(answer)
    chain = both.service.authority(TENANT).chain
    assert isinstance(answer.body, CertRepMessage)
    assert answer.body.ca_certificates == (chain[-1],)
    assert answer.extra_certificates == chain[:-1]  # no self-signed certificate
    done = client.hear(both.send(client.confirm(accepts(found)), replica=1))
    assert done.kind is BodyType.PKICONF
    verify_mac(done, secret)
    assert both.status(serial(found)) == "valid"
    record = both.service.certificate(TENANT, serial(found))
    assert (record.requester, record.protocol) == (credential.credential.actor, "cmp")


def test_each_kind_of_request(both: CmpWorld) -> None:
    """ir, cr, p10cr by a secret, then cr and kur by the certificate."""
    client = Client.by_secret(both.credential(), NOW)
    first = client.hear(both.send(client.request(signed_request(new_key(), *NAMES), kind=BodyType.CR)))
    assert first.kind is BodyType.CP
    assert isinstance(first.body, CertRepMessage)
    assert first.body.ca_certificates == ()  # only in ip
    client = client.again()
    key = private_key("EC-P256", 7)
    request = csr_der(key, "b.example.test", sans=["b.example.test"])
    answer = client.hear(both.send(client.message(BodyType.P10CR, Pkcs10(request))))
    assert answer.kind is BodyType.CP
    assert isinstance(answer.body, CertRepMessage)
    assert answer.body.responses[0].request_id == -1
    assert decode_certificate(certificate(answer)).spki == spki_of(key)
    assert client.hear(both.send(client.confirm(accepts(certificate(answer), -1)))).kind is BodyType.PKICONF

    signing, old = enrolled(both, client.again())
    answer = signing.hear(both.send(signing.request(signed_request(new_key(), *NAMES), kind=BodyType.CR)))
    assert answer.kind is BodyType.CP
    signer = signer_certificate(answer)
    verify_signature(answer, signer.spki)
    assert answer.extra_certificates[0] == signer.der
    signing = signing.again()
    controls = Controls(
        old_certificate=CertId(directory_name(decode_certificate(old).issuer), decode_certificate(old).serial)
    )
    update = signed_request(new_key(), "a.example.test", controls=controls)
    answer = signing.hear(both.send(signing.request(update, kind=BodyType.KUR)))
    assert answer.kind is BodyType.KUP
    new = certificate(answer)
    assert decode_certificate(new).sans == decode_certificate(old).sans
    assert signing.hear(both.send(signing.confirm(accepts(new)))).kind is BodyType.PKICONF
    assert both.status(serial(old)) == "valid"  # RFC 9483 section 4.1.3: the old one is not revoked by this


def test_key_update_by_a_secret_names_the_certificate(shared: CmpWorld) -> None:
    credential = shared.credential()
    client = Client.by_secret(credential, NOW)
    _, old = enrolled(shared, client)
    facts = decode_certificate(old)
    controls = Controls(old_certificate=CertId(directory_name(facts.issuer), facts.serial))
    client = client.again()
    answer = shared.send(client.request(signed_request(new_key(), None, controls=controls), kind=BodyType.KUR))
    assert decode_certificate(certificate(answer)).subject == facts.subject
    client = client.again()
    answer = shared.send(client.request(signed_request(new_key(), *NAMES), kind=BodyType.KUR))
    assert failures(answer) == {"BAD_CERT_ID"}
    stranger = Client.by_secret(shared.credential(), NOW)
    answer = shared.send(stranger.request(signed_request(new_key(), None, controls=controls), kind=BodyType.KUR))
    assert failures(answer) == {"NOT_AUTHORIZED"}


def test_key_update_keeps_to_its_certificate(shared: CmpWorld) -> None:
    signing, _ = enrolled(shared, Client.by_secret(shared.credential(), NOW))
    _, other = enrolled(shared, Client.by_secret(shared.credential(), NOW))
    facts = decode_certificate(other)
    controls = Controls(old_certificate=CertId(directory_name(facts.issuer), facts.serial))
    answer = shared.send(signing.request(signed_request(new_key(), *NAMES, controls=controls), kind=BodyType.KUR))
    assert failures(answer) == {"BAD_CERT_ID"}
    signing = signing.again()
    answer = shared.send(signing.request(signed_request(new_key(), "z.example.test"), kind=BodyType.KUR))
    assert failures(answer) == {"BAD_CERT_TEMPLATE"}
    signing = signing.again()
    answer = shared.send(signing.request(signed_request(new_key(), *NAMES, "b.example.test"), kind=BodyType.CR))
    assert failures(answer) == {"BAD_CERT_TEMPLATE"}


def test_implicit_confirmation(world: CmpWorld) -> None:
    client = Client.by_secret(world.credential(), NOW)
    answer = client.hear(world.send(client.request(signed_request(new_key(), *NAMES), implicit=True)))
    assert answer.header.info(general.IMPLICIT_CONFIRM) is not None
    assert answer.header.info(general.CONFIRM_WAIT_TIME) is None
    found = certificate(answer)
    world.clock.advance(world.rules.policy.confirm_wait.total_seconds() * 2)
    world.replicas[1].cmp.expire()
    assert world.status(serial(found)) == "valid"
    client.now = world.clock.now()
    again = world.send(client.confirm(accepts(found)))
    assert failures(again) == {"CERT_CONFIRMED"}


@pytest.mark.parametrize("how", ["status", "empty"])
def test_a_certificate_that_the_client_rejects_is_revoked(both: CmpWorld, how: str) -> None:
    client = Client.by_secret(both.credential(), NOW)
    answer = client.hear(both.send(client.request(signed_request(new_key(), *NAMES))))
    found = certificate(answer)
    statuses = (rejects(found),) if how == "status" else ()
    assert client.hear(both.send(client.confirm(*statuses), replica=1)).kind is BodyType.PKICONF
    record = both.service.certificate(TENANT, serial(found))
    assert (record.status.value, record.reason.value if record.reason else "") == ("revoked", "cessationOfOperation")


def test_without_certconf_the_certificate_is_revoked_in_time(world: CmpWorld) -> None:
    client = Client.by_secret(world.credential(), NOW)
    found = certificate(client.hear(world.send(client.request(signed_request(new_key(), *NAMES)))))
    world.clock.advance(world.rules.policy.confirm_wait.total_seconds() - 1)
    world.replicas[1].cmp.expire()
    assert world.status(serial(found)) == "valid"
    world.clock.advance(2)
    world.replicas[1].cmp.expire()
    world.replicas[0].cmp.expire()  # twice, by whichever replica: nothing more happens
    assert world.status(serial(found)) == "revoked"
    client.now = world.clock.now()
    assert failures(world.send(client.confirm(accepts(found)))) == {"CERT_REVOKED"}


def test_several_certificates_in_one_message(both: CmpWorld) -> None:
    client = Client.by_secret(both.credential(), NOW)
    keys = [new_key() for _ in range(3)]
    requests = [
        signed_request(keys[0], *NAMES, request_id=0),
        signed_request(keys[1], "b.elsewhere.test", "b.elsewhere.test", request_id=5),
        signed_request(keys[2], "c.example.test", "c.example.test", request_id=9),
    ]
    answer = client.hear(both.send(client.request(*requests)))
    assert isinstance(answer.body, CertRepMessage)
    assert [one.request_id for one in answer.body.responses] == [0, 5, 9]
    first, refused, last = answer.body.responses
    assert {one.name for one in refused.status.failures} == {"BAD_CERT_TEMPLATE"}
    assert first.key_pair is not None
    assert last.key_pair is not None
    a, c = first.key_pair.certificate, last.key_pair.certificate
    done = client.hear(both.send(client.confirm(accepts(a, 0), rejects(c, 9)), replica=1))
    assert done.kind is BodyType.PKICONF
    assert (both.status(serial(a)), both.status(serial(c))) == ("valid", "revoked")


def test_version_3_may_name_its_hash(shared: CmpWorld) -> None:
    client = Client.by_secret(shared.credential(), NOW, pvno=3)
    found = certificate(client.hear(shared.send(client.request(signed_request(new_key(), *NAMES)))))
    status = CertStatus(algorithms.digest("sha512", found), 0, hash_algorithm=algorithms.hash_identifier("sha512"))
    assert client.hear(shared.send(client.confirm(status))).kind is BodyType.PKICONF


def test_what_was_not_granted_as_asked_is_told(shared: CmpWorld) -> None:
    """grantedWithMods (RFC 9810 section 5.2.3): the profile takes the name from the names."""
    client = Client.by_secret(shared.credential(), NOW)
    answer = shared.send(client.request(signed_request(new_key(), None, "a.example.test")))
    assert isinstance(answer.body, CertRepMessage)
    assert answer.body.responses[0].status.status in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)
    client = client.again()
    answer = shared.send(client.request(signed_request(new_key(), *NAMES)))
    assert isinstance(answer.body, CertRepMessage)
    assert answer.body.responses[0].status.status is PKIStatus.ACCEPTED


# -- proof of possession -----------------------------------------------------------------------------------------------


def by_decryption(key: object) -> CertReqMsg:
    request = CertRequest(0, template(spki_of(key), *NAMES))
    return CertReqMsg(request, PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT))


@pytest.mark.parametrize("algorithm", ["EC-P256", "RSA-2048"])
def test_possession_by_decrypting_the_certificate(both: CmpWorld, algorithm: str) -> None:
    key = private_key(algorithm)
    client = Client.by_secret(both.credential(), NOW, pvno=3)
    answer = client.hear(both.send(client.request(by_decryption(key), implicit=True)))
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None
    assert response.key_pair.certificate == b""
    assert response.key_pair.encrypted_certificate is not None
    assert answer.header.info(general.IMPLICIT_CONFIRM) is None  # certConf is the proof
    found = possession.decrypt_certificate(response.key_pair.encrypted_certificate, SoftDecryptor(key))
    wrong = client.confirm(replace(accepts(found), cert_hash=bytes(32)))
    assert failures(both.send(wrong)) == {"BAD_POP"}
    assert client.hear(both.send(client.confirm(accepts(found)), replica=1)).kind is BodyType.PKICONF
    assert both.status(serial(found)) == "valid"


def test_a_registration_authority_may_say_verified(both: CmpWorld) -> None:
    ra = registration_authority(both)
    request = CertReqMsg(CertRequest(0, template(new_key().public_spki, *NAMES)), RaVerified())
    answer = ra.hear(both.send(ra.request(request), "tls-server"))
    found = certificate(answer)
    assert ra.hear(both.send(ra.confirm(accepts(found)), "tls-server")).kind is BodyType.PKICONF
    record = both.service.certificate(TENANT, serial(found))
    assert record.profile == "tls-server"
    ra = ra.again()
    answer = ra.hear(both.send(ra.request(request, general_info=(general.cert_profile(["tls-client"]),))))
    assert failures(answer) or certificates(answer)  # whichever the profile decides, it is that profile
    if certificates_of(answer):
        assert both.service.certificate(TENANT, serial(certificate(answer))).profile == "tls-client"


def certificates_of(answer: PKIMessage) -> bool:
    return not failures(answer)


def registration_authority(world: CmpWorld) -> Client:
    """An RA whose certificate a profile of the tenant makes one."""
    world.service.put_profile(TENANT, "registration-authority", RA_PROFILE, "tests")
    credential = world.credential("registration-authority")
    key = new_key()
    client = Client.by_secret(credential, world.clock.now())
    answer = client.hear(world.send(client.request(signed_request(key, "ra1"), implicit=True)))
    return Client.by_certificate(key, certificate(answer), world.clock.now())


# -- keys that the CA makes (RFC 9483 section 4.1.6) -------------------------------------------------------------------


def test_central_key_generation_for_a_password(both: CmpWorld) -> None:
    credential = both.credential()
    client = Client.by_secret(credential, NOW, pvno=3)
    answer = client.hear(both.send(client.request(CertReqMsg(CertRequest(0, template(None, *NAMES))))))
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None
    assert response.key_pair.private_key is not None
    pkcs8, maker, chain = packages.unwrap(response.key_pair.private_key, credential.password.encode())
    packages.check_maker(maker, ())
    assert maker.der in chain
    made = load_der_private_key(pkcs8, None)
    assert spki_of(made) == decode_certificate(response.key_pair.certificate).spki
    assert client.hear(both.send(client.confirm(accepts(response.key_pair.certificate)))).kind is BodyType.PKICONF


@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P256"])
def test_central_key_generation_for_a_certificate(shared: CmpWorld, algorithm: str) -> None:
    """The empty key in the template says which kind is wanted: it is the kind of the key that signs."""
    key = private_key(algorithm, 3)
    signer = KeySigner(key, "rsa-sha256" if algorithm.startswith("RSA") else "ecdsa-sha256")
    client = Client.by_secret(shared.credential(), NOW)
    own = certificate(client.hear(shared.send(client.request(signed_request(signer, *NAMES), implicit=True))))
    signing = Client.by_certificate(signer, own, NOW)
    empty = without_key(spki_of(key))
    answer = signing.hear(shared.send(signing.request(CertReqMsg(CertRequest(0, template(empty, *NAMES))))))
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None, response.status
    assert response.key_pair.private_key is not None
    pkcs8, _, _ = packages.unwrap(response.key_pair.private_key, SoftDecryptor(key))
    made = load_der_private_key(pkcs8, None)
    assert spki_of(made) == decode_certificate(response.key_pair.certificate).spki
    assert type(made) is type(key)


def without_key(spki: bytes) -> bytes:
    """The same SubjectPublicKeyInfo without a key."""
    algorithm = der.read(spki).children()[0]
    return der.sequence(algorithm.encoded, der.bit_string(b""))


def test_a_registration_authority_gets_nobodys_key(shared: CmpWorld) -> None:
    ra = registration_authority(shared)
    request = CertReqMsg(CertRequest(0, template(None, *NAMES)))
    assert failures(shared.send(ra.request(request), "tls-server")) == {"NOT_AUTHORIZED"}

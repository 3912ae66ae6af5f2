"""Our own client, which believes nobody without reason, before our own server; and a registration authority between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import codec, general, keys
from pycryptoutil_protocols.cmp.client import ra, requests
from pycryptoutil_protocols.cmp.client.enrolment import Enroller, Enrolment, Outgoing
from pycryptoutil_protocols.cmp.client.exchange import Exchange
from pycryptoutil_protocols.cmp.client.identity import Identity, KemIdentity, PasswordIdentity, SignatureIdentity
from pycryptoutil_protocols.cmp.client.trust import Trust
from pycryptoutil_protocols.cmp.messages import BodyType, General, PKIStatus, PKIStatusInfo, RevResponse
from pycryptoutil_protocols.crmf.messages import CertTemplate
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.crypto.keys import decapsulate, generate
from pycryptoutil.crypto.x509 import name_der
from tests.e2e.cmp.test_kem import PROFILE, Opener
from tests.protocols.material import KeySigner
from tests.protocols.material import spki as spki_of
from tests.support.authority import TENANT
from tests.support.cmp import RA_PROFILE, CmpWorld, new_key, serial

NAME = "a.example.test"


@dataclass
class Caller:
    """Brings bytes to the server and back."""

    world: CmpWorld

    def trust(self) -> Trust:
        return Trust(self.world.service.authority(TENANT).chain[-1:])

    def ask(self, encoded: bytes) -> bytes:
        return self.world.replicas[0].cmp.answer("", encoded, None, "test").encoded

    def through(self, enroller: Enroller, *, by: Identity | None = None) -> Enrolment:
        """Go through an enrolment; ``by`` an RA that puts its protection around every message."""
        step: Outgoing | Enrolment = enroller.begin()
        while isinstance(step, Outgoing):
            encoded = step.encoded
            if by is not None:
                encoded = ra.add_protection(codec.decode(encoded), by, self.world.clock)
            step = enroller.receive(self.ask(encoded))
        return step

    def exchange(self, identity: Identity, pvno: int = 2) -> Exchange:
        return Exchange(identity, self.world.clock, pvno=pvno)

    def password(self, profile: str = "tls-server", *names: str, pbmac1: bool = False) -> PasswordIdentity:
        made = self.world.credential(profile, *names)
        return PasswordIdentity(made.username.encode(), made.password.encode(), pbmac1=pbmac1)

    def enrol(self, identity: Identity, key: KeySigner, kind: BodyType = BodyType.IR, **more: object) -> bytes:
        body = requests.signed(wanted(), key)
        done = self.through(Enroller(self.exchange(identity), kind, body), **more)  # type: ignore[arg-type]
        return done.certificates[0].certificate

    def authority(self) -> SignatureIdentity:
        """A registration authority."""
        self.world.service.put_profile(TENANT, "registration-authority", RA_PROFILE, "tests")
        key = new_key()
        body = requests.signed(CertTemplate(subject=name_der("CN=ra1")), key)
        identity = self.password("registration-authority")
        done = self.through(Enroller(self.exchange(identity), BodyType.IR, body, implicit=True))
        return SignatureIdentity(key, done.certificates[0].certificate, self.trust())


def wanted(key: bytes | None = None) -> CertTemplate:
    return requests.template(name_der(f"CN={NAME}"), key, [GeneralName.dns(NAME)])


@pytest.fixture
def caller(shared: CmpWorld) -> Caller:
    return Caller(shared)


@pytest.mark.parametrize("pbmac1", [False, True])
@pytest.mark.parametrize("implicit", [False, True])
def test_a_whole_life_of_a_certificate(caller: Caller, pbmac1: bool, implicit: bool) -> None:
    key, new = new_key(), new_key()
    body = requests.signed(wanted(), key)
    enroller = Enroller(caller.exchange(caller.password(pbmac1=pbmac1)), BodyType.IR, body, implicit=implicit)
    first = caller.through(enroller)
    assert first.ca_certificates == caller.trust().anchors
    found = first.certificates[0].certificate
    own = SignatureIdentity(key, found, caller.trust())
    update = requests.signed(wanted(), new, controls=requests.update_of(found))
    second = caller.through(Enroller(caller.exchange(own), BodyType.KUR, update, implicit=implicit))
    newer = SignatureIdentity(new, second.certificates[0].certificate, caller.trust())
    exchange = caller.exchange(newer)
    request = exchange.send(BodyType.RR, requests.revocation(newer.certificate, 4))
    answer = exchange.receive(caller.ask(request.encoded))
    assert isinstance(answer.body, RevResponse)
    assert answer.body.status[0].status is PKIStatus.ACCEPTED
    assert caller.world.status(serial(newer.certificate)) == "revoked"
    assert caller.world.status(serial(found)) == "valid"


def test_a_certificate_that_the_client_judges_bad(caller: Caller) -> None:
    seen: list[bytes] = []

    def judge(certificate: bytes) -> PKIStatusInfo:
        seen.append(certificate)
        return PKIStatusInfo(PKIStatus.REJECTION, ("no",))

    body = requests.signed(wanted(), new_key())
    done = caller.through(Enroller(caller.exchange(caller.password()), BodyType.CR, body, judge=judge))
    assert done.certificates[0].rejected
    assert caller.world.status(serial(seen[0])) == "revoked"


def test_a_key_that_the_ca_makes(caller: Caller) -> None:
    identity = caller.password()
    algorithm = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P384))
    body = requests.generated(wanted(), algorithm)
    done = caller.through(Enroller(caller.exchange(identity, pvno=3), BodyType.IR, body))
    (found,) = done.certificates
    assert found.private_key is not None
    pkcs8, maker, chain = keys.unwrap(found.private_key, identity.secret)
    keys.check_maker(maker, ())
    caller.trust().check(maker, chain, caller.world.clock.now())
    assert spki_of(load_der_private_key(pkcs8, None)) == decode_certificate(found.certificate).spki


def test_a_kem_key_from_the_first_certificate_to_the_next(caller: Caller) -> None:
    caller.world.service.put_profile(TENANT, "kem", PROFILE, "tests")
    key, new = generate("ML-KEM-768"), generate("ML-KEM-1024")
    body = requests.encrypted(wanted(key.public_spki))
    identity = caller.password("kem", "*.example.test")
    first = caller.through(Enroller(caller.exchange(identity, 3), BodyType.IR, body, decryptor=Opener(key)))
    kem = KemIdentity(first.certificates[0].certificate, caller.trust())
    exchange = caller.exchange(kem, 3)
    asked = exchange.send(BodyType.GENM, General((general.kem_ciphertext_info(),)))
    answer = exchange.receive(caller.ask(asked.encoded))
    assert isinstance(answer.body, General)
    ciphertext = general.read_kem_ciphertext_info(answer.body.infos[0]).ciphertext
    exchange.identity = kem.with_secret(decapsulate(key, ciphertext))
    update = requests.encrypted(wanted(new.public_spki))
    second = caller.through(Enroller(exchange, BodyType.KUR, update, decryptor=Opener(new)))
    assert decode_certificate(second.certificates[0].certificate).spki == new.public_spki


# -- a registration authority between (RFC 9483 section 5.2) -----------------------------------------------------------


@pytest.mark.parametrize("kind", [BodyType.IR, BodyType.CR])
def test_an_authority_adds_its_protection(caller: Caller, kind: BodyType) -> None:
    """The client knows nothing of it: its secret protects the answers."""
    found = caller.enrol(caller.password(), new_key(), kind, by=caller.authority())
    assert caller.world.status(serial(found)) == "valid"


@pytest.mark.parametrize("verified", [False, True])
def test_an_authority_puts_its_own_protection_instead(caller: Caller, verified: bool) -> None:
    """It may leave the client's proof of possession as it is, or say that it has verified it."""
    authority = caller.authority()
    client = caller.exchange(caller.password())
    original = client.send(BodyType.IR, requests.signed(wanted(), new_key()), (general.implicit_confirm(),))
    changed = ra.replace_protection(original, authority, caller.world.clock, verified=verified)
    answer = codec.decode(caller.world.replicas[0].cmp.answer("tls-server", changed, None, "").encoded)
    authority.verify(answer, caller.world.clock.now())
    assert answer.kind is BodyType.IP
    assert answer.header.transaction_id == client.transaction_id


def test_an_authority_sends_a_batch(caller: Caller) -> None:
    authority = caller.authority()
    clients = [caller.exchange(caller.password()) for _ in range(3)]
    infos = (general.implicit_confirm(),)
    messages = [one.send(BodyType.IR, requests.signed(wanted(), new_key()), infos) for one in clients]
    batch = ra.Batch(caller.exchange(authority), messages)
    answers = batch.receive(caller.ask(batch.send()))
    for client in clients:
        assert client.receive(answers[client.transaction_id].encoded).kind is BodyType.IP

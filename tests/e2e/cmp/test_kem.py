"""ML-KEM keys: certificates by decryption, and messages protected by a KEM's shared secret (RFC 9810)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp import pop as possession
from pycryptoutil_protocols.cmp.mac import KemMacParameters
from pycryptoutil_protocols.cmp.messages import BodyType, CertRepMessage, General, directory_name
from pycryptoutil_protocols.cmp.protection import MacProtector, signer_certificate, verify_signature
from pycryptoutil_protocols.crmf.messages import CertReqMsg, CertRequest, PrivateKeyPop, SubsequentMessage
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.crypto.keys import PrivateKey, decapsulate, generate
from tests.e2e.cmp.conftest import PACKAGES
from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    open_cmp,
    serial,
    signed_request,
    template,
)
from tests.support.databases import Databases

PROFILE = """
name: kem
title: Keys that decrypt
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [ML-KEM-512, ML-KEM-768, ML-KEM-1024]}
subject: {allowed: [CN]}
names: {types: [dns], private: true}
key_usage: {default: [keyEncipherment]}
"""
NAMES = ("a.example.test", "a.example.test")


def request(key: PrivateKey) -> CertReqMsg:
    wanted = CertRequest(0, template(key.public_spki, *NAMES))
    return CertReqMsg(wanted, PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT))


def enrolled(world: CmpWorld, algorithm: str) -> tuple[PrivateKey, bytes]:
    """Certify an ML-KEM key by decrypting its certificate."""
    world.service.put_profile(TENANT, "kem", PROFILE, "tests")
    key = generate(algorithm)
    client = Client.by_secret(world.credential("kem", "*.example.test"), NOW, pvno=3)
    answer = client.hear(world.send(client.request(request(key))))
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None, response.status
    assert response.key_pair.encrypted_certificate is not None
    found = possession.decrypt_certificate(response.key_pair.encrypted_certificate, Opener(key))
    assert client.hear(world.send(client.confirm(accepts(found)))).kind is BodyType.PKICONF
    return key, found


class Opener:
    """ports.Decryptor over an ML-KEM key of the core."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def public_spki(self) -> bytes:
        return self._key.public_spki

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return decapsulate(self._key, ciphertext)

    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        raise AssertionError((padding, ciphertext))

    def ecdh(self, peer_spki: bytes) -> bytes:
        raise AssertionError(peer_spki)


def keyed(world: CmpWorld, key: PrivateKey, found: bytes) -> Client:
    """Ask for a shared secret, and return the client that protects with it."""
    sender = directory_name(decode_certificate(found).subject)
    client = Client(None, NOW, sender=sender, chain=(found,), pvno=3)
    answer = client.hear(world.send(client.ask(general.kem_ciphertext_info())))
    verify_signature(answer, signer_certificate(answer).spki)
    assert isinstance(answer.body, General)
    (info,) = answer.body.infos
    secret = decapsulate(key, general.read_kem_ciphertext_info(info).ciphertext)
    client.protector = MacProtector(secret, KemMacParameters(client.tid))
    return client


@pytest.mark.parametrize("algorithm", ["ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"])
def test_a_certificate_for_a_kem_key(both: CmpWorld, algorithm: str) -> None:
    key, found = enrolled(both, algorithm)
    assert decode_certificate(found).spki == key.public_spki
    assert both.status(serial(found)) == "valid"


def test_a_key_update_protected_by_the_kem_key(both: CmpWorld) -> None:
    """genm, genp; then kur, kup, certConf, pkiConf with KemBasedMac, by whichever replica."""
    key, old = enrolled(both, "ML-KEM-768")
    client = keyed(both, key, old)
    new = generate("ML-KEM-768")
    answer = client.hear(both.send(client.request(request(new), kind=BodyType.KUR), replica=1))
    verify_signature(answer, signer_certificate(answer).spki)
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None, response.status
    assert response.key_pair.encrypted_certificate is not None
    found = possession.decrypt_certificate(response.key_pair.encrypted_certificate, Opener(new))
    assert client.hear(both.send(client.confirm(accepts(found)))).kind is BodyType.PKICONF
    assert both.status(serial(found)) == "valid"


def test_a_revocation_and_a_question_protected_by_the_kem_key(both: CmpWorld) -> None:
    key, found = enrolled(both, "ML-KEM-512")
    client = keyed(both, key, found)
    answer = client.hear(both.send(client.revoke(found), replica=1))
    assert answer.kind is BodyType.RP
    assert not failures(answer)
    assert both.status(serial(found)) == "revoked"


def test_who_has_not_the_key_gets_nowhere(both: CmpWorld) -> None:
    """Anybody may ask for the ciphertext; nobody else can use it, and nobody can without asking."""
    key, found = enrolled(both, "ML-KEM-768")
    client = keyed(both, key, found)
    client.protector = MacProtector(bytes(32), KemMacParameters(client.tid))
    assert failures(both.send(client.revoke(found))) == {"BAD_MESSAGE_CHECK"}
    unasked = replace(client, peer_nonce=None).again()
    unasked.protector = MacProtector(bytes(32), KemMacParameters(unasked.tid))
    assert failures(both.send(unasked.revoke(found))) == {"BAD_MESSAGE_CHECK"}
    assert both.status(serial(found)) == "valid"


def test_a_key_that_is_no_kem_key(both: CmpWorld) -> None:
    client = Client.by_secret(both.credential(), NOW)
    signing = new_key()
    found = certificate(client.hear(both.send(client.request(signed_request(signing, *NAMES), implicit=True))))
    asking = Client(None, NOW, chain=(found,), pvno=3)
    assert failures(both.send(asking.ask(general.kem_ciphertext_info()))) == {"BAD_ALG"}


def test_the_shared_secret_is_not_stored_in_the_clear(both: CmpWorld) -> None:
    key, found = enrolled(both, "ML-KEM-768")
    client = keyed(both, key, found)
    stored = both.service.transactions.get(TENANT, "cmp", client.tid.hex())
    assert stored is not None
    assert stored.data["secret"] == ""
    assert isinstance(client.protector, MacProtector)
    assert stored.secret == client.protector.secret


def test_who_asks_in_somebodys_name_takes_nothing_from_them(sqlite_databases: Databases, tmp_path: Path) -> None:
    """Requests for a ciphertext are limited too, but not out of what the certificate's owner may have open."""
    with open_cmp(sqlite_databases.fresh(PACKAGES), tmp_path, max_open_transactions=2) as world:
        key, found = enrolled(world, "ML-KEM-768")
        client = keyed(world, key, found)
        keyed(world, key, found)
        asking = Client(None, NOW, sender=client.sender, chain=(found,), pvno=3)
        assert failures(world.send(asking.ask(general.kem_ciphertext_info()))) == {"SYSTEM_UNAVAIL"}
        assert not failures(world.send(client.revoke(found)))

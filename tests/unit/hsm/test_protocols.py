"""Every protocol by a CA whose keys are all in a token: what is signed verifies, what is encrypted to it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pycryptoutil_protocols import x509 as codec
from pycryptoutil_protocols.cmp.mac import PbmParameters
from pycryptoutil_protocols.cmp.messages import BodyType
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType, PkiStatus
from pycryptoutil_protocols.tsp import codec as tsp
from pycryptoutil_protocols.tsp.messages import TimeStampRequest
from pycryptoutil_protocols.tsp.token import verify_token

from pycryptoutil.authority.timestamp import TimestampService
from pycryptoutil.crypto.pkcs11 import TokenKey
from pycryptoutil.services.pki_ca.tsa.settings import TsaSettings
from tests.e2e.cmc.conftest import open_cmc
from tests.protocols import material
from tests.protocols.cmc.requests import draft, pkcs10
from tests.support.authority import NOW, TENANT, open_world
from tests.support.cmp import Client, accepts, certificate, failures, new_key, open_cmp, serial, signed_request
from tests.support.databases import Databases
from tests.support.hsm import PIN, SoftHsm
from tests.support.scep import leaf, open_scep
from tests.unit.hsm.test_authority import settings

PACKAGES = ("pycryptoutil.authority",)


@pytest.fixture
def empty(sqlite_databases: Databases) -> str:
    return sqlite_databases.fresh(PACKAGES)


@pytest.fixture
def section(hsm: SoftHsm) -> dict[str, Any]:
    return {"hsm": {"module": hsm.library, "token": hsm.make(), "pin": PIN}}


def in_token(service: Any, purpose: str) -> None:
    assert isinstance(service.signer(TENANT, "issuing", purpose).key, TokenKey)


@pytest.mark.parametrize("algorithm", ["RSA-2048", "RSA-3072"])
def test_scep(hsm: SoftHsm, empty: str, section: dict[str, Any], tmp_path: Path, algorithm: str) -> None:
    with open_scep(empty, tmp_path, replicas=2, scep_signer_algorithm=algorithm, **section) as world:
        device = world.device(world.credential().password)
        sent = device.enrol_request()
        first = leaf(device.send(sent, 0))
        assert first.public_key() == device.key.public_key()
        assert leaf(device.send(sent, 1)) == first
        first.verify_directly_issued_by(
            x509.load_der_x509_certificate(world.service.authority(TENANT, "issuing").certificate)
        )
        in_token(world.service, "scep")


def test_scep_while_the_token_is_away(hsm: SoftHsm, empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    """What cannot be read is not called unreadable: the client is to come again, not to give up."""
    with open_scep(empty, tmp_path, **section) as world:
        device = world.device(world.credential().password)
        leaf(device.enrol())
        with hsm.away(), pytest.raises(Fault) as caught:
            device.enrol(transaction="again")
        assert caught.value.kind is FaultKind.UNAVAILABLE


def test_scep_messages_that_do_not_decrypt(empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    """A wrong padding is answered like any content that is altered, and leaves the token as it was."""
    with open_scep(empty, tmp_path, **section) as world:
        device = world.device(world.credential().password)
        responder = replace(device.client.server.responder, spki=material.signer("RSA-2048", number=9).public_spki)
        stranger = replace(device.client, server=replace(device.client.server, responder=responder))
        answer = device.send(stranger.request(MessageType.PKCS_REQ, device.csr, "stranger"))
        assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_MESSAGE_CHECK)
        leaf(world.device(world.credential().password, number=1).enrol())


def test_cmp(empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    with open_cmp(empty, tmp_path, replicas=2, **section) as world:
        client, key = Client.by_secret(world.credential(), NOW, PbmParameters.fresh(500)), new_key()
        answer = client.hear(world.send(client.request(signed_request(key, "a.example.test", "a.example.test"))))
        found = certificate(answer)
        assert client.hear(world.send(client.confirm(accepts(found)), replica=1)).kind is BodyType.PKICONF
        # signed by the certificate, and answered under the responder's signature
        renewing, successor = Client.by_certificate(key, found, world.clock.now()), new_key()
        request = signed_request(successor, "a.example.test", "a.example.test")
        renewed = certificate(renewing.hear(world.send(renewing.request(request, kind=BodyType.KUR))))
        assert serial(renewed) != serial(found)
        in_token(world.service, "cmp")


def test_cmc(empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    signer = material.signer(number=40)
    with open_cmc(empty, tmp_path, **section) as world:
        credential = world.credential()
        made = draft(pkcs10(signer, "a.example.test"))
        made.prove_identity(credential.username, credential.password.encode())
        reply = world.ask(made.signed_by_key(signer))
        assert codec.decode_certificate(reply.certificate_for(signer.public_spki)).spki == signer.public_spki
        in_token(world.service, "cmc")


@pytest.mark.parametrize("algorithm", ["EC-P256", "EC-P384", "RSA-3072"])
def test_time_stamps(hsm: SoftHsm, empty: str, tmp_path: Path, algorithm: str) -> None:
    request = TimeStampRequest(tsp.encode_imprint("sha256", bytes(32)), nonce=7, cert_req=True)
    chosen = settings(hsm, hsm.make(), timestamp_signer_algorithm=algorithm)
    with open_world(empty, tmp_path, chosen) as world:
        service = TimestampService(world.service.room, world.service.signers, TsaSettings().rules())
        reply = tsp.decode_reply(service.stamp(TENANT, "issuing", tsp.encode_request(request)))
        assert verify_token(reply.token).info.nonce == 7
        in_token(world.service, "timestamp")
        with hsm.away(), pytest.raises(Fault) as caught:
            service.stamp(TENANT, "issuing", tsp.encode_request(request))
        assert caught.value.kind is FaultKind.UNAVAILABLE


def test_cmp_while_the_token_is_away(hsm: SoftHsm, empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    """Under a secret an error can still be protected; what a signature would have to be on goes without."""
    with open_cmp(empty, tmp_path, **section) as world:
        client, key = Client.by_secret(world.credential(), NOW, PbmParameters.fresh(500)), new_key()
        answer = client.hear(world.send(client.request(signed_request(key, "a.example.test", "a.example.test"))))
        found = certificate(answer)
        client.hear(world.send(client.confirm(accepts(found))))
        signing = Client.by_certificate(key, found, world.clock.now())
        request = signed_request(new_key(), "a.example.test", "a.example.test")
        another = Client.by_secret(world.credential(), NOW, PbmParameters.fresh(500))
        with hsm.away():
            refusal = another.hear(world.send(another.request(request)))
            assert failures(refusal) == {"SYSTEM_UNAVAIL"}
            bare = world.send(signing.request(request, kind=BodyType.CR))
            assert (failures(bare), bare.protection) == ({"SYSTEM_UNAVAIL"}, None)


def test_cmc_while_the_token_is_away(hsm: SoftHsm, empty: str, section: dict[str, Any], tmp_path: Path) -> None:
    signer = material.signer(number=40)
    with open_cmc(empty, tmp_path, **section) as world:
        credential = world.credential()
        world.service.signer(TENANT, "issuing", "cmc")
        made = draft(pkcs10(signer, "a.example.test"))
        made.prove_identity(credential.username, credential.password.encode())
        with hsm.away(), pytest.raises(Fault) as caught:
            world.ask(made.signed_by_key(signer))
        assert caught.value.kind is FaultKind.UNAVAILABLE

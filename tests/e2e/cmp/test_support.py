"""Support messages (RFC 9483 section 4.3, RFC 9810 section 5.3.19)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp.general import CrlSource, CrlStatus
from pycryptoutil_protocols.cmp.messages import BodyType, General, InfoTypeAndValue, directory_name
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority.lifecycle import rollover
from tests.support.authority import NOW, TENANT
from tests.support.cmp import Client, CmpWorld, certificate, new_key, signed_request

NAMES = ("a.example.test", "a.example.test")


def ask(world: CmpWorld, *infos: InfoTypeAndValue) -> tuple[InfoTypeAndValue, ...]:
    client = Client.by_secret(world.credential(), NOW)
    answer = client.hear(world.send(client.ask(*infos)))
    assert answer.kind is BodyType.GENP, answer.body
    assert isinstance(answer.body, General)
    return answer.body.infos


def test_ca_certificates(shared: CmpWorld) -> None:
    (info,) = ask(shared, general.request(general.CA_CERTS))
    assert general.read_ca_certs(info) == shared.service.authority(TENANT).chain


def test_several_questions_in_one_message(shared: CmpWorld) -> None:
    """Answers come in the order of the questions; what is not known is listed at the end."""
    infos = ask(
        shared,
        general.request("1.2.3.4"),
        general.request(general.CA_CERTS),
        general.request(general.REV_PASSPHRASE),
        general.request(general.CURRENT_CRL),
    )
    assert [one.oid for one in infos] == [general.CA_CERTS, general.CURRENT_CRL, general.UNSUPPORTED_OIDS]
    assert general.read_unsupported_oids(infos[-1]) == ("1.2.3.4", general.REV_PASSPHRASE)


def test_no_question_at_all(shared: CmpWorld) -> None:
    assert ask(shared) == ()


def test_a_root_that_has_no_update(shared: CmpWorld) -> None:
    root = shared.service.authority(TENANT).chain[-1]
    for question in (general.certificate_info(general.ROOT_CA_CERT, root), general.request(general.ROOT_CA_CERT)):
        (info,) = ask(shared, question)
        assert info.oid == general.ROOT_CA_KEY_UPDATE
        assert general.read_root_ca_key_update(info) is None


def test_a_root_that_gets_a_new_key(world: CmpWorld) -> None:
    old = world.service.authority(TENANT).chain[-1]
    made = rollover.prepare(world.service.room, TENANT, "root", rollover.RolloverOrder(), "tests")
    for question in (general.certificate_info(general.ROOT_CA_CERT, old), general.request(general.ROOT_CA_CERT)):
        (info,) = ask(world, question)
        update = general.read_root_ca_key_update(info)
        assert update is not None
        found = (update.new_with_new, update.new_with_old, update.old_with_new)
        assert found == (made.new.certificate, made.update.new_with_old, made.update.old_with_new)
    (info,) = ask(world, general.request(general.CA_CERTS))
    assert set(found) < set(general.read_ca_certs(info))
    (info,) = ask(world, general.certificate_info(general.ROOT_CA_CERT, made.new.certificate))
    assert general.read_root_ca_key_update(info) is None


def test_the_template_of_a_request(shared: CmpWorld) -> None:
    (info,) = ask(shared, general.request(general.CERT_REQ_TEMPLATE))
    found = general.read_cert_req_template(info)
    assert found is not None
    assert found.template.spki is None
    wanted = [one.oid for one in found.template.extensions]
    assert wanted == [oids.SUBJECT_ALT_NAME, oids.EXTENDED_KEY_USAGE]
    curve = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
    assert curve in found.algorithms
    assert 2048 in found.rsa_lengths


def test_crls(shared: CmpWorld) -> None:
    ca = shared.service.authority(TENANT)
    (info,) = ask(shared, general.request(general.CURRENT_CRL))
    crl = x509.load_der_x509_crl(general.read_current_crl(info))
    assert crl.issuer.public_bytes() == decode_certificate(ca.certificate).subject
    point = CrlSource(full_name=(GeneralName.uri(ca.crl_url),))
    issuer = CrlSource(issuer=(directory_name(decode_certificate(ca.certificate).subject),))
    for source in (point, issuer):
        for since, newer in ((None, True), (NOW - timedelta(days=1), True), (NOW + timedelta(days=1), False)):
            (info,) = ask(shared, general.crl_status_list((CrlStatus(source, since),)))
            assert info.oid == general.CRLS
            assert bool(general.read_crls(info)) is newer
    unknown = CrlSource(full_name=(GeneralName.uri("http://elsewhere.test/x.crl"),))
    (info,) = ask(shared, general.crl_status_list((CrlStatus(unknown),)))
    assert general.read_crls(info) == ()


def test_algorithms(shared: CmpWorld) -> None:
    signing, encrypting, cipher, parameters = ask(
        shared,
        general.request(general.SIGN_KEY_PAIR_TYPES),
        general.request(general.ENC_KEY_PAIR_TYPES),
        general.request(general.PREFERRED_SYMM_ALG),
        general.key_pair_param_req(oids.EC_PUBLIC_KEY),
    )
    curve = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
    assert curve in general.read_key_pair_types(signing, general.SIGN_KEY_PAIR_TYPES)
    assert curve in general.read_key_pair_types(encrypting, general.ENC_KEY_PAIR_TYPES)
    assert general.read_algorithm(cipher, general.PREFERRED_SYMM_ALG)
    assert general.read_algorithm(parameters, general.KEY_PAIR_PARAM_REP).startswith(b"\x30")


def test_languages_and_what_there_is_not(shared: CmpWorld) -> None:
    tags, nothing = ask(shared, general.supp_lang_tags(("de", "en")), general.request(general.CA_PROT_ENC_CERT))
    assert general.read_supp_lang_tags(tags) == ("en",)
    assert nothing == InfoTypeAndValue(general.CA_PROT_ENC_CERT)


@pytest.mark.parametrize("times", [1, 2])
def test_questions_by_a_certificate(shared: CmpWorld, times: int) -> None:
    key = new_key()
    client = Client.by_secret(shared.credential(), NOW)
    own = certificate(client.hear(shared.send(client.request(signed_request(key, *NAMES), implicit=True))))
    signing = Client.by_certificate(key, own, NOW)
    questions = (general.request(general.CA_CERTS),) * times
    answer = signing.hear(shared.send(signing.ask(*questions)))
    assert isinstance(answer.body, General)
    assert len(answer.body.infos) == times

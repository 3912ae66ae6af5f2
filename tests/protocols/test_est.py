"""EST: bodies, decisions, server key generation and error answers."""

from __future__ import annotations

import base64
import contextlib
import email.parser
import email.policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import cms, der, names, oids, pem, x509
from pycryptoutil_protocols import csr as pkcs10
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.est import codec, exchange, failures, serverkeygen
from pycryptoutil_protocols.est.exchange import BindingPolicy, ChannelBinding, EnrolPolicy
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

EXPORTER, OTHER, UNIQUE = bytes(range(32)), bytes(32), bytes(range(12))
BINDING = ChannelBinding(exporter=EXPORTER)
VERIFY, REQUIRE = EnrolPolicy(), EnrolPolicy(binding=BindingPolicy.REQUIRE)
NO_BINDING = ChannelBinding()


def request(
    common_name: str = "host",
    sans: tuple[str, ...] = ("a.example", "b.example"),
    *attributes: Attribute,
    key: int = 0,
    break_signature: bool = False,
    subject: bytes | None = None,
) -> CertificationRequest:
    signer = material.signer(number=key)
    items = [one.encode() for one in attributes]
    if sans:
        value = names.encode_general_names([names.GeneralName.dns(one) for one in sans])
        extensions = x509.encode_extensions([x509.Extension(oids.SUBJECT_ALT_NAME, False, value)])
        items.append(Attribute(oids.EXTENSION_REQUEST, (extensions,)).encode())
    name = material.name(common_name).public_bytes() if subject is None else subject
    info = der.sequence(der.integer(0), name, signer.public_spki, der.explicit(0, *items))
    signature = signer.sign(info + b"." if break_signature else info)
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    return pkcs10.decode_csr(der.sequence(info, algorithm, der.bit_string(signature)))


def password(text: str) -> Attribute:
    return Attribute(oids.CHALLENGE_PASSWORD, (der.utf8_string(text),))


def linking(text: str) -> Attribute:
    return Attribute(oids.EST_IDENTITY_LINKING, (der.utf8_string(text),))


def fault(kind: FaultKind, call: object, *arguments: object, **named: object) -> Fault:
    with pytest.raises(Fault) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    assert caught.value.kind is kind
    return caught.value


# bodies


@pytest.mark.parametrize("form", ["single line", "wrapped 64", "wrapped 76 CRLF", "PEM", "NEW PEM", "DER"])
@pytest.mark.parametrize(
    "content_type", ["application/pkcs10", "Application/PKCS10; charset=x", "application/x-pkcs10"]
)
def test_csr_bodies_that_clients_send(form: str, content_type: str) -> None:
    encoded = request().der
    body = {
        "single line": base64.b64encode(encoded),
        "wrapped 64": codec.encode_csr(encoded),
        "wrapped 76 CRLF": base64.encodebytes(encoded).replace(b"\n", b"\r\n"),
        "PEM": pem.encode_pem("CERTIFICATE REQUEST", encoded),
        "NEW PEM": b"\n" + pem.encode_pem("NEW CERTIFICATE REQUEST", encoded),
        "DER": encoded,
    }[form]
    assert codec.decode_csr(body, content_type).der == encoded


@pytest.mark.parametrize(
    "content_type", ["", "application/x-www-form-urlencoded", "application/pkcs7-mime", "text/plain"]
)
def test_other_media_types_are_refused(content_type: str) -> None:
    fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, codec.decode_csr, b"MAA=", content_type)


def test_a_certificate_in_place_of_a_request() -> None:
    body = material.cert_pem(material.certificate(material.private_key("EC-P256")))
    fault(FaultKind.MALFORMED, codec.decode_csr, body, "application/pkcs10")


def test_enrolled_answer_has_the_leaf_alone_in_wrapped_base64() -> None:
    leaf = material.cert_der(material.certificate(material.private_key("EC-P256")))
    payload = codec.encode_enrolled(leaf)
    assert payload.content_type == "application/pkcs7-mime; smime-type=certs-only"
    assert dict(payload.headers) == {"content-transfer-encoding": "base64"}
    assert max(map(len, payload.body.splitlines())) == 64
    assert payload.body.endswith(b"\n")
    assert cms.decode_certs_only(base64.b64decode(payload.body)) == (leaf,)
    assert codec.decode_certificates(payload.body) == (leaf,)


def test_cacerts_answer_has_every_certificate_and_openssl_reads_it() -> None:
    chain = [material.cert_der(material.certificate(material.private_key("EC-P256", n), f"ca{n}")) for n in range(3)]
    payload = codec.encode_cacerts(chain)
    assert set(codec.decode_certificates(payload.body)) == set(chain)
    printed = material.openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(payload.body))
    assert all(f"CN = ca{n}".encode() in printed for n in range(3))


def test_rfc_7030_bodies() -> None:
    assert len(codec.decode_certificates((material.VECTORS / "rfc7030/a1-cacerts.b64").read_bytes())) == 4
    body = (material.VECTORS / "rfc7030/a3-simpleenroll-request.b64").read_bytes()
    decoded = codec.decode_csr(body, "application/pkcs10")
    binding = ChannelBinding(unique=base64.b64decode("+rrCir/7+EYu50T4"))
    assert exchange.check_binding(decoded, binding, BindingPolicy.REQUIRE)
    answer = (material.VECTORS / "rfc7030/a3-simpleenroll-response.b64").read_bytes()
    (leaf,) = codec.decode_certificates(answer)
    facts = x509.decode_certificate(leaf)
    assert (facts.subject, facts.spki) == (decoded.subject, decoded.spki)


# enrolment


def test_enrol_takes_what_the_request_says() -> None:
    asked = request()
    enrolment = exchange.check_enrol(asked, binding=NO_BINDING, policy=VERIFY)
    assert (enrolment.subject, enrolment.sans) == (asked.subject, asked.sans)
    assert not enrolment.channel_bound


def test_enrol_needs_possession_but_not_for_server_keygen() -> None:
    broken = request(break_signature=True)
    fault(FaultKind.BAD_POP, exchange.check_enrol, broken, binding=NO_BINDING, policy=VERIFY)
    assert exchange.check_enrol(broken, binding=NO_BINDING, policy=VERIFY, server_keygen=True).subject == broken.subject


def claims(value: bytes) -> list[Attribute]:
    return [password(exchange.encode_binding(value)), linking(exchange.encode_binding(value))]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("policy", [VERIFY, REQUIRE])
def test_channel_binding_that_is_this_channel_s(index: int, policy: EnrolPolicy) -> None:
    asked = request("host", (), claims(EXPORTER)[index])
    assert exchange.check_enrol(asked, binding=BINDING, policy=policy).channel_bound
    asked = request("host", (), claims(UNIQUE)[index])
    both = ChannelBinding(exporter=EXPORTER, unique=UNIQUE)
    assert exchange.check_enrol(asked, binding=both, policy=policy).channel_bound


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("policy", [VERIFY, REQUIRE])
@pytest.mark.parametrize("binding", [BINDING, NO_BINDING])
def test_channel_binding_of_another_channel(index: int, policy: EnrolPolicy, binding: ChannelBinding) -> None:
    asked = request("host", (), claims(OTHER)[index])
    fault(FaultKind.BAD_POP, exchange.check_enrol, asked, binding=binding, policy=policy)


@pytest.mark.parametrize("text", ["openssl-words", "AAAA", "x" * 44, "ü" * 44, "A" * 255])
def test_words_of_a_person_are_no_claim(text: str) -> None:
    asked = request("host", (), password(text))
    assert not exchange.check_enrol(asked, binding=BINDING, policy=VERIFY).channel_bound
    fault(FaultKind.BAD_POP, exchange.check_enrol, asked, binding=BINDING, policy=REQUIRE)


def test_identity_linking_says_nothing_else() -> None:
    fault(FaultKind.BAD_POP, exchange.check_enrol, request("h", (), linking("words")), binding=BINDING, policy=VERIFY)


def test_required_binding_cannot_be_left_out() -> None:
    fault(FaultKind.BAD_POP, exchange.check_enrol, request(), binding=BINDING, policy=REQUIRE)


# re-enrolment


def current(common_name: str = "host", sans: tuple[str, ...] = ("a.example", "b.example"), key: int = 0) -> bytes:
    return material.cert_der(material.certificate(material.private_key("EC-P256", key), common_name, sans=sans))


def reenrol(
    asked: CertificationRequest, certificate: bytes, policy: EnrolPolicy = VERIFY, *, server_keygen: bool = False
) -> exchange.Enrolment:
    return exchange.check_reenrol(asked, certificate, binding=BINDING, policy=policy, server_keygen=server_keygen)


def test_renewal_and_rekey() -> None:
    assert not reenrol(request(), current()).rekeyed
    assert reenrol(request(key=1), current()).rekeyed
    assert reenrol(request(), current(), server_keygen=True).rekeyed


def test_names_must_be_those_of_the_certificate() -> None:
    assert (
        reenrol(request("HOST", ("B.example", "a.example")), current()).sans == x509.decode_certificate(current()).sans
    )
    for asked in (
        request("other"),
        request("host", ("a.example",)),
        request("host", ("a.example", "b.example", "c.example")),
        request("host", ()),
        request(subject=der.sequence()),
    ):
        fault(FaultKind.POLICY, reenrol, asked, current())
    fault(FaultKind.POLICY, reenrol, request("host", ("a.example",)), current("host", ()))


def test_names_that_the_profile_copied_from_the_subject_may_be_left_out() -> None:
    certificate = current("a.example", ("a.example",))
    enrolment = reenrol(request("a.example", ()), certificate)
    assert [one.value for one in enrolment.sans] == ["a.example"]
    fault(FaultKind.POLICY, reenrol, request("a.example", ()), current("a.example", ("a.example", "b.example")))


def change(subject: bytes = b"", sans: tuple[str, ...] = ()) -> Attribute:
    general = names.encode_general_names([names.GeneralName.dns(one) for one in sans]) if sans else b""
    return Attribute(oids.CHANGE_SUBJECT_NAME, (der.sequence(subject, general),))


def test_names_change_only_where_the_profile_says_so() -> None:
    asked = request("host", ("a.example",), change(material.name("new").public_bytes(), ("n.example",)))
    certificate = current("host", ("a.example",))
    fault(FaultKind.POLICY, reenrol, asked, certificate)
    enrolment = reenrol(asked, certificate, EnrolPolicy(allow_name_change=True))
    assert enrolment.subject == material.name("new").public_bytes()
    assert [one.value for one in enrolment.sans] == ["n.example"]
    assert enrolment.renamed
    partly = reenrol(request("host", ("a.example",), change(sans=("n.example",))), certificate,
                     EnrolPolicy(allow_name_change=True))  # fmt: skip
    assert partly.subject == material.name("host").public_bytes()
    # the names outside of the attribute must still be the certificate's
    fault(
        FaultKind.POLICY,
        reenrol,
        request("new", ("a.example",), change(sans=("n.example",))),
        certificate,
        EnrolPolicy(allow_name_change=True),
    )


def test_reenrolment_needs_possession_and_binding_too() -> None:
    fault(FaultKind.BAD_POP, reenrol, request(break_signature=True), current())
    fault(FaultKind.BAD_POP, reenrol, request(), current(), REQUIRE)


# server key generation

LEAF = current()
SIGNER_CERTIFICATE = material.cert_der(material.certificate(material.private_key("EC-P384"), "signer"))
KEY = material.pkcs8(material.private_key("EC-P256", 5))


def parts(payload: object) -> list[tuple[str, bytes]]:
    """Read a multipart answer with the standard library's mail parser, as a client would."""
    head = f"Content-Type: {payload.content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()  # type: ignore[attr-defined]
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + payload.body)  # type: ignore[attr-defined]
    assert message.get_content_type() == "multipart/mixed"
    found = []
    for part in message.iter_parts():
        assert part["content-transfer-encoding"] == "base64"
        found.append((str(part["content-type"]).replace('"', ""), part.get_payload(decode=True)))
    return found


def test_plain_answer_for_a_mail_parser() -> None:
    payload = serverkeygen.encode_plain(KEY, LEAF)
    (key_type, key), (certificate_type, certificates) = parts(payload)
    assert (key_type, key) == ("application/pkcs8", KEY)
    assert certificate_type == "application/pkcs7-mime; smime-type=certs-only"
    assert cms.decode_certs_only(certificates) == (LEAF,)
    decoded = serverkeygen.decode(payload.body, payload.content_type)
    assert (decoded.key, decoded.enveloped, decoded.certificates) == (KEY, False, (LEAF,))
    assert max(map(len, payload.body.split(b"\r\n"))) < 80
    assert KEY.hex() not in repr(payload)
    assert "key=" not in repr(decoded)


@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P256", "EC-P521", "symmetric"])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_protected_answer_goes_round_and_through_openssl(algorithm: str, cipher: str, tmp_path: Path) -> None:
    secret = bytes(range(32))
    recipient: cms.Recipient
    if algorithm == "symmetric":
        recipient, unwrap = cms.KeyEncryptionKey(secret, b"kid"), cms.unwrap_kek(secret)
        options: list[object] = ["-secretkey", secret.hex(), "-secretkeyid", b"kid".hex()]
    else:
        private = material.private_key(algorithm)
        recipient = cms.recipient_for_key(material.spki(private), key_identifier=b"their key")
        unwrap = cms.unwrap_rsa(private) if algorithm.startswith("RSA") else cms.unwrap_ec(private)
        (tmp_path / "key.pem").write_bytes(material.key_pem(private))
        options = ["-inkey", tmp_path / "key.pem"]
    signer = material.signer("EC-P384", "ecdsa-sha384")
    protected = serverkeygen.protect(KEY, recipient, signer, SIGNER_CERTIFICATE, cipher=cipher)
    payload = serverkeygen.encode_protected(protected, LEAF)
    (key_type, body), _ = parts(payload)
    assert key_type == "application/pkcs7-mime; smime-type=server-generated-key"
    assert body == protected
    decoded = serverkeygen.decode(payload.body, payload.content_type)
    assert decoded.enveloped
    assert serverkeygen.open_protected(decoded.key, unwrap) == (KEY, SIGNER_CERTIFICATE)
    assert KEY not in protected
    if cipher == "aes-256-cbc":  # OpenSSL 3.0 cannot read AuthEnvelopedData of other types than data
        inner = material.openssl("cms", "-decrypt", "-inform", "DER", "-binary", *options, stdin=protected)
        wrapped = cms.content_info(oids.SIGNED_DATA, inner)
        package = material.openssl("cms", "-verify", "-inform", "DER", "-binary", "-noverify", stdin=wrapped)
        assert der.split_sequence(package) == (KEY,)


def test_protection_that_is_asked_for() -> None:
    symmetric = Attribute(oids.DECRYPT_KEY_IDENTIFIER, (der.octet_string(b"s"),))
    asymmetric = Attribute(oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER, (der.octet_string(b"a"),))
    capabilities = Attribute(oids.SMIME_CAPABILITIES, (der.sequence(der.sequence(der.oid(oids.AES_128_CBC))),))
    assert not serverkeygen.protection(request()).wanted
    found = serverkeygen.protection(request("h", (), symmetric, capabilities))
    assert (found.wanted, found.symmetric_key_identifier, found.cipher) == (True, b"s", "aes-128-cbc")
    assert serverkeygen.protection(request("h", (), asymmetric)).asymmetric_key_identifier == b"a"
    fault(FaultKind.INVALID, serverkeygen.protection, request("h", (), symmetric, asymmetric))
    empty = Attribute(oids.DECRYPT_KEY_IDENTIFIER, (der.octet_string(b""),))
    fault(FaultKind.INVALID, serverkeygen.protection, request("h", (), empty))


@pytest.mark.parametrize(
    "content_type", ["", "multipart/mixed", "multipart/related; boundary=x", "text/plain; boundary=x"]
)
def test_multipart_of_another_type(content_type: str) -> None:
    fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, serverkeygen.decode, b"--x--", content_type)


PLAIN = serverkeygen.encode_plain(KEY, LEAF)


@given(st.data())
def test_damaged_multipart_raises_nothing_but_fault(data: st.DataObject) -> None:
    body = bytearray(PLAIN.body)
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for damaged in (bytes(body), bytes(body[:cut]), bytes(body) * 2):
        with contextlib.suppress(Fault):
            serverkeygen.decode(damaged, PLAIN.content_type)


# errors


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_has_an_answer_without_its_detail(kind: FaultKind) -> None:
    answer = failures.http_error(Fault(kind, "secret detail", "the public text"))
    assert 200 < answer.status < 600
    assert "secret" not in answer.text
    assert "The public text." in answer.text
    headers = dict(answer.headers)
    assert headers["content-type"].startswith("text/plain")
    assert ("retry-after" in headers) == (answer.status in (202, 429, 503))
    assert failures.http_error(Fault(kind, "secret detail")).text.endswith(".\n")


def test_statuses_of_rfc_7030() -> None:
    expected = {
        FaultKind.MALFORMED: 400,
        FaultKind.BAD_POP: 400,
        FaultKind.UNAUTHENTICATED: 401,
        FaultKind.POLICY: 403,
        FaultKind.NOT_FOUND: 404,
        FaultKind.PENDING: 202,
        FaultKind.TOO_LARGE: 413,
        FaultKind.UNSUPPORTED_MEDIA_TYPE: 415,
        FaultKind.RATE_LIMITED: 429,
        FaultKind.SEALED: 503,
        FaultKind.INTERNAL: 500,
    }
    assert {kind: failures.http_status(kind) for kind in expected} == expected
    waiting = failures.http_error(Fault(FaultKind.PENDING, "", retry_after=7))
    assert dict(waiting.headers)["retry-after"] == "7"
    challenged = failures.http_error(Fault(FaultKind.UNAUTHENTICATED, "", challenges=('Basic realm="est"',)))
    assert ("www-authenticate", 'Basic realm="est"') in challenged.headers

"""The CA's REST API through the real pipeline: what it gives, what it refuses, and to whom."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pycryptoutil_protocols.pem import decode_pem
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.crypto.keys import generate, load_pkcs8
from pycryptoutil.crypto.x509 import pem
from pycryptoutil.services.pki_ca.certificates import routes as certificate_routes
from pycryptoutil.services.pki_ca.rest import routes as rest_routes
from pycryptoutil.services.pki_ca.ssh import routes as ssh_routes
from pycryptoutil.services.pki_ca.webhooks import routes as webhook_routes
from tests.support.authority import csr
from tests.support.door import Answer, Door

ROUTES = (*rest_routes.ROUTES, *certificate_routes.ROUTES, *webhook_routes.ROUTES, *ssh_routes.ROUTES)
PROFILE = """name: mine
title: Mine
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
names: {types: [dns], required: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [clientAuth]
"""


def issue(door: Door, *dns: str, **body: Any) -> dict[str, Any]:
    request = pem(csr(*dns), "CERTIFICATE REQUEST")
    answer = door.admin.post("/certificates", {"csr": request, **body})
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def load(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def test_authorities(door: Door) -> None:
    listed = door.admin.get("/certificate-authorities").json["items"]
    assert [(one["name"], one["parent"], one["kind"]) for one in listed] == [
        ("root", None, "root"),
        ("issuing", "root", "issuing"),
    ]
    body = {"name": "second", "subject": "CN=Second CA,O=Example", "parent": "root", "key_algorithm": "EC-P384"}
    made = door.admin.post("/certificate-authorities", body)
    assert (made.status, len(made.json["chain"])) == (201, 2)
    assert load(made.json["certificate"]).subject.rfc4514_string() == "CN=Second CA,O=Example"
    assert door.admin.post("/certificate-authorities", body).status == 409
    chain = door.admin.get("/certificate-authorities/second", headers={"Accept": "application/pem-certificate-chain"})
    assert chain.text == "".join(made.json["chain"])
    assert door.admin.post("/certificate-authorities/second/disable").json["status"] == "disabled"
    refused = door.admin.post("/certificates", {"csr": pem(csr("a.example.com"), "X"), "authority": "second"})
    assert refused.status in {400, 409}
    request = {"csr": pem(csr("a.example.com"), "CERTIFICATE REQUEST"), "authority": "second"}
    assert door.admin.post("/certificates", request).json["detail"] == "the certificate authority is disabled"
    assert door.admin.post("/certificate-authorities/second/enable").json["status"] == "active"
    assert door.admin.post("/certificates", request).status == 201
    assert door.admin.get("/certificate-authorities/nobody").status == 404


def test_profiles(door: Door) -> None:
    listed = door.admin.get("/profiles").json["items"]
    assert len(listed) == 24
    assert {one["source"] for one in listed} == {"built-in"}
    put = door.admin.put("/profiles/mine", raw=PROFILE.encode(), content_type="application/yaml")
    assert (put.status, put.json["source"], put.json["settings"]["validity"]["maximum"]) == (200, "own", "90d")
    assert door.admin.get("/profiles/mine", headers={"Accept": "application/yaml"}).text == PROFILE
    assert issue(door, "a.example.com", profile="mine")["profile"] == "mine"
    broken = PROFILE.replace("maximum", "maximun")
    answer = door.admin.put("/profiles/mine", raw=broken.encode(), content_type="application/yaml")
    assert answer.status == 422
    assert "mine.yaml:3: unknown key validity.maximun; did you mean maximum?" in answer.json["detail"]
    # JSON is YAML, and what a profile says of itself can be put back
    settings = door.admin.get("/profiles/mine").json["settings"]
    assert door.admin.put("/profiles/mine", settings).status == 200
    assert door.admin.put("/profiles/mine", raw=b"\xff", content_type="application/yaml").status == 400
    assert door.admin.put("/profiles/mine", raw=b"x", content_type="text/html").status == 415
    assert door.admin.delete("/profiles/mine").status == 204
    assert door.admin.delete("/profiles/mine").status == 404
    assert door.admin.delete("/profiles/tls-server").status == 404


def test_issue_get_and_list(door: Door) -> None:
    made = issue(door, "a.example.com", "b.example.com")
    assert made["sans"] == ["dns:a.example.com", "dns:b.example.com"]
    assert "private_key" not in made or made["private_key"] is None
    leaf, issuer = load(made["certificate"]), load(made["chain"][0])
    leaf.verify_directly_issued_by(issuer)
    serial = made["serial"]
    found = door.admin.get(f"/certificates/{serial.upper()}").json
    assert (found["serial"], found["status"], found["certificate"]) == (serial, "valid", made["certificate"])
    assert found["requester"].startswith("client:")
    der = door.admin.get(f"/certificates/{serial}", headers={"Accept": "application/pkix-cert"})
    assert der.body == leaf.public_bytes(Encoding.DER)
    one = door.admin.get(f"/certificates/{serial}", headers={"Accept": "application/x-pem-file"})
    assert one.text == made["certificate"]
    assert door.admin.get(f"/certificates/{serial}/chain").text == made["certificate"] + "".join(made["chain"])
    for n in range(3):
        door.clock.advance(1)
        issue(door, f"c{n}.example.org")
    page = door.admin.get("/certificates?contains=example.org&limit=2").json
    rest = door.admin.get(f"/certificates?contains=example.org&limit=2&cursor={page['next']}").json
    names = [one["sans"][0] for one in page["items"] + rest["items"]]
    assert names == ["dns:c2.example.org", "dns:c1.example.org", "dns:c0.example.org"]
    assert rest["next"] is None
    assert len(door.admin.get("/certificates?profile=tls-server&status=valid").json["items"]) == 4
    for query in ("status=odd", "cursor=x", "limit=0", "odd=1", "not_after_from=yesterday"):
        assert door.admin.get(f"/certificates?{query}").status == 422, query
    assert door.admin.get("/certificates/nonsense").status == 404


def test_a_generated_key_is_given_once(door: Door) -> None:
    body = {
        "generate_key": True,
        "profile": "internal-tls",
        "sans": ["localhost", "127.0.0.1"],
        "subject": "CN=localhost",
    }
    made = door.admin.post("/certificates", body)
    assert made.status == 201
    assert made.headers.get("cache-control") == "no-store"
    key = load_pem_private_key(made.json["private_key"].encode(), None)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert load(made.json["certificate"]).public_key().public_bytes(*spki) == key.public_key().public_bytes(*spki)
    assert "private_key" not in door.admin.get(f"/certificates/{made.json['serial']}").text
    rsa = door.admin.post("/certificates", {**body, "key_algorithm": "RSA-3072"}).json
    assert load(rsa["certificate"]).public_key().key_size == 3072  # type: ignore[union-attr]
    for wrong in (
        {**body, "csr": "x"},
        {"profile": "internal-tls"},
        {"csr": "x", "key_algorithm": "EC-P256"},
        {**body, "key_algorithm": "RSA-1024"},
        {**body, "not_after": "2026-01-01T00:00:00"},
        {**body, "unknown": 1},
    ):
        assert door.admin.post("/certificates", wrong).status == 422, wrong


def test_a_repeated_post_with_an_idempotency_key_issues_once(door: Door) -> None:
    body = {"csr": pem(csr("a.example.com"), "CERTIFICATE REQUEST")}
    once, again = (door.admin.post("/certificates", body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (once.status, again.status) == (201, 200)
    assert once.json == again.json


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request(door: Door, text: str) -> None:
    answer = door.admin.post("/certificates", {"csr": text})
    assert answer.status == 400
    assert answer.headers.get("content-type") == "application/problem+json"
    assert "Traceback" not in answer.text


def test_a_refusal_says_why(door: Door) -> None:
    answer = door.admin.post("/certificates", {"csr": pem(csr("localhost"), "CERTIFICATE REQUEST")})
    assert answer.status == 403
    assert answer.json["detail"] == "dns:localhost: the profile does not allow names of one label"
    assert answer.json["request_id"] == "request-1"


def test_revocation(door: Door) -> None:
    serial = issue(door, "a.example.com")["serial"]
    held = door.admin.post(f"/certificates/{serial}/revoke", {"reason": "certificateHold"})
    assert (held.status, held.json["status"]) == (200, "held")
    assert door.admin.post(f"/certificates/{serial}/unhold").json["status"] == "valid"
    body = {"reason": "keyCompromise", "invalidity_date": "2025-12-31T00:00:00Z"}
    revoked = door.admin.post(f"/certificates/{serial}/revoke", body).json
    assert (revoked["status"], revoked["reason"], revoked["invalidity_date"]) == (
        "revoked",
        "keyCompromise",
        "2025-12-31T00:00:00Z",
    )
    again = door.admin.post(f"/certificates/{serial}/revoke", {})
    assert (again.status, again.json["detail"]) == (409, "the certificate is revoked already")
    assert door.admin.post(f"/certificates/{serial}/revoke", {"reason": "removeFromCRL"}).status == 422
    assert door.admin.post("/certificates/1234/revoke", {}).status == 404
    published = door.admin.post("/crls/issuing/publish")
    assert (published.status, published.json["entries"]) == (201, 1)
    crl = door.admin.get("/crls/issuing").json
    assert crl["number"] == published.json["number"]
    loaded = x509.load_pem_x509_crl(crl["crl"].encode())
    assert loaded.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    der = door.admin.get("/crls/issuing", headers={"Accept": "application/pkix-crl"})
    assert x509.load_der_x509_crl(der.body) == loaded
    assert {one["authority"] for one in door.admin.get("/crls").json["items"]} == {"root", "issuing"}


def test_credentials(door: Door) -> None:
    body = {"profile": "tls-server", "names": {"dns": ["*.example.test"]}, "protocols": ["est"], "max_uses": 5}
    made = door.admin.post("/enrollment-credentials", body)
    assert made.status == 201
    assert {"username", "password"} <= set(made.json)
    assert made.headers.get("cache-control") == "no-store"
    one = door.admin.get(f"/enrollment-credentials/{made.json['id']}")
    assert "password" not in one.json
    assert one.json["names"]["dns"] == ["*.example.test"]
    for _ in range(2):
        door.clock.advance(1)
        door.admin.post("/enrollment-credentials", {"profile": "device"})
    page = door.admin.get("/enrollment-credentials?limit=2").json
    rest = door.admin.get(f"/enrollment-credentials?limit=2&cursor={page['next']}").json
    assert [len(page["items"]), [one["id"] for one in rest["items"]]] == [2, [made.json["id"]]]
    assert door.admin.delete(f"/enrollment-credentials/{made.json['username']}").status == 204
    assert door.admin.get(f"/enrollment-credentials/{made.json['id']}").status == 404
    for wrong, status in (
        ({"profile": "nobody"}, 404),
        ({"profile": "tls-server", "names": {"dns": ["*"]}}, 422),
        ({"profile": "tls-server", "protocols": ["ftp"]}, 422),
        ({"profile": "mtls-client"}, 403),
        ({"profile": "tls-server", "max_uses": 0}, 422),
        ({"profile": "tls-server", "expires_at": "2001-01-01T00:00:00Z"}, 422),
    ):
        assert door.admin.post("/enrollment-credentials", wrong).status == status, wrong


def requests(serial: str) -> list[tuple[str, str, str]]:
    """One request for every route: (scope, method, path)."""
    values = {"<name>": "issuing", "<serial>": serial, "<authority>": "issuing", "<id>": "0" * 32, "<kind>": "ssh-user"}
    found = []
    for route in ROUTES:
        path = route.path
        for parameter, value in values.items():
            path = path.replace(parameter, value)
        found.append((route.scope or "", route.methods[0], path))
    return found


def test_every_route_asks_for_its_scope(door: Door) -> None:
    serial = issue(door, "a.example.com")["serial"]
    nobody = door.client()
    for scope, method, path in requests(serial):
        assert door.anonymous(method, path).status == 401, path
        answer = nobody(method, path)
        assert (answer.status, scope) != (200, ""), path
        assert answer.status == 403, (method, path, answer.text)
    reader = door.client("pki:read")
    assert reader.get("/certificates").status == 200
    assert reader.post(f"/certificates/{serial}/revoke", {}).status == 403
    known = set(rest_routes.SCOPES) | set(certificate_routes.SCOPES) | set(webhook_routes.SCOPES)
    assert {scope for scope, _, _ in requests(serial)} == known


def test_another_tenant_sees_and_changes_nothing(door: Door) -> None:
    serial = issue(door, "a.example.com")["serial"]
    credential = door.admin.post("/enrollment-credentials", {"profile": "device"}).json["id"]
    other, _ = door.tenant("other")
    assert other.get("/certificates").json["items"] == []
    assert other.get("/certificate-authorities").json["items"] == []
    for method, path in (
        ("GET", f"/certificates/{serial}"),
        ("GET", f"/certificates/{serial}/chain"),
        ("POST", f"/certificates/{serial}/unhold"),
        ("GET", "/certificate-authorities/issuing"),
        ("POST", "/certificate-authorities/issuing/disable"),
        ("GET", "/crls/issuing"),
        ("POST", "/crls/issuing/publish"),
        ("GET", f"/enrollment-credentials/{credential}"),
        ("DELETE", f"/enrollment-credentials/{credential}"),
    ):
        assert other(method, path).status == 404, path
    root = {"name": "root", "subject": "CN=Their root"}
    assert other.post("/certificate-authorities", root).status == 201
    below = {"name": "issuing", "subject": "CN=Theirs", "parent": "root"}
    made = other.post("/certificate-authorities", below)
    assert made.status == 201
    ours = door.admin.get("/certificate-authorities/issuing").json
    assert made.json["crl_url"] != ours["crl_url"] or ours["crl_url"] == ""
    answer = other.post("/certificates", {"csr": pem(csr("a.example.com"), "CERTIFICATE REQUEST")})
    assert answer.json["authority"] == "issuing"
    assert load(answer.json["chain"][0]).subject.rfc4514_string() == "CN=Theirs"


def test_a_person_uses_the_same_api(door: Door) -> None:
    person, _ = door.login()
    made: Answer = person.post("/certificates", {"csr": pem(csr("a.example.com"), "CERTIFICATE REQUEST")})
    assert made.status == 201
    found = door.admin.get(f"/certificates/{made.json['serial']}").json
    assert found["requester"] == "user:admin"


def test_ssh_certificates(door: Door) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    body = {"profile": "ssh-user", "public_key": key.decode(), "principals": ["anna"], "validity_seconds": 3600}
    made = door.admin.post("/ssh-certificates", body)
    assert made.status == 201, made.text
    assert made.json["certificate"].startswith("ssh-ed25519-cert-v01@openssh.com ")
    assert door.admin.get("/ssh-certificates").json["items"] == [made.json]
    trusted = door.admin.get("/ssh-authorities/issuing/ssh-user")
    assert trusted.text.startswith("ssh-ed25519 ")
    assert door.admin.get("/ssh-authorities/issuing/odd").status == 404
    assert door.admin.post("/ssh-certificates", {**body, "critical_options": {"odd": "x"}}).status == 422
    assert door.admin.post("/ssh-certificates", {**body, "profile": "tls-server"}).status == 403


def test_revocation_by_key_and_by_requester(door: Door) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = {"csr": pem(csr("a.example.com", key=key), "CERTIFICATE REQUEST")}
    serials = [door.admin.post("/certificates", request).json["serial"] for _ in range(3)]
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    digest = door.admin.get(f"/certificates/{serials[0]}").json["spki_sha256"]
    held = {"public_key": public, "reason": "certificateHold", "limit": 2}
    first = door.admin.post("/certificates/revoke-by-key", held)
    assert (first.status, len(first.json["serials"])) == (200, 2)
    second = door.admin.post("/certificates/revoke-by-key", {**held, "cursor": first.json["next"]})
    assert second.json["next"] is None
    assert sorted(first.json["serials"] + second.json["serials"]) == sorted(serials)
    by_digest = door.admin.post("/certificates/revoke-by-key", {"spki_sha256": digest.upper(), "reason": "superseded"})
    assert sorted(by_digest.json["serials"]) == sorted(serials)
    by_serial = door.admin.post("/certificates/revoke-by-key", {"serial": serials[1], "authority": "issuing"})
    assert sorted(by_serial.json["serials"]) == sorted(serials)
    assert {door.admin.get(f"/certificates/{one}").json["reason"] for one in serials} == {"keyCompromise"}
    assert door.admin.post("/certificates", request).status == 400
    mine = issue(door, "b.example.com")["serial"]
    who = door.admin.get(f"/certificates/{mine}").json["requester"]
    gone = door.admin.post("/certificates/revoke-by-requester", {"requester": who, "reason": "affiliationChanged"})
    assert gone.json == {"serials": [mine], "next": None}
    for path, body in (
        ("key", {}),
        ("key", {"serial": mine, "spki_sha256": digest}),
        ("key", {"spki_sha256": digest, "authority": "issuing"}),
        ("key", {"spki_sha256": "ab"}),
        ("key", {"public_key": "no key"}),
        ("key", {"spki_sha256": digest, "cursor": "x"}),
        ("key", {"spki_sha256": digest, "limit": 0}),
        ("key", {"spki_sha256": digest, "reason": "cACompromise"}),
        ("requester", {"reason": "superseded"}),
        ("requester", {"requester": who, "reason": "removeFromCRL"}),
    ):
        assert door.admin.post(f"/certificates/revoke-by-{path}", body).status in {400, 422}, body
    assert door.admin.post("/certificates/revoke-by-key", {"serial": "00ff"}).status == 404
    assert door.admin.post("/certificates/revoke-by-requester", {"requester": "system"}).status == 403


@pytest.mark.parametrize("algorithm", ["ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"])
def test_keys_that_cannot_sign_a_request(door: Door, algorithm: str) -> None:
    key = generate(algorithm)
    spki = pem(key.public_spki, "PUBLIC KEY")
    body = {"profile": "smime-encryption", "sans": ["email:a@example.test"]}
    made = door.admin.post("/certificates", {**body, "public_key": spki}, headers={"Idempotency-Key": "k"})
    assert made.status == 201, made.text
    found = decode_certificate(load(made.json["certificate"]).public_bytes(Encoding.DER))
    assert found.spki == key.public_spki
    usage = load(made.json["certificate"]).extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_encipherment
    assert not usage.value.digital_signature, "RFC 9935 section 5: keyEncipherment alone"
    again = door.admin.post("/certificates", {**body, "public_key": spki}, headers={"Idempotency-Key": "k"})
    assert (again.status, again.json["serial"]) == (200, made.json["serial"])
    generated = door.admin.post("/certificates", {**body, "generate_key": True, "key_algorithm": algorithm})
    assert generated.status == 201, generated.text
    own = load_pkcs8(decode_pem(generated.json["private_key"].encode(), 8192))
    assert decode_certificate(load(generated.json["certificate"]).public_bytes(Encoding.DER)).spki == own.public_spki


def test_public_keys_that_are_refused(door: Door) -> None:
    """A key that can sign proves itself; what is no key, or has no names, or no profile, is told so."""
    body = {"profile": "smime-encryption", "sans": ["email:a@example.test"]}
    kem = pem(generate("ML-KEM-768").public_spki, "PUBLIC KEY")
    signs = pem(generate("ML-DSA-65").public_spki, "PUBLIC KEY")
    refused = door.admin.post("/certificates", {**body, "public_key": signs})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "#/public_key"), refused.text
    for wrong, status in (
        ({**body, "public_key": "x"}, 400),
        ({**body, "public_key": kem, "generate_key": True}, 422),
        ({**body, "public_key": kem, "csr": "x"}, 422),
        ({"profile": "smime-encryption", "public_key": kem}, 403),
        ({"profile": "tls-server", "sans": ["dns:a.example.com"], "public_key": kem}, 403),
        ({**body, "public_key": kem.replace("M", "N")}, 400),
        ({**body, "public_key": "A" * 20_000}, 422),
    ):
        answer = door.admin.post("/certificates", wrong)
        assert answer.status == status, (wrong, answer.text)


def test_webhooks(door: Door) -> None:
    body = {"url": "https://hooks.example.com/x", "types": ["certificate.issued"], "description": "ops"}
    made = door.admin.post("/webhooks", body)
    assert made.status == 201, made.text
    assert made.json["secret"].startswith("whsec_")
    place = f"/webhooks/{made.json['id']}"
    assert "secret" not in door.admin.get(place).json
    assert made.json["secret"] not in door.admin.get("/webhooks").text
    issued = issue(door, "a.example.com")
    listed = door.admin.get(f"{place}/deliveries?limit=1").json
    assert [(one["type"], one["data"]["serial"]) for one in listed["items"]] == [
        ("certificate.issued", issued["serial"])
    ]
    assert listed["next"] is None
    delivery = listed["items"][0]["id"]
    issue(door, "b.example.com")
    first = door.admin.get(f"{place}/deliveries?limit=1").json
    second = door.admin.get(f"{place}/deliveries?limit=1&cursor={first['next']}").json
    assert {one["id"] for one in first["items"] + second["items"]} >= {delivery}
    assert second["next"] is None
    assert door.admin.get(f"{place}/deliveries?status=dead").json["items"] == []
    assert door.admin.post(f"{place}/deliveries/{delivery}/redeliver").status == 409
    assert door.admin.post(f"{place}/deliveries/nothing/redeliver").status == 404
    assert door.admin.post(f"{place}/disable").json["status"] == "disabled"
    assert door.admin.post(f"{place}/test").status == 409
    assert door.admin.post(f"{place}/enable").json["status"] == "active"
    assert door.admin.delete(place).status == 204
    assert door.admin.get(place).status == 404
    assert door.admin.get(f"{place}/deliveries").status == 404
    for wrong in ({"url": "ftp://x"}, {"url": "https://x/", "types": ["x"]}, {"url": "https://x/", "secret": "x"}, {}):
        assert door.admin.post("/webhooks", wrong).status in {400, 422}, wrong
    assert door.admin.post("/webhooks", {"url": "https://169.254.169.254/"}).status == 403

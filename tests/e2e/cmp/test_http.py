"""CMP over HTTP (RFC 9811): paths, listeners, media types, and errors before a message is served."""

from __future__ import annotations

import httpx
import pytest
from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import CONTENT_TYPE, BodyType, PKIMessage

from pycryptoutil.clock import SystemClock
from tests.support.cmp import Client, accepts, certificate, failures, new_key, signed_request
from tests.support.pki import Ca
from tests.support.suite import Suite, shared_suite

__all__ = ["shared_suite"]

NAMES = ("a.example.test", "a.example.test")
HEADERS = {"Content-Type": CONTENT_TYPE}


class _Credential:
    """What tests.support.cmp.Client takes for one."""

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password


@pytest.fixture
def client(shared_suite: Suite) -> Client:
    made = _Credential(*Ca(shared_suite).credential())
    return Client.by_secret(made, SystemClock().now())  # type: ignore[arg-type]


def post(suite: Suite, path: str, message: PKIMessage | bytes, *, plain: bool = True, **headers: str) -> httpx.Response:
    content = message if isinstance(message, bytes) else message.encoded
    given = {**HEADERS, **headers}
    if not plain:
        return suite.http().post(path, content=content, headers=given)
    with httpx.Client(base_url=suite.url("pki-ca", "plain"), trust_env=False) as http:
        return http.post(path, content=content, headers=given)


def answer_of(response: httpx.Response, status: int = 200) -> PKIMessage:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == CONTENT_TYPE
    assert response.headers["cache-control"] == "no-store"
    return codec.decode(response.content)


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/cmp",
        "/.well-known/cmp/",
        "/.well-known/cmp/initialization",
        "/.well-known/cmp/p/tls-server",
        "/.well-known/cmp/p/issuing:tls-server",
        "/.well-known/cmp/p/tls-server/initialization",
        "/cmp",
        "/cmp/",
        "/cmp/tls-server",
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_every_path_on_both_listeners(shared_suite: Suite, client: Client, path: str, plain: bool) -> None:
    request = client.request(signed_request(new_key(), *NAMES))
    found = certificate(client.hear(answer_of(post(shared_suite, path, request, plain=plain))))
    other = path.removesuffix("/initialization")  # later messages may come by whichever path of the label
    confirmation = client.confirm(accepts(found))
    done = client.hear(answer_of(post(shared_suite, other, confirmation, plain=not plain)))
    assert done.kind is BodyType.PKICONF


def test_a_path_of_another_operation(shared_suite: Suite, client: Client) -> None:
    request = client.request(signed_request(new_key(), *NAMES))
    for operation in ("keyupdate", "pkcs10", "revocation", "getcacerts", "nested"):
        found = answer_of(post(shared_suite, f"/.well-known/cmp/p/tls-server/{operation}", request))
        assert failures(found) == {"BAD_REQUEST"}


@pytest.mark.parametrize(
    ("path", "status", "failure"),
    [
        ("/.well-known/cmp/p/no-such-label", 404, "BAD_REQUEST"),
        ("/.well-known/cmp/p/tls-server/no-such-operation", 404, "BAD_REQUEST"),
        ("/cmp/no-such-label", 404, "BAD_REQUEST"),
    ],
)
def test_what_is_not_there(shared_suite: Suite, client: Client, path: str, status: int, failure: str) -> None:
    found = answer_of(post(shared_suite, path, client.request(signed_request(new_key(), *NAMES))), status)
    assert failures(found) == {failure}
    assert found.header.transaction_id == client.tid


@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "text/plain"])
def test_another_media_type(shared_suite: Suite, client: Client, media_type: str) -> None:
    request = client.request(signed_request(new_key(), *NAMES))
    response = post(shared_suite, "/cmp", request, **{"Content-Type": media_type})
    assert failures(answer_of(response, 415)) == {"BAD_DATA_FORMAT"}


def test_methods_and_sizes(shared_suite: Suite) -> None:
    with httpx.Client(base_url=shared_suite.url("pki-ca", "plain"), trust_env=False) as http:
        assert http.get("/cmp").status_code == 405
    response = post(shared_suite, "/cmp", bytes(300 * 1024))
    assert failures(answer_of(response, 413)) == {"BAD_DATA_FORMAT"}


def test_hostile_bodies_get_errors_and_never_a_500(shared_suite: Suite) -> None:
    deep = b""
    for _ in range(10_000):
        deep = der.sequence(deep)
    for body in (b"", b"\x30", b"\x30\x80\x00\x00", b"\xff" * 1000, deep, der.sequence(der.null(), der.null())):
        found = answer_of(post(shared_suite, "/.well-known/cmp", body))
        assert found.kind is BodyType.ERROR
        assert failures(found) == {"BAD_DATA_FORMAT"}

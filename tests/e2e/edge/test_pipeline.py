"""The middleware, step by step, as peers see it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ConfigDict, Field

from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import admin
from pycryptoutil.service.exchange import Phase
from pycryptoutil.service.health import Check
from pycryptoutil.service.middleware import MIDDLEWARE, Stage, check_route
from pycryptoutil.service.settings import CorsSettings, NetworkSettings, ServiceSettings
from tests.support.edge import PATIENCE, Answer, Serve, Served, head, until

PROGRAM = "Authorization: Bearer good"
COOKIE = "Cookie: a=b; __Host-session=good"
ETAGGED = Response(200, b"body", "text/plain", (("ETag", '"v1"'), ("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")))


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(max_length=5)
    sizes: tuple[int, ...] = ()


class Page(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=10, le=100)
    tags: tuple[str, ...] = ()


def who(context: Any, _request: Request) -> Response:
    return Response(200, context.principal.name.encode(), "text/plain")


def made(context: Any, _request: Request) -> Response:
    return Response(201, context.body.model_dump_json().encode(), "application/json")


def listed(context: Any, _request: Request) -> Response:
    return Response(200, context.query.model_dump_json().encode(), "application/json")


def own(fault: Fault, request: Request) -> Response:
    assert request.request_id
    return Response(460, fault.kind.value.encode(), "application/own")


ROUTES = (
    Route("who", ("GET",), "/who", who),
    Route("change", ("POST",), "/who", who),
    Route("reader", ("GET",), "/reader", who, scope="read"),
    Route("writer", ("GET",), "/writer", who, scope="write"),
    Route("open", ("GET", "POST"), "/open", who, scope=None),
    Route("make", ("POST",), "/items", made, body=Item),
    Route("list", ("GET",), "/items", listed, query=Page),
    Route("tagged", ("GET",), "/tagged", lambda _c, _r: ETAGGED, scope=None),
    Route("page", ("GET",), "/page", who, gate=Gate.PAGE, scope=None, produces=("text/html",)),
    Route("style", ("GET",), "/style", lambda _c, _r: Response(
        200, b"", "text/css", (("cache-control", "public, max-age=60"), ("Content-Security-Policy", "sandbox"))),
        gate=Gate.PAGE, scope=None),
    Route("own", ("POST",), "/own/<name>", who, gate=Gate.PROTOCOL, faults=own, accepts=("application/x",),
          listeners=frozenset({Listener.PUBLIC, Listener.PLAIN})),
    Route("raise", ("GET",), "/raise/<kind>", lambda c, _r: raise_(c.parameters["kind"]), gate=Gate.PROTOCOL),
)  # fmt: skip


def raise_(kind: str) -> Response:
    raise Fault(FaultKind(kind), "internal detail", "public words", pointer="#/a", retry_after=3)


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(*ROUTES)


def post(served: Served, path: str, body: str, *headers: str, kind: Listener = Listener.PUBLIC) -> Answer:
    return served.ask(head("POST", path, f"Content-Length: {len(body)}", *headers) + body, kind)


# --- the table


def test_the_table_is_in_the_order_of_the_stages() -> None:
    stages = [row.stage for row in MIDDLEWARE]
    order = [Stage.FAULT, Stage.ENTRY, Stage.WORK, Stage.EXIT]
    assert stages == sorted(stages, key=order.index)
    names = [row.run.__name__ for row in MIDDLEWARE]
    assert names == [
        "recover", "check_request_id", "allow_address", "limit_method_and_size", "limit_address_rate", "refuse_unready",
        "gate_fetch_metadata", "share_across_origins", "refuse_forgery", "authenticate", "limit_principal_rate",
        "authorize", "validate", "handle", "answer_conditionally", "add_security_headers", "record",
    ]  # fmt: skip


def test_a_fast_route_cannot_skip_authentication() -> None:
    bad = Route("bad", ("GET",), "/bad", who, fast=lambda _s, _r, _p: None)
    with pytest.raises(ValueError, match="bad"):
        check_route(bad)


# --- errors


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_of_fault_is_a_problem_document(served: Served, kind: FaultKind) -> None:
    answer = served.get(f"/raise/{kind.value}")
    assert 400 <= answer.status < 600 or (kind is FaultKind.PENDING and answer.status == 202)
    assert answer.get("content-type") == "application/problem+json"
    assert answer.json == {
        "type": f"urn:pycryptoutil:problem:{kind.value}",
        "title": answer.json["title"],
        "status": answer.status,
        "detail": "public words",
        "instance": f"/raise/{kind.value}",
        "request_id": answer.get("x-request-id"),
        "errors": [{"pointer": "#/a", "detail": "public words"}],
    }
    assert answer.get("retry-after") == "3"
    assert b"internal detail" not in answer.body


def test_paths_and_methods(served: Served) -> None:
    assert served.get("/nowhere").status == 404
    assert served.get("/service/api/v1/who/").status == 404  # slashes mean what they say
    assert served.get("/service/api/v1//who").status == 404
    refused = served.ask(head("DELETE", "/service/api/v1/who"))
    assert (refused.status, refused.get("allow")) == (405, "GET, HEAD, OPTIONS, POST")
    options = served.ask(head("OPTIONS", "/service/api/v1/who"))
    assert (options.status, options.get("allow")) == (204, "GET, HEAD, OPTIONS, POST")
    assert served.ask(head("BREW", "/service/api/v1/who")).status == 405


def test_looking_for_paths_and_methods_is_limited_too(served: Served) -> None:
    served.edge.limiter.refuse_address = True  # type: ignore[attr-defined]
    for method, path in (("GET", "/nowhere"), ("DELETE", "/service/api/v1/who"), ("OPTIONS", "/service/api/v1/who")):
        assert served.ask(head(method, path)).status == 429
    assert served.get("/service/api/v1/health").status == 200  # declared as not limited


def test_a_protocol_s_own_error_form_wins_on_its_own_paths(served: Served) -> None:
    assert served.get("/own/x").body == b"method-not-allowed"
    assert served.get("/own/x").get("allow") == "OPTIONS, POST"
    assert post(served, "/own/x", "a", "Content-Type: text/plain").body == b"unsupported-media-type"
    served.edge.limiter.refuse_address = True  # type: ignore[attr-defined]
    limited = post(served, "/own/x", "a", "Content-Type: application/x")
    assert (limited.body, limited.get("retry-after")) == (b"rate-limited", "7")
    served.edge.limiter.refuse_address = False  # type: ignore[attr-defined]
    served.edge.barrier.sealed = True  # type: ignore[misc]
    assert post(served, "/own/x", "a").body == b"sealed"


def test_plain_has_only_what_is_declared_for_it(served: Served) -> None:
    assert post(served, "/own/x", "a", "Content-Type: application/x", kind=Listener.PLAIN).status == 200
    for path in ("/service/api/v1/health", "/service/api/v1/who", "/admin/v1/livez"):
        assert served.get(path, kind=Listener.PLAIN).status == 404
    assert served.get("/admin/v1/livez").status == 404
    assert served.get("/service/api/v1/health", kind=Listener.ADMIN).status == 404


# --- who may enter


def test_programs(served: Served) -> None:
    path = "/service/api/v1/who"
    refused = served.get(path)
    assert (refused.status, refused.get("www-authenticate")) == (401, 'Bearer realm="test"')
    assert served.get(path, PROGRAM).body == b"program"
    assert served.get(path, COOKIE).status == 401
    assert served.get(path, PROGRAM, COOKIE).body == b"program"  # the harness asserts that the cookie is gone
    assert post(served, path, "", PROGRAM).body == b"program"  # nothing to forge
    assert served.get("/service/api/v1/reader", PROGRAM).status == 200
    missing = served.get("/service/api/v1/writer", PROGRAM)
    assert (missing.status, "write" in missing.json["detail"]) == (403, True)
    for name in ("Site", "Mode", "Dest", "User"):
        assert served.get(path, PROGRAM, f"Sec-Fetch-{name}: x").status == 403
    assert served.edge.limiter.principals  # type: ignore[attr-defined]
    served.edge.limiter.refuse_principal = True  # type: ignore[attr-defined]
    assert served.get(path, PROGRAM).get("retry-after") == "9"


def test_people(served: Served) -> None:
    path = "/browser/api/v1/who"
    assert served.get(path).status == 401
    assert served.get(path, COOKIE).body == b"person"
    assert served.get(path, COOKIE, PROGRAM).status == 401
    assert post(served, path, "", COOKIE).status == 403
    assert post(served, path, "", COOKIE, "X-CSRF-Token: csrf").status == 200
    same = ("Origin: https://localhost", "Sec-Fetch-Site: same-origin")
    assert post(served, path, "", COOKIE, "X-CSRF-Token: csrf", *same).status == 200
    for foreign in (("Origin: https://evil.test",), ("Origin: null",), ("Origin: http://localhost",)):
        assert post(served, path, "", COOKIE, "X-CSRF-Token: csrf", *foreign).status == 403
        assert post(served, "/browser/api/v1/open", "", *foreign).status == 403  # a login can be forged too


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_to_pages_and_nothing_else(served: Served, site: str) -> None:
    fetch = (f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
    link = (f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    frame = (f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
    assert served.get("/browser/page", *link).status == 200
    assert served.get("/browser/page", *fetch).status == 403
    assert served.get("/browser/page", *frame).status == 403
    assert served.get("/browser/api/v1/who", COOKIE, *link).status == 403
    assert served.get("/browser/api/v1/who", COOKIE, "Sec-Fetch-Site: same-origin").status == 200


def test_cors_is_for_configured_origins_only(serve: Serve) -> None:
    settings = ServiceSettings(profile="test", cors=CorsSettings(origins=("https://App.example.test",)))
    served = serve(*ROUTES, settings=settings)
    path, fetch = "/browser/api/v1/who", "Sec-Fetch-Site: cross-site"
    friend = served.get(path, COOKIE, "Origin: https://app.example.test", fetch)
    assert friend.status == 200
    assert friend.get("access-control-allow-origin") == "https://app.example.test"
    assert friend.get("access-control-allow-credentials") == "true"
    assert friend.get("vary") == "Origin"
    stranger = served.get(path, COOKIE, "Origin: https://evil.test", fetch)
    assert stranger.status == 403
    assert not stranger.get("access-control-allow-origin")
    ask = ("Access-Control-Request-Method: POST", fetch)
    preflight = served.ask(head("OPTIONS", path, "Origin: https://app.example.test", *ask))
    assert preflight.status == 204
    assert "POST" in preflight.get("access-control-allow-methods")
    assert preflight.get("access-control-max-age") == "600"
    assert not served.ask(head("OPTIONS", path, "Origin: https://evil.test", *ask)).get("access-control-allow-origin")
    unauthenticated = served.get(path, "Origin: https://app.example.test", fetch)
    assert (unauthenticated.status, unauthenticated.get("access-control-allow-origin")) == (
        401, "https://app.example.test",
    )  # fmt: skip
    assert not served.get("/service/api/v1/health", "Origin: https://app.example.test").get(
        "access-control-allow-origin"
    )


def test_only_allowed_networks(serve: Serve) -> None:
    def only(network: str) -> ServiceSettings:
        return ServiceSettings(profile="test", network=NetworkSettings(allowed=(network,)))

    outside = serve(*ROUTES, settings=only("192.0.2.0/24"))
    assert outside.get("/service/api/v1/health").status == 403
    assert outside.get("/admin/v1/livez", kind=Listener.ADMIN).status == 200
    inside = serve(*ROUTES, settings=only("127.0.0.0/8"))
    assert inside.get("/service/api/v1/health").status == 200


# --- validation


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ("{}", ["#/name"]),
        ('{"name": "toolong", "sizes": [1, "2"]}', ["#/name", "#/sizes/1"]),
        ('{"name": "a", "a/b~": 1}', ["#/a~1b~0"]),
        ("[]", ["#"]),
    ],
)
def test_invalid_bodies_name_every_place(served: Served, body: str, pointers: list[str]) -> None:
    answer = post(served, "/service/api/v1/items", body, PROGRAM, "Content-Type: application/json")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == pointers
    assert "toolong" not in answer.body.decode()  # values are not quoted


def test_bodies(served: Served) -> None:
    path, kind = "/service/api/v1/items", "Content-Type: application/json; charset=utf-8"
    assert post(served, path, '{"name": "a", "sizes": [1]}', PROGRAM, kind).json == {"name": "a", "sizes": [1]}
    assert post(served, path, "{", PROGRAM, kind).status == 400
    assert post(served, path, "", PROGRAM, kind).status == 400
    assert post(served, path, '{"name": "a"}', PROGRAM).status == 415
    assert post(served, path, '{"name": "a"}', PROGRAM, "Content-Type: text/json").status == 415
    assert post(served, path, "[" * 100_000, PROGRAM, kind).status == 400
    assert post(served, path, "{", kind).status == 401  # nothing is parsed for strangers


def test_queries(served: Served) -> None:
    path = "/service/api/v1/items"
    assert served.get(f"{path}?limit=5&tags=a&tags=b", PROGRAM).json == {"limit": 5, "tags": ["a", "b"]}
    for query in ("limit=x", "limit=101", "nothing=1", "limit=1&limit=2"):
        answer = served.get(f"{path}?{query}", PROGRAM)
        assert answer.status == 422
        assert answer.json["errors"][0]["parameter"] == query.partition("=")[0]


# --- answers


def test_conditional_requests(served: Served) -> None:
    path = "/service/api/v1/tagged"
    for condition in ('If-None-Match: "v1"', 'If-None-Match: "x", W/"v1"', "If-None-Match: *",
                      "If-Modified-Since: Tue, 24 Nov 2026 00:00:00 GMT"):  # fmt: skip
        answer = served.get(path, condition)
        assert (answer.status, answer.body, answer.get("etag")) == (304, b"", '"v1"')
        assert not answer.get("content-type")
    for condition in ('If-None-Match: "v2"', "If-Modified-Since: Mon, 23 Nov 2026 23:59:59 GMT", "If-Modified-Since: x",
                      'If-None-Match: "v2"\r\nIf-Modified-Since: Tue, 24 Nov 2026 00:00:00 GMT'):  # fmt: skip
        assert served.get(path, condition).status == 200


def test_security_headers(served: Served) -> None:
    for path in ("/service/api/v1/health", "/browser/api/v1/health", "/browser/page", "/nowhere"):
        answer = served.get(path)
        assert answer.get("x-content-type-options") == "nosniff"
        assert answer.get("cache-control") == "no-store"
        assert "frame-ancestors 'none'" in answer.get("content-security-policy")
        # a browser's form says "Origin: null" under no-referrer, and would be refused
        assert answer.get("referrer-policy") == ("same-origin" if path == "/browser/page" else "no-referrer")
        assert answer.get("strict-transport-security") == "max-age=31536000"
        assert len(answer.all("cache-control")) == 1
    style = served.get("/browser/style")
    assert style.all("cache-control") == ["public, max-age=60"]
    assert style.all("content-security-policy") == ["sandbox"]
    plain = post(served, "/own/x", "a", "Content-Type: application/x", kind=Listener.PLAIN)
    assert not plain.get("strict-transport-security")


def test_phases(served: Served) -> None:
    for phase in (Phase.STARTING, Phase.DRAINING):
        served.edge.phase = phase
        answer = served.get("/service/api/v1/health")
        assert (answer.status, answer.get("retry-after")) == (503, "2")
        assert served.get("/admin/v1/livez", kind=Listener.ADMIN).status == 200
    served.edge.phase = Phase.READY
    served.edge.barrier.sealed = True  # type: ignore[misc]
    assert served.get("/service/api/v1/health").json["type"].endswith("sealed")
    assert served.get("/admin/v1/livez", kind=Listener.ADMIN).status == 200


# --- admin


def test_the_admin_listener_is_for_local_programs(served: Served) -> None:
    for name in ("localhost", "127.0.0.1", "127.0.0.1:9090", "[::1]:9090", "LOCALHOST:1"):
        assert served.ask(f"GET /admin/v1/livez HTTP/1.1\r\nHost: {name}\r\n\r\n", Listener.ADMIN).status == 200
    for name in ("evil.test", "evil.test:9090", "127.0.0.1.evil.test", "localhost.evil.test:80", "", "192.0.2.1"):
        assert served.ask(f"GET /admin/v1/livez HTTP/1.1\r\nHost: {name}\r\n\r\n", Listener.ADMIN).status == 403
    for header in ("Origin: https://localhost", "Sec-Fetch-Site: none"):
        assert served.get("/admin/v1/livez", header, kind=Listener.ADMIN).status == 403
    assert served.get("/admin/v1/nothing", kind=Listener.ADMIN).status == 404
    assert served.ask(head("POST", "/admin/v1/livez"), Listener.ADMIN).status == 405


def test_readyz_names_each_check(serve: Serve) -> None:
    state = {"database": True}

    def database() -> None:
        if not state["database"]:
            raise Fault(FaultKind.UNAVAILABLE, "connection refused at 10.0.0.1", "database is away")

    def optional() -> None:
        raise RuntimeError("secret")

    served = serve(checks=(Check("database", database), Check("other", optional, required=False)))
    answer = served.get("/admin/v1/readyz", kind=Listener.ADMIN)
    assert answer.status == 200
    assert answer.json["status"] == "ready"
    one, other = answer.json["checks"]
    assert (one["name"], one["state"], one["required"]) == ("database", "ok", True)
    assert one["duration_ms"] >= 0
    assert (other["name"], other["state"], other["reason"]) == ("other", "failed", "RuntimeError")
    state["database"] = False
    answer = served.get("/admin/v1/readyz", kind=Listener.ADMIN)
    assert (answer.status, answer.json["checks"][0]["reason"]) == (503, "database is away")
    state["database"] = True
    served.edge.phase = Phase.DRAINING
    assert served.get("/admin/v1/readyz", kind=Listener.ADMIN).status == 503


def test_a_check_that_hangs_is_reported_and_does_not_stack_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycryptoutil.service.health.PATIENCE", 0.05)
    go = threading.Event()
    runs: list[int] = []

    def hang() -> None:
        runs.append(1)
        go.wait(PATIENCE)

    served = serve(checks=(Check("slow", hang),))
    for _ in range(3):
        answer = served.get("/admin/v1/readyz", kind=Listener.ADMIN)
        assert (answer.status, answer.json["checks"][0]["state"]) == (503, "timeout")
    assert len(runs) == 1
    go.set()


def test_metrics(served: Served) -> None:
    for _ in range(3):
        served.get("/service/api/v1/health")
    served.get("/nowhere-" + "x" * 50)
    text = served.get("/admin/v1/metrics", kind=Listener.ADMIN)
    assert text.get("content-type").startswith("text/plain; version=0.0.4")
    body = text.body.decode()
    assert 'http_requests_total{listener="public",method="GET",route="health",status="200"} 3.0' in body
    assert 'http_request_duration_seconds_count{listener="public",method="GET",route="health"} 3.0' in body
    assert 'route="unmatched",status="404"' in body
    assert "nowhere" not in body  # paths of strangers are no label
    for name in ("process_cpu_seconds_total", "python_info"):
        assert name in body


def test_admin_bodies_are_small_and_validated(served: Served) -> None:
    too_large = post(served, "/admin/v1/barrier/unseal", "x" * 5000, kind=Listener.ADMIN)
    assert too_large.status == 413
    kind = "Content-Type: application/json"
    for body in ('{"level": "all"}', "{}", '{"level": "root", "x": 1}'):
        assert post(served, "/admin/v1/barrier/rotate", body, kind, kind=Listener.ADMIN).status == 422


def test_shutdown_is_answered_and_then_happens(served: Served, tmp_path: Path) -> None:
    asked = threading.Event()
    served.edge.admin_state = admin.AdminState(
        served.edge.barrier, served.edge.admin_state.health, served.edge.metrics, on_shutdown=asked.set
    )
    answer = served.ask(head("POST", "/admin/v1/shutdown"), Listener.ADMIN)
    assert (answer.status, answer.json) == (202, {"status": "draining"})
    until(asked.is_set, "told")

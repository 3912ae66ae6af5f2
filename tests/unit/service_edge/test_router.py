"""Where routes are mounted, and what is refused at start."""

from __future__ import annotations

from typing import Any

import pytest

from pycryptoutil.errors import StartupError
from pycryptoutil.http.message import Listener, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.router import MAX_REMEMBERED, Router, Side


def route(name: str, path: str, gate: Gate = Gate.PROTOCOL, methods: tuple[str, ...] = ("GET",), **more: Any) -> Route:
    return Route(name, methods, path, lambda _c, _r: Response(200), gate=gate, **more)


def router(*routes: Route, listener: Listener = Listener.PUBLIC) -> Router:
    return Router(routes, listener, "/admin/v1")


def test_mounts() -> None:
    table = router(
        route("api", "/a", Gate.API), route("service", "/s", Gate.SERVICE), route("browser", "/b", Gate.BROWSER),
        route("page", "/p", Gate.PAGE), route("protocol", "/x"), route("admin", "/z", Gate.ADMIN),
    )  # fmt: skip
    assert {resource.pattern: resource.side for resource in table.resources} == {
        "/service/api/v1/a": Side.SERVICE,
        "/browser/api/v1/a": Side.BROWSER,
        "/service/api/v1/s": Side.SERVICE,
        "/browser/api/v1/b": Side.BROWSER,
        "/browser/p": Side.PAGE,
        "/x": Side.PROTOCOL,
    }
    admin = router(route("api", "/a", Gate.API), route("admin", "/z", Gate.ADMIN), listener=Listener.ADMIN)
    assert [resource.pattern for resource in admin.resources] == ["/admin/v1/z"]


def test_listeners() -> None:
    both = route("both", "/both", listeners=frozenset({Listener.PUBLIC, Listener.PLAIN}))
    plain = route("plain", "/plain", listeners=frozenset({Listener.PLAIN}))
    secure = route("secure", "/secure")
    assert {one.pattern for one in router(both, plain, secure).resources} == {"/both", "/secure"}
    assert {one.pattern for one in router(both, plain, secure, listener=Listener.PLAIN).resources} == {
        "/both",
        "/plain",
    }


def test_parameters_and_slashes() -> None:
    table = router(route("ocsp", "/ocsp/<ca>/<path:request>"), route("one", "/one/<name>"), route("dir", "/dir/"))
    found = table.find("/ocsp/issuing/MEUw//a/b==")
    assert found is not None
    assert found.parameters == {"ca": "issuing", "request": "MEUw//a/b=="}
    for path in ("/one/", "/one/a/b", "/one/a/", "//one/a", "/dir", "/dir//", "/ocsp/issuing", "", "one/a"):
        assert table.find(path) is None, path
    assert table.find("/dir/") is not None


def test_head_follows_get_and_methods_join() -> None:
    table = router(route("get", "/a"), route("put", "/a", methods=("PUT",)))
    resource = table.resources[0]
    assert set(resource.methods) == {"GET", "HEAD", "PUT"}
    assert resource.allow == "GET, HEAD, OPTIONS, PUT"


def test_collisions_are_refused_at_start() -> None:
    with pytest.raises(StartupError, match="routed twice"):
        router(route("a", "/x"), route("b", "/x"))
    with pytest.raises(StartupError, match="same path"):
        router(route("a", "/x/<one>"), route("b", "/x/<two>", methods=("PUT",)))


def test_remembered_paths_are_bounded() -> None:
    table = router(route("one", "/one/<name>"))
    for number in range(MAX_REMEMBERED + 10):
        assert table.find(f"/one/{number}") is not None
    assert len(table._remembered) <= MAX_REMEMBERED
    table.find("/one/" + "x" * 2000)
    assert not any(len(path) > 600 for path in table._remembered)

"""Pages: they work without a script, load nothing from outside, and lead nowhere else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pycryptoutil.service.pages import safe_next
from tests.support.door import Caller, Door


class Links(HTMLParser):
    """Collects what a page refers to, and what it would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self.labelled: set[str] = set()
        self.inputs: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src", "action"}:
                self.urls.append(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(name)
        if tag in {"script", "style"}:
            self.inline.append(tag)
        given = dict(attrs)
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag == "input" and given.get("type") != "hidden":
            self.inputs.add(given.get("id") or "")


def test_public_pages_are_whole_and_self_contained(small_door: Door) -> None:
    for path in ("/", "/login", "/docs"):
        answer = small_door.page.get(path)
        assert answer.status == 200
        assert answer.headers.get("content-type").startswith("text/html")
        policy = answer.headers.get("content-security-policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        found = Links(answer.text)
        assert found.inline == []
        assert all(url.startswith(("/browser/", "#")) for url in found.urls), found.urls
        assert found.inputs <= found.labelled
        for url in found.urls:
            if url.startswith("/browser/") and "logout" not in url:
                assert Caller(small_door, "").get(url).status == 200, url


def test_anchors_of_the_viewer_lead_somewhere(small_door: Door) -> None:
    text = small_door.page.get("/docs").text
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    for operation in ("listPets", "createOrder", "login", "createToken"):
        assert operation in ids


def test_log_in_and_out_by_forms(door: Door) -> None:
    form = {"username": "admin", "password": door.first[0].password, "next": "/browser/docs"}
    answer = door.page.post("/login", form=form)
    assert answer.status == 303
    assert answer.headers.get("location") == "/browser/docs"
    visitor = door.page.with_headers(("Cookie", f"__Host-session={answer.cookie}"))
    home = visitor.get("/").text
    assert ">admin<" in home
    token = re.search(r'name="csrf_token" value="([^"]+)"', home)
    assert token is not None
    assert visitor.post("/logout", form={"csrf_token": "x"}).status == 403
    assert visitor.post("/logout", form={}).status in {403, 415}
    out = visitor.post("/logout", form={"csrf_token": token[1]})
    assert (out.status, out.headers.get("location")) == (303, "/browser/login")
    assert ">admin<" not in visitor.get("/").text


def test_a_wrong_password_shows_the_form_again(small_door: Door) -> None:
    name = '"><script>alert(1)</script>'
    answer = small_door.page.post("/login", form={"username": name, "password": "wrong password"})
    assert answer.status == 401
    assert "Wrong user name or password." in answer.text
    assert "<script>" not in answer.text
    assert "wrong password" not in answer.text
    assert small_door.page.post("/login", form={"username": "", "password": ""}).status == 422


def test_who_is_not_logged_in_is_sent_to_the_form(small_door: Door) -> None:
    answer = small_door.page.post("/logout", form={"csrf_token": "x"})
    assert answer.status == 401
    assert answer.headers.get("content-type").startswith("text/html")
    assert small_door.page.get("").headers.get("location") == "/browser/"


@pytest.mark.parametrize(
    "text",
    ["", "https://evil.example/", "//evil.example", "/browser//evil.example", "/browser/\\evil", "/elsewhere",
     "javascript:alert(1)", "/browser/api/v1/me", "/browser/../x", "/browser/x?y", "/browser/\r\nX: y"],
)  # fmt: skip
def test_a_login_leads_to_no_other_site(text: str) -> None:
    assert safe_next(text) == "/browser/"


def test_a_login_leads_back() -> None:
    assert safe_next("/browser/docs") == "/browser/docs"


@pytest.mark.parametrize("name", ["nothing.css", "..", "../templates/layout.html", "layout.html", "%2e%2e"])
def test_only_the_static_files_are_served(small_door: Door, name: str) -> None:
    assert small_door.page.get(f"/static/{name}").status == 404


def test_static_files_and_the_document_are_cached_by_tag(small_door: Door) -> None:
    for caller, path in ((small_door.page, "/static/style.css"), (small_door.anonymous, "/openapi.json")):
        first = caller.get(path)
        assert first.status == 200
        again = caller.get(path, headers={"If-None-Match": first.headers.get("etag")})
        assert (again.status, again.body) == (304, b"")


def test_the_root_leads_to_the_landing_page(small_door: Door) -> None:
    answer = Caller(small_door, "").get("/")
    assert (answer.status, answer.headers.get("location")) == (303, "/browser/")
    assert Caller(small_door, "").post("/", {}).status == 405


def test_a_service_with_a_root_of_its_own_keeps_it(small_door: Door) -> None:
    from dataclasses import replace

    from pycryptoutil.http.message import Response
    from pycryptoutil.http.route import Gate, Route
    from pycryptoutil.service.api import template_routes

    own = Route("spa", ("GET",), "/", lambda _context, _request: Response(200), Gate.PROTOCOL, None)
    definition = replace(small_door.definition, routes=(own,))
    assert "root" not in {route.name for route in template_routes(small_door.access, definition)}

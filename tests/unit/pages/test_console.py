"""The CA's pages as a person uses them: what they show, what they change, and what they refuse."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import text

from pycryptoutil.authority import IssueOrder, RevocationReason
from pycryptoutil.services.pki_ca import SERVICE
from pycryptoutil.services.pki_ca.pages.webhooks import TYPES, WebhookForm, field_of
from tests.support.authority import csr
from tests.support.door import Caller, Door
from tests.unit.pages.conftest import Console, log_in, person

HOSTILE = '"><script>alert(1)</script>'
PATHS = (
    "/dashboard",
    "/certificates",
    "/approvals",
    "/credentials",
    "/credentials/new",
    "/profiles",
    "/new-profile",
    "/profiles/tls-server",
    "/profiles/tls-server/edit",
    "/authorities",
    "/authorities/issuing",
    "/audit",
    "/audit/verification",
    "/account",
    "/webhooks",
    "/webhooks/new",
)


class Shape(HTMLParser):
    """What makes a page accessible, as far as it can be read off its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.foreign: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: set[str] = set()
        self.headings: list[str] = []
        self.unscoped = 0
        self.tables = self.captions = self.forms = self.tokens = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag in {"script", "style"}:
            self.inline.append(tag)
        self.foreign += [url for name in ("href", "src", "action") if (url := given.get(name) or "")[:1] not in "/#"]
        if given.get("id"):
            self.ids.append(given["id"] or "")
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.unscoped += tag == "th" and "scope" not in given
        self.forms += tag == "form" and given.get("method") == "post"
        self.tokens += given.get("name") == "csrf_token"
        if tag == "label":
            self.labels.add(given.get("for") or "")
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            self.fields.add(given.get("id") or "")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(tag)


def test_every_page_is_whole(console: Console) -> None:
    console.issue("a.example.test")
    for path in PATHS:
        check_whole(console, path)


def check_whole(console: Console, path: str) -> None:
    answer = console.get(path)
    assert answer.status == 200, path
    policy = answer.headers.get("content-security-policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers.get("cache-control") == "no-store"
    shape = Shape(answer.text)
    assert shape.inline == []
    assert shape.foreign == []
    assert len(shape.ids) == len(set(shape.ids))
    assert shape.fields <= shape.labels
    assert shape.headings.count("h1") == 1
    assert shape.unscoped == 0
    assert shape.tables == shape.captions
    assert shape.forms == shape.tokens >= 1


def test_a_login_leads_to_the_dashboard(door: Door, console: Console) -> None:
    assert console.get("/").headers.get("location") == "/browser/dashboard"
    assert door.page.get("/dashboard").headers.get("location") == "/browser/login?next=/browser/dashboard"
    nobody = person(door, "nobody", "audit:read")
    assert nobody.get("/").status == 200  # no page of the service's own is for them
    assert nobody.get("/dashboard").status == 403


def test_the_dashboard_counts(console: Console) -> None:
    issued = [console.issue(f"n{index}.example.test") for index in range(3)]
    console.authority.revoke(console.door.tenant_id, issued[0].serial, RevocationReason.SUPERSEDED, None, "test")
    text = console.get("/dashboard").text
    assert "Issued and revoked from" in text
    assert re.search(r'internal-tls</th><td class="right">3</td>', text)
    assert re.search(r'href="/browser/certificates\?status=revoked">1<', text)


def test_a_search_narrows_and_pages(console: Console) -> None:
    for index in range(52):
        console.issue(f"host-{index:02}.example.test")
    console.issue("other.example.test")
    first = console.get("/certificates?contains=HOST-&profile=internal-tls&status=&authority=").text
    assert "other.example.test" not in first
    assert first.count("<tr>") == 51
    following = re.search(r'rel="next" href="/browser([^"]+)"', first)
    assert following is not None
    assert "contains=HOST-" in following[1]
    second = console.get(html.unescape(following[1])).text
    assert second.count("<tr>") == 3
    assert len({*re.findall(r"dns:(host-\d\d)", first), *re.findall(r"dns:(host-\d\d)", second)}) == 52
    assert "First page" in second
    assert "No certificate fits" in console.get("/certificates?contains=nothing-like-it").text
    assert console.get("/certificates?within=7&profile=internal-tls").text.count("<tr>") == 0


def test_a_wrong_condition_is_said_beside_its_field(console: Console) -> None:
    cases: tuple[tuple[Any, ...], ...] = (
        ("status=odd", "f-status"),
        ("expires_from=2026-13-01", "f-expires_from"),
        ("authority=nobody", "no such authority"),
        ("within=-1", "f-within"),
        (f"contains={'x' * 300}", "f-contains"),
        ("cursor=zzz", "cursor of this list"),
        ("odd=1", "no such field"),
    )
    for query, message in cases:
        answer = console.get(f"/certificates?{query}")
        assert answer.status == 422
        assert message in answer.text
        assert console.get("/certificates?status=valid&status=held").status == 400


def test_a_certificate_is_shown_whole(console: Console) -> None:
    issued = console.issue("a.example.test", "b.example.test", subject="CN=a.example.test")
    text = console.get(f"/certificates/{issued.serial}").text
    for wanted in ("dns:a.example.test", "dns:b.example.test", "internal-tls", "Key usage", "digitalSignature",
                   "Authority key identifier", "CN=Root CA", "BEGIN CERTIFICATE", "serverAuth"):  # fmt: skip
        assert wanted in text
    pem = console.get(f"/certificates/{issued.serial}/pem")
    assert pem.headers.get("content-disposition") == f'attachment; filename="{issued.serial}.pem"'
    assert pem.body.startswith(b"-----BEGIN CERTIFICATE-----")
    assert console.get(f"/certificates/{issued.serial}/chain").body.count(b"BEGIN CERTIFICATE") == 3
    missing = console.get("/certificates/ffff")
    assert missing.status == 404
    assert "request-1" in missing.text


def test_revoke_hold_and_release(console: Console) -> None:
    serial = console.issue("a.example.test").serial
    held = console.send(f"/certificates/{serial}/revoke?authority=issuing", reason="certificateHold")
    assert held.status == 303
    assert held.headers.get("location") == f"/browser/certificates/{serial}?authority=issuing&done=held"
    shown = console.get(f"/certificates/{serial}?authority=issuing&done=held").text
    assert "The certificate is on hold." in shown
    assert "Release the hold" in shown
    assert console.send(f"/certificates/{serial}/release").status == 303
    sent = console.send(f"/certificates/{serial}/revoke", reason="keyCompromise", invalidity_date="2025-12-30T03:04")
    assert sent.status == 303
    record = console.authority.certificate(console.door.tenant_id, serial)
    assert record.reason is RevocationReason.KEY_COMPROMISE
    assert record.invalidity_date is not None
    assert record.invalidity_date.isoformat() == "2025-12-30T03:04:00+00:00"
    again = console.send(f"/certificates/{serial}/revoke", reason="superseded")
    assert again.status == 422
    assert "revoked already" in again.text
    (event,) = [one for one in console.door.admin.get("/audit/events?action=certificate.revoke").json["items"]
                if one["details"]["reason"] == "keyCompromise"]  # fmt: skip
    assert event["actor"] == "user:admin"


def test_a_wrong_revocation_shows_the_form_again(console: Console) -> None:
    cases: tuple[tuple[Any, ...], ...] = (
        ({}, "Fill this in."),
        ({"reason": "because"}, "f-reason"),
        ({"reason": "cACompromise"}, "for CA certificates"),
        ({"reason": "superseded", "invalidity_date": "2999-01-01T00:00"}, "in the future"),
        ({"reason": "superseded", "extra": "1"}, "no such field"),
    )
    for fields, message in cases:
        serial = console.issue("a.example.test").serial
        answer = console.send(f"/certificates/{serial}/revoke", **fields)
        assert answer.status == 422
        assert message in answer.text
        assert console.authority.certificate(console.door.tenant_id, serial).revoked_at is None


def test_forms_without_the_token_change_nothing(console: Console) -> None:
    serial = console.issue("a.example.test").serial
    for path, fields in (
        (f"/certificates/{serial}/revoke", {"reason": "superseded"}),
        ("/credentials/new", {"profile": "internal-tls"}),
        ("/profiles/tls-server/edit", {"document": "x"}),
        ("/authorities/issuing/disable", {}),
        ("/authorities/issuing/publish", {}),
    ):
        for token in ("", "x" * 43, log_in(console.door).token):
            answer = console.send(path, token, **fields)
            assert answer.status == 403, path
            assert "not made by a page of this site" in answer.text
    foreign = console.visitor.with_headers(("Origin", "https://evil.example"))
    assert foreign.post(f"/certificates/{serial}/revoke", form={"csrf_token": console.token}).status == 403
    assert console.authority.certificate(console.door.tenant_id, serial).revoked_at is None
    assert console.authority.credential_list(console.door.tenant_id) == []


def test_nobody_sees_or_uses_a_button_that_is_not_theirs(door: Door, console: Console) -> None:
    serial = console.issue("a.example.test").serial
    reader = person(door, "reader", "pki:read")
    for path, button in (
        (f"/certificates/{serial}", "/revoke"),
        ("/credentials", "/credentials/new"),
        ("/profiles", "/new-profile"),
        ("/profiles/tls-server", "/edit"),
        ("/authorities/issuing", "/publish"),
        ("/authorities/issuing", "/disable"),
    ):
        assert button not in reader.get(path).text
        assert button in console.get(path).text
    for path in (f"/certificates/{serial}/revoke", f"/certificates/{serial}/release", "/credentials/new",
                 "/credentials/x/withdraw", "/profiles/tls-server/edit", "/profiles/tls-server/delete", "/new-profile",
                 "/authorities/issuing/publish", "/authorities/issuing/disable", "/approvals/x/decision"):  # fmt: skip
        answer = reader.send(path, reason="superseded")
        assert answer.status == 403, path
        assert answer.headers.get("content-type").startswith("text/html")
        assert "This needs the scope" in answer.text
    assert "Audit</a>" not in reader.get("/dashboard").text
    assert reader.get("/audit").status == 403


def test_another_tenant_sees_nothing(door: Door, console: Console) -> None:
    issued = console.issue("a.example.test")
    _, made = door.tenant("other")
    stranger = log_in(door, f"other/{made['username']}", made["password"])
    assert stranger.get(f"/certificates/{issued.serial}").status == 404
    assert "a.example.test" not in stranger.get("/certificates").text
    assert stranger.send(f"/certificates/{issued.serial}/revoke", reason="superseded").status == 404


def test_a_credential_is_made_shown_once_and_withdrawn(console: Console) -> None:
    made = console.send(
        "/credentials/new",
        profile="internal-tls",
        dns="*.example.test\nexample.test",
        wildcards="true",
        est="true",
        max_uses="5",
        expires_on="2030-12-31",
        description=HOSTILE,
    )
    assert made.status == 200
    assert made.headers.get("cache-control") == "no-store"
    password = re.search(r'Password</dt><dd><code class="secret">([^<]+)<', made.text)
    assert password is not None
    (found,) = console.authority.credential_list(console.door.tenant_id)
    assert found.names.dns == ("*.example.test", "example.test")
    assert found.names.wildcards
    assert found.protocols == ("est",)
    assert found.expires_at.isoformat().startswith("2030-12-31T23:59:59")
    tenant = console.door.tenant_id
    assert console.authority.credential_authenticate(tenant, found.username, password[1], "est").id == found.id
    for path in ("/credentials", f"/credentials/{found.id}"):
        text = console.get(path).text
        assert password[1] not in text
        assert "<script>" not in text
        assert html.escape(HOSTILE).replace("&quot;", "&#34;") in text
    assert (
        console.send(f"/credentials/{found.id}/withdraw").headers.get("location")
        == "/browser/credentials?done=withdrawn"
    )
    assert console.get(f"/credentials/{found.id}").status == 404


def test_a_wrong_credential_keeps_what_was_filled_in(console: Console) -> None:
    cases: tuple[tuple[Any, ...], ...] = (
        ({}, "profile"),
        ({"profile": "nothing"}, ""),
        ({"profile": "root-ca"}, "profile"),
        ({"profile": "internal-tls", "max_uses": "many"}, "max_uses"),
        ({"profile": "internal-tls", "ip": "10.0.0.0/99"}, ""),
        ({"profile": "internal-tls", "expires_on": "2000-01-01"}, "expires_on"),
    )
    for fields, field in cases:
        answer = console.send("/credentials/new", description="for the web", **fields)
        assert answer.status == 422
        assert 'value="for the web"' in answer.text
        if field:
            assert f'id="e-{field}"' in answer.text
        assert console.authority.credential_list(console.door.tenant_id) == []


def test_a_profile_is_written_edited_and_deleted(console: Console) -> None:
    document = console.authority.profile_document(console.door.tenant_id, "internal-tls")
    own = document.replace("name: internal-tls", "name: mine").replace("\n", "\r\n")  # as browsers send it
    assert console.send("/new-profile", name="mine", document=own).headers.get("location") == (
        "/browser/profiles/mine?done=profile-saved"
    )
    assert "your own" in console.get("/profiles/mine").text
    assert "\r" not in console.authority.profile_document(console.door.tenant_id, "mine")
    wrong = console.send("/profiles/mine/edit", document=own + "\nodd_key: 1\n")
    assert wrong.status == 422
    assert "odd_key" in wrong.text
    assert 'id="e-document"' in wrong.text
    assert console.send("/new-profile", name="tls-server", document=own).status == 422
    assert console.send("/new-profile", name="Odd Name", document=own).status == 422
    assert console.send("/profiles/mine/delete").status == 303
    assert console.get("/profiles/mine").status == 404


def test_authorities_publish_stop_and_start(console: Console) -> None:
    crls, tenant = console.door.edge.state.crl, console.door.tenant_id
    console.send("/authorities/issuing/publish")
    authority = console.authority.authority(tenant, "issuing")
    before = crls.head(tenant, authority.id).number
    assert console.send("/authorities/issuing/publish").status == 303
    assert crls.head(tenant, authority.id).number > before
    assert "fresh" in console.get("/authorities").text
    console.send("/authorities/issuing/disable")
    assert "disabled" in console.get("/authorities/issuing").text
    assert console.send("/authorities/issuing/enable").status == 303
    assert console.get("/authorities/issuing/chain").body.count(b"BEGIN CERTIFICATE") == 2


def test_requests_are_approved_and_rejected(door: Door, console: Console) -> None:
    tenant = door.tenant_id
    document = console.authority.profile_document(tenant, "internal-tls").replace("name: internal-tls", "name: asked")
    console.authority.put_profile(tenant, "asked", f"{document}\napprovals: 1\n", "test")
    for name in ("yes.example.test", "no.example.test"):
        sent = door.admin.post("/certificates", {"profile": "asked", "csr": csr_pem(name)})
        assert sent.status == 202, sent.text
    assert 'href="/browser/approvals">2<' in console.get("/dashboard").text
    listed = console.get("/approvals").text
    ids = re.findall(r'href="/browser/approvals/([0-9a-f]+)">CN=([a-z]+)', listed)
    assert len(ids) == 2
    for identifier, name in ids:
        shown = console.get(f"/approvals/{identifier}").text
        assert "BEGIN CERTIFICATE REQUEST" in shown
        assert f"dns:{name}.example.test" in shown
        decision = "approve" if name == "yes" else "reject"
        answer = console.send(f"/approvals/{identifier}/decision", decision=decision, comment="seen")
        assert answer.headers.get("location", "").endswith("approved-issued" if name == "yes" else "rejected")
    assert "Nothing waits for approval" in console.get("/approvals").text
    assert console.get("/approvals?state=issued").text.count("<tr>") == 2
    over = console.send(f"/approvals/{ids[0][0]}/decision", decision="reject" if ids[0][1] == "yes" else "approve")
    assert over.status == 422
    assert console.send(f"/approvals/{ids[0][0]}/decision", decision="perhaps").status == 422


def csr_pem(name: str) -> str:
    from pycryptoutil_protocols import pem

    der = csr(name, cn=name)
    return pem.encode_pem("CERTIFICATE REQUEST", der).decode()


def test_hostile_names_stay_text(console: Console) -> None:
    """A subject that a profile lets through, an actor, a search: all of them come out as text."""
    profile = console.authority.profile_document(console.door.tenant_id, "device")
    assert "name: device" in profile
    subject = r"CN=\<img src\=x onerror\=alert(1)\>"
    issued = console.issue(subject=subject, profile="device")
    for path in (f"/certificates/{issued.serial}", "/certificates?contains=%3Cimg", "/dashboard"):
        text = console.get(path).text
        assert "<img" not in text
        if path != "/dashboard":
            assert "&lt;img" in text
    for query in ("contains", "requester", "serial"):
        assert "<script>" not in console.get(f"/certificates?{query}=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>" not in console.get("/audit?actor=%3Cscript%3E&done=%3Cscript%3E").text
    assert "<script>" not in console.get("/dashboard?done=%3Cscript%3E").text


def test_the_audit_is_filtered_and_proved(console: Console) -> None:
    serial = console.issue("a.example.test").serial
    console.send(f"/certificates/{serial}/revoke", reason="superseded")
    shown = console.get("/audit?action=certificate.&outcome=success").text
    assert "certificate.revoke" in shown
    assert "session.create" not in shown
    assert "No event fits" in console.get("/audit?actor=user:nobody").text
    assert f"issuing/{serial}" in console.get(f"/audit?target={serial}").text
    assert console.get("/audit?outcome=odd").status == 422
    proof = console.get("/audit/verification").text
    assert "The chain is whole." in proof
    with console.door.database.unit_of_work(console.door.tenant_id) as uow:
        uow.execute(text("DROP TRIGGER audit_events_no_update"))
        uow.execute(text("UPDATE audit_events SET actor = 'somebody else' WHERE action = 'certificate.revoke'"))
    broken = console.get("/audit/verification").text
    assert "The chain is broken." in broken
    assert "altered or out of order" in broken


def test_every_page_is_in_the_document(door: Door) -> None:
    names = {route.name for route in door.routes}
    assert SERVICE.pages is not None
    for page in SERVICE.pages.pages:
        assert page.name in names
        assert page.scope in {*SERVICE.scopes, "pki:read"}


def test_all_certificates_of_a_key_are_revoked_at_once(console: Console) -> None:
    tenant, request = console.door.tenant_id, csr("a.example.test", cn="a.example.test")
    serials = [
        console.authority.issue(tenant, IssueOrder(profile="internal-tls", csr=request), f"test:{index}").serial
        for index in range(3)
    ]
    other = console.issue("b.example.test").serial
    sent = console.send(f"/certificates/{serials[0]}/revoke", reason="keyCompromise", whole_key="true")
    assert sent.headers.get("location").endswith("done=revoked-key")
    reasons = [console.authority.certificate(tenant, serial).reason for serial in [*serials, other]]
    assert reasons == [RevocationReason.KEY_COMPROMISE] * 3 + [None]


def test_a_search_by_name_domain_and_order(console: Console) -> None:
    for name in ("www.one.test", "api.one.test", "www.two.test"):
        console.issue(name)
    assert console.get("/certificates?name=WWW.one.test").text.count("<tr>") == 2
    assert console.get("/certificates?domain=one.test").text.count("<tr>") == 3
    text = console.get("/certificates?sort=expiry&issued_from=2025-12-31&issued_to=2026-01-02").text
    assert text.index("dns:www.one.test") < text.index("CN=Root CA")
    assert "No certificate fits" in console.get("/certificates?issued_to=2025-12-30").text


def test_a_webhook_is_made_tested_and_deleted(door: Door, console: Console) -> None:
    assert "No webhook yet" in console.get("/webhooks").text
    made = console.send(
        "/webhooks/new", url="https://hooks.example.test/x", certificate_expiring="true", description=HOSTILE
    )
    assert made.status == 200, made.text
    secret = re.search(r'Secret</dt><dd><code class="secret">(whsec_[^<]+)<', made.text)
    assert secret is not None
    (found,) = door.edge.state.events.subscriptions(door.tenant_id)
    assert found.types == ("certificate.expiring",)
    page = f"/webhooks/{found.id}"
    for path in ("/webhooks", page):
        text = console.get(path).text
        assert secret[1] not in text
        assert "<script>" not in text
    assert console.send(f"{page}/test").headers.get("location", "").endswith("webhook-tested")
    shown = console.get(page).text
    assert "webhook.test" in shown
    assert "pending" in shown
    assert console.get(f"{page}?status=odd").status == 422
    assert console.send(f"{page}/disable").status == 303
    assert "disabled" in console.get(page).text
    assert console.send(f"{page}/enable").status == 303
    wrong = console.send("/webhooks/new", url="ftp://x", description="for the web")
    assert wrong.status == 422
    assert 'value="for the web"' in wrong.text
    reader = person(door, "reader", "pki:read")
    assert "/test" not in reader.get(page).text
    for word in ("/test", "/disable", "/delete"):
        assert reader.send(page + word).status == 403
        assert console.send(page + word, "x").status == 403
    assert console.send(f"{page}/delete").headers.get("location") == "/browser/webhooks?done=webhook-deleted"
    assert console.get(page).status == 404


def test_fields_of_webhooks_are_the_events(door: Door) -> None:
    fields = {field_of(kind) for kind in TYPES}
    assert fields | {"url", "description"} == set(WebhookForm.model_fields)


@pytest.mark.parametrize("path", ["/browser/nothing", "/browser/certificates/a/b/c", "/browser/apiary"])
def test_where_nothing_is_a_reader_gets_a_page_and_a_program_a_problem(door: Door, path: str) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    anyone = Caller(door, "")
    for method in ("GET", "POST", "OPTIONS"):
        page = anyone(method, path, headers=browser)
        assert (page.status, page.headers.get("content-type")) == (404, "text/html; charset=utf-8")
        assert "There is nothing at this path." in page.text
        assert "request-1" in page.text
        assert "style-src 'self'" in page.headers.get("content-security-policy")  # its style is let in
        assert page.headers.get("allow") == ""
    for accept in ("*/*", "application/json", "text/html;q=0", ""):
        problem = anyone.get(path, headers={"Accept": accept} if accept else None)
        assert (problem.status, problem.headers.get("content-type")) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path", ["/browser/api/v1/nothing", "/browser/api", "/browserx", "/service/api/v1/nothing", "/x"]
)
def test_elsewhere_nothing_is_a_problem_for_everybody(door: Door, path: str) -> None:
    answer = Caller(door, "").get(path, headers={"Accept": "text/html"})
    assert (answer.status, answer.headers.get("content-type")) == (404, "application/problem+json")

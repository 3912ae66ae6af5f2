"""The audit as a page, on both databases: its filters narrow, and nothing in them is a pattern."""

from __future__ import annotations

from tests.support.door import Door


def test_filters_narrow(door: Door) -> None:
    form = {"username": "admin", "password": door.first[0].password}
    cookie = door.page.post("/login", form=form).cookie
    visitor = door.page.with_headers(("Cookie", f"__Host-session={cookie}"))
    door.client("pets:read")

    def rows(query: str) -> int:
        answer = visitor.get(f"/audit{query}")
        assert answer.status == 200, answer.text
        return answer.text.count("<tr>") - 1 if "<tbody>" in answer.text else 0

    everything = rows("")
    assert 0 < rows("?action=principal.") < everything
    assert rows("?action=principal.&outcome=failure") == 0
    assert rows("?actor=user:nobody") == 0
    assert rows("?target=%25") == rows("?action=%25") == rows("?action=_") == 0
    assert rows("?outcome=success") + rows("?outcome=failure") == everything
    assert visitor.get("/audit?cursor=zzz").status == 422
    assert "The chain is whole." in visitor.get("/audit/verification").text

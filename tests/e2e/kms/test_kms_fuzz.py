"""Whatever body an operation gets, the answer is a result or a problem document, never a crash."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycryptoutil.services.sm_kms.operations.routes import ROUTES
from tests.support.door import Door

PURPOSES = ("encrypt", "sign", "mac", "wrap", "derive", "encapsulate")
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 1 << 70), st.text(max_size=20), st.sampled_from(["eA", "e30.e30.", "{}"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
SEGMENTS = st.lists(st.sampled_from(["e30", "", "eyJhbGciOiJkaXIifQ", "eyJraWQiOiJ4In0", "AAAA", "!"]), max_size=6)
TOKENS = SEGMENTS.map(".".join)


def bodies(members: list[str]) -> st.SearchStrategy[Any]:
    item = st.dictionaries(st.sampled_from(members), VALUES | TOKENS, max_size=5)
    return item | st.fixed_dictionaries({"operations": st.lists(item | VALUES, max_size=3) | VALUES}) | VALUES


def test_no_body_breaks_an_operation(light: Door) -> None:
    for purpose in PURPOSES:
        made = light.admin.post("/elastic-keys", {"name": purpose, "purpose": purpose})
        assert made.status == 201
    admin = light.admin
    for route in ROUTES:
        members = list(route.handler.item.model_fields)  # type: ignore[attr-defined]
        paths = (
            [route.path.replace("<key>", purpose) for purpose in PURPOSES] if "<key>" in route.path else [route.path]
        )

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies(members), st.sampled_from(paths))
        def send(body: Any, path: str) -> None:
            answer = admin.post(path, raw=json.dumps(body).encode())
            assert answer.status < 500, (path, body, answer.text)
            kind = "application/json" if answer.status == 200 else "application/problem+json"
            assert answer.headers.get("content-type") == kind
            if answer.status == 200 and "results" in answer.json:
                assert all(one.get("error", {}).get("status", 200) < 500 for one in answer.json["results"])

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.binary(max_size=60) | TOKENS.map(str.encode), st.sampled_from(paths), st.sampled_from(route.accepts))
        def send_raw(body: bytes, path: str, kind: str) -> None:
            answer = admin.post(path, raw=body, content_type=kind)
            assert answer.status < 500, (path, body, answer.text)

        send()
        send_raw()

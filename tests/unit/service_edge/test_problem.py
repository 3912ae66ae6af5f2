"""Problem documents by themselves."""

from __future__ import annotations

import json

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Headers, Listener, Request
from pycryptoutil.http.problem import MAX_FIELD_ERRORS, FieldError, InvalidInput, fault_headers, problem, status_of

REQUEST = Request("GET", "/a", "/a" * 600, {}, Headers(), b"", Listener.PUBLIC, "::1", "id-1")


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_has_a_status_and_a_title(kind: FaultKind) -> None:
    document = json.loads(problem(Fault(kind, "detail"), REQUEST).body)  # type: ignore[arg-type]
    assert document["status"] == status_of(kind)
    assert document["title"] != "Error"
    assert "detail" not in document
    assert len(document["instance"]) <= 512


def test_busy_and_limited_always_say_when() -> None:
    for kind in (FaultKind.BUSY, FaultKind.SEALED, FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED):
        assert dict(fault_headers(Fault(kind, "")))["Retry-After"]
    assert fault_headers(Fault(FaultKind.NOT_FOUND, "")) == ()
    both = fault_headers(Fault(FaultKind.UNAUTHENTICATED, "", challenges=("Basic x", "Bearer y")))
    assert both == (("WWW-Authenticate", "Basic x"), ("WWW-Authenticate", "Bearer y"))


def test_field_errors_are_bounded() -> None:
    fault = InvalidInput("d", "p", tuple(FieldError(f"#/{n}", "bad") for n in range(1000)))
    document = json.loads(problem(fault, REQUEST).body)  # type: ignore[arg-type]
    assert len(document["errors"]) == MAX_FIELD_ERRORS

"""The documents: valid by somebody else's word, the same every time, and committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from pycryptoutil.http import openapi
from pycryptoutil.http.message import Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import catalogue, openapi_files
from pycryptoutil.services.learn_ps import SERVICE
from tests.support.door import Door

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi"


def _handler(_context: Any, _request: Any) -> Response:
    return Response(200)


def _generate(*routes: Route) -> dict[str, Any]:
    return openapi.generate(title="t", description="d", version="1", routes=routes, scopes={})


@pytest.mark.parametrize("name", catalogue.names())
def test_every_document_is_valid_and_committed(name: str) -> None:
    definition = catalogue.definition(name)
    document = openapi_files.generate(definition)
    OpenAPIV31SpecValidator(document).validate()
    text = openapi.dumps(document)
    assert text == openapi.dumps(openapi_files.generate(definition))
    assert (COMMITTED / f"{name}.json").read_bytes() == text, "run: pycryptoutil openapi"


def test_no_other_document_is_committed() -> None:
    definitions = [catalogue.definition(name) for name in catalogue.names()]
    assert openapi_files.drift(definitions, COMMITTED) == []


def test_what_is_served_is_what_is_committed_for_this_table(small_door: Door) -> None:
    for caller in (small_door.anonymous, small_door.browser):
        answer = caller.get("/openapi.json")
        assert answer.json == openapi_files.generate(SERVICE)


def test_every_route_is_in_the_document(small_door: Door) -> None:
    document = openapi_files.generate(SERVICE)
    ids = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert ids == {route.name for route in small_door.routes}


def test_doors_and_their_keys() -> None:
    document = openapi_files.generate(SERVICE)
    assert [server["url"] for server in document["servers"]] == ["/service/api/v1", "/browser/api/v1"]
    create = document["paths"]["/pets"]["post"]
    assert create["security"] == [{"basic": []}, {"bearer": []}, {"certificate": []}, {"session": [], "csrf": []}]
    assert document["paths"]["/pets"]["get"]["security"][-1] == {"session": []}
    login = document["paths"]["/browser/api/v1/login"]["post"]
    assert login["security"] == []
    assert login["servers"] == [{"url": "/"}]
    assert set(login["requestBody"]["content"]) == {"application/json", "application/x-www-form-urlencoded"}


def test_path_and_query_parameters() -> None:
    document = openapi_files.generate(SERVICE)
    pet = document["paths"]["/pets/{id}"]["get"]
    assert pet["parameters"] == [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    limit = next(one for one in document["paths"]["/pets"]["get"]["parameters"] if one["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert not limit["required"]


def test_protocol_routes_list_their_media_types_only() -> None:
    route = Route(
        "simpleEnroll", ("POST",), "/.well-known/est/<label>/simpleenroll", _handler, Gate.PROTOCOL,
        accepts=("application/pkcs10",), produces=("application/pkcs7-mime",),
    )  # fmt: skip
    document = _generate(route)
    operation = document["paths"]["/.well-known/est/{label}/simpleenroll"]["post"]
    assert operation["requestBody"]["content"] == {"application/pkcs10": {}}
    assert operation["responses"]["200"]["content"] == {"application/pkcs7-mime": {}}
    assert "429" not in operation["responses"]
    OpenAPIV31SpecValidator(document).validate()


def test_admin_routes_are_not_public() -> None:
    assert _generate(Route("livez", ("GET",), "/livez", _handler, Gate.ADMIN))["paths"] == {}


def test_several_methods_of_one_route_get_an_id_each() -> None:
    document = _generate(
        Route("thing", ("GET", "POST"), "/thing", _handler), Route("head", ("GET", "HEAD"), "/h", _handler)
    )
    assert document["paths"]["/thing"]["get"]["operationId"] == "thingGet"
    assert document["paths"]["/thing"]["post"]["operationId"] == "thingPost"
    assert set(document["paths"]["/h"]) == {"get"}
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize(
    "routes",
    [
        (Route("a", ("GET",), "/a", _handler), Route("a", ("GET",), "/b", _handler)),
        (Route("a", ("GET",), "/a", _handler), Route("b", ("GET",), "/a", _handler)),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(routes: tuple[Route, ...]) -> None:
    with pytest.raises(ValueError, match=r"two routes|twice"):
        _generate(*routes)


def test_drift_is_told_file_by_file(tmp_path: Path) -> None:
    assert openapi_files.drift([SERVICE], tmp_path) == [f"{tmp_path / 'learn-ps.json'} is missing"]
    assert openapi_files.write([SERVICE], tmp_path) == [tmp_path / "learn-ps.json"]
    assert openapi_files.write([SERVICE], tmp_path) == []
    assert openapi_files.drift([SERVICE], tmp_path) == []
    changed = json.loads((tmp_path / "learn-ps.json").read_text())
    changed["info"]["title"] = "Other"
    (tmp_path / "learn-ps.json").write_text(json.dumps(changed))
    (tmp_path / "gone.json").write_text("{}")
    found = openapi_files.drift([SERVICE], tmp_path)
    assert len(found) == 2
    assert "route table of learn-ps" in found[0]
    assert "gone.json" in found[1]

"""Bodies made from the OpenAPI document, right and wrong: no answer is a 5xx, and each is what the document says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pycryptoutil.service.openapi_files import generate
from pycryptoutil.service.settings import ServiceSettings
from pycryptoutil.services.jose_ja import SERVICE
from tests.support.databases import Databases
from tests.support.door import Answer, Caller, Door

DOCUMENT = generate(SERVICE)
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
TAGS = {"Rings", "JWS", "JWE", "JWT", "SD-JWT", "JWK"}
_ODD = ["", "\x00", "../x", "' OR 1=1", "é", "\U0001f600", "a" * 200, "none", "A256GCM", "RS256", "....", "e30.e30.AA"]
_SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.sampled_from(_ODD)
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_ODD), inner, max_size=3)
)


def operations() -> list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Method, path, schema of the body and schema of the answer of every operation with a JSON body."""
    found = []
    for path, item in DOCUMENT["paths"].items():
        for method, one in item.items():
            content = one.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None and TAGS & set(one["tags"]):
                answers = [
                    a["content"]["application/json"]["schema"] for s, a in one["responses"].items() if s[0] == "2"
                ]
                found.append((method.upper(), path, content["schema"], answers[0]))
    return found


OPERATIONS = operations()


class Maker:
    """Strategies of a schema's values; ``known`` are texts and objects that lead further in than random ones."""

    def __init__(self, known: Mapping[str, list[Any]]) -> None:
        self._known = known

    def of(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
        """Return values that fit, now and then ones that do not."""
        right = self._right(schema, name, depth)
        return st.one_of(right, right, right, right, right, right, _ANYTHING) if depth else right

    def _right(  # noqa: C901  one arm for each kind of schema
        self, schema: Mapping[str, Any], name: str, depth: int
    ) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            return self._right(SCHEMAS[schema["$ref"].rpartition("/")[2]], name, depth)
        if name in self._known:
            return st.sampled_from(self._known[name])
        if "const" in schema or "enum" in schema:
            return st.sampled_from(schema.get("enum", [schema.get("const")]))
        if "anyOf" in schema:
            return st.one_of(*[self._right(one, name, depth) for one in schema["anyOf"]])
        match schema.get("type"):
            case "object" if "properties" in schema:
                return self._object(schema, depth)
            case "object":
                return st.dictionaries(
                    st.sampled_from(["sub", "typ", "kid", "alg", "exp", "aud", *_ODD]), _ANYTHING, max_size=4
                )
            case "array":
                low, high = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
                return st.lists(self.of(schema.get("items", {}), "", depth + 1), min_size=low, max_size=max(low, high))
            case "string" if "pattern" in schema:
                return st.from_regex(schema["pattern"], fullmatch=True).map(lambda text: text[:60])
            case "string":
                return st.sampled_from([one for one in _ODD if len(one) >= schema.get("minLength", 0)])
            case "integer":
                return st.integers(schema.get("minimum", -5), min(schema.get("maximum", 10**6), 10**6))
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case _:
                return _ANYTHING

    def _object(self, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
        required = set(schema.get("required", ()))
        parts = {name: self.of(one, name, depth + 1) for name, one in schema["properties"].items()}
        return st.fixed_dictionaries(
            {name: part for name, part in parts.items() if name in required},
            optional={name: part for name, part in parts.items() if name not in required},
        )


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[tuple[Caller, Maker]]:
    """A service with rings, and what its callers know."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    unlimited = ServiceSettings.model_validate({"profile": "test", "rate_limit": {"enabled": False}})
    door = Door(SERVICE, _sqlite_databases.fresh(SERVICE.migrations), folder, unlimited)
    admin = door.admin
    for name, algorithm, use in (("t", "ES256", "sig"), ("h", "HS256", "sig"), ("b", "ECDH-ES+A256KW/X25519", "enc")):
        admin.post("/elastic-jwks", {"name": name, "algorithm": algorithm, "use": use})
    jwk = admin.get("/elastic-jwks/t/versions/1").json["jwk"]
    box = admin.get("/elastic-jwks/b/versions/1").json["jwk"]
    private = admin.post("/jwk/generate", {"algorithm": "EC-P256"}).json["jwk"]
    general = admin.post("/jws/sign", {"key": "t", "text": "a", "serialization": "general"}).json["jws"]
    jwt = admin.post("/jwt/create", {"key": "t", "claims": {"sub": "a"}}).json["token"]
    sd = admin.post("/sd-jwt/issue", {"key": "t", "claims": {"n": 1}, "disclosable": [["n"]]}).json["sd_jwt"]
    sealed = [admin.post("/jwe/encrypt", {"key": "b", "text": "a", "serialization": form}).json["jwe"]
              for form in ("compact", "flattened", "general")]  # fmt: skip
    pem = admin.post("/jwk/convert", {"jwk": private}).json
    known: dict[str, list[Any]] = {
        "key": ["t", "h", "b", "none"], "decrypt_key": ["b", "t", None], "holder_key": ["t", None],
        "jwk": [jwk, box, private, {"kty": "EC"}, {}], "jwks": [{"keys": [jwk, box]}, {"keys": []}, {"keys": [5]}],
        "jws": [jwt, general, "a.b.c", {**general, "payload": 5}], "token": [jwt, sealed[0], "a.b.c"],
        "jwe": [*sealed, "a.b.c.d.e", {"protected": []}], "sd_jwt": [sd, jwt, "~", sd + "x"],
        "pem": [pem["pem"], "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"], "der": [pem["der"], "AAAA"],
        "algorithm": ["ES256", "HS256", "EC-P256", "A256KW", "Ed25519", "none"], "holder": [jwk, private, None],
        "name": ["x1", "x2", "t", "a/b"], "disclosable": [[], [["n"]], [["n", 0]]], "disclose": [[], [["n"]], [["x"]]],
        "force": [True], "alg": ["", None, "ES256", "RSA-OAEP-256", "none"], "enc": [None, "A256GCM", "A192GCM", "x"],
    }  # fmt: skip
    yield admin, Maker(known)
    door.close()


def judge(answer: Answer, schema: Mapping[str, Any]) -> None:
    """A success has what the document requires; a failure is a problem document. Nothing is a 5xx."""
    assert answer.status < 500, answer.text
    assert answer.status != 429
    if answer.status >= 400:
        assert answer.headers.get("content-type") == "application/problem+json"
        assert answer.json["status"] == answer.status
        return
    target = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    assert set(target["required"]) <= set(answer.json) <= set(target["properties"])


FUZZ = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("method", "path", "schema", "answer"), OPERATIONS, ids=[f"{m} {p}" for m, p, _, _ in OPERATIONS]
)
def test_bodies(
    rings: tuple[Caller, Maker], method: str, path: str, schema: Mapping[str, Any], answer: Mapping[str, Any]
) -> None:
    caller, maker = rings
    place = path.replace("{ring}", "t").replace("{version}", "1")

    @FUZZ
    @given(maker.of(schema))
    def tried(body: Any) -> None:
        judge(caller(method, place, body), answer)

    if "revoke" not in path and "destroy" not in path:  # the ring is needed by the others
        tried()
    for raw in (b"", b"null", b"[]", b'"x"', b"{", b"\xff", b'{"a":' * 3000, b'{"a":1,"a":2}'):
        judge(caller(method, place, raw=raw or b" "), answer)


def drawn(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Return examples."""
    found: list[Any] = []

    @FUZZ
    @given(strategy)
    def gather(one: Any) -> None:
        found.append(one)

    gather()
    return found


def test_lines_of_streams(rings: tuple[Caller, Maker]) -> None:
    """Any line gets a result or a problem, and the summary counts them."""
    caller, maker = rings
    for operation in SERVICE.routes:
        if not operation.name.endswith("Stream"):
            continue
        name = f"/{operation.path.strip('/')}".removesuffix("/stream")
        schema = next(one[2] for one in OPERATIONS if one[1] == name)
        lines = drawn(maker.of(schema))
        raw = b"\n".join(json.dumps(one).encode() for one in lines)
        answer = caller("POST", operation.path, raw=raw, content_type="application/x-ndjson")
        found = [json.loads(line) for line in answer.body.split(b"\n")[:-1]]
        summary = found.pop()
        assert summary["done"] == len(found) == len(lines)
        assert summary["failed"] == sum("problem" in one for one in found)
        assert all(one["problem"]["status"] < 500 for one in found if "problem" in one)

"""From a body to items, each run by its action, and back: one or many, JSON or raw octets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ValidationError

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import JsonModel
from pycryptoutil.http.problem import TITLES, FieldError, InvalidInput, status_of
from pycryptoutil.jose.text import dumps, loads
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.actions.chosen import Chosen
from pycryptoutil.services.sm_kms.actions.seal import RAW
from pycryptoutil.services.sm_kms.common import b64e, keyring_of, octets
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
JOSE: Final = "application/jose"
MAX_BODY: Final = 32 * 1024 * 1024
_NO_STORE: Final = ("Cache-Control", "no-store")


@dataclass(frozen=True, slots=True)
class Action:
    """One operation. ``raw_in`` and ``raw_out`` are the members that a raw body is, in and out."""

    name: str
    item: type[JsonModel]
    result: type[JsonModel]
    run: Callable[[Chosen, Any], BaseModel]
    raw_in: str = ""
    raw_out: str = ""
    text_in: bool = False  # the member is JOSE text, or base64url of something raw
    many: Callable[[Chosen, Any], list[BaseModel | Fault]] | None = None  # the same for a batch, faster
    most: int = 10_000  # items of a batch, where one takes long

    def __call__(self, context: Context, request: Request) -> Response:
        """Answer a request."""
        chosen = Chosen(keyring_of(context), context.tenant_id, context.parameters.get("key", ""))
        failed = 0
        try:
            if request.content_type in (OCTETS, JOSE):
                return self._raw(context, request, chosen)
            if context.query is not None and context.query.model_fields_set:
                text = "parameters stand in the body, when that is JSON"
                raise Fault(FaultKind.INVALID, text, text)
            document = loads(request.body, "the body", MAX_BODY) if request.body else {}
            if "operations" not in document:
                return _json(self._one(chosen, document))
            answer, failed = self._many(context, chosen, document)
            return answer
        except Fault:
            failed = 1
            raise
        finally:
            chosen.count()
            self._audit(context, request, chosen, failed)

    def _one(self, chosen: Chosen, members: Any) -> BaseModel:
        return self.run(chosen, self._item(members))

    def _item(self, members: Any) -> JsonModel:
        if not isinstance(members, dict):
            raise Fault(FaultKind.INVALID, "no object", "an operation is an object")
        try:
            # by JSON: strict about types, and lenient where JSON has no type of its own
            return self.item.model_validate_json(dumps(members))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            errors = tuple(FieldError("#/" + "/".join(map(str, one["loc"])), one["msg"]) for one in found)
            raise InvalidInput("item", "The body does not fit its schema.", errors) from None

    def _many(self, context: Context, chosen: Chosen, document: dict[str, Any]) -> tuple[Response, int]:
        operations, most = document["operations"], min(self.most, context.state.settings.max_batch)
        if len(document) != 1 or not isinstance(operations, list) or not 1 <= len(operations) <= most:
            text = f"a batch is operations alone, a list of 1 to {most}"
            raise Fault(FaultKind.INVALID, text, text, pointer="#/operations")
        if "key" in context.parameters:
            _ = chosen.key  # no such key is an answer to the whole batch
        parts, failed = [], 0
        for outcome in self._outcomes(chosen, operations):
            if isinstance(outcome, Fault):
                if outcome.kind in (FaultKind.SEALED, FaultKind.UNAVAILABLE):
                    raise outcome
                failed += 1
                parts.append(dumps({"error": _described(outcome)}))
            else:
                parts.append(b'{"result":' + _dump(outcome) + b"}")
        body = b'{"results":[' + b",".join(parts) + b'],"failed":' + str(failed).encode() + b"}"
        return Response(200, body, JSON, (_NO_STORE,)), failed

    def _outcomes(self, chosen: Chosen, operations: list[Any]) -> list[BaseModel | Fault]:
        """Run a batch: what is no item, or fails, stands as a Fault in its place."""
        read: list[JsonModel | Fault] = []
        for members in operations:
            try:
                read.append(self._item(members))
            except Fault as fault:
                read.append(fault)
        items = [one for one in read if not isinstance(one, Fault)]
        if self.many is None or not items:
            made = chosen.each(items, self.run)
        else:
            try:
                made = self.many(chosen, items)
            except Fault as fault:  # the version that all of them want may not be used
                made = [fault] * len(items)
        done = iter(made)
        return [one if isinstance(one, Fault) else next(done) for one in read]

    def _raw(self, context: Context, request: Request, chosen: Chosen) -> Response:
        if not self.raw_in:
            raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, self.name, f"{self.name} takes JSON only")
        members = {name: getattr(context.query, name) for name in sorted(context.query.model_fields_set)}
        unknown = sorted(set(members) - set(self.item.model_fields))
        if unknown:
            text = f"{self.name} has no {unknown[0]}"
            raise Fault(FaultKind.INVALID, text, text, pointer=unknown[0])
        members[self.raw_in] = self._text(request.body)
        result = self._one(chosen, members)
        if not self.raw_out or JSON in request.headers.get("accept"):
            return _json(result)
        value: str = getattr(result, self.raw_out)
        headers = [("Key-Version", str(result.version)), _NO_STORE] if hasattr(result, "version") else [_NO_STORE]
        if "." in value or value[:1] == "{":  # no base64url
            return Response(200, value.encode(), JOSE, tuple(headers))
        return Response(200, octets(value, self.raw_out), OCTETS, tuple(headers))

    def _text(self, body: bytes) -> str:
        if not self.text_in or body[:1] == RAW:
            return b64e(body)
        try:
            return body.decode("ascii").strip()
        except UnicodeDecodeError:
            raise Fault(FaultKind.MALFORMED, "no JOSE", "the body is no JOSE object") from None

    def _audit(self, context: Context, request: Request, chosen: Chosen, failed: int) -> None:
        """Record each Nth request, and each that failed. What happened cannot be undone, so this is best effort."""
        every = context.state.settings.audit_every
        if not every or not (failed or next(context.state.uses) % every == 0):
            return
        outcome = "failure" if failed else "success"
        key = chosen.reference[:128]
        who, request_id = context.actor[:300], request.request_id
        try:
            with context.database.unit_of_work(context.tenant_id) as uow:
                audit.append(uow, AuditEvent(f"key.{self.name}", who, key, outcome, {"failed": failed}, request_id))
        except Fault:
            return


def _described(fault: Fault) -> dict[str, Any]:
    status = status_of(fault.kind)
    found = {"status": status, "title": TITLES.get(status, "Error"), "detail": fault.public or TITLES.get(status, "")}
    return found | ({"pointer": fault.pointer} if fault.pointer else {})


def _dump(result: BaseModel) -> bytes:
    return result.model_dump_json(exclude_none=True).encode()


def _json(result: BaseModel) -> Response:
    return Response(200, _dump(result), JSON, (_NO_STORE,))

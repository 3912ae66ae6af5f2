"""One table for every operation: each is had one by one, in batches, and as a stream of JSON lines.

An operation decodes a body, and either returns a result or raises a Fault. In a batch and in a stream a Fault is the
result of its item, and of no other one. What is done is audited: each Nth success, and every failure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import JsonModel, json_response
from pycryptoutil.http.problem import TITLES, TYPE_PREFIX, FieldError, InvalidInput, status_of
from pycryptoutil.http.route import Route
from pycryptoutil.jose import text
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja.using.work import Tally, Work

MAX_SINGLE: Final = 8 << 20
MAX_BATCH: Final = 16 << 20
MAX_STREAM: Final = 32 << 20
MAX_ITEMS: Final = 1000
PORTION: Final = 1000  # lines of a stream that are worked on, and held, at a time
NDJSON: Final = "application/x-ndjson"

Result = BaseModel | Fault


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table. ``many`` does several at once, where that is quicker than one after the other."""

    action: str  # as the audit calls it: jws.sign
    path: str
    name: str  # operationId of the single form
    tag: str
    scope: str
    summary: str
    body: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Work, Any], BaseModel]
    many: Callable[[Work, Sequence[Any]], list[Result]] | None = None

    def routes(self) -> tuple[Route, ...]:
        """Return the three ways to it."""
        upper = self.name[0].upper() + self.name[1:]
        optional: Any = self.result | None
        body: Any = self.body
        item: Any = create_model(f"{upper}Item", __base__=ItemView, result=(optional, None))
        answer = create_model(f"{upper}Results", __base__=ResultsView, results=(list[item], ...))
        operations: Any = (list[body], Field(min_length=1, max_length=MAX_ITEMS))
        asked = create_model(f"{upper}Batch", __base__=JsonModel, operations=operations)
        common: dict[str, Any] = {"methods": ("POST",), "scope": self.scope, "tag": self.tag}
        return (
            Route(name=self.name, path=self.path, handler=self.single, summary=self.summary, described_body=self.body,
                  accepts=("application/json",), response=self.result, max_body=MAX_SINGLE, **common),
            Route(name=f"{self.name}Batch", path=f"{self.path}/batch", handler=self.batch, described_body=asked,
                  accepts=("application/json",), response=answer, max_body=MAX_BATCH,
                  summary=f"{self.summary}: up to {MAX_ITEMS}, each with its own result", **common),
            Route(name=f"{self.name}Stream", path=f"{self.path}/stream", handler=self.stream, accepts=(NDJSON,),
                  produces=(NDJSON,), max_body=MAX_STREAM,
                  summary=f"{self.summary}: a body on each line, a result on each line, and a summary", **common),
        )  # fmt: skip

    # -- the three handlers --------------------------------------------------------------------------------------------

    def single(self, context: Context, request: Request) -> Response:
        """Answer one; a Fault is a problem document."""
        body = decode(self.body, text.loads(request.body, "the body", MAX_SINGLE))
        work = Work(context, request)
        result = caught(self.run, work, body)
        work.audit(self.action, tally([result]))
        if isinstance(result, Fault):
            raise result
        return json_response(result)

    def batch(self, context: Context, request: Request) -> Response:
        """Answer each item in its place."""
        given = text.loads(request.body, "the body", MAX_BATCH)
        items = given.get("operations")
        if set(given) != {"operations"} or not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
            said = f"operations is a list of 1 to {MAX_ITEMS}, and stands alone"
            raise InvalidInput("batch", said, (FieldError("#/operations", said),))
        work = Work(context, request)
        results = self.each(work, items)
        counted = tally(results)
        work.audit(self.action, counted)
        lines = b",".join(written(position, one) for position, one in enumerate(results))
        body = b'{"results":[%b],"failed":%d}' % (lines, counted.failed)
        return Response(200, body, "application/json", (("Cache-Control", "no-store"),))

    def stream(self, context: Context, request: Request) -> Response:
        """Answer line by line; the keys are looked up anew for each portion."""
        return Response(200, self._lines(context, request), NDJSON, (("Cache-Control", "no-store"),))

    def _lines(self, context: Context, request: Request) -> Iterator[bytes]:
        whole = Tally()
        for portion in portions(request.body):
            work = Work(context, request)
            results = self.each(work, [read_line(line) for line in portion])
            yield b"".join(written(whole.items + position, one) + b"\n" for position, one in enumerate(results))
            whole.add(tally(results))
        Work(context, request).audit(self.action, whole)
        yield b'{"done":%d,"failed":%d}\n' % (whole.items, whole.failed)

    def each(self, work: Work, items: Sequence[Any]) -> list[Result]:
        """Return a result for each item, which may be the Fault of its own decoding."""
        results: list[Result] = [_UNDONE] * len(items)
        good: list[tuple[int, BaseModel]] = []
        for position, item in enumerate(items):
            try:
                if isinstance(item, Fault):
                    raise item
                good.append((position, decode(self.body, item)))
            except Fault as fault:
                results[position] = fault
        bodies = [body for _, body in good]
        found = self.many(work, bodies) if self.many is not None else [caught(self.run, work, one) for one in bodies]
        for (position, _), one in zip(good, found, strict=True):
            results[position] = one
        return results


_UNDONE: Final = Fault(FaultKind.INTERNAL, "an item was left out")


class ProblemView(BaseModel):
    """Why an item failed: what a problem document would have said (RFC 9457)."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str = ""


class ItemView(BaseModel):
    """One item's result, or its problem."""

    model_config = ConfigDict(frozen=True)

    index: int
    problem: ProblemView | None = None


class ResultsView(BaseModel):
    """The items in their order."""

    model_config = ConfigDict(frozen=True)

    failed: int


def caught(run: Callable[..., BaseModel], *arguments: Any) -> Result:
    """Return a result, or the Fault in its place."""
    try:
        return run(*arguments)
    except Fault as fault:
        return fault


def tally(results: Sequence[Result]) -> Tally:
    """Count results."""
    faults = [one for one in results if isinstance(one, Fault)]
    return Tally(len(results), Counter(one.kind.value for one in faults))


def written(index: int, result: Result) -> bytes:
    """Write an item's result as JSON."""
    if not isinstance(result, Fault):
        return b'{"index":%d,"result":%b}' % (index, result.model_dump_json(exclude_none=True).encode())
    status = status_of(result.kind)
    said = {"type": TYPE_PREFIX + result.kind.value, "title": TITLES[status], "status": status, "detail": result.public}
    if isinstance(result, InvalidInput):
        said["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in result.errors]
    return b'{"index":%d,"problem":%b}' % (index, json.dumps(said, ensure_ascii=False).encode())


def decode(model: type[BaseModel], members: Any) -> BaseModel:
    """Validate a body that was read; InvalidInput names each place and quotes no value."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        fields = tuple(
            FieldError("#" + "".join(f"/{_escaped(part)}" for part in one["loc"]), one["msg"]) for one in found
        )
        raise InvalidInput(f"{len(fields)} places", "The body does not fit its schema.", fields) from None


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def portions(body: bytes) -> Iterator[list[bytes]]:
    """Cut a body into lines, so many at a time; empty lines are left out."""
    lines: list[bytes] = []
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = body[start:end].strip()
        start = end + 1
        if line:
            lines.append(line)
        if len(lines) == PORTION:
            yield lines
            lines = []
    if lines:
        yield lines


def read_line(line: bytes) -> Any:
    """Return a line's object, or the Fault in its place."""
    try:
        return text.loads(line, "the line", text.MAX_JSON)
    except Fault as fault:
        return fault

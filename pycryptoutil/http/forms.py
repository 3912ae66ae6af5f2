"""HTML forms: decoding a submitted one, and reading it or a query into a model with each message beside its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ConfigDict, ValidationError

from pycryptoutil.http.message import Request

FORM = "application/x-www-form-urlencoded"
CSRF_FIELD = "csrf_token"
MAX_FORM = 65_536
MAX_FORM_FIELDS = 64
MAX_SHOWN = 65_536  # characters of a wrong value that a page gives back
_OWN_PARAMETERS = frozenset({CSRF_FIELD, "done"})

M = TypeVar("M", bound=BaseModel)


class FormModel(BaseModel):
    """A form's fields, read from text; an empty field counts as one that was not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Filled(Generic[M]):
    """A form as sent: its texts to show again, and either the model or what is wrong (field → message)."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)
    model: M | None = None


def form_fields(request: Request) -> dict[str, str]:
    """Read an ``application/x-www-form-urlencoded`` body; Fault(MALFORMED) if it is none or repeats a field."""
    if len(request.body) > MAX_FORM:
        raise Fault(FaultKind.TOO_LARGE, "form is too large", f"a form is at most {MAX_FORM} bytes")
    try:
        text = request.body.decode("utf-8")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FORM_FIELDS, errors="strict"
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Fault(FaultKind.MALFORMED, "form does not decode", "The form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Fault(FaultKind.MALFORMED, "form repeats a field", "The form repeats a field.")
    return fields


def query_fields(request: Request) -> dict[str, str]:
    """Return the query, one value a name; Fault(MALFORMED) if a name is repeated."""
    if any(len(values) > 1 for values in request.query.values()):
        raise Fault(FaultKind.MALFORMED, "repeated parameter", "A parameter is repeated.")
    return {name: values[0] for name, values in request.query.items()}


def read(model: type[M], fields: Mapping[str, str]) -> Filled[M]:
    """Validate what a form or a query says; never raises for a wrong value."""
    given = {name: value for name, value in fields.items() if name not in _OWN_PARAMETERS}
    values = {name: value[:MAX_SHOWN] for name, value in given.items()}
    try:
        made = model.model_validate({name: text for name, value in given.items() if (text := value.strip())})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        errors = {str(one["loc"][0]) if one["loc"] else "": _said(one["type"], str(one["msg"])) for one in found}
        return Filled(values, errors)
    return Filled(values, {}, made)


def _said(kind: str, message: str) -> str:
    if kind == "missing":
        return "Fill this in."
    if kind == "extra_forbidden":
        return "This form has no such field."
    return message.removeprefix("Value error, ").rstrip(".") + "."


def refused(filled: Filled[M], fault: Fault) -> Filled[M]:
    """Return the form with a fault's public words beside the field that its pointer names, or above the form.

    Only what a person can mend is taken so: any other fault is raised on.
    """
    mendable = {FaultKind.INVALID, FaultKind.POLICY, FaultKind.CONFLICT, FaultKind.NOT_FOUND, FaultKind.MALFORMED}
    if fault.kind not in mendable:
        raise fault
    place = (fault.pointer or "").removeprefix("#/").partition("/")[0]
    return Filled(filled.values, {**filled.errors, place: fault.public or "This was refused."}, None)

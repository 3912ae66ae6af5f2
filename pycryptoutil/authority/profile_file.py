"""Profiles as YAML (or JSON, which is YAML): reading, with the line of whatever is wrong."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final

import yaml
from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pycryptoutil.authority.profile import Profile

MAX_SIZE: Final = 64 * 1024
_MAX_DEPTH: Final = 8
_MAX_NODES: Final = 4000
_Loader: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where it was built in
_Location = tuple[int | str, ...]


def parse_profile(document: str | bytes, source: str) -> Profile:
    """Read one profile; Fault(INVALID) naming ``source``, line and key of each thing that is wrong."""
    root = _compose(document, source)
    lines: dict[_Location, int] = {}
    content = _construct(root, (), lines, source, 0)
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        problems = [_describe(one, lines, source) for one in error.errors(include_url=False, include_input=False)]
        first = error.errors(include_url=False, include_input=False)[0]
        raise _invalid("; ".join(problems[:10]), ".".join(map(str, first["loc"]))) from None


def _invalid(text: str, pointer: str = "") -> Fault:
    return Fault(FaultKind.INVALID, f"profile: {text}", text, pointer=pointer)


def _compose(document: str | bytes, source: str) -> yaml.Node:
    if len(document) > MAX_SIZE:
        raise Fault(FaultKind.TOO_LARGE, f"profile {source} is longer than {MAX_SIZE}", "the profile is too long")
    try:
        if sum(1 for _ in _bounded_events(document, source)) == 0:
            raise _invalid(f"{source}: is empty")
        root = yaml.compose(document, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _invalid(f"{source}:{line}: is not YAML: {error.problem or 'syntax error'}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise _invalid(f"{source}: is not YAML") from None
    if not isinstance(root, yaml.MappingNode):
        raise _invalid(f"{source}:1: must hold keys and values")
    return root


def _bounded_events(document: str | bytes, source: str) -> Iterator[yaml.Event]:
    """Walk the events first: aliases could blow up, and depth and size are limited before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(document, _Loader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _invalid(f"{source}:{line}: aliases are not accepted")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH or count > _MAX_NODES:
            raise _invalid(f"{source}:{line}: is too large or too deep")
        yield event


def _construct(node: yaml.Node, at: _Location, lines: dict[_Location, int], source: str, depth: int) -> Any:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise _invalid(f"{source}:{line}: a key must be a word")
            if key in found:
                raise _invalid(f"{source}:{line}: {key} is given twice", ".".join(map(str, (*at, key))))
            lines[(*at, key)] = line
            found[key] = _construct(value_node, (*at, key), lines, source, depth + 1)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*at, i), lines, source, depth + 1) for i, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except (yaml.YAMLError, ValueError):
        raise _invalid(f"{source}:{node.start_mark.line + 1}: the value cannot be read; quote it") from None


def _scalar(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node)
    finally:
        loader.dispose()
    # 2026-01-01 is a date to YAML; a profile has no dates, so whoever wrote it meant a text
    return value if isinstance(value, bool | int | float | str | type(None)) else str(node.value)


def _describe(error: ErrorDetails, lines: Mapping[_Location, int], source: str) -> str:
    location = _without_tags(error["loc"], lines)
    line = next(lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines)
    key = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, 1, 0.4)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known)}"
        return f"{source}:{line}: unknown key {key}{hint}"
    text = error["msg"].removeprefix("Value error, ")
    named = text.partition(":")[0]
    if not key and (named,) in lines:  # a rule between several keys says which one it is about
        line = lines[(named,)]
    if error["type"] == "missing":
        text = "is missing"
    return f"{source}:{line}: {key}: {text}" if key else f"{source}:{line}: {text}"


def _without_tags(location: Sequence[int | str], lines: Mapping[_Location, int]) -> _Location:
    """Drop what pydantic adds for unions and dictionary keys, so that what is left is a place in the file."""
    kept: _Location = ()
    for i, part in enumerate(location):
        if (*kept, part) in lines or i == len(location) - 1:
            kept = (*kept, part)
    return kept[:-1] if kept and kept[-1] == "[key]" else kept


def _fields_at(location: _Location) -> list[str]:
    model: type[BaseModel] | None = Profile
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        model = _model_of(model, part)
    if model is None:
        return []
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _model_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = next((f for key, f in model.model_fields.items() if name in (key, f.alias)), None)
    if field is None:
        return None
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending.extend(getattr(annotation, "__args__", ()))
    return None


@functools.cache
def built_in_documents() -> Mapping[str, str]:
    """Return the profiles that are shipped: name → YAML."""
    folder = resources.files("pycryptoutil.authority").joinpath("profiles")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    return {item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8") for item in files}


@functools.cache
def built_in_profiles() -> Mapping[str, Profile]:
    """Return the shipped profiles, parsed."""
    return {name: parse_profile(document, f"profiles/{name}.yaml") for name, document in built_in_documents().items()}


@functools.cache
def internal_profiles() -> Mapping[str, Profile]:
    """Return what the CA's own servants are certified by: no request and no credential can name one of these."""
    folder = resources.files("pycryptoutil.authority").joinpath("profiles", "internal")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    return {
        item.name.removesuffix(".yaml"): parse_profile(item.read_text(encoding="utf-8"), f"internal/{item.name}")
        for item in files
    }


@functools.lru_cache(maxsize=256)
def parse_stored(name: str, document: str) -> Profile:
    """Parse a tenant's own profile, once per text."""
    return parse_profile(document, name)

"""The tree of known configuration keys, walked out of the pydantic models."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from pycryptoutil.service.settings import SERVICE_SECTIONS, ServiceSettings

ENVIRONMENT_PREFIX = "CRYPTOUTIL_"
SERVICES = "services"
KEY_MATERIAL = frozenset({"private_key", "issuer_key"})
"""Secrets that keep their ``file://`` reference, so that TLS can watch the file."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key that takes a value. ``opaque``: a list or mapping, which the environment gives as JSON."""

    key: Key
    annotation: Any
    default: Any
    secret: bool
    opaque: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + "_".join(self.key).upper().replace("-", "_")


def dotted(key: Key) -> str:
    """Write a key as people do: ``public.tls.client_policy``."""
    return ".".join(key)


def parts(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives and arguments inside an annotation, flattened."""
    inner = typing.get_args(annotation)
    return tuple(leaf for part in inner for leaf in parts(part)) if inner else (annotation,)


def is_secret(annotation: Any) -> bool:
    """Tell whether a value of this type is secret."""
    return any(part in {SecretStr, SecretBytes} for part in parts(annotation))


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that is the annotation itself (``Section`` or ``Section | None``), or None."""
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    return models[0] if len(models) == 1 else None


def element_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a list's elements or a mapping's values, or None."""
    models = [part for part in parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if len(models) == 1 else None


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union


def _is_opaque(annotation: Any) -> bool:
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    return any(typing.get_origin(option) in {tuple, list, dict, set, frozenset, Mapping} for option in options)


def leaves(model: type[BaseModel], above: Key = ()) -> Iterator[Leaf]:
    """Walk every key of a model."""
    for name, field in model.model_fields.items():
        inner = model_of(field.annotation)
        if inner is not None:
            yield from leaves(inner, (*above, name))
        else:
            annotation = field.annotation
            yield Leaf(
                (*above, name),
                annotation,
                field.get_default(call_default_factory=True),
                is_secret(annotation),
                _is_opaque(annotation),
            )


@dataclass(frozen=True)
class Schema:
    """Every key that may be given: shared sections, each service's own, and overrides per service."""

    own: Mapping[str, type[BaseModel]]  # configuration section -> the service's own settings
    process: type[BaseModel]
    foreign: frozenset[str] = (
        frozenset()
    )  # sections of services that exist but are not in this process: not looked into

    @functools.cached_property
    def table(self) -> Mapping[Key, Leaf]:
        """Every leaf by its key."""
        found = {leaf.key: leaf for leaf in leaves(self.process) if leaf.key != (SERVICES,)}
        for name, model in self.own.items():
            found.update({leaf.key: leaf for leaf in leaves(model, (name,))})
        for name in (*self.own, *self.foreign):
            for leaf in leaves(ServiceSettings):
                if leaf.key[0] in SERVICE_SECTIONS:
                    key = (SERVICES, name, *leaf.key)
                    found[key] = Leaf(key, leaf.annotation, None, leaf.secret, leaf.opaque)
        return found

    @functools.cached_property
    def variables(self) -> Mapping[str, Leaf]:
        """Every leaf by its environment variable; a test proves that no two share one."""
        return {leaf.variable: leaf for leaf in self.table.values()}

    @functools.cached_property
    def groups(self) -> frozenset[Key]:
        """Every key that holds others."""
        return frozenset(key[:length] for key in self.table for length in range(1, len(key))) | {
            (name,) for name in self.own
        }

    def is_foreign(self, key: Key) -> bool:
        """Tell whether a key belongs to a service that this process does not run."""
        return key[0] in self.foreign

    def nearest(self, key: Key) -> str:
        """Return the known key most like an unknown one, or an empty string."""
        siblings = [known for known in (*self.groups, *self.table) if known[:-1] == key[:-1]]
        near = get_close_matches(key[-1], [known[-1] for known in siblings], 1, 0.6)
        if near:
            return dotted((*key[:-1], near[0]))
        everywhere = {dotted(known) for known in (*self.groups, *self.table)}
        near = get_close_matches(dotted(key), sorted(everywhere), 1, 0.5)
        if near:
            return near[0]
        same_leaf = [known for known in self.table if known[-1] == key[-1]]
        return dotted(min(same_leaf, key=len)) if same_leaf else ""

    def nearest_variable(self, name: str) -> str:
        """Return the known environment variable most like an unknown one."""
        near = get_close_matches(name, list(self.variables), 1, 0.6)
        return near[0] if near else ""

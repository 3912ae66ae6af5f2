"""Load configuration: command line > environment > YAML files in order > profile > default; each with its origin.

Unknown keys are refused with the nearest known one named. Every failure is one ConfigurationError of one line that
names the key and where it was given, and never shows a value that may be secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pycryptoutil.errors import ConfigurationError
from pycryptoutil.service import catalogue, telemetry, yamlfile
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.service.profiles import PROFILES
from pycryptoutil.service.schema import (
    ENVIRONMENT_PREFIX,
    KEY_MATERIAL,
    SERVICES,
    Key,
    Leaf,
    Schema,
    dotted,
    element_model,
    is_secret,
)
from pycryptoutil.service.settings import SERVICE_SECTIONS, Count, FilePath, Profile, Section, ServiceSettings
from pycryptoutil.service.telemetry.environment import standard

MASK = "********"
_AT_START = (
    "profile",
    "data_dir",
    "process.",
    "database.",
    "barrier.",
    "audit.",
    "telemetry.",
    "admin.prefix",
    "limits.worker_",
    "limits.queue_",
    "limits.idle_",
    "limits.request_",
    "limits.max_connections",
    "limits.max_header",
)
_ADDRESSES = (".port", ".bind_address", "plain.enabled")


class ProcessSection(Section):
    """What concerns the process and no service."""

    workers: Count = 1
    ready_file: FilePath | None = None


class ProcessSettings(ServiceSettings, BaseSettings):
    """The shared sections of a process, before any service's overrides."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)

    process: ProcessSection = ProcessSection()
    services: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it."""

    value: Any = field(repr=False)
    origin: str  # "profile dev", "/etc/x.yaml:12", "environment CRYPTOUTIL_X", "command line --data-dir"


Layer = Mapping[Key, Given]


@dataclass(frozen=True, slots=True)
class Effective:
    """One line of ``config show``: the value is masked where it is secret."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to load from; kept so that a reload reads the same places again."""

    files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    command_line: Mapping[Key, Given] = field(default_factory=dict)


@dataclass(frozen=True)
class Configuration:
    """Configuration of one process, validated whole."""

    settings: ProcessSettings
    services: Mapping[str, ServiceSettings]  # by service name, overrides applied
    own: Mapping[str, BaseModel]  # by service name: the service's own section
    effective: tuple[Effective, ...]
    inputs: Inputs = field(repr=False)
    definitions: tuple[ServiceDefinition, ...] = field(repr=False)

    @property
    def data_dir(self) -> Path:
        """Where this process keeps what it owns; absolute."""
        return self.settings.data_dir

    def needing_restart(self, fresh: Configuration) -> tuple[str, ...]:
        """Return the keys of ``fresh`` that differ and that only the next start takes."""
        before = {entry.key: entry.value for entry in self.effective}
        keys = {entry.key for entry in fresh.effective if before.get(entry.key) != entry.value}
        if self.settings.database.url != fresh.settings.database.url:
            keys.add("database.url")  # shown masked, both look the same
        own = tuple(f"{catalogue.section(found.name)}." for found in self.definitions)
        return tuple(sorted(key for key in keys if key.startswith((*_AT_START, *own)) or key.endswith(_ADDRESSES)))

    def reload(self) -> Configuration:
        """Read the same places again (changed files, changed secrets)."""
        return load(self.definitions, self.inputs)


def schema_of(definitions: Sequence[ServiceDefinition]) -> Schema:
    """Return the keys that a process with these services knows."""
    own = {catalogue.section(found.name): found.settings for found in definitions}
    return Schema(own, ProcessSettings, frozenset(map(catalogue.section, catalogue.names())) - set(own))


def load(definitions: Sequence[ServiceDefinition], inputs: Inputs) -> Configuration:
    """Load and validate the configuration of a process that runs these services."""
    schema = schema_of(definitions)
    named = [_command_line(schema, inputs.command_line), _environment(schema, inputs.environment)]
    named += [_file(schema, path) for path in reversed(inputs.files)]
    profile = next((layer[("profile",)] for layer in named if ("profile",) in layer), Given("prod", "default"))
    if profile.value not in PROFILES:
        raise ConfigurationError(f"{profile.origin}: profile: must be one of {', '.join(PROFILES)}", "profile")
    layers = [*named, _flatten(schema, PROFILES[profile.value], f"profile {profile.value}")]
    layers.append(
        {("telemetry", key): Given(value, f"environment {v}") for key, value, v in standard(inputs.environment)}
    )
    winners = {key: layer[key] for layer in reversed(layers) for key in layer}
    winners = {key: _resolve(schema.table[key], given) for key, given in winners.items()}
    origins = {key: given.origin for key, given in winners.items()}

    raw = _nest({key: given.value for key, given in winners.items()})
    resolved = [
        _nest({key: winners[key].value for key in layer if origins[key] == layer[key].origin}) for layer in layers
    ]
    settings = _assemble(schema.own, resolved, origins)
    own = {found.name: getattr(settings, catalogue.section(found.name)) for found in definitions}
    services = {found.name: _service(found, raw, settings.data_dir, origins) for found in definitions}
    _refuse_contradictions(settings, services, origins)
    effective = (*_show(schema, winners, layers), *_default_ports(definitions, services))
    return Configuration(settings, services, own, effective, inputs, tuple(definitions))


# --- layers -----------------------------------------------------------------------------------------------------------


def _unknown(schema: Schema, key: Key, origin: str) -> ConfigurationError:
    near = schema.nearest(key)
    hint = f"; did you mean {near!r}?" if near else ""
    return ConfigurationError(f"{origin}: unknown key {dotted(key)!r}{hint}", dotted(key))


def _normal(key: Key) -> Key:
    """Write a service's name as its section is written: ``services.pki-ca`` is ``services.pki_ca``."""
    if len(key) > 1 and key[0] == SERVICES:
        return (SERVICES, catalogue.section(key[1]), *key[2:])
    return key


def _command_line(schema: Schema, options: Layer) -> Layer:
    given = {}
    for key, option in options.items():
        leaf = schema.table.get(_normal(key))
        if leaf is None:
            raise _unknown(schema, key, option.origin)
        if leaf.secret and not str(option.value).startswith("file://"):
            raise ConfigurationError(
                f"{option.origin}: {dotted(key)}: a secret does not belong on the command line; give file:///path",
                dotted(key),
            )
        given[leaf.key] = Given(_text_value(leaf, option.value, option.origin), option.origin)
    return given


def _environment(schema: Schema, environment: Mapping[str, str]) -> Layer:
    given = {}
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        origin, leaf = f"environment {name}", schema.variables.get(name)
        if leaf is None:
            if any(name.startswith(f"{ENVIRONMENT_PREFIX}{section.upper()}_") for section in schema.foreign):
                continue
            near = schema.nearest_variable(name)
            hint = f"; did you mean {near}?" if near else ""
            raise ConfigurationError(f"environment: unknown variable {name}{hint}", name)
        given[leaf.key] = Given(_text_value(leaf, environment[name], origin), origin)
    return given


def _text_value(leaf: Leaf, value: Any, origin: str) -> Any:
    """Lists and mappings come as JSON, or as a,b,c where the model takes that."""
    if not leaf.opaque or not isinstance(value, str) or value.lstrip()[:1] not in {"[", "{"}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ConfigurationError(f"{origin}: {dotted(leaf.key)}: is not JSON", dotted(leaf.key)) from None


def _file(schema: Schema, path: Path) -> Layer:
    given: dict[Key, Given] = {}
    document = yamlfile.read(path)

    def walk(mapping: yamlfile.Mapping, above: Key) -> None:
        for name, entry in mapping.items():
            written, origin = (*above, name), f"{path}:{entry.line}"
            key = _normal(written)
            if key in schema.table:
                given[key] = Given(entry.plain(), origin)
            elif key in schema.groups:
                if isinstance(entry.value, dict):
                    walk(entry.value, written)
                elif entry.value is not None:
                    raise ConfigurationError(f"{origin}: {dotted(written)}: holds keys, not a value", dotted(written))
            elif not schema.is_foreign(key):
                raise _unknown(schema, written, origin)

    walk(document, ())
    return given


def _flatten(schema: Schema, mapping: Mapping[str, Any], origin: str, above: Key = ()) -> dict[Key, Given]:
    given: dict[Key, Given] = {}
    for name, value in mapping.items():
        key = (*above, name)
        if key in schema.table:
            given[key] = Given(value, origin)
        else:
            given.update(_flatten(schema, value, origin, key))
    return given


def _nest(values: Mapping[Key, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        level = nested
        for name in key[:-1]:
            level = level.setdefault(name, {})
        level[key[-1]] = value
    return nested


# --- secrets ----------------------------------------------------------------------------------------------------------


def _resolve(leaf: Leaf, given: Given) -> Given:
    """Replace ``file://`` in secrets by the file's content, also in lists of models with secret members."""
    if leaf.secret and leaf.key[-1] not in KEY_MATERIAL:
        return Given(_secret(given.value, leaf.key), given.origin)
    model = element_model(leaf.annotation) if leaf.opaque else None
    if model is not None and isinstance(given.value, list | tuple):
        return Given([_element(model, item, leaf.key) for item in given.value], given.origin)
    return given


def _element(model: type[BaseModel], item: Any, key: Key) -> Any:
    if not isinstance(item, dict):
        return item
    secrets = {name for name, info in model.model_fields.items() if is_secret(info.annotation)}
    return {name: _secret(value, (*key, name)) if name in secrets else value for name, value in item.items()}


def _secret(value: Any, key: Key) -> Any:
    if not isinstance(value, str) or not value.startswith("file://"):
        return value
    path = Path(unquote(urlsplit(value).path))
    try:
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{dotted(key)}: cannot read {path}: {why}", dotted(key)) from None
    if not text:
        raise ConfigurationError(f"{dotted(key)}: {path} is empty", dotted(key))
    return text


# --- models -----------------------------------------------------------------------------------------------------------


class _LayerSource(PydanticBaseSettingsSource):
    """One layer, for pydantic-settings to merge."""

    def __init__(self, settings_class: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_class)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  interface
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def _assemble(
    own: Mapping[str, type[BaseModel]], layers: Iterable[dict[str, Any]], origins: Mapping[Key, str]
) -> ProcessSettings:
    values = tuple(layers)

    class Assembled(ProcessSettings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_sources: object, **_named: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Put the layers in place of pydantic-settings' own sources."""
            return tuple(_LayerSource(settings_cls, layer) for layer in values)

    fields: dict[str, Any] = {name: (model, model.model_construct()) for name, model in own.items()}
    assembled = create_model("Assembled", __base__=Assembled, **fields)
    try:
        settings = assembled()
    except ValidationError as error:
        raise _first(error, origins, ()) from None
    # relative to where the process was started, once: the process never changes directory
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def _service(
    found: ServiceDefinition, raw: Mapping[str, Any], data_dir: Path, origins: Mapping[Key, str]
) -> ServiceSettings:
    name = found.name
    overrides = raw.get(SERVICES, {}).get(catalogue.section(name), {})
    given = {section: value for section, value in raw.items() if section in ServiceSettings.model_fields}
    merged = _merge({"public": {"tls": {"client_policy": found.client_policy}}}, given)
    for section, values in overrides.items():
        merged[section] = _merge(merged.get(section, {}), values)
    try:
        return ServiceSettings.model_validate({**merged, "data_dir": data_dir})
    except ValidationError as error:
        raise _first(error, origins, (SERVICES, catalogue.section(name))) from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        merged[name] = _merge(merged[name], value) if isinstance(value, dict) and name in merged else value
    return merged


def _first(error: ValidationError, origins: Mapping[Key, str], above: Key) -> ConfigurationError:
    """Turn pydantic's report into one line about its first entry."""
    entry = error.errors(include_url=False, include_input=False, include_context=False)[0]
    location = tuple(str(part) for part in entry["loc"])
    what = entry["msg"].removeprefix("Value error, ")
    for key in ((*above, *location), location):
        for length in range(len(key), 0, -1):
            origin = origins.get(key[:length])
            if origin:
                return ConfigurationError(f"{origin}: {dotted(key)}: {what}", dotted(key))
    for key, origin in origins.items():  # a rule of a whole section: the first of its keys that was given
        if key[: len(location)] == location or key[len(above) :][: len(location)] == location:
            return ConfigurationError(f"{origin}: {dotted(location)}: {what}", dotted(location))
    return ConfigurationError(f"{dotted(location)}: {what}", dotted(location))


# --- rules between keys -----------------------------------------------------------------------------------------------


def _refuse_contradictions(
    settings: ProcessSettings, services: Mapping[str, ServiceSettings], origins: Mapping[Key, str]
) -> None:
    def refuse(key: Key, why: str) -> None:
        origin = origins.get(key) or next((o for k, o in origins.items() if k[:-1] == key[:-1]), "")
        raise ConfigurationError(f"{origin}: {dotted(key)}: {why}" if origin else f"{dotted(key)}: {why}", dotted(key))

    if settings.barrier.mode == "file" and settings.barrier.secret_file is None:
        refuse(("barrier", "secret_file"), "is missing: barrier.mode file unseals with it")
    telemetry.check(settings.telemetry)
    scheme = settings.database.url.get_secret_value().partition(":")[0]
    if scheme not in {"", "sqlite", "postgresql"}:
        refuse(("database", "url"), "must start with sqlite:/// or postgresql://")
    for name, service in services.items():
        for listener in ("public", "admin"):
            tls = getattr(service, listener).tls
            found = tls.contradiction()
            if found:
                key = (listener, "tls", found[0])
                mine = (SERVICES, catalogue.section(name), *key)
                refuse(mine if any(k[:-1] == mine[:-1] for k in origins) else key, found[1])
            for material in ("certificate", "private_key", "issuer_certificate", "issuer_key", "client_ca"):
                _refuse_unreadable(getattr(tls, material), (listener, "tls", material), refuse)
    if len(services) > 1:
        _refuse_shared(services, refuse)


def _refuse_unreadable(value: str | SecretStr | None, key: Key, refuse: Callable[[Key, str], None]) -> None:
    from pycryptoutil.service.settings import Material

    if value is None:
        return
    material = Material(value.get_secret_value() if isinstance(value, SecretStr) else value)
    try:
        material.read()
    except OSError as error:
        refuse(key, f"cannot read {material.path}: {error.strerror}")


def _refuse_shared(services: Mapping[str, ServiceSettings], refuse: Callable[[Key, str], None]) -> None:
    """Two services of one process cannot take the same address."""
    taken: dict[tuple[str, int], str] = {}
    for name, service in services.items():
        for listener in ("public", "admin"):
            section = getattr(service, listener)
            if not section.port:
                continue
            owner = taken.setdefault((section.bind_address, section.port), name)
            if owner != name:
                refuse(
                    (listener, "port"),
                    f"is the same for {owner} and {name}; give services.{name}.{listener}.port",
                )


# --- showing ----------------------------------------------------------------------------------------------------------


def _show(schema: Schema, winners: Layer, layers: Sequence[Layer]) -> Iterator[Effective]:
    written = {key: layer[key].value for layer in reversed(layers) for key in layer}  # before secrets were read
    for key, leaf in schema.table.items():
        if key in winners:
            yield Effective(dotted(key), _masked(leaf, written[key]), winners[key].origin)
        elif key[0] != SERVICES:
            yield Effective(dotted(key), _masked(leaf, leaf.default), "default")


def _default_ports(
    definitions: Sequence[ServiceDefinition], services: Mapping[str, ServiceSettings]
) -> Iterator[Effective]:
    """Show the ports that nobody gave, and the client policy: they are each service's own."""
    for found in definitions:
        mine = services[found.name]
        ports = {"public": found.public_port, "admin": found.admin_port, "plain": found.plain_port}
        for listener, port in ports.items():
            if getattr(mine, listener).port is None and port is not None:
                key = dotted((SERVICES, catalogue.section(found.name), listener, "port"))
                yield Effective(key, port, f"default of {found.name}")
        policy = dotted((SERVICES, catalogue.section(found.name), "public", "tls", "client_policy"))
        if found.client_policy != "none" and mine.public.tls.client_policy == found.client_policy:
            yield Effective(policy, found.client_policy, f"default of {found.name}")


def _masked(leaf: Leaf, value: Any) -> Any:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if leaf.secret:
        return _mask(value)
    model = element_model(leaf.annotation) if leaf.opaque else None
    if model is not None and isinstance(value, list | tuple):
        secrets = {name for name, info in model.model_fields.items() if is_secret(info.annotation)}
        return [
            {name: _mask(member) if name in secrets else _plain(member) for name, member in item.items()}
            if isinstance(item, dict)
            else MASK
            for item in value
        ]
    return _plain(value)


def _mask(value: Any) -> Any:
    """Hide a secret, but not that it is absent or where it is read from."""
    if value in {None, ""} or (isinstance(value, str) and value.startswith("file://")):
        return value
    return MASK


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def profile_names() -> tuple[str, ...]:
    """The profiles there are."""
    return tuple(get_args(Profile))


__all__ = [
    "SERVICE_SECTIONS",
    "Configuration",
    "Effective",
    "Given",
    "Inputs",
    "ProcessSettings",
    "load",
    "profile_names",
]

"""Read a YAML file keeping the line of every key. Duplicate keys, aliases and non-text keys are refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pycryptoutil.errors import ConfigurationError

MAX_SIZE = 1 << 20
MAX_DEPTH = 32

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value (a mapping keeps its lines) and the line of its key."""

    value: Any
    line: int

    def plain(self) -> Any:
        """Return the value without lines."""
        return _plain(self.value)


Mapping = dict[str, Entry]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: entry.plain() for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def read(path: Path) -> Mapping:
    """Return the file's top mapping; ConfigurationError naming file and line."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", "config") from None
    if len(data) > MAX_SIZE:
        raise ConfigurationError(f"{path}: is larger than {MAX_SIZE} bytes", "config")
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Mapping:
    """Return the top mapping of a document called ``name`` in errors."""
    loader = _Loader(data)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data, _Loader)):
            raise ConfigurationError(f"{name}: YAML aliases are not accepted", "config")
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigurationError(f"{name}:{node.start_mark.line + 1}: must hold keys and values", "config")
        return _mapping(loader, node, name, 0)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{name}:{line}: not YAML: {error.problem or error.context}", "config") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ConfigurationError(f"{name}: not YAML", "config") from None
    except ValueError:  # a timestamp such as 2026-99-99
        raise ConfigurationError(f"{name}: a value is not what it looks like; quote it", "config") from None
    finally:
        loader.dispose()


def _mapping(loader: Any, node: yaml.MappingNode, name: str, depth: int) -> Mapping:
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"{name}:{node.start_mark.line + 1}: is nested too deeply", "config")
    found: Mapping = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str) or key_node.tag == "tag:yaml.org,2002:merge":
            raise ConfigurationError(f"{name}:{line}: keys must be plain text", "config")
        if key in found:
            raise ConfigurationError(
                f"{name}:{line}: key {key!r} is given twice (first on line {found[key].line})", key
            )
        found[key] = Entry(_value(loader, value_node, name, depth + 1), line)
    return found


def _value(loader: Any, node: yaml.Node, name: str, depth: int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, name, depth)
    if isinstance(node, yaml.SequenceNode):
        if depth > MAX_DEPTH:
            raise ConfigurationError(f"{name}:{node.start_mark.line + 1}: is nested too deeply", "config")
        return [_value(loader, item, name, depth + 1) for item in node.value]
    return loader.construct_object(node, deep=True)

"""Other chains of a certificate: to every root that links between keys of CAs lead to (RFC 8555 section 7.4.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

_MAX_DEPTH: Final = 8
_MAX_LOOKED_AT: Final = 200

Path = tuple[Certificate, ...]


def alternates(chain: Sequence[bytes], pool: Sequence[bytes]) -> tuple[tuple[bytes, ...], ...]:
    """Return the shortest chain to each root but the one that ``chain`` ends in, leaf first and without the root.

    ``chain`` is the usual one with its root, ``pool`` what else there is; all are DER.
    """
    found: dict[tuple[bytes, bytes], Path] = {}
    usual = decode_certificate(chain[-1])
    known = {(usual.subject, usual.spki)}
    for path in _paths(
        decode_certificate(chain[0]), [decode_certificate(one) for one in dict.fromkeys((*chain, *pool))]
    ):
        root = (path[-1].subject, path[-1].spki)
        if root not in known:
            found.setdefault(root, path)
    return tuple(tuple(one.der for one in path[:-1]) for path in found.values())


def _paths(leaf: Certificate, pool: Sequence[Certificate]) -> Iterator[Path]:
    """Yield paths up to a root, the shortest first; no key comes twice in one of them."""
    waiting: deque[Path] = deque([(leaf,)])
    for _ in range(_MAX_LOOKED_AT):
        if not waiting:
            return
        path = waiting.popleft()
        if len(path) > 1 and _is_root(path[-1]):
            yield path
            continue
        if len(path) >= _MAX_DEPTH:
            continue
        keys = {one.spki for one in path}
        waiting.extend((*path, one) for one in pool if one.spki not in keys and _issued(one, path[-1]))


def _is_root(one: Certificate) -> bool:
    return one.subject == one.issuer and _issued(one, one)


def _issued(issuer: Certificate, one: Certificate) -> bool:
    """Tell by names and key identifiers: all are ours, and their signatures were checked when they were made."""
    wanted = _authority_key(one)
    return one.issuer == issuer.subject and (not wanted or wanted == issuer.subject_key_identifier)


def _authority_key(one: Certificate) -> bytes:
    extension = one.extension(oids.AUTHORITY_KEY_IDENTIFIER)
    if extension is None:
        return b""
    key = der.read_sequence(extension.value).optional(der.context(0, constructed=False))
    return key.content if key is not None else b""

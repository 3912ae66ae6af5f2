"""Secrets of versions: made, sealed under the tenant's root, held open as handles until the barrier seals."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections import OrderedDict
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto import jose as policy
from pycryptoutil.crypto import keys
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkSecret, Usage
from pycryptoutil.keyring.catalog import Purpose, Spec
from pycryptoutil.keyring.store import versions as store
from pycryptoutil.keyring.store.tables import ROOTS
from pycryptoutil.keyring.store.versions import RootRow, VersionRow
from pycryptoutil.storage import Database, Reader, UnitOfWork

_MAX_OPEN: Final = 4096  # handles; a private key takes a few kilobytes
_PRIVATE: Final = b"\x01"
_SECRET: Final = b"\x02"
_ED448: Final = b"\x03"
_MOVE: Final = 100


def usage_of(spec: Spec, kid: str = "") -> Usage:
    """Return what a version's JWK says of its use."""
    known = spec.alg in {*policy.JWS_NAMES, *policy.ENC_NAMES, *(alg.value for alg in policy.JweAlgorithm)}
    signs = spec.purposes & {Purpose.SIGN, Purpose.MAC}
    return Usage(spec.alg if known else "", kid, "sig" if signs else "enc")


def make(spec: Spec) -> JwkPrivate | JwkSecret:
    """Make a key; its kid is the thumbprint, or a random name for a secret."""
    usage = usage_of(spec)
    if spec.symmetric:
        handle = policy.SecretKey.generate(spec.octets)
        return JwkSecret.of(handle, Usage(usage.alg, secrets.token_urlsafe(16), usage.use))
    made = Ed448Key.generate() if spec.key == "Ed448" else keys.generate(spec.key)
    return named(JwkPrivate.of(made, usage))


def named(key: JwkPrivate | JwkSecret) -> JwkPrivate | JwkSecret:
    """Return a key under its own kid: the thumbprint, or a random name for a secret."""
    if isinstance(key, JwkSecret):
        return JwkSecret(key.handle, Usage(key.usage.alg, secrets.token_urlsafe(16), key.usage.use))
    return JwkPrivate.of(key.handle, Usage(key.usage.alg, key.thumbprint(), key.usage.use))


def fitting(spec: Spec, key: Jwk) -> JwkPrivate | JwkSecret:
    """Return an imported key as a version of this spec; Fault(INVALID, WEAK_KEY) if it is of another kind."""
    usage = usage_of(spec)
    if isinstance(key, JwkSecret):
        size = len(key.handle)
        exact = spec.alg not in policy.HMAC_BYTES and not spec.alg.startswith("HKDF")
        if not spec.symmetric or (size != spec.octets if exact else size < spec.octets):
            raise _mismatch(f"a secret of {size} octets for {spec.name}")
        return named(JwkSecret.of(key.handle, usage))
    family = spec.key.partition("-")[0]
    same = key.algorithm.startswith("RSA-") if family == "RSA" else key.algorithm == spec.key
    if not isinstance(key, JwkPrivate) or not same:
        raise _mismatch(f"{key.algorithm} for {spec.name}")
    return named(JwkPrivate.of(key.handle, usage))


def _mismatch(detail: str) -> Fault:
    return Fault(FaultKind.INVALID, f"import: {detail}", "the key is of another kind than the elastic key's algorithm")


class Vault:
    """Roots and material of every tenant, opened once. Dropped when the barrier is sealed."""

    def __init__(self, database: Database, barrier: Barrier) -> None:
        self._database = database
        self._barrier = barrier
        self._lock = threading.Lock()
        self._roots: dict[tuple[str, str], keys.SymmetricKey] = {}
        self._open: OrderedDict[tuple[str, str, int, str], JwkPrivate | JwkSecret] = OrderedDict()
        barrier.on_seal(self.drop)

    def drop(self) -> None:
        """Let go of every handle."""
        with self._lock:
            self._roots = {}
            self._open = OrderedDict()

    def forget(self, tenant_id: str, key_id: str) -> None:
        """Let go of one key's handles."""
        with self._lock:
            for known in [one for one in self._open if one[:2] == (tenant_id, key_id)]:
                del self._open[known]

    def _check(self) -> None:
        if self._barrier.sealed:
            self.drop()
            raise Fault(FaultKind.SEALED, "the barrier is sealed", "the service is sealed")

    def _root(self, reader: Reader, root_id: str) -> keys.SymmetricKey:
        known = self._roots.get((reader.tenant_id, root_id))
        if known is not None:
            return known
        row = store.root(reader, root_id)
        if row is None:
            raise Fault(FaultKind.INTERNAL, f"no root {root_id}")
        opened = self._barrier.open_symmetric(row.sealed, ROOTS.aad(reader.tenant_id, row.id))
        with self._lock:
            self._roots[(reader.tenant_id, root_id)] = opened
        return opened

    def root_id(self, tenant_id: str, now: datetime) -> str:
        """Return the id of the tenant's newest root, made if there is none. Not inside a unit of work."""
        with self._database.read(tenant_id) as reader:
            row = store.root(reader)
        if row is not None:
            return row.id
        try:
            return self._new_root(tenant_id, 1, now)
        except Fault as fault:
            if fault.kind is not FaultKind.CONFLICT:
                raise
        return self.root_id(tenant_id, now)  # another one was first

    def current_root(self, uow: UnitOfWork) -> str:
        """Return the id of the newest root, which stays until the unit ends; see :meth:`root_id` before."""
        uow.lock(f"keyring-root:{uow.tenant_id}")
        row = store.root(uow)
        if row is None:
            raise Fault(FaultKind.INTERNAL, "no root")
        return row.id

    def _new_root(self, tenant_id: str, generation: int, now: datetime) -> str:
        identifier = uuid.uuid4().hex
        sealed = self._barrier.seal_symmetric(keys.SymmetricKey.generate(), ROOTS.aad(tenant_id, identifier))
        with self._database.unit_of_work(tenant_id) as uow:
            store.insert_root(uow, RootRow(identifier, generation, sealed), now)
        return identifier

    def seal(self, reader: Reader, root_id: str, key_id: str, version: int, key: JwkPrivate | JwkSecret) -> bytes:
        """Seal a version's secret; it stays inside the core but for Ed448."""
        root, aad = self._root(reader, root_id), _aad(reader.tenant_id, key_id, version)
        if isinstance(key, JwkSecret):
            return _SECRET + key.handle.seal(root, _SECRET + aad)
        if isinstance(key.handle, Ed448Key):
            return _ED448 + root.encrypt(key.handle.export_pkcs8(), _ED448 + aad)
        return _PRIVATE + key.handle.seal(root, _PRIVATE + aad)

    def open(self, reader: Reader, row: VersionRow, usage: Usage) -> JwkPrivate | JwkSecret:
        """Return a version's handle, from memory if it was opened before."""
        self._check()
        version = row.version
        name = (reader.tenant_id, version.key_id, version.version, version.kid)
        known = self._open.get(name)
        if known is not None:
            return known
        root = self._root(reader, row.root_id)
        kind, body = row.material[:1], row.material[1:]
        aad = kind + _aad(reader.tenant_id, version.key_id, version.version)
        named_usage = Usage(usage.alg, version.kid, usage.use)
        made: JwkPrivate | JwkSecret
        if kind == _SECRET:
            made = JwkSecret(policy.SecretKey.unseal(root, body, aad), named_usage)
        elif version.public is None:
            raise Fault(FaultKind.INTERNAL, f"version {version.version} of {version.key_id} has no public half")
        elif kind == _ED448:
            made = JwkPrivate(Ed448Key.from_pkcs8(root.decrypt(body, aad)), version.public)
        else:
            made = JwkPrivate(keys.PrivateKey.unseal(root, body, aad), version.public)
        with self._lock:
            if not self._barrier.sealed:
                self._open[name] = made
                while len(self._open) > _MAX_OPEN:
                    self._open.popitem(last=False)
        return made

    def rotate_root(self, tenant_id: str, now: datetime) -> int:
        """Put every version of a tenant under a new root, in portions; return how many. Resumable: run it again."""
        with self._database.read(tenant_id) as reader:
            newest = store.root(reader)
        root_id = self._new_root(tenant_id, newest.generation + 1 if newest is not None else 1, now)
        return self.finish_rotation(tenant_id, root_id)

    def finish_rotation(self, tenant_id: str, root_id: str = "") -> int:
        """Bring what still hangs on older roots under the newest, and forget those."""
        moved = 0
        with self._database.read(tenant_id) as reader:
            newest = store.root(reader, root_id)
        if newest is None:
            return 0
        while True:
            with self._database.unit_of_work(tenant_id) as uow:
                self.current_root(uow)  # nobody seals under the old one meanwhile
                rows = store.under_other_roots(uow, newest.id, _MOVE)
                for key_id, version, old_root, material in rows:
                    again = self._again(uow, key_id, version, old_root, newest.id, material)
                    moved += store.move(uow, key_id, version, material, newest.id, again)
                if len(rows) < _MOVE:
                    store.forget_roots(uow, newest.id)
                    break
        with self._lock:
            self._roots = {known: root for known, root in self._roots.items() if known[0] != tenant_id}
        return moved

    def _again(self, uow: UnitOfWork, key_id: str, version: int, old: str, new: str, material: bytes) -> bytes:
        kind, body = material[:1], material[1:]
        aad = kind + _aad(uow.tenant_id, key_id, version)
        before, after = self._root(uow, old), self._root(uow, new)
        if kind == _SECRET:
            return kind + policy.SecretKey.unseal(before, body, aad).seal(after, aad)
        if kind == _ED448:
            return kind + after.encrypt(before.decrypt(body, aad), aad)
        return kind + keys.PrivateKey.unseal(before, body, aad).seal(after, aad)


def _aad(tenant_id: str, key_id: str, version: int) -> bytes:
    return f"key-version:{tenant_id}:{key_id}:{version}".encode()

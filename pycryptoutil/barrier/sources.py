"""Where an unseal key comes from: a secret in a file, or shares that operators hold."""

from __future__ import annotations

import base64
import errno
import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier.shares import Share, set_id_of
from pycryptoutil.crypto.keys import SymmetricKey, hkdf, shamir_split
from pycryptoutil.errors import ConfigurationError

_INFO: Final = b"pycryptoutil barrier unseal v1"
_LEAST_SECRET: Final = 32
_MOST_SECRET: Final = 64 * 1024
DEV_FILE: Final = "unseal.key"

_log = logging.getLogger(__name__)


class BarrierOptions(Protocol):
    """The section ``barrier`` of the settings."""

    @property
    def mode(self) -> str:
        """``shamir``, ``file`` or ``dev``."""

    @property
    def shares(self) -> int:
        """How many shares a new unseal key is split into."""

    @property
    def threshold(self) -> int:
        """How many of them unseal."""

    @property
    def secret_file(self) -> Path | str | None:
        """Where the secret of mode ``file`` is."""

    @property
    def root_lifetime(self) -> float:
        """Seconds."""

    @property
    def intermediate_lifetime(self) -> float:
        """Seconds."""

    @property
    def content_lifetime(self) -> float:
        """Seconds."""

    @property
    def content_uses(self) -> int:
        """How many values one content key seals."""


class Source(Protocol):
    """One way to unseal."""

    def create(self, key_id: str, generation: int) -> tuple[SymmetricKey, dict[str, Any]]:
        """Make a new unseal key; what an operator or a restart needs of it is durable when this returns."""

    def candidates(self, facts: dict[str, Any]) -> list[SymmetricKey]:
        """Return the keys this process can have by itself; none when shares must be given."""

    def adopted(self, index: int) -> None:
        """The candidate of this index was the right one; 1 is one just created."""


class SecretFileSource:
    """``file``: one secret of high entropy that the operator provides, the same for every instance."""

    def __init__(self, path: Path | str | None) -> None:
        if path is None:
            message = "mode file needs a secret file"
            raise ConfigurationError(message, "barrier.secret_file")
        self._path = Path(str(path).removeprefix("file://"))

    def check(self) -> None:
        """Raise ConfigurationError unless the secret is there and long enough."""
        self._secret()

    def create(self, key_id: str, generation: int) -> tuple[SymmetricKey, dict[str, Any]]:  # noqa: ARG002
        """Derive with a new salt. The secret must be in place already."""
        facts = {"mode": "file", "salt": secrets.token_hex(32)}
        return _derive(self._secret(), facts), facts

    def candidates(self, facts: dict[str, Any]) -> list[SymmetricKey]:
        """Derive from the file as it is now."""
        return [_derive(self._secret(), facts)]

    def adopted(self, index: int) -> None:
        """Nothing to keep."""

    def _secret(self) -> bytes:
        try:
            mode = self._path.stat().st_mode
            with self._path.open("rb") as file:
                secret = file.read(_MOST_SECRET + 1).strip()
        except OSError as error:
            message = f"{self._path} cannot be read: {error.strerror}"
            raise ConfigurationError(message, "barrier.secret_file") from error
        if mode & stat.S_IROTH:
            _log.warning("the barrier's secret file %s is readable by everybody", self._path)
        if not _LEAST_SECRET <= len(secret) <= _MOST_SECRET:
            message = (
                f"{self._path} must hold {_LEAST_SECRET} to {_MOST_SECRET} bytes, such as 'openssl rand -base64 48'"
            )
            raise ConfigurationError(message, "barrier.secret_file")
        return secret


class DevSource:
    """``dev``: a secret generated into the data directory. A new one waits beside the old until it is in use."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / DEV_FILE
        self._next = data_dir / f"{DEV_FILE}.new"

    def create(self, key_id: str, generation: int) -> tuple[SymmetricKey, dict[str, Any]]:  # noqa: ARG002
        """Write a new secret; a first database takes one that lies here, which another database may still need."""
        secret = self._read(self._path) if generation == 1 and self._path.exists() else self._write()
        facts = {"mode": "dev", "salt": secrets.token_hex(32)}
        return _derive(secret, facts), facts

    def _write(self) -> bytes:
        secret = base64.urlsafe_b64encode(secrets.token_bytes(32))
        write_private(self._next, secret + b"\n")
        return secret

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes().strip()
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror}"
            raise ConfigurationError(message, "barrier.mode") from error

    def candidates(self, facts: dict[str, Any]) -> list[SymmetricKey]:
        """Return what the present and the waiting secret give."""
        return [_derive(self._read(path), facts) for path in (self._path, self._next) if path.exists()]

    def adopted(self, index: int) -> None:
        """Let the waiting secret take its place once it is the one in use."""
        if index == 1 or not self._path.exists():
            with suppress(FileNotFoundError):  # another process may have done it
                self._next.replace(self._path)


class ShamirSource:
    """``shamir``: shares go once into a file of the data directory, for the operator to hand out and remove."""

    def __init__(self, data_dir: Path, options: BarrierOptions) -> None:
        self._data_dir = data_dir
        self._options = options
        self.written: Path | None = None

    def create(self, key_id: str, generation: int) -> tuple[SymmetricKey, dict[str, Any]]:  # noqa: ARG002
        """Split a new random key."""
        key = SymmetricKey.generate()
        count, threshold = self._options.shares, self._options.threshold
        set_id = set_id_of(key_id)
        texts = [Share(set_id, value).text() for value in shamir_split(key.export(), count, threshold)]
        path = self._data_dir / f"unseal-shares-{set_id.hex()}.txt"
        lines = [
            f"# {count} unseal shares, set {set_id.hex()}; any {threshold} of them unseal.",
            "# Give each to a different keeper, then delete this file: they are shown nowhere else.",
            *texts,
            "",
        ]
        write_private(path, "\n".join(lines).encode())
        self.written = path
        return key, {"mode": "shamir", "shares": count, "threshold": threshold}

    def candidates(self, facts: dict[str, Any]) -> list[SymmetricKey]:  # noqa: ARG002
        """Shares must be given."""
        return []

    def adopted(self, index: int) -> None:
        """Nothing to keep."""


def source_of(options: BarrierOptions, data_dir: Path) -> Source:
    """Return the configured way to unseal."""
    match options.mode:
        case "dev":
            return DevSource(data_dir)
        case "file":
            return SecretFileSource(options.secret_file)
        case "shamir":
            if not 1 <= options.threshold <= options.shares <= 255:
                message = "threshold must be at most the number of shares, which is at most 255"
                raise ConfigurationError(message, "barrier.threshold")
            return ShamirSource(data_dir, options)
        case other:
            message = f"{other!r} is not one of shamir, file, dev"
            raise ConfigurationError(message, "barrier.mode")


def _derive(secret: bytes, facts: dict[str, Any]) -> SymmetricKey:
    return SymmetricKey.from_bytes(hkdf("sha256", secret, bytes.fromhex(facts["salt"]), _INFO, 32))


def write_private(path: Path, content: bytes) -> None:
    """Write a 0600 file whole and durably, in place of one that may be there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        kind = FaultKind.STORAGE_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else FaultKind.UNAVAILABLE
        raise Fault(kind, f"{path} cannot be written: {error.strerror}", retry_after=60) from error

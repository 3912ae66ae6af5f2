"""``kms import``, ``export``, ``backup``, ``restore``: keys that come and go, never in the open on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.cli.kms_files import SERVICE, key_path, written

if TYPE_CHECKING:
    from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkPublic

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOST: Final = 64 * 1024 * 1024
_target = click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write this file instead."
)
_ALGS: Final = ("RSA-OAEP-256", "ECDH-ES+A256KW", "ML-KEM-768+A192KW", "ML-KEM-1024+A256KW")


def read_key(path: Path) -> Jwk:
    """Read a JWK, PEM or DER file; CommandError, quoting nothing of it."""
    from pycryptoutil_protocols.faults import Fault

    from pycryptoutil.jose import jwk

    try:
        data = path.read_bytes()
        if data.lstrip()[:1] == b"{":
            return jwk.parse(data)
        return jwk.from_pem(data) if b"-----BEGIN" in data else jwk.from_der(data)
    except Fault as fault:
        raise CommandError(f"{path}: {fault.public or 'is no key'}") from None


def _public(path: Path) -> JwkPublic:
    from pycryptoutil.jose.jwk import JwkSecret

    found = read_key(path)
    if isinstance(found, JwkSecret):
        raise CommandError(f"{path}: a public key is needed")
    return found.public


def _wrapped(document: bytes, import_key: Any) -> str:
    from pycryptoutil import jose
    from pycryptoutil.jose.text import dumps

    return jose.encrypt(jose.parse_public(dumps(import_key["public_jwk"])), document)


@click.command("import")
@click.argument("name")
@click.argument("file", type=_FILE)
@click.option("--wrap", "alg", type=click.Choice(_ALGS), default=_ALGS[0], show_default=True)
@administrator_options
def import_(administrator: Administrator, name: str, file: Path, alg: str) -> None:
    """Import a private or secret key (JWK, PEM, DER) as NAME's next version; it is encrypted before it is sent."""
    from pycryptoutil.jose.jwk import JwkPublic, JwkSecret
    from pycryptoutil.jose.text import dumps

    key = read_key(file)
    if isinstance(key, JwkPublic):
        raise CommandError(f"{file}: holds no private key")
    document = dumps(key.export()) if isinstance(key, JwkSecret) else key.handle.export_pkcs8()
    client = administrator.client(SERVICE)
    import_key = client.post(key_path(name, "import-keys"), {"alg": alg})
    body = {"import_key": import_key["id"], "wrapped": _wrapped(document, import_key)}
    made = client.post(key_path(name, "import"), body)
    administrator.done(f"{name}: version {made['version']} is active", made)


@click.command()
@click.argument("name")
@click.option("--version", type=int, required=True)
@click.option("--recipient", type=_FILE, required=True, help="The public key (JWK, PEM) that it is encrypted to.")
@click.option("--approval", default="", help="The approval, where the key has a quorum.")
@_target
@administrator_options
def export(
    administrator: Administrator, name: str, version: int, recipient: Path, approval: str, target: Path | None
) -> None:
    """Export a version as a JWE of its JWK, if the key allows it."""
    body = {"recipient": _public(recipient).members(), "approval": approval}
    answer = administrator.client(SERVICE).post(key_path(name, "versions", str(version), "export"), body)
    with written(target) as stream:
        stream.write(answer["jwe"].encode() + b"\n")


@click.command()
@click.argument("name", default="")
@click.option("--recovery-key", type=_FILE, required=True, help="The public key (JWK, PEM) that it is encrypted to.")
@click.option("--approval", default="", help="The approval, where the key has a quorum.")
@_target
@administrator_options
def backup(administrator: Administrator, name: str, recovery_key: Path, approval: str, target: Path | None) -> None:
    """Back up one key, or all of the tenant's, encrypted to a recovery key."""
    body = {"recovery_key": _public(recovery_key).members(), "approval": approval}
    answer = administrator.client(SERVICE).post(key_path(name, "backup") if name else "/key-backups", body)
    with written(target) as stream:
        stream.write(answer["jwe"].encode() + b"\n")


@click.command()
@click.option("--recovery-key", type=_FILE, required=True, help="The private key (JWK, PEM) of the backup.")
@click.option("-i", "--input", "source", type=click.File("rb"), default="-", help="Read this file, not standard input.")
@administrator_options
def restore(administrator: Administrator, recovery_key: Path, source: IO[bytes]) -> None:
    """Restore a backup: what is missing comes back, what is revoked or destroyed here stays so."""
    from pycryptoutil_protocols.faults import Fault

    from pycryptoutil import jose

    key = read_key(recovery_key)
    try:
        document = jose.decrypt(_private(recovery_key, key), source.read(_MOST).strip()).plaintext
    except Fault as fault:
        raise CommandError(f"the backup does not open: {fault.public or fault.kind.value}") from None
    client = administrator.client(SERVICE)
    restore_key = client.post("/key-restores/keys", {"alg": "ECDH-ES+A256KW"})
    body = {"import_key": restore_key["id"], "wrapped": _wrapped(document, restore_key)}
    found = client.post("/key-restores", body)
    keys = ", ".join(found["keys"]) or "no keys"
    administrator.done(f"{keys}: {found['versions']} versions restored, {found['kept']} there already", found)


def _private(path: Path, key: Jwk) -> JwkPrivate:
    from pycryptoutil.jose.jwk import JwkPrivate

    if not isinstance(key, JwkPrivate):
        raise CommandError(f"{path}: the recovery key's private half is needed")
    return key


COMMANDS: Final = (import_, export, backup, restore)

"""``kms encrypt``, ``decrypt``, ``rewrap``, ``sign``, ``verify``, ``mac``, ``datakey``: from stdin to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.client import Administrator, ApiClient, administrator_options
from pycryptoutil.cli.exits import CommandError

SERVICE: Final = "sm-kms"
OCTETS: Final = {"Content-Type": "application/octet-stream"}
JOSE: Final = {"Content-Type": "application/jose"}
_MOST: Final = 16 * 1024 * 1024  # of what is sent whole
_COPY: Final = 1 << 20

_input = click.option(
    "-i", "--input", "source", type=click.File("rb"), default="-", help="Read this file, not standard input."
)
_output = click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False),
    help="Write this file, complete or not at all, instead of standard output.",
)  # fmt: skip
_aad = click.option("--aad", help="Additional data, as text: whoever decrypts must name the same.")


def key_path(name: str, *rest: str) -> str:
    """Return the path of a key."""
    from urllib.parse import quote

    return "/".join(("/elastic-keys", quote(name, safe=""), *rest))


@contextmanager
def written(target: Path | None) -> Iterator[IO[bytes]]:
    """Give standard output, or a file that appears when everything is written."""
    if target is None:
        stream = sys.stdout.buffer
        yield stream
        stream.flush()
        return
    part = target.with_name(f".{target.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _size(source: IO[bytes]) -> int | None:
    try:
        found = os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return found.st_size or None


def _data(aad: str | None) -> str | None:
    from pycryptoutil.crypto.jose import base64url_encode

    return None if aad is None else base64url_encode(aad.encode())


def _read(source: IO[bytes]) -> bytes:
    data = source.read(_MOST + 1)
    if len(data) > _MOST:
        raise CommandError(f"more than {_MOST >> 20} MiB: encrypt it as a file, or sign its hash")
    return data


def _send(client: ApiClient, path: str, data: bytes, headers: Mapping[str, str], **params: Any) -> bytes:
    return client.request("POST", path, content=data, headers=headers, params=params).content


def _unwrapped(client: ApiClient, name: str, token: str, aad: str | None) -> bytes:
    """Have a data key unwrapped, by a key for encryption or for wrapping."""
    from pycryptoutil.crypto.jose import base64url_decode

    wraps = client.get(key_path(name))["purpose"] == "wrap"
    body = {"wrapped" if wraps else "ciphertext": token} | ({"aad": aad} if aad is not None else {})
    answer = client.post(key_path(name, "unwrap" if wraps else "decrypt"), body)
    return base64url_decode(answer["key" if wraps else "plaintext"])


@click.command()
@click.argument("name")
@_input
@_output
@_aad
@click.option("--jwe", is_flag=True, help="One plain JWE, for up to 16 MiB, instead of an envelope.")
@administrator_options
def encrypt(
    administrator: Administrator, name: str, source: IO[bytes], target: Path | None, aad: str | None, jwe: bool
) -> None:
    """Encrypt standard input to standard output: of any size, in constant memory."""
    from pycryptoutil.cli.kms_envelope import seal
    from pycryptoutil.crypto.jose import base64url_decode

    client, data = administrator.client(SERVICE), _data(aad)
    if jwe:
        answer = _send(client, key_path(name, "encrypt"), _read(source), OCTETS, aad=data)
        with written(target) as stream:
            stream.write(answer + b"\n")
        return
    made = client.post(key_path(name, "datakey"), {"bits": 256} | ({"aad": data} if data is not None else {}))
    with written(target) as stream, output.progress("encrypting", total=_size(source)) as progressed:
        seal(base64url_decode(made["plaintext"]), made["wrapped"], source, stream, progressed)


@click.command()
@click.argument("name")
@_input
@_output
@_aad
@administrator_options
def decrypt(administrator: Administrator, name: str, source: IO[bytes], target: Path | None, aad: str | None) -> None:
    """Decrypt standard input to standard output: an envelope, or a plain JWE."""
    from pycryptoutil.cli.kms_envelope import open_, read_head

    client, data = administrator.client(SERVICE), _data(aad)
    head, line = read_head(source, 2 * _MOST)
    if not line:
        answer = _send(client, key_path(name, "decrypt"), head, JOSE, aad=data)
        with written(target) as stream:
            stream.write(answer)
        return
    key = _unwrapped(client, name, head.decode("ascii", "replace"), data)
    if len(key) != 32:
        raise CommandError("the envelope's data key has not 256 bits")
    with written(target) as stream, output.progress("decrypting", total=_size(source)) as progressed:
        open_(key, line, source, stream, progressed)


@click.command()
@click.argument("name")
@_input
@_output
@_aad
@click.option("--new-aad", help="Other additional data from now on.")
@administrator_options
def rewrap(
    administrator: Administrator,
    name: str,
    source: IO[bytes],
    target: Path | None,
    aad: str | None,
    new_aad: str | None,
) -> None:
    """Put a file under the key's active version: of an envelope only the first line changes."""
    from pycryptoutil.cli.kms_envelope import read_head

    head, line = read_head(source, 2 * _MOST)
    client = administrator.client(SERVICE)
    answer = _send(client, key_path(name, "rewrap"), head, JOSE, aad=_data(aad), new_aad=_data(new_aad))
    with written(target) as stream:
        stream.write(answer.strip() + b"\n")
        if line:
            stream.write(line + b"\n")
            while piece := source.read(_COPY):
                stream.write(piece)


@click.command()
@click.argument("name")
@_input
@_output
@click.option("--detached", is_flag=True, help="A JWS without its payload.")
@click.option("--raw", is_flag=True, help="The signature alone, as octets; DER for ECDSA.")
@click.option("--prehashed", is_flag=True, help="The input is the digest, as octets; for RSA and ECDSA. Implies --raw.")
@administrator_options
def sign(
    administrator: Administrator,
    name: str,
    source: IO[bytes],
    target: Path | None,
    detached: bool,
    raw: bool,
    prehashed: bool,
) -> None:
    """Sign standard input: a compact JWS, unless --raw or --prehashed."""
    client = administrator.client(SERVICE)
    raw = raw or prehashed
    flags = {"detached": detached, "prehashed": prehashed}
    options = {"format": "raw" if raw else None} | {flag: "true" for flag, given in flags.items() if given}
    answer = _send(client, key_path(name, "sign"), _read(source), OCTETS, **options)
    with written(target) as stream:
        stream.write(answer if raw else answer + b"\n")


@click.command()
@click.argument("name")
@_input
@_output
@click.option("--payload", type=click.File("rb"), help="What was signed, of a detached JWS or a raw signature.")
@click.option("--raw", is_flag=True, help="The signature is octets, as sign --raw gives them.")
@click.option("--prehashed", is_flag=True, help="The payload is the digest, as octets. Implies --raw.")
@click.option("--version", type=int, help="Of a raw signature, if not the active one.")
@administrator_options
def verify(
    administrator: Administrator,
    name: str,
    source: IO[bytes],
    target: Path | None,
    payload: IO[bytes] | None,
    raw: bool,
    prehashed: bool,
    version: int | None,
) -> None:
    """Verify a signature on standard input and write what was signed; a bad one is an error."""
    from pycryptoutil.crypto.jose import base64url_decode, base64url_encode

    given = _read(source)
    octets = raw or prehashed
    text = base64url_encode(given) if octets else given.decode("ascii", "replace").strip()
    body: dict[str, Any] = {"signature": text} | ({"prehashed": True} if prehashed else {})
    if payload is not None:
        body["payload"] = base64url_encode(_read(payload))
    if version is not None:
        body["version"] = version
    answer = administrator.client(SERVICE).post(key_path(name, "verify"), body)
    if administrator.as_json:
        output.write_json(answer)
        return
    with written(target) as stream:
        stream.write(base64url_decode(answer["payload"]))


@click.command()
@click.argument("name")
@_input
@click.option("--verify", "expected", help="A MAC, as this command gives it: verify it instead.")
@click.option("--version", type=int, help="Of the MAC, if not the active one.")
@administrator_options
def mac(administrator: Administrator, name: str, source: IO[bytes], expected: str | None, version: int | None) -> None:
    """Make or verify a MAC of standard input, in base64url."""
    from pycryptoutil.crypto.jose import base64url_encode

    body: dict[str, Any] = {"data": base64url_encode(_read(source))}
    body |= {"version": version} if version is not None else {}
    if expected is None:
        answer = administrator.client(SERVICE).post(key_path(name, "mac"), body)
        administrator.done(answer["mac"], answer)
    else:
        answer = administrator.client(SERVICE).post(key_path(name, "verify-mac"), body | {"mac": expected})
        administrator.done("good", answer)


@click.command()
@click.argument("name")
@click.option("--bits", type=click.Choice(["128", "192", "256", "384", "512"]), default="256", show_default=True)
@click.option("--wrapped-only", is_flag=True, help="Do not show the key: it is unwrapped where it is used.")
@_aad
@administrator_options
def datakey(administrator: Administrator, name: str, bits: str, wrapped_only: bool, aad: str | None) -> None:
    """A fresh data key: wrapped, and in the open."""
    body: dict[str, Any] = {"bits": int(bits), "plaintext": not wrapped_only}
    data = _data(aad)
    body |= {"aad": data} if data is not None else {}
    administrator.show(administrator.client(SERVICE).post(key_path(name, "datakey"), body))


COMMANDS: Final = (encrypt, decrypt, rewrap, sign, verify, mac, datakey)

"""What the ``jose`` commands share: octets in and out, and long runs over the stream of JSON lines."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import exits, output
from pycryptoutil.cli.client import SERVICE_API, Administrator, problem
from pycryptoutil.cli.exits import CommandError

SERVICE: Final = "jose-ja"
STREAM_LINES: Final = 20_000
STREAM_OCTETS: Final = 16 << 20  # half of what the service takes
_MANY_SECONDS: Final = 600.0


def path(*parts: str) -> str:
    """Join parts of a path, escaped."""
    from urllib.parse import quote

    return "/" + "/".join(quote(part, safe="") for part in parts)


def read_octets() -> bytes:
    """Return standard input."""
    found: bytes | str = getattr(sys.stdin, "buffer", sys.stdin).read()
    return found.encode() if isinstance(found, str) else found


def read_text() -> str:
    """Return standard input as text without the white space around it."""
    try:
        return read_octets().decode().strip()
    except UnicodeDecodeError:
        raise CommandError("standard input is not UTF-8") from None


def read_json(what: str) -> Any:
    """Return standard input as JSON."""
    try:
        return json.loads(read_octets())
    except ValueError:
        raise CommandError(f"{what} on standard input is not JSON") from None


def read_object(file: Path) -> Any:
    """Return a file as JSON."""
    try:
        return json.loads(file.read_bytes())
    except ValueError:
        raise CommandError(f"{file}: is not JSON") from None


def b64(octets: bytes) -> str:
    """Write base64url."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Read base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def write_octets(octets: bytes) -> None:
    """Write them as they are."""
    click.echo(octets, nl=False)


def write_object(found: Any) -> None:
    """Write a compact serialisation as a line, a JSON one as JSON."""
    click.echo(found if isinstance(found, str) else json.dumps(found, separators=(",", ":")))


def parse_object(text: str) -> Any:
    """Return a JWS or JWE as the API takes it: a JSON object, or the text."""
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise CommandError("standard input begins like JSON and is not") from None


def lines() -> Iterator[bytes]:
    """Yield the lines of standard input as they come, without empty ones."""
    for line in getattr(sys.stdin, "buffer", sys.stdin):
        octets = line.encode() if isinstance(line, str) else line
        octets = octets.rstrip(b"\r\n")
        if octets:
            yield octets


def portions(bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Put bodies together, up to what one request takes."""
    held: list[bytes] = []
    size = 0
    for body in bodies:
        if held and (len(held) >= STREAM_LINES or size + len(body) > STREAM_OCTETS):
            yield held
            held, size = [], 0
        held.append(body)
        size += len(body) + 1
    if held:
        yield held


def many(
    administrator: Administrator, place: str, body: Callable[[bytes], dict[str, Any]], write: Callable[[Any], None]
) -> None:
    """Send each line of standard input as a body, and write each result; what fails is told with its line's number.

    Results come in order, so a failed line leaves none: with ``--json`` every line has one.
    """
    from pycryptoutil.clock import SystemClock

    clock = SystemClock()
    start = clock.monotonic()
    done = failed = 0
    bodies = (json.dumps(body(line), separators=(",", ":")).encode() for line in lines())
    with output.progress("lines") as progressed:
        for portion in portions(bodies):
            ended = False
            for answer in _stream(administrator, place, portion):
                if "done" in answer:
                    ended = True
                    continue
                if "problem" in answer:
                    failed += 1
                    said = answer["problem"].get("detail") or answer["problem"]["title"]
                    click.echo(f"line {done + 1}: {output.text(said)}", err=True)
                if administrator.as_json:
                    click.echo(json.dumps({**answer, "index": done}, separators=(",", ":")))
                elif "result" in answer:
                    write(answer["result"])
                done += 1
                if done % 500 == 0:
                    progressed(done)
            if not ended:
                raise CommandError(f"the answer ended early, after line {done}", exits.UNREACHABLE)
    seconds = max(clock.monotonic() - start, 1e-9)
    click.echo(
        f"{done} lines in {seconds:.2f} s: {done / seconds:,.0f}/s" + (f", {failed} failed" if failed else ""), err=True
    )
    if failed:
        raise CommandError(f"{failed} of {done} lines failed", exits.FAILED)


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Cut at line feeds only: text in JSON may hold other characters that end a line elsewhere, such as U+2028."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole


def _stream(administrator: Administrator, place: str, portion: list[bytes]) -> Iterator[dict[str, Any]]:
    import httpx

    client = administrator.client(SERVICE)
    options: dict[str, Any] = {"content": b"\n".join(portion), "headers": {"Content-Type": "application/x-ndjson"}}
    try:
        with client.http.stream("POST", client.base + place, timeout=_MANY_SECONDS, **options) as response:
            if response.status_code >= 400:
                response.read()
                raise problem(response)
            for line in _lines(response.iter_bytes()):
                yield json.loads(line)
    except httpx.HTTPError as error:
        raise CommandError(
            f"{client.base.removesuffix(SERVICE_API)}: {type(error).__name__}", exits.UNREACHABLE
        ) from None

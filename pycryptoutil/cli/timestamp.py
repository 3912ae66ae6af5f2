"""``ca timestamp``: have a file time-stamped (RFC 3161), and ``tour``'s step that shows the same with openssl."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pycryptoutil.cli import exits
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from pycryptoutil.cli.tour import Tour

_HASHES: Final = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
_NONCE_OCTETS: Final = 8
_CHUNK: Final = 1 << 20


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Where the reply goes; FILE.tsr unless given.")
@click.option("--label", default="", help="Whose authority: a CA's name.  [default: the default CA]")
@click.option("--hash", "hash_name", type=click.Choice(_HASHES), default="sha256", show_default=True)
@click.option("--policy", default="", help="Object identifier of the policy to ask for.")
@administrator_options
def timestamp(
    administrator: Administrator, file: Path, out: Path | None, label: str, hash_name: str, policy: str
) -> None:
    """Have FILE time-stamped and keep the reply, which `openssl ts -verify` reads. Only its hash is sent."""
    import secrets

    from pycryptoutil_protocols.faults import Fault
    from pycryptoutil_protocols.tsp import codec, exchange, messages
    from pycryptoutil_protocols.tsp.token import verify_token

    imprint = codec.encode_imprint(hash_name, _digest(file, hash_name))
    nonce = int.from_bytes(secrets.token_bytes(_NONCE_OCTETS), "big")
    try:
        request = messages.TimeStampRequest(imprint, policy, nonce, cert_req=True)
        encoded = codec.encode_request(request)
    except Fault as fault:
        raise click.UsageError(f"--policy: {fault.public}") from None
    answer = _post(administrator, f"/tsa/{label}" if label else "/tsa", encoded)
    try:
        reply = codec.decode_reply(answer)
        if not reply.token:
            raise CommandError(f"refused: {' '.join(reply.text) or reply.status.name}", exits.FAILED)
        info = verify_token(reply.token).info
        exchange.check_reply(request, reply, info)
    except Fault as fault:
        raise CommandError(f"the reply is no good: {fault.public or fault.detail}", exits.FAILED) from None
    where = out or file.with_name(f"{file.name}.tsr")
    where.write_bytes(answer)
    document: dict[str, Any] = {
        "file": str(where),
        "time": info.gen_time.isoformat(),
        "serial": f"{info.serial:x}",
        "policy": info.policy,
    }
    administrator.done(f"{where}: {file} existed at {document['time']}", document)


def _digest(file: Path, name: str) -> bytes:
    import hashlib

    running = hashlib.new(name.replace("sha3-", "sha3_"))
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            running.update(chunk)
    return running.digest()


def _post(administrator: Administrator, path: str, body: bytes) -> bytes:
    from pycryptoutil_protocols.tsp.messages import QUERY, REPLY

    response = administrator.anonymous("pki-ca").send("POST", path, content=body, headers={"Content-Type": QUERY})
    if response.headers.get("content-type") != REPLY:
        raise CommandError(f"{response.request.url}: HTTP {response.status_code}", exits.FAILED)
    return bytes(response.content)


# -- the step of the tour ----------------------------------------------------------------------------------------------


def step(tour: Tour) -> None:
    """Time-stamp the certificate that was enrolled."""
    tour.step("The CA stamps when something existed (RFC 3161)")
    tour.run("openssl ts -query -data leaf.pem -sha256 -cert -out q.tsq 2>/dev/null")
    tour.run(
        "curl -sS --fail-with-body -H 'Content-Type: application/timestamp-query' --data-binary @q.tsq"
        f" {tour.url('plain')}/tsa -o r.tsr -w '%{{content_type}}\\n'",
        expect="application/timestamp-reply",
    )
    tour.run("openssl ts -reply -in r.tsr -text | grep -E 'Status:|Time stamp|Serial'", expect="Granted")
    tour.run(
        "openssl ts -verify -in r.tsr -queryfile q.tsq -CAfile root.pem -untrusted issuing.pem",
        expect="Verification: OK",
    )
    tour.passed("by the CA's own time-stamping authority, and verified against root.pem")

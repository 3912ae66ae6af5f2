"""``ca cmc``: enrol, renew or revoke by Full PKI Requests (RFC 5272), and ``tour``'s step that shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pycryptoutil.cli import exits
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from pycryptoutil_protocols.cmc.client import Draft, Reply

    from pycryptoutil.cli.tour import Tour
    from pycryptoutil.crypto.signer import KeySigner

_KEY_LABELS: Final = ("PRIVATE KEY",)
_MAX_PEM: Final = 1 << 17
_POLL_SECONDS: Final = 2.0
_FULL: Final = "application/pkcs7-mime; smime-type=CMC-request"
_Existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class Asking:
    """Who asks where, and what root is trusted; ``secret`` and ``certificate`` are alternatives."""

    administrator: Administrator
    path: str
    signer: KeySigner
    user: str = ""
    secret: bytes = b""
    certificate: bytes = b""
    root: bytes = b""


@click.command()
@click.argument("key", type=_Existing)
@click.option("--out", type=click.Path(path_type=Path), help="Where the certificate goes, in PEM.")
@click.option("--label", default="", help="A profile, a CA, or ca:profile.  [default: the default one]")
@click.option("--dns", multiple=True, help="A name for the certificate; may be repeated. The first is the common name.")
@click.option("--user", default="", help="The user name of an enrolment credential.")
@click.option("--secret-file", type=_Existing, help="A file with the credential's password.")
@click.option("--renew", type=_Existing, help="The certificate to be renewed, in PEM, instead of a credential.")
@click.option("--renew-key", type=_Existing, help="Its key.  [default: KEY]")
@click.option("--revoke", type=_Existing, help="A certificate of KEY to be revoked, in PEM, instead of anything else.")
@click.option("--reason", type=click.IntRange(0, 10), default=0, help="CRLReason of the revocation.")
@click.option("--cacert", type=_Existing, help="The root, in PEM.  [default: the one that the secret authenticates]")
@click.option("--wait", type=click.FloatRange(0, 86400), default=0, help="Seconds to poll while it waits for approval.")
@administrator_options
def cmc(
    administrator: Administrator,
    key: Path,
    out: Path | None,
    label: str,
    dns: tuple[str, ...],
    user: str,
    secret_file: Path | None,
    renew: Path | None,
    renew_key: Path | None,
    revoke: Path | None,
    reason: int,
    cacert: Path | None,
    wait: float,
) -> None:
    """Have the key in KEY (PKCS#8, PEM) certified by CMC, or its certificate revoked, over the plain listener."""
    from pycryptoutil_protocols.faults import Fault

    if sum(one is not None for one in (secret_file, renew, revoke)) != 1 or bool(user) != (secret_file is not None):
        raise click.UsageError("give --user and --secret-file, or --renew, or --revoke")
    if secret_file is None and cacert is None:
        raise click.UsageError("give --cacert: without a secret there is nothing else to trust the answer by")
    if revoke is None and (not dns or out is None):
        raise click.UsageError("give --dns and --out")
    own = renew or revoke
    asking = Asking(
        administrator,
        f"/cmc/{label}" if label else "/cmc",
        _signer(renew_key or key),
        user,
        secret_file.read_text().strip().encode() if secret_file is not None else b"",
        _certificate(own) if own is not None else b"",
        _certificate(cacert) if cacert is not None else b"",
    )
    try:
        if revoke is not None:
            _revoke(asking, reason)
            administrator.done(f"{revoke}: revoked", {"file": str(revoke)})
        elif out is not None:
            _enrol(asking, _signer(key), dns, out, wait)
            administrator.done(f"{out}: a certificate for {', '.join(dns)}", {"file": str(out), "names": list(dns)})
    except Fault as fault:
        raise CommandError(f"the answer is no good: {fault.public or fault.detail}", exits.FAILED) from None


def _signer(path: Path) -> KeySigner:
    from pycryptoutil_protocols import pem

    from pycryptoutil.crypto.keys import load_pkcs8
    from pycryptoutil.crypto.signer import KeySigner

    return KeySigner(load_pkcs8(pem.decode_pem(path.read_bytes(), _MAX_PEM, _KEY_LABELS)))


def _certificate(path: Path) -> bytes:
    from pycryptoutil_protocols import pem

    return pem.decode_pem(path.read_bytes(), _MAX_PEM, ("CERTIFICATE",))


def _enrol(asking: Asking, signer: KeySigner, dns: tuple[str, ...], out: Path, wait: float) -> None:
    from pycryptoutil_protocols import pem
    from pycryptoutil_protocols.cmc import client, controls
    from pycryptoutil_protocols.cmc.messages import Status
    from pycryptoutil_protocols.names import GeneralName
    from pycryptoutil_protocols.scep.client import certification_request
    from pycryptoutil_protocols.x509 import decode_certificate

    from pycryptoutil.clock import SystemClock
    from pycryptoutil.crypto.x509 import name_der

    clock = SystemClock()
    subject = decode_certificate(asking.certificate).subject if asking.certificate else name_der(f"CN={dns[0]}")
    names = [GeneralName.dns(one) for one in dns]
    draft = client.Draft()
    number = draft.add_pkcs10(certification_request(signer, subject, names, ""))
    reply = _ask(asking, draft)
    status = reply.status(number)
    end = clock.monotonic() + wait
    while status is not None and status.pending is not None and clock.monotonic() < end:
        clock.sleep(_POLL_SECONDS)
        query = client.Draft()
        number = query.add(controls.QUERY_PENDING, status.pending.token)
        reply = _ask(asking, query)
        status = reply.status(number)
    if status is None or status.status not in (Status.SUCCESS, Status.CONFIRM_REQUIRED):
        raise _refused(reply)
    certificate = reply.certificate_for(signer.public_spki)
    if status.status is Status.CONFIRM_REQUIRED:
        _confirm(asking, signer, certificate)
    out.write_bytes(pem.encode_pem("CERTIFICATE", certificate))


def _confirm(asking: Asking, signer: KeySigner, certificate: bytes) -> None:
    from pycryptoutil_protocols.cmc import client, controls
    from pycryptoutil_protocols.cmc.values import IssuerAndSerial
    from pycryptoutil_protocols.x509 import decode_certificate

    facts = decode_certificate(certificate)
    draft = client.Draft()
    draft.add(controls.CONFIRM_ACCEPTANCE, IssuerAndSerial(facts.issuer, facts.serial))
    owner = Asking(asking.administrator, asking.path, signer, certificate=certificate, root=asking.root)
    _checked(_ask(owner, draft))


def _revoke(asking: Asking, reason: int) -> None:
    from pycryptoutil_protocols.cmc import client, controls
    from pycryptoutil_protocols.cmc.values import RevokeRequest
    from pycryptoutil_protocols.x509 import decode_certificate

    facts = decode_certificate(asking.certificate)
    draft = client.Draft()
    draft.add(controls.REVOKE_REQUEST, RevokeRequest(facts.issuer, facts.serial, reason))
    _checked(_ask(asking, draft))


def _checked(reply: Reply) -> None:
    if reply.failures:
        raise _refused(reply)


def _refused(reply: Reply) -> CommandError:
    told = [f"{(one.failure or one.status).name}: {one.text}".rstrip(": ") for one in reply.statuses]
    return CommandError(f"refused, {'; '.join(told)}", exits.FAILED)


def _ask(asking: Asking, draft: Draft) -> Reply:
    """Send a request and return its answer, when it is by a responder of the trusted root's."""
    import os

    from pycryptoutil_protocols.cmc import client, controls
    from pycryptoutil_protocols.faults import Fault, FaultKind

    from pycryptoutil.clock import SystemClock

    now = SystemClock().now()
    nonce = os.urandom(16)
    draft.add(controls.SENDER_NONCE, nonce)
    if asking.certificate:
        encoded = draft.signed_by_certificate(asking.signer, asking.certificate, at=now)
    else:
        draft.prove_identity(asking.user, asking.secret)
        requests = draft.data().requests
        encoded = draft.signed_by_key(asking.signer, at=now) if requests else draft.unsigned(at=now)
    plain = asking.administrator.anonymous("pki-ca", "plain")
    response = plain.send("POST", asking.path, content=encoded, headers={"Content-Type": _FULL})
    if response.status_code != 200:
        raise CommandError(f"HTTP {response.status_code}: {response.text.strip()}", exits.FAILED)
    reply = client.read(bytes(response.content))
    if reply.one(controls.RECIPIENT_NONCE) != nonce:
        raise Fault(FaultKind.REPLAYED, "recipientNonce differs", "it answers another request")
    _trust(asking, reply)
    return reply


def _trust(asking: Asking, reply: Reply) -> None:
    """Check the responder's certificate; what only refuses and names no root is believed as far as that."""
    from pycryptoutil_protocols.cmc import client
    from pycryptoutil_protocols.cmc.messages import KP_CMC_CA

    from pycryptoutil.clock import SystemClock
    from pycryptoutil.crypto.chain import verify_chain

    root = asking.root
    if not root:
        anchors = reply.anchors(asking.secret)
        if anchors is None:
            return
        root = client.trusted_root(reply, anchors)
    others = [one for one in reply.certificates if one != reply.signer.der]
    verify_chain(reply.signer.der, others, [root], SystemClock().now(), purpose=KP_CMC_CA)


# -- the step of the tour ----------------------------------------------------------------------------------------------


def step(tour: Tour) -> None:
    """Enrol with the credential, renew with the certificate, revoke; and once with openssl and curl alone."""
    tour.step("A third stranger enrols by CMC, renews, and revokes")
    made = json.loads((tour.folder / "credential.json").read_bytes())
    secret = tour.folder / "credential.secret"
    secret.touch(mode=0o600)
    secret.write_text(made["password"] + "\n")
    tour.run("for n in 1 2; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out cmc$n.key; done")
    command = f"{tour.program} ca cmc cmc%d.key {tour.ready_option}"
    asked = f"--label tls-server --dns {tour.host}"
    tour.run(f"{command % 1} {asked} --user {made['username']} --secret-file credential.secret --out cmc1.pem")
    tour.run(f"{command % 2} {asked} --renew cmc1.pem --renew-key cmc1.key --cacert root.pem --out cmc2.pem")
    tour.run("openssl verify -CAfile root.pem -untrusted issuing.pem cmc1.pem cmc2.pem", expect="cmc2.pem: OK")
    tour.run(f"{command % 1} --revoke cmc1.pem --reason 4 --cacert root.pem")
    tour.passed("the secret also authenticated the root, so the first answer was believed without any certificate")

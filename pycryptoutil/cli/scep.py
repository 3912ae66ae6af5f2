"""``ca scep``: enrol or renew by SCEP (RFC 8894), and ``tour``'s step that shows it."""

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
    from pycryptoutil_protocols.scep.client import Answer, Client, Sent

    from pycryptoutil.cli.tour import Tour
    from pycryptoutil.crypto.signer import KeySigner

_KEY_LABELS: Final = ("PRIVATE KEY",)
_MAX_KEY: Final = 16 * 1024
_POLL_SECONDS: Final = 2.0
_BACKDATE: Final = 300  # seconds
_SELF_SIGNED_LIFE: Final = 86400
_Existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class Wish:
    """What is to be enrolled for."""

    label: str
    common_name: str
    dns: tuple[str, ...]
    challenge: str


@click.command()
@click.argument("key", type=_Existing)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the certificate goes, in PEM.")
@click.option("--label", default="", help="A profile, a CA, or ca:profile.  [default: the default one]")
@click.option("--dns", multiple=True, help="A name for the certificate; may be repeated. The first is the common name.")
@click.option("--challenge-file", type=_Existing, help="A file with the challenge password: a credential's password.")
@click.option("--renew", type=_Existing, help="The certificate to be renewed, in PEM, instead of a challenge.")
@click.option("--renew-key", type=_Existing, help="Its key.  [default: KEY]")
@click.option("--wait", type=click.FloatRange(0, 86400), default=0, help="Seconds to poll while it waits for approval.")
@administrator_options
def scep(
    administrator: Administrator,
    key: Path,
    out: Path,
    label: str,
    dns: tuple[str, ...],
    challenge_file: Path | None,
    renew: Path | None,
    renew_key: Path | None,
    wait: float,
) -> None:
    """Have the RSA key in KEY (PKCS#8, PEM) certified by SCEP, over the plain listener, as a device does."""
    from pycryptoutil_protocols import pem
    from pycryptoutil_protocols.faults import Fault

    if (challenge_file is None) == (renew is None):
        raise click.UsageError("give --challenge-file for a first certificate, or --renew for the next one")
    if not dns:
        raise click.UsageError("give --dns")
    challenge = challenge_file.read_text().strip() if challenge_file is not None else ""
    wish = Wish(label, dns[0], dns, challenge)
    try:
        answer = _enrol(administrator, _signer(key), wish, renew, _signer(renew_key) if renew_key else None, wait)
    except Fault as fault:
        raise CommandError(f"the answer is no good: {fault.public or fault.detail}", exits.FAILED) from None
    if not answer.certificates:
        told = answer.fail_info.name if answer.fail_info is not None else answer.status.name
        raise CommandError(f"refused, {told}: {answer.fail_text or 'it waits for approval'}", exits.FAILED)
    out.write_bytes(pem.encode_pem("CERTIFICATE", answer.certificates[0]))
    administrator.done(f"{out}: a certificate for {', '.join(dns)}", {"file": str(out), "names": list(dns)})


def _signer(path: Path) -> KeySigner:
    from pycryptoutil_protocols import pem

    from pycryptoutil.crypto.keys import load_pkcs8
    from pycryptoutil.crypto.signer import KeySigner

    key = load_pkcs8(pem.decode_pem(path.read_bytes(), _MAX_KEY, _KEY_LABELS))
    if not key.algorithm.startswith("RSA"):
        raise CommandError(f"{path}: SCEP encrypts to RSA keys", exits.USAGE)
    return KeySigner(key)


def _enrol(
    administrator: Administrator,
    signer: KeySigner,
    wish: Wish,
    renew: Path | None,
    old: KeySigner | None,
    wait: float,
) -> Answer:
    from pycryptoutil_protocols import pem
    from pycryptoutil_protocols.names import GeneralName
    from pycryptoutil_protocols.scep import client
    from pycryptoutil_protocols.scep.messages import PkiStatus
    from pycryptoutil_protocols.x509 import decode_certificate

    from pycryptoutil.clock import SystemClock
    from pycryptoutil.crypto.x509 import name_der

    clock = SystemClock()
    path = f"/scep/{wish.label}" if wish.label else "/scep"
    server = client.decode_ca_certificates(*_get(administrator, path, "GetCACert"))
    if renew is not None:
        certificate = pem.decode_pem(renew.read_bytes(), 1 << 16, ("CERTIFICATE",))
        subject = decode_certificate(certificate).subject
    else:
        subject = name_der(f"CN={wish.common_name}")
        now = int(clock.now().timestamp())
        certificate = client.self_signed(signer, subject, now - _BACKDATE, now + _SELF_SIGNED_LIFE)
    names = [GeneralName.dns(one) for one in wish.dns]
    csr = client.certification_request(signer, subject, names, wish.challenge)
    asking = client.Client(server, (old or signer) if renew is not None else signer, certificate)
    sent = asking.enrol(csr, signer.public_spki, renewal=renew is not None)
    end = clock.monotonic() + wait
    answer = _ask(administrator, path, asking, sent)
    while answer.status is PkiStatus.PENDING and clock.monotonic() < end:
        clock.sleep(_POLL_SECONDS)
        answer = _ask(administrator, path, asking, asking.poll(subject, sent.transaction_id))
    return answer


def _get(administrator: Administrator, path: str, operation: str) -> tuple[bytes, str]:
    response = administrator.anonymous("pki-ca", "plain").send("GET", path, params={"operation": operation})
    if response.status_code != 200:
        raise CommandError(f"{operation}: HTTP {response.status_code}: {response.text.strip()}", exits.FAILED)
    return bytes(response.content), response.headers.get("content-type", "")


def _ask(administrator: Administrator, path: str, asking: Client, sent: Sent) -> Answer:
    from pycryptoutil_protocols import cms
    from pycryptoutil_protocols.scep import client
    from pycryptoutil_protocols.scep.messages import PKI_MESSAGE

    from pycryptoutil.crypto.signer import KeySigner

    headers = {"Content-Type": PKI_MESSAGE}
    plain = administrator.anonymous("pki-ca", "plain")
    query = {"operation": "PKIOperation"}
    response = plain.send("POST", path, params=query, content=sent.encoded, headers=headers)
    if response.headers.get("content-type") != PKI_MESSAGE:
        raise CommandError(f"HTTP {response.status_code}: {response.text.strip()}", exits.FAILED)
    if not isinstance(asking.signer, KeySigner):
        raise CommandError("no key to decrypt the answer with", exits.FAILED)
    unwrap = cms.unwrap_with(asking.signer.key, allow_pkcs1=True)
    return client.read_answer(bytes(response.content), sent, asking.server.certificates, unwrap)


# -- the step of the tour ----------------------------------------------------------------------------------------------


def step(tour: Tour) -> None:
    """Enrol with the credential's password as challenge, then renew with the certificate."""
    tour.step("A device enrols by SCEP, and renews")
    made = json.loads((tour.folder / "credential.json").read_bytes())
    challenge = tour.folder / "credential.challenge"
    challenge.touch(mode=0o600)
    challenge.write_text(made["password"] + "\n")
    where = f"{tour.url('plain')}/scep/tls-server"
    tour.run(f"curl -sS --fail-with-body '{where}?operation=GetCACaps'", expect="SCEPStandard")
    tour.run(
        f"curl -sS --fail-with-body '{where}?operation=GetCACert' | openssl pkcs7 -inform DER -print_certs"
        " | grep subject",
        expect="SCEP RA",
    )
    tour.run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out scep.key 2>/dev/null")
    scep_command = f"{tour.program} ca scep scep.key --label tls-server --dns {tour.host} {tour.ready_option}"
    tour.run(f"{scep_command} --challenge-file credential.challenge --out scep1.pem")
    tour.run(f"{scep_command} --renew scep1.pem --out scep2.pem")
    tour.run("openssl verify -CAfile root.pem -untrusted issuing.pem scep1.pem scep2.pem", expect="scep2.pem: OK")
    tour.passed(
        "the credential's password was the challenge; the renewal was signed with the first certificate instead"
    )

"""What a ceremony does: make the root, certify an online CA, make the root's CRL.

The same profiles, extensions and lints as for CAs of a service. Everything signed is in the transcript before it is in
a file of its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pycryptoutil_protocols import algorithms, der, pem
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import Name, decode_name
from pycryptoutil_protocols.x509 import Certificate, decode_certificate, decode_tbs, encode_extensions

from pycryptoutil.authority import extensions, lint, serials, subject
from pycryptoutil.authority.crl import generate
from pycryptoutil.authority.crl.store import Scope
from pycryptoutil.authority.extensions import Issuer, Parts
from pycryptoutil.authority.lifecycle.ceremony import custody, directory, transcript
from pycryptoutil.authority.lifecycle.ceremony.custody import NewShare
from pycryptoutil.authority.lifecycle.ceremony.directory import Ceremony
from pycryptoutil.authority.lifecycle.ceremony.transcript import Entry
from pycryptoutil.authority.model import DistributionUrls, RevocationReason
from pycryptoutil.authority.names import refused
from pycryptoutil.authority.profile import NameConstraintSet, Profile
from pycryptoutil.authority.profile_file import built_in_profiles
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.keys import KeyHandle
from pycryptoutil.crypto.keys import generate as generate_key
from pycryptoutil.crypto.pkcs11 import Token, TokenConfig
from pycryptoutil.crypto.signed import check_signed
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner, build_crl

_SECOND: Final = timedelta(seconds=1)
_INSTANCE: Final = 0x3FFF  # the serials of a ceremony have a prefix of their own
_MAX_CRL_DAYS: Final = 3650


@dataclass(frozen=True, slots=True)
class InitOrder:
    """A root to make. ``subject`` is RFC 4514; ``days`` 0: the profile's default. ``name``: see :class:`Ceremony`."""

    subject: str
    custodians: tuple[str, ...]
    threshold: int
    algorithm: str = "EC-P384"
    days: int = 0
    name: str = "offline-root"
    distribution_url: str = ""


@dataclass(frozen=True, slots=True)
class SignOrder:
    """A CA to certify. ``path_length`` is how many CAs may be below it."""

    csr: bytes = field(repr=False)
    path_length: int = 0
    days: int = 0
    permitted_names: tuple[str, ...] = ()
    excluded_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CrlOrder:
    """A CRL to make. ``revoke`` are serials in hex with reasons; what earlier CRLs list stays on it."""

    days: int = 180
    revoke: tuple[tuple[str, RevocationReason], ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What was signed, where it lies, and its entry in the transcript."""

    der: bytes = field(repr=False)
    path: Path
    entry: Entry


# -- init --------------------------------------------------------------------------------------------------------------


def initialise(
    folder: Path, order: InitOrder, now: datetime, token: TokenConfig | None = None
) -> tuple[Made, list[NewShare]]:
    """Make root key, certificate and shares in an empty directory; Fault(CONFLICT, INVALID, POLICY, BAD_ALGORITHM).

    With ``token`` the key is made in it, and the custodians share its PIN; Fault(UNAVAILABLE).
    """
    if token is None:
        return _initialise(folder, order, now, generate_key(order.algorithm), None)
    opened = Token(token, SystemClock())
    key = opened.generate(order.algorithm, f"pycryptoutil {order.name}")
    try:
        return _initialise(folder, order, now, key, token)
    except BaseException:
        opened.destroy(key.reference)
        raise


def _initialise(
    folder: Path, order: InitOrder, now: datetime, key: KeyHandle, token: TokenConfig | None
) -> tuple[Made, list[NewShare]]:
    custody.check_custodians(order.custodians, order.threshold)
    if order.distribution_url and not order.distribution_url.startswith("http://"):
        text = "the distribution URL must be an http:// URL (RFC 5280 section 8)"
        raise Fault(FaultKind.INVALID, text, text)
    profile = built_in_profiles()["root-ca"]
    name = subject.compose(decode_name(x509.name_der(order.subject)), profile, (), None)
    certificate = _certify(profile, KeySigner(key), name, key.public_spki, None, now, order.days, Issuer(b""))
    locked, shares = custody.lock(key, certificate, order.custodians, order.threshold, token)
    details = {
        "name": order.name,
        "subject": x509.name_text(name.der),
        "algorithm": key.algorithm,
        "certificate": _text(certificate),
        "threshold": order.threshold,
        "custodians": [{"name": one.custodian.name, "share_sha256": one.custodian.digest} for one in shares],
        "distribution_url": order.distribution_url.rstrip("/"),
    }
    directory.create(folder)
    with directory.locked(folder):
        entry = transcript.append((), KeySigner(key), now, "init", order.custodians, details)
        directory.write(folder / directory.KEY, locked)
        directory.write(folder / directory.ROOT, pem.encode_pem("CERTIFICATE", certificate))
        for number, share in enumerate(shares, 1):
            directory.write(folder / directory.SHARES / f"{number}.share", f"{share.text}\n".encode())
        directory.append(folder, entry)
    return Made(certificate, folder / directory.ROOT, entry), shares


# -- sign --------------------------------------------------------------------------------------------------------------


def sign_csr(folder: Path, order: SignOrder, shares: Sequence[str], now: datetime) -> Made:
    """Certify an online CA's request; Fault(FORBIDDEN) without enough good shares, POLICY, BAD_POP, BAD_SIGNATURE."""
    request = x509.verify_csr(order.csr)
    profile = built_in_profiles()["intermediate-ca"]
    name = subject.compose(request.name, profile, (), None)
    with directory.locked(folder):
        ceremony = directory.read(folder)
        if name.comparable() == decode_name(ceremony.root.subject).comparable():
            raise refused("a CA below the root cannot have the root's name", "subject")
        signer, custodians = _open(ceremony, shares, now)
        urls = DistributionUrls(ceremony.distribution_url)
        issuer = Issuer(
            ceremony.root.subject_key_identifier,
            crl_url=urls.crl(ceremony.name),
            issuer_url=urls.issuer(ceremony.name),
        )
        constraints = NameConstraintSet(permitted=order.permitted_names, excluded=order.excluded_names)
        certificate = _certify(
            profile,
            signer,
            name,
            request.spki,
            ceremony.root,
            now,
            order.days,
            issuer,
            path_length=order.path_length,
            constraints=constraints,
        )
        serial = serials.to_hex(decode_certificate(certificate).serial)
        details = {
            "serial": serial,
            "subject": x509.name_text(name.der),
            "csr_sha256": hashlib.sha256(order.csr).hexdigest(),
            "certificate": _text(certificate),
        }
        path = folder / directory.ISSUED / f"{serial}.pem"
        content = pem.encode_pem("CERTIFICATE", certificate)
        return _keep(ceremony, signer, custodians, now, "issue", details, certificate, path, content)


def sign_crl(folder: Path, order: CrlOrder, shares: Sequence[str], now: datetime) -> Made:
    """Make the root's CRL; Fault(FORBIDDEN) without enough good shares, NOT_FOUND for what it never issued."""
    if not 1 <= order.days <= _MAX_CRL_DAYS:
        text = f"a CRL is good for 1 to {_MAX_CRL_DAYS} days"
        raise Fault(FaultKind.INVALID, text, text)
    now = now.replace(microsecond=0)
    with directory.locked(folder):
        ceremony = directory.read(folder)
        revoked = _revoked(ceremony, order, now)
        signer, custodians = _open(ceremony, shares, now)
        last = max((int(str(one["number"])) for one in ceremony.crls), default=0)
        number = max(last + 1, int(now.timestamp()))
        next_update = min(now + timedelta(days=order.days), ceremony.root.not_after)
        crl = build_crl(
            signer,
            ceremony.root.subject,
            generate.unix(now),
            generate.unix(next_update),
            generate.extensions(ceremony.root.der, number, Scope("", (), None)),
            [
                (
                    generate.serial_octets(one["serial"]),
                    generate.unix(datetime.fromisoformat(one["at"])),
                    one["code"],
                    0,
                )
                for one in revoked
            ],
        )
        details = {"number": number, "next_update": next_update.isoformat(), "revoked": revoked, "crl": _text(crl)}
        content = pem.encode_pem("X509 CRL", crl)
        return _keep(ceremony, signer, custodians, now, "crl", details, crl, folder / directory.CRL, content)


def _revoked(ceremony: Ceremony, order: CrlOrder, now: datetime) -> list[dict[str, Any]]:
    listed: Any = ceremony.crls[-1]["revoked"] if ceremony.crls else []
    found: dict[str, dict[str, Any]] = {one["serial"]: one for one in listed}
    for text, reason in order.revoke:
        try:
            serial = serials.normal_hex(text)
        except ValueError:
            serial = ""
        if serial not in ceremony.issued:
            wrong = f"this root has issued no certificate {text[:64]!r}"
            raise Fault(FaultKind.NOT_FOUND, wrong, wrong)
        if reason in {RevocationReason.REMOVE_FROM_CRL, RevocationReason.CERTIFICATE_HOLD}:
            wrong = "a root revokes for good"
            raise Fault(FaultKind.INVALID, wrong, wrong)
        code = reason.code or -1
        found.setdefault(serial, {"serial": serial, "at": now.isoformat(), "reason": reason.value, "code": code})
    return list(found.values())


# -- inside ------------------------------------------------------------------------------------------------------------


def _open(ceremony: Ceremony, shares: Sequence[str], now: datetime) -> tuple[KeySigner, tuple[str, ...]]:
    key, custodians = custody.unlock(
        directory.locked_key(ceremony.folder), ceremony.root.der, ceremony.custodians, ceremony.threshold, shares
    )
    _check_root(ceremony, key, now)
    return KeySigner(key), custodians


def _check_root(ceremony: Ceremony, key: KeyHandle, now: datetime) -> None:
    if key.public_spki != ceremony.root.spki:
        text = "the root key is not that of the root certificate"
        raise Fault(FaultKind.CONFLICT, text, text)
    if now < ceremony.entries[-1].at - timedelta(minutes=5):
        text = f"the clock is behind the last entry of the transcript ({ceremony.entries[-1].at.isoformat()})"
        raise Fault(FaultKind.CONFLICT, text, text)
    if now >= ceremony.root.not_after:
        text = "the root certificate has expired"
        raise Fault(FaultKind.EXPIRED, text, text)


def _keep(
    ceremony: Ceremony,
    signer: KeySigner,
    custodians: tuple[str, ...],
    now: datetime,
    action: str,
    details: dict[str, Any],
    made: bytes,
    path: Path,
    content: bytes,
) -> Made:
    check_signed(made, ceremony.root.spki)
    entry = transcript.append(ceremony.entries, signer, now, action, custodians, details)
    directory.append(ceremony.folder, entry)
    directory.write(path, content)
    return Made(made, path, entry)


def _certify(
    profile: Profile,
    signer: KeySigner,
    name: Name,
    spki: bytes,
    root: Certificate | None,
    now: datetime,
    days: int,
    issuer: Issuer,
    *,
    path_length: int | None = None,
    constraints: NameConstraintSet | None = None,
) -> bytes:
    """Build, lint and sign; ``root`` None: self-signed."""
    info = policy.check_public_key(spki)
    if not profile.allows_key(info.algorithm):
        raise refused(f"the profile {profile.name} does not allow keys of {info.algorithm}", "csr")
    rules, key_identifier = profile.validity, x509.ski(spki)
    wanted = timedelta(days=days) if days else rules.default
    if not rules.minimum <= wanted <= rules.maximum:
        raise refused(f"the profile {profile.name} does not allow so many days", "days")
    start = now.replace(microsecond=0) - rules.backdate
    end = start + wanted - _SECOND
    if root is not None:
        start, end = max(start, root.not_before), min(end, root.not_after)
    made = extensions.build(
        Parts(
            profile=profile,
            issuer=Issuer(key_identifier) if root is None else issuer,
            key_algorithm=info.algorithm,
            key_identifier=key_identifier,
            names=(),
            empty_subject=False,
            path_length=path_length,
            constraints=constraints or NameConstraintSet(),
        )
    )
    builder = CertificateSigner(signer, root.subject if root is not None else name.der)
    times = (int(start.timestamp()), int(end.timestamp()))
    tbs = builder.tbs(serials.new_serial(_INSTANCE), *times, name.der, spki, encode_extensions(made))
    identifier = algorithms.signature_identifier(signer.signature_algorithm)
    lint.check(lint.Subject(decode_tbs(tbs), profile, root, info.algorithm, identifier, now))
    certificate = builder.sign(tbs)
    if der.read(certificate).children()[0].encoded != tbs:
        text = "what was signed is not what was linted"
        raise Fault(FaultKind.INTERNAL, text)
    return certificate


def _text(document: bytes) -> str:
    return base64.b64encode(document).decode("ascii")

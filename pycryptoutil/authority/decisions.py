"""The decisions of issuance: what a certificate would be, or why there is none. The table at the end is their order.

Nothing is written here: what only decides is done before the unit of work.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.csr import decode_csr, verify_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, Name, decode_general_names, decode_name
from pycryptoutil_protocols.oids import SUBJECT_ALT_NAME
from pycryptoutil_protocols.x509 import (
    Extension,
    decode_certificate,
    decode_extensions,
    decode_tbs,
    encode_extensions,
    find_extension,
)

from pycryptoutil.authority import extensions, lint, names, serials, subject
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.extensions import Issuer, Parts, Wanted
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.oids import NAME_CONSTRAINTS
from pycryptoutil.authority.profile import format_duration
from pycryptoutil.authority.room import generations
from pycryptoutil.crypto import policy, x509

_SECOND: Final = timedelta(seconds=1)
_LATEST_START: Final = timedelta(days=90)


def read_request(i: Issuance) -> None:
    """Decode the CSR and prove possession of its key, unless the order brings a key of its own."""
    if i.order.csr is not None:
        known = i.order.request
        i.csr = known if known is not None and known.der == i.order.csr else decode_csr(i.order.csr)
    if i.order.spki is not None:
        i.spki = i.order.spki
    elif i.csr is not None:
        policy.check_request_signature(i.csr.signature_algorithm)
        verify_csr(i.csr)
        i.spki = i.csr.spki
    else:
        raise Fault(FaultKind.INVALID, "an order with neither CSR nor key", "a certification request is needed")


def check_kind(i: Issuance) -> None:
    """Refuse what the profile is not for."""
    if i.profile.kind != "x509":
        raise names.refused(f"the profile {i.profile.name} is for SSH certificates, not for X.509", "profile")
    if i.profile.is_ca or i.profile.ocsp_no_check:
        raise names.refused(f"the profile {i.profile.name} is used by the CA itself, and not for requests", "profile")


def check_binding(i: Issuance) -> None:
    """Hold a credential to the profile, the CA and the protocols that it was made for."""
    credential = i.order.credential
    if credential is not None:
        if credential.profile != i.profile.name or credential.authority != i.ca.name:
            text = f"the credential is for the profile {credential.profile} of {credential.authority}"
            raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text, pointer="profile")
        if credential.protocols and i.order.protocol not in credential.protocols:
            text = f"the credential is not for {i.order.protocol}"
            raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)


def check_key(i: Issuance) -> None:
    """Ask the algorithm policy, then the profile."""
    info = policy.check_public_key(i.spki)
    i.key_algorithm = info.algorithm
    rules = i.profile.keys
    if not i.profile.allows_key(info.algorithm):
        text = f"the profile {i.profile.name} does not allow keys of {info.algorithm}"
        raise names.refused(f"{text} (allowed: {', '.join(rules.algorithms)})", pointer="")
    if info.algorithm.startswith("RSA") and not rules.rsa_minimum <= info.bits <= rules.rsa_maximum:
        text = f"the profile {i.profile.name} asks for RSA keys of {rules.rsa_minimum} to {rules.rsa_maximum} bits"
        raise Fault(FaultKind.WEAK_KEY, f"{info.bits} bits: {text}", text)


def collect_names(i: Issuance) -> None:
    """Take the names of the order, or else of the CSR, or else of the common name where the profile says so."""
    requested = names.unique(map(names.from_general_name, _asked_sans(i)))
    i.sans = names.unique(map(names.parse_name, i.order.sans)) or requested
    i.subject = _asked_subject(i)
    if not i.sans and i.profile.names.from_common_name:
        i.sans = names.unique(names.guess_name(text) for text in i.subject.common_names)
    # the CSR's own names obey the policy too, even where the order replaces them
    for candidates in dict.fromkeys((i.sans, requested or i.sans)):
        names.check_names(candidates, i.profile.names)


def _asked_extensions(i: Issuance) -> tuple[Extension, ...]:
    if i.order.extensions is not None:
        return decode_extensions(der.read(i.order.extensions))
    return i.csr.extensions if i.csr is not None else ()


def _asked_sans(i: Issuance) -> tuple[GeneralName, ...]:
    if i.order.extensions is None:
        return i.csr.sans if i.csr is not None else ()
    found = find_extension(_asked_extensions(i), SUBJECT_ALT_NAME)
    return decode_general_names(found.value) if found is not None else ()


def _asked_subject(i: Issuance) -> Name:
    if i.order.subject is not None:
        return decode_name(x509.name_der(i.order.subject))
    return i.csr.name if i.csr is not None else i.subject


def compose_subject(i: Issuance) -> None:
    """Make the subject by the profile, then hold the names of the result to the credential and to the CA."""
    i.subject = subject.compose(i.subject, i.profile, i.sans, i.order.credential)
    if i.order.credential is not None:
        subject.check_credential(i.order.credential, i.subject, i.sans)
    constraints = i.key.certificate.extension(NAME_CONSTRAINTS)
    if constraints is not None:
        extensions.check_name_constraints(i.sans, extensions.decode_name_constraints(constraints.value))


def check_renewal(i: Issuance) -> None:
    """Give a renewal no name and no purpose that the certificate it renews does not have."""
    if i.order.previous_certificate is None:
        return
    previous = decode_certificate(i.order.previous_certificate)
    with i.room.database.read(i.ca.tenant_id) as reader:
        known = certificates.by_serial(reader, serials.to_hex(previous.serial))
    known = [row for row in known if row.authority_id in generations(i.ca, i.rows)]
    if not known or known[0].der != previous.der:
        raise Fault(FaultKind.FORBIDDEN, "renewal of a certificate not issued here", "the certificate is not ours")
    if known[0].revoked_at is not None:
        raise Fault(FaultKind.FORBIDDEN, "renewal of a revoked certificate", "the certificate to renew is revoked")
    if known[0].profile != i.profile.name:
        text = f"the certificate to renew is of the profile {known[0].profile}, not {i.profile.name}"
        raise Fault(FaultKind.FORBIDDEN, text, text, pointer="profile")
    held = {names.from_general_name(name) for name in previous.sans}
    if beyond := [str(name) for name in i.sans if name not in held]:
        raise names.refused(f"a renewal cannot add names: {', '.join(beyond[:5])}", "sans")
    before = {(one.oid, one.text) for rdn in decode_name(previous.subject).rdns for one in rdn}
    if any((one.oid, one.text) not in before for rdn in i.subject.rdns for one in rdn):
        raise names.refused("a renewal cannot change the subject", "subject")


def check_extensions(i: Issuance) -> None:
    """Read what the CSR asks for; what the profile does not let it bring is refused, not dropped."""
    i.wanted = extensions.check_requested(_asked_extensions(i), i.profile)
    if i.order.must_staple:
        if i.profile.must_staple == "never":
            raise names.refused(f"the profile {i.profile.name} does not allow must-staple", "must_staple")
        i.wanted = Wanted(must_staple=True, copied=i.wanted.copied)


def fix_validity(i: Issuance) -> None:
    """Choose the dates: never beyond the profile, never beyond the issuer; what is asked for is given or refused."""
    rules = i.profile.validity
    now = i.now.replace(microsecond=0)
    start = i.order.not_before.replace(microsecond=0) if i.order.not_before is not None else now - rules.backdate
    if start < now - rules.backdate or start > now + _LATEST_START:
        raise names.refused("notBefore is too far away from now", "not_before")
    start = max(start, i.key.certificate.not_before)
    longest = rules.maximum_at(start)
    limit = i.key.certificate.not_after
    if i.order.not_after is None:
        end = min(start + min(rules.default, longest) - _SECOND, limit)
    else:
        end = i.order.not_after.replace(microsecond=0)
        if end > limit:
            raise names.refused("notAfter is beyond that of the issuing CA", "not_after")
        if end - start + _SECOND > longest:
            text = f"the profile {i.profile.name} allows {format_duration(longest)} at most"
            raise names.refused(text, "not_after")
    if end - start + _SECOND < min(rules.minimum, rules.default):
        raise names.refused("the certificate would live too shortly, or its issuer ends too soon", "not_after")
    i.not_before, i.not_after = start, end


def build_tbs(i: Issuance) -> None:
    """Draw the serial and encode what will be signed."""
    i.serial = serials.new_serial(i.room.instance)
    key_identifier = i.key_identifier or x509.ski(i.spki)
    parts = Parts(
        profile=i.profile,
        issuer=Issuer(
            key_identifier=key_identifier if i.self_signed else i.key.certificate.subject_key_identifier,
            ocsp_url=i.room.urls.ocsp(i.ca.public_id),
            crl_url=i.room.crl_url(i.ca, i.serial),
            delta_url=i.room.delta_url(i.ca),
            issuer_url=i.room.urls.issuer(i.ca.public_id),
        ),
        key_algorithm=i.key_algorithm,
        key_identifier=key_identifier,
        names=i.sans,
        empty_subject=not i.subject.rdns,
        wanted=i.wanted,
        path_length=i.path_length,
        constraints=i.constraints,
    )
    i.extensions = extensions.build(parts)
    i.tbs = i.key.signer.tbs(
        i.serial,
        int(i.not_before.timestamp()),
        int(i.not_after.timestamp()),
        i.subject.der,
        i.spki,
        encode_extensions(i.extensions),
    )


def lint_tbs(i: Issuance) -> None:
    """Read back what was encoded, and hold it to the rules."""
    decoded = decode_tbs(i.tbs)
    lint.check(
        lint.Subject(
            certificate=decoded,
            profile=i.profile,
            issuer=None if i.self_signed else i.key.certificate,
            key_algorithm=i.key_algorithm,
            signature_algorithm=algorithms.signature_identifier(i.key.signature_algorithm),
            now=i.now,
        )
    )


DECISIONS: Final[tuple[Callable[[Issuance], None], ...]] = (
    read_request,
    check_kind,
    check_binding,
    check_key,
    collect_names,
    compose_subject,
    check_renewal,
    check_extensions,
    fix_validity,
    build_tbs,
    lint_tbs,
)

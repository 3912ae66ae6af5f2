"""One request: is possession shown, and what is asked for after an RA's changes (RFC 5272 sections 6.3, 6.5, 6.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, names, oids
from pycryptoutil_protocols.attributes import single_value
from pycryptoutil_protocols.cmc import controls, proofs
from pycryptoutil_protocols.cmc.failures import Refusal
from pycryptoutil_protocols.cmc.messages import FailInfo, RequestKind, TaggedRequest
from pycryptoutil_protocols.cmc.values import DecryptedPop, EncryptedPop, MacProof
from pycryptoutil_protocols.crmf.messages import (
    CertReqMsg,
    CertTemplate,
    PrivateKeyPop,
    RaVerified,
    SignaturePop,
    SubsequentMessage,
)
from pycryptoutil_protocols.csr import CertificationRequest, ChangeSubjectName
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .backend import Backend, Memo, Party, Role, Rules, Wish
from .identity import key_of, owner_of, wanted_identifier
from .vouching import Vouching


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message's controls bring to its requests."""

    party: Party
    vouching: Vouching
    random: bytes | None = field(default=None, repr=False)  # popLinkRandom
    answers: Sequence[DecryptedPop] = ()


class ChallengeNeeded(Exception):  # noqa: N818 - not an error: the exchange goes on
    """Possession is to be shown by decrypting this."""

    def __init__(self, challenge: EncryptedPop) -> None:
        super().__init__("the key is to decrypt a challenge")
        self.challenge = challenge


def decide(backend: Backend, rules: Rules, request: TaggedRequest, asked: Asked) -> Wish:
    """Return what to issue; Fault, or ChallengeNeeded when the key has yet to answer."""
    if request.kind is RequestKind.OTHER:
        detail, public = f"request of type {request.other_type}", "requests of this type are not supported"
        raise Fault(FaultKind.UNSUPPORTED, detail, public)
    spki = key_of(request)
    if not spki:
        raise Fault(FaultKind.INVALID, "no public key", "the request has no public key")
    algorithms.key_info(spki)
    self_proven = _possession(backend, rules, request, spki, asked)
    _check_link(rules, request, asked)
    return _composed(request, spki, asked, self_proven=self_proven)


# Possession


def _possession(backend: Backend, rules: Rules, request: TaggedRequest, spki: bytes, asked: Asked) -> bool:
    """Check possession; return whether the request's own PKCS#10 signature shows it."""
    if asked.vouching.ra is not None and asked.vouching.possesses(request.body_part):
        return False
    if request.csr is not None and not proofs.is_unsigned(request.csr):
        proofs.check_pkcs10(request.csr)
        return True
    if request.crmf is not None and isinstance(request.crmf.pop, SignaturePop):
        proofs.check_signature(request.crmf, spki)
        return False
    if request.crmf is not None:
        _check_form(request.crmf, asked)
        if isinstance(request.crmf.pop, RaVerified):
            return False
    if not proofs.can_decrypt(spki):
        public = "the request must be signed by its key"
        raise Refusal(FailInfo.POP_REQUIRED, "no proof of possession of a signing key", public)
    _by_decryption(backend, rules, request, spki, asked)
    return False


def _check_form(message: CertReqMsg, asked: Asked) -> None:
    pop = message.pop
    if isinstance(pop, RaVerified) and not (asked.party.role is Role.RA and asked.party.whole):
        public = "only a registration authority may say that possession was verified"
        raise Refusal(FailInfo.POP_FAILED, "raVerified from no RA", public)
    if isinstance(pop, PrivateKeyPop) and pop.subsequent is not SubsequentMessage.CHALLENGE_RESP:
        public = "possession is shown by a signature, or by answering a challenge"
        raise Fault(FaultKind.UNSUPPORTED, "POPOPrivKey of another kind", public)


def _by_decryption(backend: Backend, rules: Rules, request: TaggedRequest, spki: bytes, asked: Asked) -> None:
    """Check the answer to the challenge, or make one: the same for the same request until it is answered."""
    owner = owner_of(asked.party)
    if not asked.party.known:
        raise Fault(FaultKind.UNAUTHENTICATED, "challenge for nobody", "authentication is needed")
    identifier = "pop-" + hashlib.sha256(owner.encode() + b"\0" + request.encoded).hexdigest()
    memo = backend.recall(identifier)
    answer = next((one for one in asked.answers if one.body_part == request.body_part), None)
    if answer is not None:
        if memo is None:
            raise Fault(FaultKind.BAD_POP, "answer to no challenge", "there is no challenge to this request any more")
        proofs.check_answer(answer, request, memo.secret)
        return  # the challenge stays until it runs out: a repeat of this message gets the same certificate
    if memo is None:
        memo = backend.remember(Memo(identifier, owner, "pop", {}, proofs.new_challenge()), rules.memory)
    raise ChallengeNeeded(proofs.challenge(request, spki, memo.secret, wanted_identifier(request)))


# Linking identity and possession


def _check_link(rules: Rules, request: TaggedRequest, asked: Asked) -> None:
    """Check a POP link witness: that who knows the secret also made this request (section 6.3.1)."""
    proof, older = _link(request)
    if proof is None and older is None:
        if rules.require_pop_link and asked.party.role is Role.CREDENTIAL:
            raise Fault(FaultKind.BAD_POP, "no POP link witness", "identity and possession must be linked")
        return
    if not asked.party.secret or asked.random is None:
        raise Fault(FaultKind.BAD_POP, "POP link witness alone", "a POP link needs a random value and a shared secret")
    if proof is not None:
        proofs.check_pop_link(proof, asked.party.secret, asked.random, sha1=rules.sha1_proofs)
    if older is not None:
        proofs.check_pop_link_v1(older, asked.party.secret, asked.random, sha1=rules.sha1_proofs)


def _link(request: TaggedRequest) -> tuple[MacProof | None, bytes | None]:
    new, old = (_inside(request, kind.oid) for kind in (controls.POP_LINK_WITNESS_V2, controls.POP_LINK_WITNESS))
    return (
        controls.POP_LINK_WITNESS_V2.decode(der.read(new)) if new is not None else None,
        controls.POP_LINK_WITNESS.decode(der.read(old)) if old is not None else None,
    )


def _inside(request: TaggedRequest, oid: str) -> bytes | None:
    """Return the value of a PKCS#10 attribute or CRMF control."""
    if request.csr is not None:
        return single_value(request.csr.attributes, oid)
    if request.crmf is None:
        return None
    return next((one.value for one in request.crmf.request.controls.other if one.oid == oid), None)


# What is asked for


@dataclass(slots=True)
class _Draft:
    subject: bytes
    extensions: dict[str, Extension]
    not_before: datetime | None = None
    not_after: datetime | None = None
    changed: bool = False


def _composed(request: TaggedRequest, spki: bytes, asked: Asked, *, self_proven: bool) -> Wish:
    draft = _draft(request)
    rename = _change_of_name(request)
    if rename is not None:
        _rename(draft, rename, asked.party)
    for change in asked.vouching.changes:
        if change.concerns(request.body_part):
            for extension in change.extensions:
                draft.extensions[extension.oid] = extension
            if change.template is not None:
                _apply(draft, change.template, keep=not change.replace)
            draft.changed = True
    wish = Wish(request, spki, self_proven=self_proven, archived=_archived(request, asked))
    if request.csr is not None:
        wish = replace(wish, csr=request.csr.der)
        if not draft.changed:
            return wish
    return replace(
        wish,
        subject=draft.subject,
        extensions=tuple(draft.extensions.values()),
        not_before=draft.not_before,
        not_after=draft.not_after,
    )


def _draft(request: TaggedRequest) -> _Draft:
    if request.csr is not None:
        found: CertificationRequest = request.csr
        return _Draft(found.subject, {one.oid: one for one in found.extensions})
    if request.crmf is None:
        raise Fault(FaultKind.INTERNAL, "a request of neither kind")
    template = request.crmf.request.template
    _check_template(template)
    draft = _Draft(template.subject or der.sequence(), {one.oid: one for one in template.extensions})
    draft.not_before, draft.not_after = template.not_before, template.not_after
    return draft


def _check_template(template: CertTemplate) -> None:
    """Refuse what no requester may choose (RFC 4211 section 5)."""
    if template.serial is not None or template.issuer_unique_id or template.subject_unique_id:
        raise Fault(FaultKind.INVALID, "template with serial or unique id", "the template has fields that the CA fills")
    if template.version not in (None, 2):
        raise Fault(FaultKind.UNSUPPORTED, f"certificate version {template.version}", "only X.509 v3 is issued")


def _apply(draft: _Draft, template: CertTemplate, *, keep: bool) -> None:
    """Put an RA's template into a draft; with ``keep`` only where the request says nothing itself."""
    _check_template(template)
    if template.spki is not None:
        raise Fault(FaultKind.INVALID, "template with a key", "a changed request keeps its key")
    if template.subject is not None and not (keep and draft.subject != der.sequence()):
        draft.subject = template.subject
    for extension in template.extensions:
        if not (keep and extension.oid in draft.extensions):
            draft.extensions[extension.oid] = extension
    if template.not_before is not None and not (keep and draft.not_before is not None):
        draft.not_before = template.not_before
    if template.not_after is not None and not (keep and draft.not_after is not None):
        draft.not_after = template.not_after


def _change_of_name(request: TaggedRequest) -> ChangeSubjectName | None:
    if request.csr is not None:
        return request.csr.change_subject_name
    value = _inside(request, controls.CHANGE_SUBJECT_NAME.oid)
    return controls.CHANGE_SUBJECT_NAME.decode(der.read(value)) if value is not None else None


def _rename(draft: _Draft, wanted: ChangeSubjectName, party: Party) -> None:
    """Obey changeSubjectName (RFC 6402 section 2.8): not from who shows nothing but a certificate of the old name."""
    if party.role is Role.CERTIFICATE:
        text = "a renewal cannot change the name"
        raise Fault(FaultKind.POLICY, "changeSubjectName at renewal", text)
    if wanted.subject is not None:
        draft.subject = wanted.subject
    if wanted.sans is not None:
        value = names.encode_general_names(wanted.sans)
        draft.extensions[oids.SUBJECT_ALT_NAME] = Extension(oids.SUBJECT_ALT_NAME, False, value)
    draft.changed = True


def _archived(request: TaggedRequest, asked: Asked) -> bool:
    """Whether an RA says that it has done what the request's archive options ask for."""
    if request.crmf is None or request.crmf.request.controls.archive is None or asked.vouching.ra is None:
        return False
    return any(path == (request.body_part,) for path in asked.vouching.processed)

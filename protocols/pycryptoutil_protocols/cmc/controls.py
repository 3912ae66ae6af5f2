"""Every control of CMC by its name (RFC 5272 section 6, RFC 6402 section 2): where it may stand and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pycryptoutil_protocols import der
from pycryptoutil_protocols.csr import ChangeSubjectName, decode_change_subject_name
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import encode_general_names

from . import values
from .codec import body_part, decode_parts, decode_path, encode_parts
from .messages import BodyPartPath, Control, StatusInfo

_T = TypeVar("_T")
_ARC = "1.3.6.1.5.5.7.7"


@dataclass(frozen=True, slots=True)
class Kind(Generic[_T]):
    """One type of control; ``request`` and ``response`` say in which messages it may stand."""

    name: str
    number: int
    decode: Callable[[Element], _T]
    encode: Callable[[_T], bytes]
    request: bool = True
    response: bool = False
    repeatable: bool = False

    @property
    def oid(self) -> str:
        """The object identifier."""
        return f"{_ARC}.{self.number}"

    def value(self, control: Control) -> _T:
        """Decode a control's one value."""
        if len(control.values) != 1:
            detail = f"{self.name} with {len(control.values)} values"
            raise Fault(FaultKind.INVALID, detail, f"the control {self.name} has one value")
        return self.decode(der.read(control.values[0], _MAX_VALUE, _MAX_DEPTH))

    def all(self, controls: Iterable[Control]) -> tuple[tuple[Control, _T], ...]:
        """Return every control of this type with its value."""
        return tuple((one, self.value(one)) for one in controls if one.oid == self.oid)

    def one(self, controls: Iterable[Control]) -> _T | None:
        """Return the value of the only control of this type, or None; Fault(INVALID) if it is repeated."""
        found = [one for one in controls if one.oid == self.oid]
        if len(found) > 1:
            raise Fault(FaultKind.INVALID, f"{self.name} twice", f"the control {self.name} is repeated")
        return self.value(found[0]) if found else None

    def control(self, identifier: int, value: _T) -> Control:
        """Make a control."""
        return Control(identifier, self.oid, (self.encode(value),))


_MAX_VALUE = 1 << 20
_MAX_DEPTH = 48


def _change_of_name(value: ChangeSubjectName) -> bytes:
    sans = encode_general_names(value.sans) if value.sans is not None else b""
    return der.sequence(value.subject or b"", sans)


def _path(value: BodyPartPath) -> bytes:
    return encode_parts(value)


def _list(element: Element) -> tuple[int, ...]:
    return decode_parts(element, "BodyPartList")


def _reference(element: Element) -> int:
    return body_part(element, reference=True)


STATUS_INFO: Kind[StatusInfo] = Kind(
    "statusInfo", 1, values.decode_status_v1, values.encode_status, response=True, repeatable=True
)
IDENTIFICATION: Kind[str] = Kind("identification", 2, values.decode_text, der.utf8_string)
IDENTITY_PROOF: Kind[bytes] = Kind("identityProof", 3, values.decode_octets, der.octet_string)
DATA_RETURN: Kind[bytes] = Kind("dataReturn", 4, values.decode_octets, der.octet_string, response=True)
TRANSACTION_ID: Kind[int] = Kind("transactionId", 5, values.decode_number, der.integer, response=True)
SENDER_NONCE: Kind[bytes] = Kind("senderNonce", 6, values.decode_octets, der.octet_string, response=True)
RECIPIENT_NONCE: Kind[bytes] = Kind("recipientNonce", 7, values.decode_octets, der.octet_string, response=True)
ADD_EXTENSIONS: Kind[values.AddExtensions] = Kind(
    "addExtensions", 8, values.decode_add_extensions, values.encode_add_extensions, repeatable=True
)
ENCRYPTED_POP: Kind[values.EncryptedPop] = Kind(
    "encryptedPOP",
    9,
    values.decode_encrypted_pop,
    values.encode_encrypted_pop,
    request=False,
    response=True,
    repeatable=True,
)
DECRYPTED_POP: Kind[values.DecryptedPop] = Kind(
    "decryptedPOP", 10, values.decode_decrypted_pop, values.encode_decrypted_pop, repeatable=True
)
RA_POP_WITNESS: Kind[values.RaPopWitness] = Kind(
    "lraPOPWitness", 11, values.decode_ra_pop, values.encode_ra_pop, repeatable=True
)
GET_CERT: Kind[values.GetCert] = Kind("getCert", 15, values.decode_get_cert, values.encode_get_cert, repeatable=True)
GET_CRL: Kind[values.GetCrl] = Kind("getCRL", 16, values.decode_get_crl, values.encode_get_crl, repeatable=True)
REVOKE_REQUEST: Kind[values.RevokeRequest] = Kind(
    "revokeRequest", 17, values.decode_revoke, values.encode_revoke, repeatable=True
)
REG_INFO: Kind[bytes] = Kind("regInfo", 18, values.decode_octets, der.octet_string, repeatable=True)
RESPONSE_INFO: Kind[bytes] = Kind(
    "responseInfo", 19, values.decode_octets, der.octet_string, request=False, response=True, repeatable=True
)
QUERY_PENDING: Kind[bytes] = Kind("queryPending", 21, values.decode_octets, der.octet_string, repeatable=True)
POP_LINK_RANDOM: Kind[bytes] = Kind("popLinkRandom", 22, values.decode_octets, der.octet_string)
POP_LINK_WITNESS: Kind[bytes] = Kind("popLinkWitness", 23, values.decode_octets, der.octet_string)
CONFIRM_ACCEPTANCE: Kind[values.IssuerAndSerial] = Kind(
    "confirmCertAcceptance",
    24,
    values.decode_issuer_and_serial,
    values.encode_issuer_and_serial,
    repeatable=True,
)
STATUS_INFO_V2: Kind[StatusInfo] = Kind(
    "statusInfoV2", 25, values.decode_status, values.encode_status, response=True, repeatable=True
)
TRUSTED_ANCHORS: Kind[values.TrustAnchors] = Kind(
    "trustedAnchors", 26, values.decode_trust_anchors, values.encode_trust_anchors, request=False, response=True
)
AUTH_DATA: Kind[int] = Kind("authData", 27, _reference, der.integer, response=True)
BATCH_REQUESTS: Kind[tuple[int, ...]] = Kind("batchRequests", 28, _list, encode_parts)
BATCH_RESPONSES: Kind[tuple[int, ...]] = Kind("batchResponses", 29, _list, encode_parts, request=False, response=True)
PUBLISH_CERT: Kind[values.Publication] = Kind(
    "publishCert", 30, values.decode_cmc_publication, values.encode_cmc_publication, repeatable=True
)
MOD_CERT_TEMPLATE: Kind[values.ModCertTemplate] = Kind(
    "modCertTemplate", 31, values.decode_mod_template, values.encode_mod_template, repeatable=True
)
CONTROL_PROCESSED: Kind[tuple[BodyPartPath, ...]] = Kind(
    "controlProcessed", 32, values.decode_references, values.encode_references, response=True, repeatable=True
)
POP_LINK_WITNESS_V2: Kind[values.MacProof] = Kind(
    "popLinkWitnessV2", 33, values.decode_mac_proof, values.encode_mac_proof
)
IDENTITY_PROOF_V2: Kind[values.MacProof] = Kind("identityProofV2", 34, values.decode_mac_proof, values.encode_mac_proof)
RA_IDENTITY_WITNESS: Kind[BodyPartPath] = Kind("raIdentityWitness", 35, decode_path, _path, repeatable=True)
CHANGE_SUBJECT_NAME: Kind[ChangeSubjectName] = Kind(
    "changeSubjectName", 36, lambda element: decode_change_subject_name(element.encoded), _change_of_name
)
RESPONSE_BODY: Kind[BodyPartPath] = Kind("responseBody", 37, decode_path, _path, request=False, response=True)

KINDS: dict[str, Kind[Any]] = {
    kind.oid: kind
    for kind in (
        STATUS_INFO,
        IDENTIFICATION,
        IDENTITY_PROOF,
        DATA_RETURN,
        TRANSACTION_ID,
        SENDER_NONCE,
        RECIPIENT_NONCE,
        ADD_EXTENSIONS,
        ENCRYPTED_POP,
        DECRYPTED_POP,
        RA_POP_WITNESS,
        GET_CERT,
        GET_CRL,
        REVOKE_REQUEST,
        REG_INFO,
        RESPONSE_INFO,
        QUERY_PENDING,
        POP_LINK_RANDOM,
        POP_LINK_WITNESS,
        CONFIRM_ACCEPTANCE,
        STATUS_INFO_V2,
        TRUSTED_ANCHORS,
        AUTH_DATA,
        BATCH_REQUESTS,
        BATCH_RESPONSES,
        PUBLISH_CERT,
        MOD_CERT_TEMPLATE,
        CONTROL_PROCESSED,
        POP_LINK_WITNESS_V2,
        IDENTITY_PROOF_V2,
        RA_IDENTITY_WITNESS,
        CHANGE_SUBJECT_NAME,
        RESPONSE_BODY,
    )
}

IN_REQUEST_ITSELF = frozenset({POP_LINK_WITNESS.oid, POP_LINK_WITNESS_V2.oid, CHANGE_SUBJECT_NAME.oid})
"""These stand in the PKCS#10 attributes or CRMF controls of one request, not beside the requests."""


def strange(controls: Iterable[Control], *, response: bool = False) -> tuple[Control, ...]:
    """Return the controls that this message may not have: unknown ones, misplaced ones, and repeated ones.

    A server fails the whole message for one of them (RFC 5272 section 3.2.1.1).
    """
    found: list[Control] = []
    seen: set[str] = set()
    for control in controls:
        kind = KINDS.get(control.oid)
        allowed = kind is not None and (kind.response if response else kind.request)
        repeated = control.oid in seen and kind is not None and not kind.repeatable
        if not allowed or repeated or control.oid in IN_REQUEST_ITSELF:
            found.append(control)
        seen.add(control.oid)
    return tuple(found)

"""Requests that the CMC tests make: PKCS#10 and CRMF, good ones and broken ones."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmc import client
from pycryptoutil_protocols.cmc.messages import NO_SIGNATURE
from pycryptoutil_protocols.crmf import codec as crmf_codec
from pycryptoutil_protocols.crmf.messages import (
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Controls,
    PrivateKeyPop,
    ProofOfPossession,
    SignaturePop,
    SubsequentMessage,
)
from pycryptoutil_protocols.x509 import Extension

from tests.protocols import material
from tests.support.cmc import dns_names, subject

SIGNER = material.signer(number=40)


def pkcs10(
    signer: material.KeySigner = SIGNER,
    common_name: str = "a.example.test",
    *attributes: Attribute,
    extensions: tuple[Extension, ...] | None = None,
    broken: bool = False,
) -> bytes:
    """A PKCS#10 request, signed by its key."""
    asked = (dns_names(common_name),) if extensions is None else extensions
    items = [one.encode() for one in attributes]
    if asked:
        items.append(Attribute(oids.EXTENSION_REQUEST, (x509.encode_extensions(asked),)).encode())
    info = der.sequence(der.integer(0), subject(common_name), signer.public_spki, der.explicit(0, *sorted(items)))
    signature = signer.sign(info + (b"." if broken else b""))
    algorithm = algorithms.signature_identifier(signer.signature_algorithm)
    return der.sequence(info, algorithm, der.bit_string(signature))


def unsigned_pkcs10(spki: bytes, common_name: str = "a.example.test") -> bytes:
    """A PKCS#10 request that its key cannot sign (RFC 5272 appendix C.1)."""
    extensions = Attribute(oids.EXTENSION_REQUEST, (x509.encode_extensions((dns_names(common_name),)),)).encode()
    info = der.sequence(der.integer(0), subject(common_name), spki, der.explicit(0, extensions))
    algorithm = algorithms.algorithm_identifier(NO_SIGNATURE, der.null())
    return der.sequence(info, algorithm, der.bit_string(algorithms.digest("sha256", info)))


def crmf(
    number: int = 1,
    signer: material.KeySigner = SIGNER,
    common_name: str = "a.example.test",
    *,
    pop: ProofOfPossession | None = None,
    spki: bytes = b"",
    controls: Controls | None = None,
    **more: Any,
) -> CertReqMsg:
    """A CRMF request, with a signature POP unless another one is given."""
    template = CertTemplate(
        subject=subject(common_name),
        spki=spki or signer.public_spki,
        extensions=(dns_names(common_name),),
        **more,
    )
    request = CertRequest(number, template, controls or Controls())
    if pop is None:
        encoded = crmf_codec.encode_request(request)
        algorithm = algorithms.signature_identifier(signer.signature_algorithm)
        pop = SignaturePop(algorithm, signer.sign(encoded))
    return CertReqMsg(request, pop)


def kem_key() -> tuple[Any, bytes]:
    """An ML-KEM-768 key and its SubjectPublicKeyInfo."""
    key = mlkem.MLKEM768PrivateKey.generate()
    return key, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


CHALLENGE = PrivateKeyPop(subsequent=SubsequentMessage.CHALLENGE_RESP)


def draft(*encoded: bytes) -> client.Draft:
    """A draft with PKCS#10 requests in it."""
    made = client.Draft()
    for one in encoded:
        made.add_pkcs10(one)
    return made

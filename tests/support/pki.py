"""A running suite's CA, as its users meet it: credentials, requests, certificates, statuses."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from tests.support.authority import csr, new_key
from tests.support.suite import Suite

EST = "/.well-known/est"
PKCS10 = {"Content-Type": "application/pkcs10"}


@dataclass(frozen=True)
class Enrolled:
    """A certificate with its key, in files too."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"


@dataclass(frozen=True)
class Ca:
    """What a test asks of the CA; everything goes over its listeners."""

    suite: Suite

    # --- the administrator

    def credential(self, profile: str = "tls-server", *dns: str, **more: Any) -> tuple[str, str]:
        """Make an enrolment credential; return user name and password."""
        names = {"dns": list(dns or ("*.example.test",))} | more.pop("names", {})
        body = {"profile": profile, "names": names, **more}
        answer = self.suite.api().post("enrollment-credentials", json=body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return made["username"], made["password"]

    def issue(self, profile: str, request: bytes | None = None, **body: Any) -> dict[str, Any]:
        """Issue over REST: from a CSR (DER), or with a generated key."""
        given = {"generate_key": True} if request is None else {"csr": base64.b64encode(request).decode()}
        answer = self.suite.api().post("certificates", json={"profile": profile, **given, **body})
        assert answer.status_code == 201, f"{profile}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def revoke(self, serial: str, reason: str = "keyCompromise") -> None:
        answer = self.suite.api().post(f"certificates/{serial}/revoke", json={"reason": reason})
        assert answer.status_code == 200, answer.text

    def record(self, serial: str) -> httpx.Response:
        return self.suite.api().get(f"certificates/{serial}")

    def authorities(self) -> dict[str, dict[str, Any]]:
        found: list[dict[str, Any]] = self.suite.api().get("certificate-authorities").json()["items"]
        return {one["name"]: one for one in found}

    def chain(self) -> list[x509.Certificate]:
        """Return the issuing CA's certificate and the root's."""
        return [x509.load_pem_x509_certificate(pem.encode()) for pem in self.authorities()["issuing"]["chain"]]

    # --- EST

    def est(self, operation: str, label: str = "") -> str:
        """Return the whole URL of an operation."""
        return f"{self.suite.url()}{EST}/{label + '/' if label else ''}{operation}"

    def enrol(
        self,
        folder: Path,
        credential: tuple[str, str],
        *names: str,
        label: str = "",
        client: httpx.Client | None = None,
    ) -> Enrolled:
        """Enrol by simpleenroll, and put certificate and key into ``folder``."""
        key = new_key()
        request = csr(*names, key=key)
        answer = (client or self.suite.http()).post(
            self.est("simpleenroll", label), content=base64.encodebytes(request), headers=PKCS10, auth=credential
        )
        assert answer.status_code == 200, answer.text
        return keep(folder, certificate_of(answer.content), key)


def keep(folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Enrolled:
    """Write a certificate and its key as PEM."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{certificate.serial_number:x}"[-12:]
    certificate_file, key_file = folder / f"{stem}.pem", folder / f"{stem}.key"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key_pem(key))
    return Enrolled(certificate, key, certificate_file, key_file)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 without a password."""
    return key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certificates_of(body: bytes) -> list[x509.Certificate]:
    """Read an EST answer."""
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))


def certificate_of(body: bytes) -> x509.Certificate:
    """Read an EST answer that carries one certificate."""
    (found,) = certificates_of(body)
    return found


def uris(certificate: x509.Certificate) -> dict[str, str]:
    """Return the OCSP, CA-issuers and CRL URIs of a certificate."""
    access = certificate.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    found = {}
    for one in access:  # type: ignore[attr-defined]
        name = "ocsp" if one.access_method == AuthorityInformationAccessOID.OCSP else "issuer"
        found[name] = one.access_location.value
    points = certificate.extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS).value
    found["crl"] = points[0].full_name[0].value  # type: ignore[index]
    return found


def ocsp_request(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: Any, nonce: bytes = b"") -> bytes:
    """DER of a request for one certificate."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm)
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)

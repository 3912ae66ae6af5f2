"""A CA that ``openssl ca`` has run: made by OpenSSL itself, with certificates, revocations and a CRL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import need, run

PASSPHRASE = "correct horse"
_CONFIGURATION = """
[ca]
default_ca = own
[own]
dir = {folder}
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/newcerts
certificate = $dir/cacert.pem
private_key = $dir/private/cakey.pem
default_md = sha256
default_days = 3650
default_crl_days = 30
policy = any
x509_extensions = leaf
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = name
[name]
"""


@dataclass(frozen=True)
class OpensslCa:
    """Its directory, and the serials in hex of what it has issued."""

    folder: Path
    good: str
    compromised: str
    held: str

    def ca(self, *arguments: str | Path) -> None:
        run("openssl", "ca", "-config", self.folder / "ca.cnf", "-batch", "-passin", f"pass:{PASSPHRASE}", *arguments)

    def issue(self, name: str) -> str:
        """Let it certify a new key; return the serial."""
        serial = (self.folder / "serial").read_text().strip()
        csr, key = self.folder / f"{name}.csr", self.folder / f"{name}.key"
        run(*f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}".split(),
            "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", csr)  # fmt: skip
        self.ca("-in", csr, "-out", self.folder / f"{name}.pem")
        return serial

    def revoke(self, name: str, *reason: str) -> None:
        self.ca("-revoke", self.folder / f"{name}.pem", *reason)


def make(folder: Path, algorithm: str = "ec") -> OpensslCa:
    """Make one: a root that has issued three certificates, of which one is revoked and one on hold, and a CRL."""
    need("openssl")
    for part in ("newcerts", "private"):
        (folder / part).mkdir(parents=True)
    (folder / "ca.cnf").write_text(_CONFIGURATION.format(folder=folder))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("1000\n")
    (folder / "crlnumber").write_text("2A\n")
    kind = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256") if algorithm == "ec" else ("rsa:2048",)
    run("openssl", "req", "-x509", "-newkey", *kind, "-passout", f"pass:{PASSPHRASE}", "-subj", "/CN=Old CA/O=Example",
        "-config", folder / "ca.cnf", "-extensions", "root", "-days", "7300",
        "-keyout", folder / "private" / "cakey.pem", "-out", folder / "cacert.pem")  # fmt: skip
    bare = OpensslCa(folder, "", "", "")
    made = OpensslCa(folder, *(bare.issue(name) for name in ("good.test", "compromised.test", "held.test")))
    made.revoke("compromised.test", "-crl_compromise", "20260101000000Z")
    made.revoke("held.test", "-crl_reason", "certificateHold")
    made.ca("-gencrl", "-out", folder / "old.crl")
    return made

"""``tour``'s step that enrols by CMP, with openssl's own client (3.0 or newer)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pycryptoutil.cli.tour import Tour


def step(tour: Tour) -> None:
    """Enrol with the credential as reference and secret, then renew with the certificate."""
    tour.step("Another stranger enrols by CMP, and renews")
    made = json.loads((tour.folder / "credential.json").read_bytes())
    secret = tour.folder / "credential.secret"
    secret.touch(mode=0o600)
    secret.write_text(made["password"] + "\n")
    address = urlsplit(tour.url("plain"))
    server = f"-server {address.netloc} -no_proxy {address.hostname} -path .well-known/cmp/p/tls-server"
    cmp = f"openssl cmp -config '' {server}"
    tour.run("for n in 1 2; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out cmp$n.key; done")
    tour.run(
        f"{cmp} -cmd ir -ref {made['username']} -secret file:credential.secret -newkey cmp1.key"
        f" -subject /CN={tour.host} -sans {tour.host} -certout cmp1.pem"
    )
    tour.run(
        f"{cmp} -cmd kur -cert cmp1.pem -key cmp1.key -newkey cmp2.key"
        " -trusted root.pem -untrusted issuing.pem -certout cmp2.pem"
    )
    tour.run("openssl verify -CAfile root.pem -untrusted issuing.pem cmp1.pem cmp2.pem", expect="cmp2.pem: OK")
    tour.passed("the credential's secret protected the first request, its certificate the second; both were confirmed")

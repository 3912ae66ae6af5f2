"""``tour``'s step that gets a certificate with certbot."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pycryptoutil.cli.tour import Tour

_PORT: Final = 5002  # where validators look first under the profiles dev and test
_TRIES: Final = 30


def step(tour: Tour) -> None:
    """Have certbot do everything by itself, where it is installed and the CA lets anybody in."""
    directory = f"{tour.url()}/acme/tls-server/directory"
    said = tour.run(f"curl -sS --fail-with-body --cacert bundle.pem {directory}", quiet=True)
    if shutil.which("certbot") is None or '"externalAccountRequired":false' not in said:
        return
    tour.step("certbot gets a certificate by ACME (RFC 8555)")
    name = f"acme-{tour.host}"
    command = (
        f"REQUESTS_CA_BUNDLE=bundle.pem certbot certonly -n --standalone --http-01-port {_PORT} --server {directory}"
        f" -d {name} --agree-tos --register-unsafely-without-email"
        " --config-dir certbot --work-dir certbot --logs-dir certbot"
    )
    _wait_for_port()
    tour.run(command, expect="Successfully received certificate")
    tour.run(
        f"openssl verify -CAfile root.pem -untrusted issuing.pem certbot/live/{name}/cert.pem", expect="cert.pem: OK"
    )
    tour.passed(f"the CA asked {name} on port {_PORT} for the proof; under the profile dev every .test is this machine")


def _wait_for_port() -> None:
    """Another tour on this machine may be at the same step."""
    import socket

    from pycryptoutil.clock import SystemClock

    clock = SystemClock()
    for _ in range(_TRIES):
        try:
            socket.create_server(("127.0.0.1", _PORT)).close()
            return
        except OSError:
            clock.sleep(1)

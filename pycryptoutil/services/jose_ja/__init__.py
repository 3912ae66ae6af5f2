"""jose-ja: the JWK authority. Each area has a folder; this file puts their tables together."""

from __future__ import annotations

from pycryptoutil.keyring.store.tables import SEALED_COLUMNS
from pycryptoutil.service.definition import BackgroundTask, ServiceDefinition
from pycryptoutil.services.jose_ja.jwe import handlers as jwe
from pycryptoutil.services.jose_ja.jwk import handlers as jwk
from pycryptoutil.services.jose_ja.jws import handlers as jws
from pycryptoutil.services.jose_ja.jwt import handlers as jwt
from pycryptoutil.services.jose_ja.pages import PAGES
from pycryptoutil.services.jose_ja.published import routes as published
from pycryptoutil.services.jose_ja.published.sets import REFRESH
from pycryptoutil.services.jose_ja.rings import routes as rings
from pycryptoutil.services.jose_ja.sdjwt import handlers as sdjwt
from pycryptoutil.services.jose_ja.settings import JoseJaSettings
from pycryptoutil.services.jose_ja.state import State, build
from pycryptoutil.services.jose_ja.versions import routes as versions

OPERATIONS = (*jws.OPERATIONS, *jwe.OPERATIONS, *jwt.OPERATIONS, *sdjwt.OPERATIONS, *jwk.OPERATIONS)

SERVICE = ServiceDefinition(
    name="jose-ja",
    product="JOSE",
    title="JWK Authority",
    public_port=9443,
    admin_port=9092,
    routes=(
        *rings.ROUTES,
        *versions.ROUTES,
        *(route for operation in OPERATIONS for route in operation.routes()),
        *published.ROUTES,
    ),
    build=build,
    pages=PAGES,
    settings=JoseJaSettings,
    migrations=("pycryptoutil.keyring", "pycryptoutil.services.jose_ja"),
    sealed_columns=SEALED_COLUMNS,
    background=(
        BackgroundTask("jwks", REFRESH, lambda state: state.published.refresh()),
        BackgroundTask("keyring", 10.0, lambda state: state.keyring.maintain()),
    ),
    close=lambda state: state.keyring.flush(),
    scopes={
        **rings.SCOPES,
        "jose:sign": "sign with rings",
        "jose:verify": "verify with rings, and with given public keys",
        "jose:encrypt": "encrypt to rings, and to given public keys",
        "jose:decrypt": "decrypt with rings",
        "jose:tools": "make, convert and check keys that are not kept",
    },
)

__all__ = ["SERVICE", "State"]

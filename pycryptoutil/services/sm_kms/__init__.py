"""sm-kms: per-tenant elastic keys and what is done with them. Each area has a folder; this file puts them together."""

from __future__ import annotations

from pycryptoutil.keyring import SEALED_COLUMNS
from pycryptoutil.service.definition import BackgroundTask, ServiceDefinition
from pycryptoutil.services.sm_kms.jobs import routes as job_routes
from pycryptoutil.services.sm_kms.keys import routes as key_routes
from pycryptoutil.services.sm_kms.operations import routes as operation_routes
from pycryptoutil.services.sm_kms.pages import PAGES
from pycryptoutil.services.sm_kms.settings import SmKmsSettings
from pycryptoutil.services.sm_kms.state import State, build
from pycryptoutil.services.sm_kms.versions import routes as version_routes

SERVICE = ServiceDefinition(
    name="sm-kms",
    product="Secrets Manager",
    title="Key Management",
    public_port=8080,
    admin_port=9090,
    routes=(*key_routes.ROUTES, *version_routes.ROUTES, *operation_routes.ROUTES, *job_routes.ROUTES),
    build=build,
    pages=PAGES,
    settings=SmKmsSettings,
    migrations=("pycryptoutil.keyring", "pycryptoutil.services.sm_kms"),
    sealed_columns=SEALED_COLUMNS,
    background=(
        BackgroundTask("keyring", 10.0, lambda state: state.keyring.maintain()),
        BackgroundTask("rewrap-jobs", 1.0, lambda state: state.jobs.work()),
    ),
    close=lambda state: state.keyring.flush(),
    scopes=key_routes.SCOPES | version_routes.SCOPES | operation_routes.SCOPES,
)

__all__ = ["SERVICE", "State"]

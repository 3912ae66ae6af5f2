"""``livez``, ``readyz`` and ``shutdown``: over the admin listener, for health checks and for people."""

from __future__ import annotations

from typing import Any

import click

from pycryptoutil.cli import exits, output
from pycryptoutil.cli.client import Administrator, administrator_options, decode, problem
from pycryptoutil.cli.exits import CommandError

_SERVICE = click.argument("service", default="suite")


def _names(administrator: Administrator, service: str) -> list[str]:
    return list(administrator.running.services) if service == "suite" else [administrator.running.service(service)]


@click.command()
@_SERVICE
@administrator_options
def livez(administrator: Administrator, service: str) -> None:
    """Ask a service whether it is alive: exit code 0, or 5 if it does not answer."""
    names = _names(administrator, service)
    for name in names:
        administrator.admin_listener(name).request("GET", "/livez")
    administrator.done(f"alive: {', '.join(names)}", {"alive": names})


@click.command()
@_SERVICE
@administrator_options
def readyz(administrator: Administrator, service: str) -> None:
    """Ask a service whether it is ready, check by check: exit code 0, or 8 while it is not."""
    answers: dict[str, Any] = {}
    ready = True
    for name in _names(administrator, service):
        response = administrator.admin_listener(name).send("GET", "/readyz")
        if response.status_code not in {200, 503}:
            raise problem(response)
        answers[name] = decode(response)
        ready = ready and response.status_code == 200
    if administrator.as_json:
        output.write_json(answers)
    else:
        rows = [{"service": name, **check} for name, answer in answers.items() for check in answer["checks"]]
        output.table(rows, ("service", "name", "state", "required", "duration_ms", "reason"))
    if not ready:
        raise CommandError("not ready", exits.NOT_READY)


@click.command()
@_SERVICE
@administrator_options
def shutdown(administrator: Administrator, service: str) -> None:
    """Drain a service and stop its process; services of one process stop together."""
    pids = set()
    for name in _names(administrator, service):
        pid = administrator.running.services[name].get("pid")
        if pid not in pids:
            administrator.admin_listener(name).post("/shutdown")
            pids.add(pid)
    administrator.done("draining", {"draining": True})

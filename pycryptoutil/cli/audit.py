"""``audit verify``, ``audit export`` and ``audit heads``: straight from the database, suite running or not.

An auditor trusts no server's word for this, so the chain is recomputed here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pycryptoutil.cli import exits, options, output
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from pycryptoutil.service.config import Configuration, Inputs
    from pycryptoutil.storage import Database
    from pycryptoutil.storage.audit import SignedHead

R = TypeVar("R")


def _options(command: Callable[..., R]) -> Callable[..., R]:
    decorated = click.option(
        "--ready-file",
        type=click.Path(path_type=Path),
        envvar="PYCRYPTOUTIL_READY_FILE",
        help="Ready-file of the running suite: its data directory is used  [env: PYCRYPTOUTIL_READY_FILE]",
    )(command)
    decorated = click.option("--tenant", help="One tenant's chain, by id; the installation's own is 'system'.")(
        decorated
    )
    return options.configuration_options(decorated)


@click.group()
def audit() -> None:
    """Prove or export the audit chain.

    Reads the configured database (--config, --data-dir, CRYPTOUTIL_DATABASE_URL), or the data directory that the
    ready-file names.
    """


@contextmanager
def _opened(inputs: Inputs, ready_file: Path | None) -> Iterator[tuple[Configuration, Database]]:
    from pycryptoutil.cli.client import Running
    from pycryptoutil.cli.database import opened
    from pycryptoutil.service.config import Given

    named = {("data_dir",)} & set(inputs.command_line) or "CRYPTOUTIL_DATA_DIR" in inputs.environment
    if ready_file is not None and not named:
        found = Given(str(Running.read(ready_file).data_dir), f"ready-file {ready_file}")
        inputs = replace(inputs, command_line={**inputs.command_line, ("data_dir",): found})
    configuration = options.load("suite", inputs)
    url = configuration.settings.database.url.get_secret_value()
    if not url and not (configuration.data_dir / "pycryptoutil.db").exists():
        raise CommandError(
            f"{configuration.data_dir} holds no database; give --data-dir or --ready-file", exits.NOT_FOUND
        )
    with opened(configuration) as database:
        yield configuration, database


def _tenants(database: Database, tenant: str | None) -> list[str]:
    from pycryptoutil.service import audit as chains

    known = list(chains.tenants(database))
    if tenant is not None and tenant not in known:
        raise CommandError(f"there is no tenant {tenant}", exits.NOT_FOUND)
    return known if tenant is None else [tenant]


@audit.command()
@_options
@click.option(
    "--public-key", type=click.Path(path_type=Path), help="Key of the signed heads  [default: audit-head.pem]"
)
@click.option(
    "--kept-heads", type=click.Path(path_type=Path), help="Heads kept elsewhere, as 'audit heads' wrote them."
)
@output.json_option
def verify(
    inputs: Inputs,
    ready_file: Path | None,
    tenant: str | None,
    public_key: Path | None,
    kept_heads: Path | None,
    as_json: bool,
) -> None:
    """Prove every chain, event by event, and the signatures of its heads: exit code 9 names what is broken."""
    from pycryptoutil_protocols.faults import Fault, FaultKind

    from pycryptoutil.service import audit as chains

    rows, broken = [], ""
    with _opened(inputs, ready_file) as (configuration, database):
        key_file = public_key or configuration.data_dir / chains.PUBLIC_KEY_FILE
        known = public_key is not None or key_file.exists()
        spki = chains.public_key_from_pem(key_file.read_text("utf-8")) if known else None
        kept = _read_heads(kept_heads) if kept_heads else []
        names = _tenants(database, tenant)
        with output.progress("verifying", total=len(names), quiet=as_json) as progressed:
            for number, name in enumerate(names, 1):
                mine = [head for head in kept if head.tenant_id == name]
                row: dict[str, Any] = {"tenant": name, "result": "intact"}
                try:
                    found = chains.verify(database, name, spki, mine)
                    row.update(
                        events=found.events,
                        signed_heads=found.signed_heads,
                        signed_to=found.signed_to,
                        signatures="checked" if spki else "not checked: no public key",
                        head=found.head.hex(),
                    )
                except Fault as fault:
                    if fault.kind is not FaultKind.BAD_SIGNATURE:
                        raise
                    broken = broken or fault.detail
                    row.update(result="broken", detail=fault.detail)
                rows.append(row)
                progressed(number)
    columns = ("tenant", "result", "events", "signed_heads", "signed_to", "signatures")
    output.table(rows, columns, as_json=as_json)
    if broken:
        raise CommandError(broken, exits.INTEGRITY)


@audit.command()
@_options
@click.option("--after", type=click.IntRange(0), default=0, help="Only events after this sequence number.")
def export(inputs: Inputs, ready_file: Path | None, tenant: str | None, after: int) -> None:
    """Stream events to standard output, one JSON object a line, oldest first."""
    from pycryptoutil.service import audit as chains

    with _opened(inputs, ready_file) as (_, database):
        for name in _tenants(database, tenant):
            with database.read(name) as reader:
                for line in chains.export_lines(reader, name, after):
                    click.echo(line)


@audit.command()
@_options
def heads(inputs: Inputs, ready_file: Path | None, tenant: str | None) -> None:
    """Write the newest signed head of each chain, one JSON object a line: keep them where nobody here can write."""
    from pycryptoutil.service import audit as chains

    with _opened(inputs, ready_file) as (_, database):
        for name in _tenants(database, tenant):
            newest = chains.newest_head(database, name)
            if newest is not None:
                click.echo(json.dumps(_head_document(newest)))


def _head_document(head: SignedHead) -> dict[str, Any]:
    return {
        "tenant_id": head.tenant_id,
        "seq": head.seq,
        "hash": head.hash.hex(),
        "signed_at": head.signed_at.isoformat(timespec="microseconds"),
        "algorithm": head.algorithm,
        "key_id": head.key_id,
        "signature": base64.b64encode(head.signature).decode(),
    }


def _read_heads(path: Path) -> list[SignedHead]:
    from datetime import datetime

    from pycryptoutil.storage.audit import SignedHead

    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(
                SignedHead(
                    row["tenant_id"],
                    row["seq"],
                    bytes.fromhex(row["hash"]),
                    datetime.fromisoformat(row["signed_at"]),
                    row["algorithm"],
                    row["key_id"],
                    base64.b64decode(row["signature"], validate=True),
                )
            )
        except (ValueError, KeyError, TypeError):
            raise CommandError(f"{path}:{number}: is not a signed head") from None
    return found

"""``openapi``: write the documents of every service, or tell whether the committed ones have drifted."""

from __future__ import annotations

from pathlib import Path

import click

from pycryptoutil.cli.exits import CommandError

DEFAULT_FOLDER = Path("docs/openapi")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_FOLDER)
@click.option("--check", is_flag=True, help="Write nothing; fail if a document is not what its route table says.")
@click.option("--service", default="suite", show_default=True, help="One service, a product, or the whole suite.")
def openapi(folder: Path, check: bool, service: str) -> None:
    """Write docs/openapi/SERVICE.json from the route tables (OpenAPI 3.1), into FOLDER."""
    from pycryptoutil.service import catalogue, openapi_files

    definitions = catalogue.select(service)
    if check:
        found = openapi_files.drift(definitions, folder, whole=service == catalogue.SUITE)
        if found:
            raise CommandError("\n".join([*found, "run: pycryptoutil openapi"]))
        click.echo(f"{len(definitions)} documents in {folder} say what the route tables say")
        return
    changed = openapi_files.write(definitions, folder)
    for path in changed:
        click.echo(path)
    if not changed:
        click.echo("nothing changed")

"""``ca``: the certificate authority's administrator, over the REST API of a running pki-ca."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import lifecycle, output
from pycryptoutil.cli.approvals import approvals
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.cmc import cmc
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.cli.hsm import hsm
from pycryptoutil.cli.lifecycle import COMMANDS as LIFECYCLE
from pycryptoutil.cli.revoking import COMMANDS, TIME, rfc3339
from pycryptoutil.cli.scep import scep
from pycryptoutil.cli.timestamp import timestamp
from pycryptoutil.cli.webhook import webhook

SERVICE: Final = "pki-ca"
_AUTHORITY_COLUMNS: Final = ("name", "kind", "status", "subject", "key_algorithm", "not_after", "ocsp_url")
_CERTIFICATE_COLUMNS: Final = ("serial", "profile", "sans", "subject", "status", "not_after", "requester")
_CREDENTIAL_COLUMNS: Final = ("id", "username", "profile", "authority", "uses", "max_uses", "expires_at", "status")
_CRL_COLUMNS: Final = ("authority", "number", "this_update", "next_update", "entries", "url")


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _path(*parts: str) -> str:
    from urllib.parse import quote

    return "/" + "/".join(quote(part, safe="") for part in parts)


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


@click.group()
def ca() -> None:
    """The certificate authority: credentials, certificates, revocation, CRLs, time-stamps."""


ca.add_command(approvals)
ca.add_command(timestamp)
ca.add_command(scep)
ca.add_command(cmc)
ca.add_command(hsm)
ca.add_command(webhook)
for _command in (*COMMANDS, *LIFECYCLE):
    ca.add_command(_command)


# -- certificate authorities -------------------------------------------------------------------------------------------


@ca.command("list")
@administrator_options
def list_(administrator: Administrator) -> None:
    """Every certificate authority."""
    rows = list(administrator.client(SERVICE).pages("/certificate-authorities"))
    administrator.show_table(rows, _AUTHORITY_COLUMNS)


@ca.command()
@click.argument("name", default="issuing")
@administrator_options
def show(administrator: Administrator, name: str) -> None:
    """One certificate authority: the issuing one, unless named."""
    found = administrator.client(SERVICE).get(_path("certificate-authorities", name))
    administrator.show(found if administrator.as_json else _without(found, "certificate", "chain"), name)


@ca.command()
@click.argument("name", default="issuing")
@click.option("--root", is_flag=True, help="Only the root, which is what a relying party trusts.")
@administrator_options
def chain(administrator: Administrator, name: str, root: bool) -> None:
    """A CA's certificate and its issuers up to the root, in PEM."""
    found = administrator.client(SERVICE).get(_path("certificate-authorities", name))
    shown = found["chain"][-1:] if root else found["chain"]
    if administrator.as_json:
        output.write_json({"chain": shown})
    else:
        click.echo("".join(shown), nl=False)


@ca.command()
@click.argument("name")
@click.option("--subject", required=True, help="RFC 4514, such as 'CN=Issuing CA 2,O=Example'.")
@click.option("--parent", help="The CA that certifies it; without one it is a root.")
@click.option("--offline-parent", is_flag=True, help="Make key and request only, for a CA elsewhere to certify.")
@click.option("--key-algorithm", default="EC-P256", show_default=True)
@click.option("--days", type=click.IntRange(1, 10958), help="Its life; by default the profile's.")
@click.option("--path-length", type=click.IntRange(0, 10), help="How many CAs there may be below.")
@click.option("--permit", multiple=True, help="Name constraint, such as dns:example.com.")
@click.option("--exclude", multiple=True, help="Name constraint.")
@administrator_options
def create(
    administrator: Administrator,
    name: str,
    subject: str,
    parent: str | None,
    offline_parent: bool,
    key_algorithm: str,
    days: int | None,
    path_length: int | None,
    permit: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    """Make a root or a subordinate CA."""
    if offline_parent:
        if parent or days or path_length is not None or permit or exclude:
            raise click.UsageError("--offline-parent goes with --subject and --key-algorithm: the rest is said there")
        lifecycle.request(administrator, {"name": name, "subject": subject, "key_algorithm": key_algorithm})
        return
    body = {
        "name": name,
        "subject": subject,
        "parent": parent,
        "key_algorithm": key_algorithm,
        "validity_days": days,
        "path_length": path_length,
        "permitted_names": permit,
        "excluded_names": exclude,
    }
    made = administrator.client(SERVICE).post("/certificate-authorities", body)
    administrator.show(made if administrator.as_json else _without(made, "certificate", "chain"), name)


# -- profiles ----------------------------------------------------------------------------------------------------------


@ca.group()
def profiles() -> None:
    """Certificate profiles."""


@profiles.command("list")
@administrator_options
def list_profiles(administrator: Administrator) -> None:
    """Every profile."""
    rows = list(administrator.client(SERVICE).pages("/profiles"))
    administrator.show_table(rows, ("name", "title", "kind", "source"))


@profiles.command("show")
@click.argument("name")
@administrator_options
def show_profile(administrator: Administrator, name: str) -> None:
    """One profile, as YAML."""
    found = administrator.client(SERVICE).get(_path("profiles", name))
    if administrator.as_json:
        output.write_json(found)
    else:
        click.echo(found["document"], nl=False)


# -- enrolment credentials ---------------------------------------------------------------------------------------------


@ca.group()
def credential() -> None:
    """Enrolment credentials: a user name and a password for devices and programs that enrol."""


@credential.command("add")
@click.option("--profile", required=True, help="What certificates may be enrolled for.")
@click.option("--authority", help="The CA that issues; the default issuing CA, unless given.")
@click.option("--dns", multiple=True, help="Pattern of DNS names, such as '*.example.test'. Repeatable.")
@click.option("--ip", multiple=True, help="Addresses or networks. Repeatable.")
@click.option("--email", multiple=True, help="Pattern of e-mail addresses. Repeatable.")
@click.option("--uri", multiple=True, help="Pattern of URIs. Repeatable.")
@click.option("--common-name", multiple=True, help="Pattern of common names. Repeatable.")
@click.option("--wildcards", is_flag=True, help="Certificates may hold wildcard names.")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["est", "scep", "cmp", "cmc", "acme"]),
    help="Only for this protocol. Repeatable; by default for all.",
)
@click.option("--max-uses", type=click.IntRange(1), help="Certificates that may be enrolled for.")
@click.option("--expires", type=TIME, callback=rfc3339, help="When it ends.")
@click.option("--description", default="", help="For people.")
@administrator_options
def add_credential(
    administrator: Administrator,
    profile: str,
    authority: str | None,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    email: tuple[str, ...],
    uri: tuple[str, ...],
    common_name: tuple[str, ...],
    wildcards: bool,
    protocols: tuple[str, ...],
    max_uses: int | None,
    expires: str | None,
    description: str,
) -> None:
    """Make a credential. Its password is shown now and never again."""
    body = {
        "profile": profile,
        "authority": authority,
        "names": {
            "dns": dns,
            "ip": ip,
            "email": email,
            "uri": uri,
            "common_name": common_name,
            "wildcards": wildcards,
        },
        "protocols": protocols,
        "max_uses": max_uses,
        "expires_at": expires,
        "description": description,
    }
    made = administrator.client(SERVICE).post("/enrollment-credentials", body)
    if administrator.as_json:
        output.write_json(made)
        return
    administrator.show({name: made[name] for name in ("username", "password", "profile", "authority", "names")})
    click.echo("The password is not stored in readable form: keep it now.", err=True)


@credential.command("list")
@administrator_options
def list_credentials(administrator: Administrator) -> None:
    """Every credential, newest first, without passwords."""
    rows = list(administrator.client(SERVICE).pages("/enrollment-credentials"))
    administrator.show_table(rows, _CREDENTIAL_COLUMNS)


@credential.command("show")
@click.argument("id_or_username")
@administrator_options
def show_credential(administrator: Administrator, id_or_username: str) -> None:
    """One credential, without its password."""
    administrator.show(administrator.client(SERVICE).get(_path("enrollment-credentials", id_or_username)))


@credential.command("delete")
@click.argument("id_or_username")
@administrator_options
def delete_credential(administrator: Administrator, id_or_username: str) -> None:
    """Withdraw a credential; certificates that it enrolled for stay."""
    administrator.client(SERVICE).delete(_path("enrollment-credentials", id_or_username))
    administrator.done(f"{id_or_username} can enrol no more")


# -- certificates ------------------------------------------------------------------------------------------------------


@ca.group()
def certificates() -> None:
    """Issued certificates."""


@certificates.command("list")
@click.option("--status", type=click.Choice(["valid", "expired", "revoked", "held"]))
@click.option("--profile")
@click.option("--authority")
@click.option("--requester", help="Such as credential:enroll-….")
@click.option("--name", help="A whole name, such as www.example.com.")
@click.option("--domain", help="Names in this domain or below it.")
@click.option("--contains", help="Part of the subject or of a name; slow where there are many certificates.")
@click.option("--sort", type=click.Choice(["created", "expiry"]), help="Newest, or what ends soonest, first.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@administrator_options
def list_certificates(administrator: Administrator, /, limit: int, **conditions: str | None) -> None:
    """Certificates, newest first."""
    from itertools import islice

    found = administrator.client(SERVICE).pages("/certificates", limit=min(limit, 200), **conditions)
    rows = list(islice(found, limit))
    administrator.show_table(rows, _CERTIFICATE_COLUMNS)


@certificates.command("show")
@click.argument("serial")
@click.option("--authority", help="Which CA's, where imported CAs share a serial.")
@administrator_options
def show_certificate(administrator: Administrator, serial: str, authority: str | None) -> None:
    """One certificate by its serial in hex."""
    found = administrator.client(SERVICE).get(_path("certificates", serial), authority=authority)
    administrator.show(found if administrator.as_json else _without(found, "certificate"))


@certificates.command("pem")
@click.argument("serial")
@click.option("--chain", "whole", is_flag=True, help="With its issuers up to the root.")
@administrator_options
def certificate_pem(administrator: Administrator, serial: str, whole: bool) -> None:
    """One certificate in PEM."""
    client = administrator.client(SERVICE)
    if whole:
        text = client.get_bytes(_path("certificates", serial, "chain"), "application/pem-certificate-chain").decode()
    else:
        text = client.get(_path("certificates", serial))["certificate"]
    if administrator.as_json:
        output.write_json({"serial": serial, "pem": text})
    else:
        click.echo(text, nl=False)


@ca.command()
@click.option("--csr", type=_FILE, help="PKCS#10, PEM or DER.")
@click.option("--public-key", type=_FILE, help="In place of a request: a key that cannot sign one, as ML-KEM.")
@click.option("--profile", required=True)
@click.option("--authority")
@click.option("--subject", help="RFC 4514; replaces the request's.")
@click.option("--san", "sans", multiple=True, help="Such as dns:a.example.com; replace the request's. Repeatable.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write certificate and chain there.")
@administrator_options
def issue(
    administrator: Administrator,
    csr: Path | None,
    public_key: Path | None,
    profile: str,
    authority: str | None,
    subject: str | None,
    sans: tuple[str, ...],
    out: Path | None,
) -> None:
    """Issue a certificate for a request, or for a key that cannot sign one."""
    if (csr is None) == (public_key is None):
        raise click.UsageError("give one of --csr and --public-key")
    body = {
        "csr": _text(csr) if csr is not None else None,
        "public_key": _text(public_key) if public_key is not None else None,
        "profile": profile,
        "authority": authority,
        "subject": subject,
        "sans": sans,
    }
    made = administrator.client(SERVICE).post("/certificates", body)
    whole = made["certificate"] + "".join(made["chain"][:-1])
    if out is not None:
        out.write_text(whole)
    if administrator.as_json:
        output.write_json(made)
    elif out is None:
        click.echo(whole, nl=False)
    else:
        administrator.show(_without(made, "certificate", "chain", "private_key"))


def _text(path: Path) -> str:
    import base64

    raw = path.read_bytes()
    return raw.decode() if raw.lstrip().startswith(b"-----BEGIN") else base64.b64encode(raw).decode()


# -- CRLs --------------------------------------------------------------------------------------------------------------


@ca.group()
def crl() -> None:
    """Certificate revocation lists."""


@crl.command("list")
@administrator_options
def list_crls(administrator: Administrator) -> None:
    """The current CRL of every CA."""
    rows = list(administrator.client(SERVICE).pages("/crls"))
    administrator.show_table(rows, _CRL_COLUMNS)


@crl.command("show")
@click.argument("authority", default="issuing")
@click.option("--pem", is_flag=True, help="The CRL itself.")
@administrator_options
def show_crl(administrator: Administrator, authority: str, pem: bool) -> None:
    """A CA's current CRL."""
    found = administrator.client(SERVICE).get(_path("crls", authority))
    if administrator.as_json:
        output.write_json(found)
    elif pem:
        click.echo(found["crl"], nl=False)
    else:
        administrator.show(_without(found, "crl"))


@crl.command("publish")
@click.argument("authority", default="issuing")
@administrator_options
def publish_crl(administrator: Administrator, authority: str) -> None:
    """Make and publish a CRL now."""
    made = administrator.client(SERVICE).post(_path("crls", authority, "publish"))
    if not isinstance(made, dict):
        raise CommandError("the answer is not a CRL")
    administrator.done(f"CRL {made['number']} of {made['authority']} lists {made['entries']} certificates", made)

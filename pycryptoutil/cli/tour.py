"""``tour``: walk through a running suite as a stranger would, with curl and openssl, showing commands and answers.

Every command is printed exactly as it is run, and can be pasted again: it runs in the tour's own folder, with secrets
in files (curl's ``-K``), so that none is seen in a process list.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pycryptoutil.cli import cmc, output, scep, timestamp, tour_acme, tour_cmp, tour_jose, tour_kms
from pycryptoutil.cli.client import DEV_READY_FILE, Administrator, Running, administrator_options
from pycryptoutil.cli.exits import FAILED, UNREACHABLE, CommandError

if TYPE_CHECKING:
    from rich.console import Console

_NEEDED: Final = ("curl", "openssl", "base64")
_SHOWN_LINES: Final = 12
_COMMAND_SECONDS: Final = 60
_CRL_SECONDS: Final = 15
_PKI: Final = "pki-ca"
_PETS: Final = "learn-ps"


class StepError(CommandError):
    """A step that did not do what it should."""


@dataclass
class Tour:
    """One walk: where it is, what it has found out, and where it tells of it."""

    administrator: Administrator
    folder: Path
    console: Console | None  # None: only the result is told, as JSON
    program: str
    ready_option: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    serial: str = ""
    host: str = ""
    key: str = ""

    @property
    def running(self) -> Running:
        """The suite."""
        return self.administrator.running

    def url(self, listener: str = "public", service: str = _PKI) -> str:
        """Return a listener's base URL."""
        return self.running.url(service, listener)

    def step(self, title: str) -> None:
        """Begin a step."""
        self.steps.append({"title": title, "commands": []})
        self._print(f"\n[bold]{len(self.steps)}. {title}[/bold]")

    def run(
        self,
        command: str,
        *,
        expect: str = "",
        code: int | None = 0,
        quiet: bool = False,
        seconds: int = _COMMAND_SECONDS,
    ) -> str:
        """Print and run one command; StepError unless it ends with ``code`` and says ``expect``."""
        if not quiet:
            self._print(f"[cyan]$ {_escape(command)}[/cyan]")
        try:
            done = subprocess.run(  # noqa: S602  the point is to run what is printed; nothing of it comes from outside
                command,
                shell=True,
                cwd=self.folder,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StepError(f"step {len(self.steps)}: no answer in {seconds} s: {command}") from None
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if quiet:
            return said
        self.steps[-1]["commands"].append({"command": command, "exit_code": done.returncode, "output": said})
        self._show(said)
        if (code is not None and done.returncode != code) or expect not in said:
            wanted = (
                f"exit code {code}" if code is not None and done.returncode != code else f"{expect!r} in its output"
            )
            title = self.steps[-1]["title"]
            raise StepError(
                f"step {len(self.steps)} ({title}): {command}\nexpected {wanted}, got {done.returncode}:\n{said}"
            )
        return said

    def passed(self, sentence: str) -> None:
        """Tell what a step has shown."""
        self.steps[-1]["result"] = sentence
        self._print(f"[green]✓ {_escape(sentence)}[/green]")

    def secret(self, name: str, user: str, password: str) -> None:
        """Keep credentials for curl's ``-K``, readable by this user only."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(f'user = "{user}:{password}"\n')

    def _show(self, said: str) -> None:
        lines = said.rstrip().expandtabs().splitlines()
        for line in lines[:_SHOWN_LINES]:
            self._print(f"[dim]  {_escape(output.text(line))}[/dim]")
        if len(lines) > _SHOWN_LINES:
            self._print(f"[dim]  … {len(lines) - _SHOWN_LINES} more lines[/dim]")

    def _print(self, markup: str) -> None:
        if self.console is not None:
            self.console.print(markup, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


# -- the steps ---------------------------------------------------------------------------------------------------------


def credential(tour: Tour) -> None:
    """Let somebody enrol."""
    tour.step("The administrator makes an enrolment credential")
    said = tour.run(
        f"{tour.program} ca credential add --profile tls-server --dns '*.example.test' {tour.ready_option} --json"
        " > credential.json && grep -E '\"(username|profile)\"' credential.json"
    )
    made = json.loads((tour.folder / "credential.json").read_bytes())
    (tour.folder / "credential.json").chmod(0o600)
    tour.secret("credential.curl", made["username"], made["password"])
    tour.passed(f"{made['username']} may enrol for *.example.test; its password is in credential.curl, for curl -K")
    if made["password"] in said:
        raise StepError("the password was printed")


def ca_certificates(tour: Tour) -> None:
    """Fetch the chain by EST."""
    tour.step("A stranger fetches the CA certificates by EST")
    tour.run(f"curl -sS --fail-with-body --cacert bundle.pem {tour.url()}/.well-known/est/cacerts -o cacerts.b64")
    tour.run(
        "base64 -d cacerts.b64 | openssl pkcs7 -inform DER -print_certs -out chain.pem && grep subject chain.pem",
        expect="subject",
    )
    blocks = [part + "-----END CERTIFICATE-----\n" for part in _blocks(tour.folder / "chain.pem")]
    # EST puts them in no order: the root is the one that verifies itself
    root = next((one for one in blocks if _self_signed(tour, one)), "")
    issuing = "".join(one for one in blocks if one != root)
    if not root or not issuing:
        raise StepError("cacerts holds no root with an issuing CA")
    (tour.folder / "root.pem").write_text(root)
    (tour.folder / "issuing.pem").write_text(issuing)
    tour.passed("root.pem and issuing.pem")


def _blocks(path: Path) -> list[str]:
    text = path.read_text()
    return [
        "-----BEGIN CERTIFICATE-----" + part.split("-----END")[0]
        for part in text.split("-----BEGIN CERTIFICATE-----")[1:]
    ]


def _self_signed(tour: Tour, block: str) -> bool:
    (tour.folder / "one.pem").write_text(block)
    names = tour.run("openssl x509 -in one.pem -noout -subject -issuer -nameopt RFC2253", quiet=True).splitlines()
    (tour.folder / "one.pem").unlink()
    return len({line.partition("=")[2] for line in names}) == 1


def enrol(tour: Tour) -> None:
    """Have a key certified by EST."""
    tour.step("It makes a key and a request, and enrols")
    tour.run(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -outform DER"
        f" -subj /CN={tour.host} -addext subjectAltName=DNS:{tour.host} 2>/dev/null | base64 > req.b64"
    )
    tour.run(
        "curl -sS --fail-with-body --cacert bundle.pem -K credential.curl -H 'Content-Type: application/pkcs10'"
        f" --data-binary @req.b64 {tour.url()}/.well-known/est/simpleenroll -o leaf.b64 -w '%{{http_code}}\\n'",
        expect="200",
    )
    tour.run("base64 -d leaf.b64 | openssl pkcs7 -inform DER -print_certs -out leaf.pem")
    said = tour.run("openssl x509 -in leaf.pem -noout -serial -subject -dates -ext subjectAltName", expect=tour.host)
    serial = next(line for line in said.splitlines() if line.startswith("serial="))
    tour.serial = serial.partition("=")[2].strip().lower()
    tour.passed(f"certificate {tour.serial}")


def verify(tour: Tour) -> None:
    """Check the chain."""
    tour.step("The chain verifies up to the root")
    tour.run("openssl verify -CAfile root.pem -untrusted issuing.pem leaf.pem", expect="leaf.pem: OK")
    tour.passed("leaf → issuing CA → root")


def ocsp_good(tour: Tour) -> None:
    """Ask for its status."""
    tour.step("OCSP says good")
    tour.run("openssl x509 -in leaf.pem -noout -ocsp_uri", expect=tour.url("plain"))
    tour.run(_ocsp(tour), expect="leaf.pem: good")
    tour.passed("signed by the CA's own responder, and verified against root.pem")


def _ocsp(tour: Tour) -> str:
    public_id = _last(tour, "-ocsp_uri")
    return f"openssl ocsp -issuer issuing.pem -cert leaf.pem -url {tour.url('plain')}/ocsp/{public_id} -CAfile root.pem"


def _last(tour: Tour, option: str) -> str:
    """Return the last segment of a URL in the leaf."""
    said = tour.run(f"openssl x509 -in leaf.pem -noout {option}", quiet=True)
    return shlex.quote(said.strip().rpartition("/")[2])


def revoke(tour: Tour) -> None:
    """Revoke it."""
    tour.step("The administrator revokes it")
    tour.run(f"{tour.program} ca revoke {tour.serial} --reason keyCompromise {tour.ready_option}", expect="is revoked")
    tour.passed("durable, and in the audit chain, when the command returned")


def ocsp_revoked(tour: Tour) -> None:
    """Ask again."""
    tour.step("OCSP says revoked")
    tour.run(_ocsp(tour), expect="leaf.pem: revoked")
    tour.passed("on every replica within a second")


def crl(tour: Tour) -> None:
    """Find it on the list."""
    tour.step("The CRL lists it")
    fetch = f"curl -sS --fail-with-body {tour.url('plain')}/crl/{_last(tour, '-ocsp_uri')}.crl -o issuing.crl"
    text = "openssl crl -inform DER -in issuing.crl -noout -text"
    from pycryptoutil.clock import SystemClock

    clock = SystemClock()
    end = clock.monotonic() + _CRL_SECONDS
    while tour.serial.upper() not in tour.run(f"{fetch} && {text}", quiet=True) and clock.monotonic() < end:
        clock.sleep(0.2)
    tour.run(f"{fetch} -w '%{{content_type}} %{{size_download}} bytes\\n'", expect="application/pkix-crl")
    tour.run(
        f"{text} | grep -A4 -E 'CRL Number|Issuing Distribution|{tour.serial.upper()}'", expect=tour.serial.upper()
    )
    tour.run(f"curl -sS --fail-with-body {tour.url('plain')}/crl/root.crl -o root.crl")
    tour.run(
        "for crl in root issuing; do openssl crl -inform DER -in $crl.crl; done > crls.pem;"
        " openssl verify -crl_check_all -CAfile root.pem -untrusted issuing.pem -CRLfile crls.pem leaf.pem",
        expect="certificate revoked",
        code=2,
    )
    tour.passed("and openssl, checking the whole chain against both CRLs, refuses the certificate")


def pets(tour: Tour) -> None:
    """Use the service that shows how services are written."""
    if _PETS not in tour.running.services:
        return
    tour.step("The pet store answers a program")
    secret = tour.administrator.credentials
    tour.secret("administrator.curl", secret.client_id, secret.client_secret)
    body = '{"name": "Rex", "species": "dog", "price_cents": 9900, "stock": 3}'
    base = f"{tour.url(service=_PETS)}/service/api/v1/pets"
    curl = "curl -sS --fail-with-body --cacert bundle.pem -K administrator.curl"
    tour.run(f"{curl} -H 'Content-Type: application/json' -d '{body}' {base}", expect='"Rex"')
    tour.run(f"{curl} '{base}?limit=3'", expect='"Rex"')
    tour.passed("over /service with a client's id and secret; the same handlers serve people under /browser")


STEPS: Final[tuple[Callable[[Tour], None], ...]] = (
    credential,
    ca_certificates,
    enrol,
    verify,
    ocsp_good,
    revoke,
    ocsp_revoked,
    crl,
    scep.step,
    tour_cmp.step,
    cmc.step,
    tour_acme.step,
    timestamp.step,
    *tour_kms.STEPS,
    *tour_jose.STEPS,
    pets,
)


# -- the command -------------------------------------------------------------------------------------------------------


def wait_for(ready_file: Path, seconds: float, process: int | None) -> None:
    """Wait until the suite, or this process of it, has written its ready-file."""
    from pycryptoutil.clock import SystemClock

    clock = SystemClock()
    end = clock.monotonic() + seconds
    while not _written(ready_file, process):
        if clock.monotonic() > end:
            raise CommandError(f"{ready_file}: the suite was not ready in {seconds:g} s", UNREACHABLE)
        clock.sleep(0.05)


def _written(ready_file: Path, process: int | None) -> bool:
    try:
        services = json.loads(ready_file.read_text("utf-8"))["services"]
    except (OSError, ValueError, KeyError):
        return False
    return process is None or any(address["pid"] == process for address in services.values())


def walk(administrator: Administrator, folder: Path, ready_file: Path | None) -> list[dict[str, Any]]:
    """Take every step; StepError at the first that fails."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise CommandError(f"the tour needs {', '.join(missing)} on this machine", FAILED)
    import secrets

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(administrator.running.trust_bundle, folder / "bundle.pem")
    option = f"--ready-file {shlex.quote(str(ready_file.absolute()))}" if ready_file is not None else ""
    tour = Tour(
        administrator,
        folder,
        None if administrator.as_json else output.console(),
        _program(),
        option,
        host=f"host-{secrets.token_hex(4)}.example.test",
    )
    if tour.console is not None:
        tour.console.print("[bold]A tour of this certificate authority.[/bold] Every command can be pasted; first:")
        tour.console.print(f"[cyan]$ cd {_escape(shlex.quote(str(folder)))}[/cyan]", soft_wrap=True)
    for step in STEPS:
        step(tour)
    if tour.console is not None:
        tour.console.print("\n[bold green]The tour has passed.[/bold green]")
    return tour.steps


def _program() -> str:
    """Return how this program is called in a shell that may not have it on its path."""
    beside = Path(sys.executable).parent / "pycryptoutil"
    if beside.exists():
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m pycryptoutil"


class WaitingCommand(click.Command):
    """Waits for the ready-file before the command looks for the suite."""

    def invoke(self, ctx: click.Context) -> Any:
        """Wait, then run."""
        ready_file = ctx.params.get("ready_file")
        if ready_file is not None and ctx.params["wait"]:
            wait_for(ready_file, ctx.params["wait"], ctx.params["process"])
        try:
            return super().invoke(ctx)
        except (click.ClickException, CommandError):
            if ctx.params["process"] is not None:  # `run --tour`: a suite whose tour fails is not left to serve
                os.kill(ctx.params["process"], signal.SIGTERM)
            raise


@click.command(cls=WaitingCommand)
@click.option("--wait", type=float, default=0, help="Seconds to wait for the ready-file, if it is not there yet.")
@click.option("--of", "process", type=int, hidden=True, help="The suite's process, stopped if the tour fails.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where it keeps its files.")
@administrator_options
def tour(administrator: Administrator, wait: float, process: int | None, folder: Path | None) -> None:  # noqa: ARG001
    """Walk through a running suite: enrol, verify, OCSP, revoke, CRL, other protocols, a time-stamp, and a pet.

    Each command is printed as it is run, with what came back. Ends with exit code 1 at the first step that fails.
    """
    given = click.get_current_context().params.get("ready_file")
    if folder is None:
        if administrator.running.data_dir is None:
            raise click.UsageError("give --folder")
        folder = administrator.running.data_dir / "tour"
    steps = walk(administrator, folder.absolute(), given or (DEV_READY_FILE if DEV_READY_FILE.exists() else None))
    if administrator.as_json:
        output.write_json({"passed": True, "steps": steps})
    elif process is not None:
        output.console().print("\nThe suite goes on serving; stop it with Ctrl-C. Where it answers:")
        for name, address in administrator.running.services.items():
            urls = "  ".join(f"{key} {url}" for key, url in address.items() if key != "pid")
            output.console().print(f"  [bold]{name}[/bold]  {urls}", soft_wrap=True)
        documents = administrator.running.url(_PKI, "public") + "/browser/docs"
        output.console().print(f"  the APIs, for a browser: {documents}", soft_wrap=True)

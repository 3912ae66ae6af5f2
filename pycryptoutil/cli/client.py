"""The administrator's client: finds the running suite, authenticates, and tells failures in one line.

A suite is found by ``--ready-file`` or by ``--url``, ``--ca-bundle`` and ``--credentials``; failing both by their
variables, ``PYCRYPTOUTIL_READY_FILE`` first; failing those by ``.dev/ready.json``, which ``make run`` writes.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from pycryptoutil.cli import exits, output
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    import httpx

SERVICE_API = "/service/api/v1"
ADMIN_PREFIX = "/admin/v1"
DEV_READY_FILE = Path(".dev/ready.json")
TIMEOUT = 60.0  # of one answer; issuing a large key takes seconds

_CODES = {401: exits.DENIED, 403: exits.DENIED, 404: exits.NOT_FOUND, 429: exits.NOT_READY, 503: exits.NOT_READY}

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the administrator authenticates with: a client's id and secret."""

    tenant: str
    client_id: str
    client_secret: str = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Running:
    """A running suite, as the ready-file tells it."""

    services: Mapping[str, Mapping[str, Any]]
    trust_bundle: Path
    admin_credentials: Path | None = None
    data_dir: Path | None = None
    admin_prefix: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Running:
        """Read a ready-file; CommandError if there is none or it is not one."""
        try:
            document = json.loads(path.read_bytes())
            return cls(
                document["services"],
                Path(document["trust_bundle"]),
                Path(document["admin_credentials"]),
                Path(document["data_dir"]),
                document.get("admin_prefix", {}),
            )
        except FileNotFoundError:
            raise CommandError(f"{path}: no such ready-file: is the suite running?", exits.UNREACHABLE) from None
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", exits.UNREACHABLE) from None
        except (ValueError, KeyError, TypeError):
            raise CommandError(f"{path}: is not a ready-file", exits.UNREACHABLE) from None

    def service(self, name: str = "") -> str:
        """Return ``name`` if it runs, or the first service."""
        if not self.services:
            raise CommandError("the suite runs no service", exits.UNREACHABLE)
        if name and name not in self.services:
            raise CommandError(f"{name} is not running here; there is: {', '.join(self.services)}", exits.UNREACHABLE)
        return name or next(iter(self.services))

    def url(self, name: str, listener: str = "public") -> str:
        """Return a listener's base URL."""
        found = self.services[self.service(name)].get(listener, "")
        if not found:
            raise CommandError(f"{name} has no {listener} listener", exits.UNREACHABLE)
        return str(found).rstrip("/")


class ApiClient:
    """One base URL. ``get`` and its siblings return the decoded answer or raise CommandError."""

    def __init__(self, http: httpx.Client, base: str) -> None:
        self.http = http
        self.base = base

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; any answer of 400 or more is a CommandError."""
        response = self.send(method, path, json=json, params=params, content=content, headers=headers)
        if response.status_code >= 400:
            raise problem(response)
        return response

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request and return whatever is answered."""
        import httpx

        options["params"] = {name: value for name, value in (options.get("params") or {}).items() if value is not None}
        try:
            return self.http.request(method, self.base + path, **options)
        except httpx.ConnectError as error:
            why = "its certificate is not trusted by the bundle" if "CERTIFICATE" in str(error) else "cannot connect"
            raise CommandError(f"{self.base}: {why}", exits.UNREACHABLE) from None
        except httpx.TimeoutException:
            raise CommandError(f"{self.base}: no answer in {TIMEOUT:g} s", exits.UNREACHABLE) from None
        except httpx.HTTPError as error:
            raise CommandError(f"{self.base}: {type(error).__name__}", exits.UNREACHABLE) from None

    def get(self, path: str, **params: Any) -> Any:
        """GET; query parameters that are None are left out."""
        return decode(self.request("GET", path, params=params))

    def get_bytes(self, path: str, accept: str = "*/*", **params: Any) -> bytes:
        """GET something that is not JSON."""
        return self.request("GET", path, params=params, headers={"Accept": accept}).content

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """POST JSON."""
        return decode(self.request("POST", path, json=body, params=params))

    def put(self, path: str, body: Any = None, **params: Any) -> Any:
        """PUT JSON."""
        return decode(self.request("PUT", path, json=body, params=params))

    def patch(self, path: str, body: Any = None, **params: Any) -> Any:
        """PATCH with JSON."""
        return decode(self.request("PATCH", path, json=body, params=params))

    def delete(self, path: str, **params: Any) -> Any:
        """DELETE."""
        return decode(self.request("DELETE", path, params=params))

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """GET every item of a list, following its cursor."""
        cursor: str | None = None
        while True:
            page = self.get(path, **params, cursor=cursor)
            if isinstance(page, list):
                yield from page
                return
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


def decode(response: httpx.Response) -> Any:
    """Return the JSON of an answer, None for an empty one."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise CommandError(f"{response.request.url}: the answer is not JSON", exits.FAILED) from None


def problem(response: httpx.Response) -> CommandError:
    """Turn a problem document (RFC 9457) into one line with the request id."""
    try:
        document = response.json()
    except ValueError:
        document = {}
    document = document if isinstance(document, dict) else {}
    said = str(document.get("detail") or document.get("title") or response.reason_phrase or "refused")
    errors = document.get("errors")
    if isinstance(errors, list) and errors:
        told = [
            f"{e.get('pointer') or e.get('path') or ''} {e.get('detail') or e.get('message') or ''}".strip()
            for e in errors[:3]
            if isinstance(e, dict) and (e.get("detail") or e.get("message")) != said  # once is enough
        ]
        said = f"{said} ({'; '.join(told)})" if told else said
    request_id = document.get("request_id") or response.headers.get("x-request-id", "")
    suffix = f" [request {request_id}]" if request_id else ""
    return CommandError(
        output.text(f"{response.status_code} {said}{suffix}").replace("\n", " "),
        _CODES.get(response.status_code, exits.FAILED),
    )


def tls_context(bundle: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts exactly this bundle."""
    try:
        context = ssl.create_default_context(cafile=str(bundle))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is in the bundle is trusted, a root or not
        if certificate:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"{bundle}: cannot be used as a trust bundle: {error.strerror or error}") from None
    return context


class Administrator:
    """An administrator at work on one running suite; the first argument of commands under administrator_options."""

    def __init__(
        self,
        running: Running,
        credentials_file: Path | None,
        as_json: bool = False,
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        self.running = running
        self.as_json = as_json
        self._credentials_file = credentials_file or running.admin_credentials
        self._certificate = (client_certificate, client_key)

    @functools.cached_property
    def credentials(self) -> Credentials:
        """Read the one-time secret's file."""
        path = self._credentials_file
        if path is None:
            raise CommandError("give --credentials: the administrator's admin.json", exits.DENIED)
        try:
            document = json.loads(path.read_bytes())
            return Credentials(
                document.get("tenant", ""), document["client_id"], document["client_secret"],
                document.get("username", ""), document.get("password", ""),
            )  # fmt: skip
        except FileNotFoundError:
            raise CommandError(
                f"{path}: no such file: is the barrier sealed, or are the credentials kept elsewhere?", exits.DENIED
            ) from None
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", exits.DENIED) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CommandError(f"{path}: holds no client_id and client_secret", exits.DENIED) from None

    def _http(self, **options: Any) -> httpx.Client:
        import httpx

        context = tls_context(self.running.trust_bundle, *self._certificate)
        client = httpx.Client(verify=context, timeout=TIMEOUT, trust_env=False, **options)
        if (command := click.get_current_context(silent=True)) is not None:
            command.call_on_close(client.close)  # or a suite that drains would wait for us
        return client

    def client(self, service: str = "") -> ApiClient:
        """Return a client of a service's ``/service/api/v1`` (the first service, if not named)."""
        name = self.running.service(service)
        advertised, local = self.running.url(name), self.running.services[name].get("local", "")
        auth = (self.credentials.client_id, self.credentials.client_secret)
        if not local:
            return ApiClient(self._http(auth=auth), advertised + SERVICE_API)
        # the machine, or the container, that the service runs on: as if the advertised name led here
        host = urlsplit(advertised)

        def named(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = host.hostname

        http = self._http(auth=auth, headers={"Host": host.netloc}, event_hooks={"request": [named]})
        return ApiClient(http, str(local) + SERVICE_API)

    def admin_listener(self, service: str = "") -> ApiClient:
        """Return a client of a service's admin listener."""
        name = self.running.service(service)
        base = self.running.url(name, "admin") + self.running.admin_prefix.get(name, ADMIN_PREFIX)
        return ApiClient(self._http(), base)

    def anonymous(self, service: str = "", listener: str = "public") -> ApiClient:
        """Return a client without credentials at a listener's root."""
        return ApiClient(self._http(), self.running.url(self.running.service(service), listener))

    def show(self, row: Mapping[str, Any], title: str = "") -> None:
        """Print one object, as JSON if asked."""
        output.record(row, as_json=self.as_json, title=title)

    def show_table(self, rows: Any, columns: tuple[str, ...], title: str = "") -> None:
        """Print rows, as JSON if asked."""
        output.table(rows, columns, as_json=self.as_json, title=title)

    def done(self, sentence: str, document: Mapping[str, Any] | None = None) -> None:
        """Tell that something is done."""
        if self.as_json:
            output.write_json(document or {"done": True})
        else:
            click.echo(sentence)


def find(ready_file: Path | None, url: str | None, ca_bundle: Path | None, service: str = "") -> Running:
    """Find the running suite by what was given."""
    if ready_file is not None:
        running = Running.read(ready_file)
        return running if ca_bundle is None else dataclasses.replace(running, trust_bundle=ca_bundle)
    if url is not None:
        if ca_bundle is None:
            raise click.UsageError("--url needs --ca-bundle")
        return Running({service or "service": {"public": url, "admin": url}}, ca_bundle)
    if DEV_READY_FILE.exists():
        return Running.read(DEV_READY_FILE)
    raise click.UsageError("give --ready-file (or set PYCRYPTOUTIL_READY_FILE), or --url with --ca-bundle")


class _AnyService(dict[str, Mapping[str, Any]]):
    """With --url there is one address, whatever the service is called."""

    def __contains__(self, _name: object) -> bool:
        return True

    def __missing__(self, _name: str) -> Mapping[str, Any]:
        return next(iter(self.values()))


def _from_environment(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.ENVIRONMENT


def administrator_options(command: Callable[Concatenate[Administrator, P], R]) -> Callable[..., R]:
    """Give a command the options that find and authenticate; it receives an Administrator first."""

    @click.option(
        "--ready-file",
        type=click.Path(path_type=Path),
        envvar="PYCRYPTOUTIL_READY_FILE",
        help="Ready-file of the running suite  [env: PYCRYPTOUTIL_READY_FILE]",
    )
    @click.option("--url", envvar="PYCRYPTOUTIL_URL", help="Base URL of the service, instead of a ready-file.")
    @click.option(
        "--ca-bundle",
        type=click.Path(path_type=Path),
        envvar="PYCRYPTOUTIL_CA_BUNDLE",
        help="Trust bundle, if not the ready-file's.",
    )
    @click.option(
        "--credentials",
        type=click.Path(path_type=Path),
        envvar="PYCRYPTOUTIL_CREDENTIALS",
        help="The administrator's admin.json, if not the ready-file's.",
    )
    @click.option(
        "--client-certificate",
        type=click.Path(path_type=Path),
        envvar="PYCRYPTOUTIL_CLIENT_CERTIFICATE",
        help="Client certificate (PEM), where the listener asks for one.",
    )
    @click.option(
        "--client-key", type=click.Path(path_type=Path), envvar="PYCRYPTOUTIL_CLIENT_KEY", help="Its private key (PEM)."
    )
    @output.json_option
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> R:
        ready_file, url = options.pop("ready_file"), options.pop("url")
        if ready_file is not None and url is not None:
            if _from_environment("url"):
                url = None
            elif _from_environment("ready_file"):
                ready_file = None
            else:
                raise click.UsageError("--ready-file and --url name two suites: give one of them")
        running = find(ready_file, url, options.pop("ca_bundle"))
        if url is not None and ready_file is None:
            running = Running(_AnyService(running.services), running.trust_bundle)
        administrator = Administrator(
            running,
            options.pop("credentials"),
            options.pop("as_json"),
            options.pop("client_certificate"),
            options.pop("client_key"),
        )
        return command(administrator, *args, **options)

    return wrapped
